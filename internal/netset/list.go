package netset

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"
)

// MaxEntries is how many entries a list may have; the set of so many takes 16 MB
// of IPv4 networks at the most, 32 MB of IPv6 networks.
const MaxEntries = 1_000_000

// maxLine is how many bytes a line of a list may have.
const maxLine = 4096

// LineError is a line of a list that cannot be read.
type LineError struct {
	Line int // from 1 on
	Err  error
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap returns what is wrong with the line.
func (e *LineError) Unwrap() error { return e.Err }

// ParseRange reads an address, a network in CIDR notation, or two addresses with
// "-" between them. Bits of an address behind the length of its network do not
// count.
func ParseRange(s string) (Range, error) {
	if strings.IndexByte(s, '/') >= 0 {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return Range{}, fmt.Errorf("%q is not a network in CIDR notation", clip(s))
		}
		return ofPrefix(p), nil
	}
	from, to, both := strings.Cut(s, "-")
	r := Range{}
	var err error
	if r.First, err = parseAddr(strings.TrimRight(from, " \t")); err != nil {
		return Range{}, err
	}
	r.Last = r.First
	if both {
		if r.Last, err = parseAddr(strings.TrimLeft(to, " \t")); err != nil {
			return Range{}, err
		}
	}
	if is4(r.First) && is4(r.Last) {
		r.First, r.Last = r.First.Unmap(), r.Last.Unmap()
	}
	if !r.valid() {
		return Range{}, fmt.Errorf("%q: the end of a range has to be an address of the same family, and not before its beginning", clip(s))
	}
	return r, nil
}

func parseAddr(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	switch {
	case err != nil:
		return a, fmt.Errorf("%q is not an IP address, network or range", clip(s))
	case a.Zone() != "":
		return a, fmt.Errorf("%q has a zone, which a list cannot have", clip(s))
	}
	return a, nil
}

// clip bounds what an error repeats of its line.
func clip(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	for s = s[:most]; len(s) > 0; s = s[:len(s)-1] {
		if r, n := utf8.DecodeLastRuneInString(s); r != utf8.RuneError || n > 1 {
			break
		}
	}
	return s + "…"
}

// AddList adds the entries of a list, one in a line, as published lists have
// them: an address, a network or a range, then at will a comment that begins with
// "#", ";" or "//". A line for NGINX, `10.0.0.0/8 1;` or `deny 10.0.0.0/8;`, is
// an entry, and so is a line of JSON with a member "cidr" or "ip". Empty lines and
// those with a comment alone are none. The first line that cannot be read ends it,
// with a *LineError.
func (b *Builder) AddList(text []byte) error {
	lines := strings.TrimPrefix(string(text), "\ufeff")
	for n := 1; lines != ""; n++ {
		line, rest, _ := strings.Cut(lines, "\n")
		lines = rest
		r, found, err := parseLine(line)
		switch {
		case err != nil:
			return &LineError{Line: n, Err: err}
		case !found:
			continue
		case b.Len() >= MaxEntries:
			return &LineError{Line: n, Err: fmt.Errorf("there are more than %d entries", MaxEntries)}
		}
		b.Add(r)
	}
	return nil
}

func parseLine(line string) (r Range, found bool, err error) {
	if len(line) > maxLine {
		return r, false, fmt.Errorf("the line is longer than %d bytes", maxLine)
	}
	s := strings.TrimSpace(line)
	if s == "" || isComment(s) {
		return r, false, nil
	}
	if s[0] == '{' {
		return parseObject(s)
	}
	s = strings.TrimSpace(strings.TrimPrefix(s, "deny "))
	// An entry ends at a comment, or where something follows that is no part of a
	// range with blanks around its "-".
	entry, rest := s, ""
	if at := strings.IndexAny(s, "#; \t"); at >= 0 {
		entry, rest = s[:at], strings.TrimSpace(s[at:])
	}
	if at := strings.Index(entry, "//"); at >= 0 {
		entry, rest = entry[:at], entry[at:]
	}
	if to, ok := strings.CutPrefix(rest, "-"); ok {
		to = strings.TrimLeft(to, " \t")
		end := len(to)
		if at := strings.IndexAny(to, "#; \t"); at >= 0 {
			end = at
		}
		entry, rest = entry+"-"+to[:end], strings.TrimSpace(to[end:])
	}
	if r, err = ParseRange(entry); err != nil {
		return r, false, err
	}
	if rest = strings.TrimPrefix(rest, "1;"); rest != "" && !isComment(strings.TrimSpace(rest)) {
		return r, false, fmt.Errorf("%q after %s is not a comment, which begins with #, ; or //", clip(rest), r)
	}
	return r, true, nil
}

func isComment(s string) bool {
	return s == "" || s[0] == '#' || s[0] == ';' || strings.HasPrefix(s, "//")
}

var errNoNetwork = errors.New(`the object has no member "cidr" or "ip"`)

// parseObject reads a line as the lists of Spamhaus in JSON have them. An object
// with "type" and neither of the members says something about the list.
func parseObject(s string) (r Range, found bool, err error) {
	var o struct {
		CIDR string `json:"cidr"`
		IP   string `json:"ip"`
		Type string `json:"type"`
	}
	if err := json.Unmarshal([]byte(s), &o); err != nil {
		return r, false, fmt.Errorf("not an object of JSON: %w", err)
	}
	if o.CIDR == "" {
		o.CIDR = o.IP
	}
	switch {
	case o.CIDR != "":
		r, err = ParseRange(o.CIDR)
		return r, err == nil, err
	case o.Type != "":
		return r, false, nil
	default:
		return r, false, errNoNetwork
	}
}
