package route

import (
	"bytes"
	"strings"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// conditions are what a match asks for beside the path. A nil *conditions
// holds for every request.
type conditions struct {
	method  string
	headers []headerCondition
	query   []queryCondition
}

type headerCondition struct {
	id      httpmsg.Name
	host    bool // the Host field travels in Request.Host
	name    []byte
	value   string
	pattern *pattern
}

type queryCondition struct {
	name    string
	value   string
	pattern *pattern
}

// failure says which condition a request did not meet.
type failure uint8

const (
	failureNone failure = iota
	failureMethod
	failureHeader
	failureQuery
)

func compileConditions(m *ir.Match, c *compiler) (*conditions, error) {
	if m.Method == "" && len(m.Headers) == 0 && len(m.Query) == 0 {
		return nil, nil
	}
	out := &conditions{method: m.Method}
	for i := range m.Headers {
		v := &m.Headers[i]
		if repeated(m.Headers[:i], v.Name, true) {
			continue
		}
		h := headerCondition{
			id:    httpmsg.LookupName([]byte(v.Name)),
			host:  strings.EqualFold(v.Name, "host"),
			name:  []byte(v.Name),
			value: v.Value,
		}
		var err error
		if h.pattern, err = c.value(v); err != nil {
			return nil, err
		}
		out.headers = append(out.headers, h)
	}
	for i := range m.Query {
		v := &m.Query[i]
		if repeated(m.Query[:i], v.Name, false) {
			continue
		}
		p, err := c.value(v)
		if err != nil {
			return nil, err
		}
		out.query = append(out.query, queryCondition{name: v.Name, value: v.Value, pattern: p})
	}
	return out, nil
}

// repeated tells whether an earlier entry has the name: the API has only the
// first of several entries with equivalent names count.
func repeated(earlier []ir.ValueMatch, name string, fold bool) bool {
	for i := range earlier {
		if earlier[i].Name == name || fold && strings.EqualFold(earlier[i].Name, name) {
			return true
		}
	}
	return false
}

func (c *conditions) hold(r *httpmsg.Request) bool {
	if c == nil {
		return true
	}
	f, _ := c.check(r)
	return f == failureNone
}

// check returns the first condition that fails, with its index among its kind.
func (c *conditions) check(r *httpmsg.Request) (failure, int) {
	if c == nil {
		return failureNone, 0
	}
	if c.method != "" && string(r.Method) != c.method {
		return failureMethod, 0
	}
	for i := range c.headers {
		if !c.headers[i].hold(r) {
			return failureHeader, i
		}
	}
	for i := range c.query {
		if !c.query[i].hold(r) {
			return failureQuery, i
		}
	}
	return failureNone, 0
}

func (h *headerCondition) hold(r *httpmsg.Request) bool {
	if h.host {
		return len(r.Host) > 0 && h.accept(r.Host)
	}
	first, count, size := h.find(&r.Header)
	switch count {
	case 0:
		return false
	case 1:
		return h.accept(first)
	}
	// RFC 9110 §5.3: repeated fields mean the same as one with their values
	// joined by ", "; cookies are joined by "; " (RFC 9113 §8.2.3).
	separator := ", "
	if h.id == httpmsg.NameCookie {
		separator = "; "
	}
	joined, seen := r.Arena.Alloc(size + (count-1)*len(separator))[:0], 0
	for i := range r.Header.Len() {
		f := r.Header.At(i)
		if !h.names(f) {
			continue
		}
		if seen > 0 {
			joined = append(joined, separator...)
		}
		joined = append(joined, f.Value...)
		seen++
	}
	return h.accept(joined)
}

// find returns the first value, the number of fields with the name, and the
// bytes of their values.
func (h *headerCondition) find(hd *httpmsg.Header) (first []byte, count, size int) {
	if h.id != httpmsg.NameOther && !hd.Has(h.id) {
		return nil, 0, 0
	}
	for i := range hd.Len() {
		f := hd.At(i)
		if !h.names(f) {
			continue
		}
		if count == 0 {
			first = f.Value
		}
		count++
		size += len(f.Value)
	}
	return first, count, size
}

func (h *headerCondition) names(f *httpmsg.Field) bool {
	if h.id != httpmsg.NameOther {
		return f.ID == h.id
	}
	return f.ID == httpmsg.NameOther && len(f.Name) == len(h.name) && bytes.EqualFold(f.Name, h.name)
}

func (h *headerCondition) accept(v []byte) bool {
	if h.pattern != nil {
		return h.pattern.match(v)
	}
	return string(v) == h.value
}
