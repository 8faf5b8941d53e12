package accesslog

import (
	"bytes"
	"net/netip"
	"net/url"
	"strings"

	"github.com/gridway/gridway/internal/ir"
)

// make makes the line of e, and returns its size: at most most, or nothing where even
// short fields take more.
func (c *encoder) make(e *Entry, f *Format, most int) int {
	limit := c.maxField
	for c.maxField >= minMaxField {
		if c.line = c.appendFormat(c.line[:0], e, f); len(c.line) <= most {
			break
		}
		c.maxField /= 4
	}
	c.maxField = limit
	if len(c.line) > most {
		return 0
	}
	return len(c.line)
}

// Redact hides what the policy hides in an entry, which must be the caller's own.
func (f *Format) Redact(e *Entry) {
	if f.agent && len(e.UserAgent) > 0 {
		e.UserAgent = hiddenText
	}
	if f.referer && len(e.Referer) > 0 {
		e.Referer = hiddenText
	}
	if f.host && len(e.Host) > 0 {
		e.Host = hiddenText
	}
	if f.query == QueryFull && len(e.Query) > 0 {
		e.Query = f.redactQuery(e.Query)
	}
}

var hiddenText = []byte(ir.Hidden)

// redactQuery hides the values of parameters that carry credentials, by their names or by
// the look of their values. Names are compared as they are decoded.
func (f *Format) redactQuery(q []byte) []byte {
	var out []byte
	for i, pair := range bytes.Split(q, []byte("&")) {
		if i > 0 {
			out = append(out, '&')
		}
		name, value, given := bytes.Cut(pair, []byte("="))
		if !given { // it may be a bare token
			if ir.SecretValue(decoded(name)) {
				name = hiddenText
			}
			out = append(out, name...)
			continue
		}
		text := decoded(name)
		if f.parameters[text] || ir.Credential(text, decoded(value)) {
			value = hiddenText
		}
		out = append(append(append(out, name...), '='), value...)
	}
	return out
}

func decoded(b []byte) string {
	if s, err := url.QueryUnescape(string(b)); err == nil {
		return s
	}
	return string(b)
}

// own is the value of a header field of the entry, hidden if it is a credential.
func (p *part) ownValue(e *Entry) []byte {
	if p.own >= len(e.Own) || len(e.Own[p.own]) == 0 {
		return nil
	}
	if v := e.Own[p.own]; !p.hidden && !ir.SecretValue(string(v)) && !ir.SecretTarget(string(v)) {
		return v
	}
	return hiddenText
}

// appendFormat appends the line of e as f has it, with its newline.
func (c *encoder) appendFormat(b []byte, e *Entry, f *Format) []byte {
	query := c.query
	c.query = f.query
	switch {
	case f.parts == nil:
		b = c.append(b, e)
	case f.policy.Template:
		b = append(c.appendTemplate(b, e, f), '\n')
	default:
		b = c.appendFields(b, e, f)
	}
	c.query = query
	return b
}

func (c *encoder) value(p *part, e *Entry) fieldValue {
	if p.own >= 0 {
		return textValue(p.ownValue(e))
	}
	return fields[p.field].value(c, e)
}

func (c *encoder) limit(v *fieldValue) int {
	if v.limit > 0 {
		return min(v.limit, c.maxField)
	}
	return c.maxField
}

func (c *encoder) appendFields(b []byte, e *Entry, f *Format) []byte {
	b = append(b, '{')
	begun := false
	for i := range f.parts {
		p := &f.parts[i]
		v := c.value(p, e)
		if v.kind == 0 {
			continue
		}
		if begun {
			b = append(b, ',')
		}
		begun = true
		b = append(append(append(b, '"'), p.name...), '"', ':')
		switch v.kind {
		case isText:
			b = value(append(b, '"'), v.text, c.limit(&v))
		case isNumber:
			b = digits(b, v.n)
		case isTime:
			b = millis(b, v.d)
		}
	}
	return append(b, '}', '\n')
}

func (c *encoder) appendTemplate(b []byte, e *Entry, f *Format) []byte {
	for i := range f.parts {
		p := &f.parts[i]
		if p.own < 0 && p.field < 0 {
			b = append(b, p.text...)
			continue
		}
		switch v := c.value(p, e); v.kind {
		case isText:
			b, _ = escape(b, v.text, len(b)+c.limit(&v))
		case isNumber:
			b = digits(b, v.n)
		case isTime:
			b = millis(b, v.d)
		default:
			b = append(b, '-')
		}
	}
	return b
}

// queryText is the query as far as the mode allows, without the marks of JSON.
func (c *encoder) queryText(b, q []byte) []byte {
	switch {
	case len(q) == 0 || c.query == QueryOmit:
		return b
	case c.query == QueryFull:
		return append(b, q...)
	}
	for i, pair := range bytes.Split(q, []byte("&")) {
		if i > 0 {
			b = append(b, '&')
		}
		if name, _, given := bytes.Cut(pair, []byte("=")); given {
			b = append(append(b, name...), '=')
		}
		if len(pair) > 0 {
			b = append(b, '*')
		}
	}
	return b
}

// refererText is the Referer as far as the mode allows.
func (c *encoder) refererText(r []byte) []byte {
	switch c.referer {
	case RefererOmit:
		return nil
	case RefererNoQuery:
		if i := bytes.IndexAny(r, "?#"); i >= 0 {
			r = r[:i]
		}
	}
	return r
}

func appendPeer(b []byte, client netip.Addr, peer netip.AddrPort) []byte {
	if p := peer.Addr(); peer.IsValid() && p != client && plainAddr(p) != plainAddr(client) {
		b = netip.AddrPortFrom(plainAddr(p), peer.Port()).AppendTo(b)
	}
	return b
}

// summary is the body of a record without a template: "GET /cart/1 503".
func (c *encoder) summary(b []byte, e *Entry) []byte {
	add := func(text []byte) {
		if len(text) > 0 {
			if len(b) > 0 {
				b = append(b, ' ')
			}
			b = append(b, clean(text, c.maxField)...)
		}
	}
	if e.Stream {
		add(raw(e.Protocol))
		add(raw(e.Reason))
		return b
	}
	add(e.Method)
	add(e.Path)
	return digits(append(b, ' '), int64(e.Status))
}

// attributeName is that of an own field in OTLP: as conventions have headers, if it came
// without a name, or the name that it was given.
func (f *Format) attributeName(p *part) string {
	if p.name != "" {
		return p.name
	}
	if p.own < len(f.request) {
		return "http.request.header." + f.request[p.own]
	}
	return "http.response.header." + strings.ToLower(f.response[p.own-len(f.request)])
}
