package h1

import (
	"bytes"

	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// targetForm is which of the four forms a target has (RFC 9112 §3.2).
type targetForm uint8

const (
	originForm targetForm = iota
	absoluteForm
	authorityForm
	asteriskForm
)

// Classes of bytes in targets.
const (
	classSlash  = 1 << iota // in target.seen: "//"
	classDot                // in target.seen: "/."
	classEscape             // '%'
	classUnsafe             // never in a path
	classQuery  = 1 << 6    // '?'
	classStop   = 1 << 7    // never in a target: space, controls, DEL, non-ASCII, '#'
)

// targetClass is made of what RFC 3986 allows and what browsers leave unescaped
// (WHATWG URL §1.3). A backslash in a path is a slash to some servers.
var targetClass = func() (t [256]byte) {
	for c := range t {
		if c <= ' ' || c >= 0x7f || c == '#' {
			t[c] = classStop
		}
	}
	t['/'], t['.'], t['%'], t['?'] = classSlash, classDot, classEscape, classQuery
	t['"'], t['<'], t['>'], t['\\'] = classUnsafe, classUnsafe, classUnsafe, classUnsafe
	return t
}()

// target is what one pass over a request target has seen.
type target struct {
	query int  // where the first '?' stands, or end
	end   int  // where the first byte stands that is not part of it
	seen  byte // classes and pairs in front of query
}

func scanTarget(b []byte, i int) (t target) {
	const slashMark = 0x80
	var before uint64 // slashMark if a '/' stands before i
	for i < len(b) {
		if i+8 <= len(b) {
			x := load(b, i)
			special := notPlain(x)
			slashes, dots := equal(x, '/')&topBits, equal(x, '.')&topBits
			n := 8
			if special != 0 {
				n = firstMark(special)
				before8 := special&-special - 1
				slashes &= before8
				dots &= before8
			}
			after := slashes<<8 | before
			if after&(slashes|dots) != 0 {
				if after&slashes != 0 {
					t.seen |= classSlash
				}
				if after&dots != 0 {
					t.seen |= classDot
				}
			}
			if n > 0 {
				before = slashes >> (8*n - 8) & slashMark
				i += n
			}
			if n == 8 {
				continue
			}
		}
		k := targetClass[b[i]]
		if k >= classQuery {
			break
		}
		t.seen |= k & (classEscape | classUnsafe)
		if before != 0 {
			t.seen |= k & (classSlash | classDot)
		}
		before = 0
		if k == classSlash {
			before = slashMark
		}
		i++
	}
	t.query = i
	if i < len(b) && b[i] == '?' {
		i = endOfQuery(b, i)
	}
	t.end = i
	return t
}

func notTarget(b []byte, start, i int) *Error {
	switch c := b[i]; {
	case c == '#':
		return errFragment
	case c == '\n':
		return errBareLF
	case c == '\r' && i > start:
		return errRequestLine // HTTP/0.9, or no version
	}
	return errTarget
}

// parseTarget fills Path, Query and, but for the origin form, Host as it stands
// in the target. The target starts at start and has ended.
func parseTarget(r *httpmsg.Request, t target, start int, l *Limits) (targetForm, *Error) {
	hierarchy := r.Target[:t.query-start]
	if t.query < t.end {
		r.Query, r.HasQuery = r.Target[t.query-start+1:], true
	}
	if r.MethodID == httpmsg.MethodConnect {
		if r.HasQuery || t.seen&classUnsafe != 0 {
			return 0, errConnectTarget
		}
		r.Host, r.Path = hierarchy, slash
		return authorityForm, nil
	}
	if t.seen&classUnsafe != 0 || len(hierarchy) == 0 {
		return 0, errTarget
	}
	if hierarchy[0] == '/' {
		return originForm, setPath(r, hierarchy, t.seen, l.MergeSlashes)
	}
	if len(r.Target) == 1 && r.Target[0] == '*' {
		if r.MethodID != httpmsg.MethodOptions {
			return 0, errTarget
		}
		r.Path = r.Target
		return asteriskForm, nil
	}
	return absoluteForm, parseAbsolute(r, hierarchy, l)
}

var slash = []byte("/")

// parseAbsolute parses scheme "://" authority path (RFC 9112 §3.2.2).
func parseAbsolute(r *httpmsg.Request, b []byte, l *Limits) *Error {
	i := bytes.IndexByte(b, ':')
	if i <= 0 || !bytes.HasPrefix(b[i:], []byte("://")) {
		return errTarget
	}
	if !httpmsg.EqualFold(b[:i], "http") && !httpmsg.EqualFold(b[:i], "https") {
		return errScheme
	}
	b = b[i+3:]
	i = bytes.IndexByte(b, '/')
	if i < 0 {
		i = len(b)
	}
	r.Host, b = b[:i:i], b[i:]
	if bytes.IndexByte(r.Host, '@') >= 0 {
		return errUserinfo
	}
	switch {
	case len(b) > 0:
		return setPath(r, b, classEscape, l.MergeSlashes)
	case r.MethodID == httpmsg.MethodOptions && !r.HasQuery:
		r.Path = asterisk // RFC 9112 §3.2.4
	default:
		r.Path = slash
	}
	return nil
}

var asterisk = []byte("*")

func setPath(r *httpmsg.Request, path []byte, seen byte, merge bool) *Error {
	if seen&(classEscape|classDot) == 0 && (seen&classSlash == 0 || !merge) {
		r.Path = path
		return nil
	}
	out, ok := httpmsg.NormalizePath(r.Arena.Alloc(len(path)), path, merge)
	if !ok {
		return errPath
	}
	r.Path = out
	return nil
}
