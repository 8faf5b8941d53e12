package head

import (
	"strconv"
	"strings"
	"testing"
)

// FuzzPriority: of a field that is a dictionary by RFC 8941 is understood what RFC
// 9218 says of it; whatever else comes gives an urgency that there is.
func FuzzPriority(f *testing.F) {
	for _, s := range []string{
		"u=1", "u=5, i", "i=?0,u=0", "u=7;a=1, i;b", `a="u=1, i", u=2`, "u=3, u=9", "i, i=1", "u=-0", "u=01", "u=1.0", "u", "i=", "u=1,",
		"a=(1 \"x\" y);z, u=4", "k=:YQ==:,i=?1", "a=\"\\\"\", u=6", " u=1", "u=1 ;a", "U=1",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		urgency, incremental := ParsePriority([]byte(s))
		if urgency >= Urgencies {
			t.Fatalf("%q: urgency %d", s, urgency)
		}
		d := dictionary{rest: s}
		if !d.read() {
			return
		}
		want := uint8(DefaultUrgency)
		if n, err := strconv.ParseInt(d.members["u"], 10, 64); err == nil && 0 <= n && n < Urgencies {
			want = uint8(n)
		}
		if i := d.members["i"] == "?1"; urgency != want || incremental != i {
			t.Fatalf("%q: %d %v, want %d %v", s, urgency, incremental, want, i)
		}
	})
}

// dictionary reads one as RFC 8941 §4.2.2 has it. Of its members it keeps how
// their values are written, without parameters.
type dictionary struct {
	rest    string
	members map[string]string
}

func (d *dictionary) read() bool {
	d.members = map[string]string{}
	d.skip(" ")
	for d.rest != "" {
		key, ok := d.key()
		if !ok {
			return false
		}
		value := "?1"
		if d.take('=') {
			if value, ok = d.member(); !ok {
				return false
			}
		}
		if !d.parameters() {
			return false
		}
		d.members[key] = value
		d.skip(" \t")
		if d.rest == "" {
			return true
		}
		if !d.take(',') {
			return false
		}
		if d.skip(" \t"); d.rest == "" {
			return false
		}
	}
	return true
}

func (d *dictionary) skip(cut string) { d.rest = strings.TrimLeft(d.rest, cut) }

func (d *dictionary) take(c byte) bool {
	if d.rest == "" || d.rest[0] != c {
		return false
	}
	d.rest = d.rest[1:]
	return true
}

// of takes the characters that there are of a set.
func (d *dictionary) of(set string) string {
	n := len(d.rest) - len(strings.TrimLeft(d.rest, set))
	out := d.rest[:n]
	d.rest = d.rest[n:]
	return out
}

const (
	lowerCase = "abcdefghijklmnopqrstuvwxyz"
	upperCase = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits    = "0123456789"
)

func (d *dictionary) key() (string, bool) {
	if d.rest == "" || strings.IndexByte(lowerCase+"*", d.rest[0]) < 0 {
		return "", false
	}
	return d.of(lowerCase + digits + "_-.*"), true
}

func (d *dictionary) member() (string, bool) {
	if !d.take('(') {
		return d.item()
	}
	for {
		d.skip(" ")
		if d.take(')') {
			return "()", true
		}
		if _, ok := d.item(); !ok || !d.parameters() {
			return "", false
		}
		if d.rest == "" || d.rest[0] != ' ' && d.rest[0] != ')' {
			return "", false
		}
	}
}

func (d *dictionary) parameters() bool {
	for d.take(';') {
		d.skip(" ")
		if _, ok := d.key(); !ok {
			return false
		}
		if d.take('=') {
			if _, ok := d.item(); !ok {
				return false
			}
		}
	}
	return true
}

// item is a bare one, §4.2.3.1.
func (d *dictionary) item() (string, bool) {
	before := d.rest
	ok := false
	switch {
	case d.rest == "":
	case d.take('"'):
		ok = d.text()
	case d.take('?'):
		ok = len(d.of("01")) == 1
	case d.take(':'):
		d.of(lowerCase + upperCase + digits + "+/=")
		ok = d.take(':')
	case strings.IndexByte("-"+digits, d.rest[0]) >= 0:
		ok = d.number()
	case strings.IndexByte(lowerCase+upperCase+"*", d.rest[0]) >= 0:
		d.of(lowerCase + upperCase + digits + "!#$%&'*+-.^_`|~:/")
		ok = true
	}
	return before[:len(before)-len(d.rest)], ok
}

func (d *dictionary) text() bool {
	for d.rest != "" {
		c := d.rest[0]
		d.rest = d.rest[1:]
		switch {
		case c == '"':
			return true
		case c < ' ' || c > '~':
			return false
		case c == '\\' && !d.take('"') && !d.take('\\'):
			return false
		}
	}
	return false
}

func (d *dictionary) number() bool {
	d.take('-')
	whole := len(d.of(digits))
	if !d.take('.') {
		return 1 <= whole && whole <= 15
	}
	part := len(d.of(digits))
	return 1 <= whole && whole <= 12 && 1 <= part && part <= 3
}
