package syntax

import "github.com/gridway/gridway/internal/wire/httpmsg"

// Classes of bytes in targets.
const (
	classSlash  = 1 << iota // in Target.seen: "//"
	classDot                // in Target.seen: "/."
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

// Target is what one pass over a request target has seen.
type Target struct {
	Query int  // where the first '?' stands, or End
	End   int  // where the first byte stands that is not part of it
	seen  byte // classes and pairs in front of Query
}

// ScanTarget looks at the request target that starts at b[i].
func ScanTarget(b []byte, i int) (t Target) {
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
	t.Query = i
	if i < len(b) && b[i] == '?' {
		i = endOfQuery(b, i)
	}
	t.End = i
	return t
}

// Unscanned stands for a target of which nothing is known: Path looks at everything.
var Unscanned = Target{seen: classEscape}

// Unsafe tells whether a character stands in front of Query that no path may have.
func (t Target) Unsafe() bool { return t.seen&classUnsafe != 0 }

// Path normalises the path of the target: see httpmsg.NormalizePath. It is
// path itself if nothing changes.
func (t Target) Path(a *httpmsg.Arena, path []byte, mergeSlashes bool) (out []byte, ok bool) {
	if t.seen&(classEscape|classDot) == 0 && (t.seen&classSlash == 0 || !mergeSlashes) {
		return path, true
	}
	return httpmsg.NormalizePath(a.Alloc(len(path)), path, mergeSlashes)
}
