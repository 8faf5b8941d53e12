package httpsig

import (
	"encoding/base64"
	"net/url"
	"strings"
)

// Message is a request as its client has sent it.
type Message struct {
	Method string
	// Scheme is "http" or "https".
	Scheme string
	// Authority is in lower case.
	Authority string
	// Target is the request target: of HTTP/2 and HTTP/3 it is :path.
	Target string
	// Field calls yield with the value of each line of a field, whose name is in lower
	// case.
	Field func(name string, yield func(value []byte))
	// Structured are types of fields beside those that are registered.
	Structured map[string]Structure
}

var derivedNames = []string{"@method", "@target-uri", "@authority", "@scheme", "@request-target", "@path", "@query", "@query-param"}

// Base is what the signature is over: RFC 9421 §2.5.
func (g *Signature) Base(m *Message) ([]byte, error) {
	b := make([]byte, 0, 512)
	for i := range g.components {
		c := &g.components[i]
		if c.unsupported {
			return nil, ErrUnsupported
		}
		b = append(append(b, c.id...), ": "...)
		var err error
		if b, err = m.appendComponent(b, c); err != nil {
			return nil, err
		}
		b = append(b, '\n')
	}
	return append(append(b, `"@signature-params": `...), g.params...), nil
}

func (m *Message) appendComponent(b []byte, c *component) ([]byte, error) {
	if c.strict || c.keyed {
		return m.appendStructure(b, c)
	}
	b, ok := m.appendValue(b, c)
	if !ok {
		return nil, ErrAbsent
	}
	return b, nil
}

// appendStructure appends a field, or a member of one, in its only form: RFC 9421
// §2.1.1 and §2.1.2.
func (m *Message) appendStructure(b []byte, c *component) ([]byte, error) {
	lines, ok := m.appendField(nil, &component{name: c.name})
	if !ok {
		return nil, ErrAbsent
	}
	if c.keyed {
		value, ok := memberOf(string(lines), c.member)
		if !ok {
			return nil, ErrStructure
		}
		return append(b, value...), nil
	}
	kind, known := m.Structured[c.name]
	if !known {
		kind = StructureOf(c.name)
	}
	if kind == Unstructured {
		return nil, ErrUnknownStructure
	}
	value, ok := canonical(string(lines), kind)
	if !ok {
		return nil, ErrStructure
	}
	return append(b, value...), nil
}

func (m *Message) appendValue(b []byte, c *component) ([]byte, bool) {
	path, query := m.split()
	switch c.name {
	case "@method":
		return append(b, m.Method...), true
	case "@scheme":
		return append(b, m.Scheme...), true
	case "@authority":
		return append(b, m.authority()...), true
	case "@request-target":
		return append(b, m.Target...), true
	case "@path":
		return append(b, path...), true
	case "@query": // RFC 9421 §2.2.7: "?" alone where there is none
		return append(append(b, '?'), strings.TrimPrefix(query, "?")...), true
	case "@target-uri":
		b = append(append(b, m.Scheme...), "://"...)
		return append(append(append(b, m.authority()...), path...), query...), true
	case "@query-param":
		return appendParam(b, strings.TrimPrefix(query, "?"), c.param)
	}
	return m.appendField(b, c)
}

// authority is without a port that the scheme has anyhow (RFC 9421 §2.2.3).
func (m *Message) authority() string {
	if m.Scheme == "https" {
		return strings.TrimSuffix(m.Authority, ":443")
	}
	return strings.TrimSuffix(m.Authority, ":80")
}

// split gives path and query of the target; the query has its question mark.
func (m *Message) split() (path, query string) {
	path = m.Target
	if at := strings.IndexByte(path, '?'); at >= 0 {
		path, query = path[:at], path[at:]
	}
	if path == "" || path[0] == '/' {
		return max(path, "/"), query
	}
	if _, rest, ok := strings.Cut(path, "://"); ok { // the absolute form
		path = "/"
		if at := strings.IndexByte(rest, '/'); at >= 0 {
			path = rest[at:]
		}
	}
	return path, query
}

// appendParam appends the value of a parameter that is there once: RFC 9421 §2.2.8.
func appendParam(b []byte, query, name string) ([]byte, bool) {
	found := false
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		key, value, _ := strings.Cut(pair, "=")
		if pair == "" || encoded(key) != name {
			continue
		}
		if found {
			return b, false
		}
		found = true
		b = append(b, encoded(value)...)
	}
	return b, found
}

// encoded is a part of a form in the only way that signatures have it: decoded, and
// encoded again with %20 for spaces.
func encoded(s string) string {
	plain, err := url.QueryUnescape(s)
	if err != nil { // a percent sign that begins no escape stands for itself
		plain = lenient(s)
	}
	const digits = "0123456789ABCDEF"
	b := make([]byte, 0, len(plain))
	for _, c := range []byte(plain) {
		if alpha(c) || digit(c) || strings.IndexByte("*-._", c) >= 0 {
			b = append(b, c)
		} else {
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return string(b)
}

func lenient(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '+':
			b.WriteByte(' ')
		case c == '%' && i+2 < len(s) && hexadecimal(s[i+1]) && hexadecimal(s[i+2]):
			one, _ := url.QueryUnescape(s[i : i+3])
			b.WriteString(one)
			i += 2
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func hexadecimal(c byte) bool { return digit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }

// appendField appends the lines of a field (RFC 9421 §2.1), each for itself as bytes
// where that is wanted (§2.1.3).
func (m *Message) appendField(b []byte, c *component) ([]byte, bool) {
	found := false
	// RFC 9113 §8.2.3: a cookie may come in pieces.
	between := ", "
	if c.name == "cookie" && !c.wrapped {
		between = "; "
	}
	m.Field(c.name, func(value []byte) {
		if found {
			b = append(b, between...)
		}
		found = true
		value = trim(value)
		if !c.wrapped {
			b = append(b, value...)
			return
		}
		b = append(b, ':')
		b = append(base64.StdEncoding.AppendEncode(b, value), ':')
	})
	return b, found
}

func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}
