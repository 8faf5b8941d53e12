package authentication

import (
	"bytes"

	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// inCookies finds a cookie in the Cookie fields, of which HTTP/2 may bring many
// (RFC 9113 §8.2.3).
func (s *source) inCookies(h *httpmsg.Header) (value []byte, where place) {
	if !h.Has(httpmsg.NameCookie) {
		return nil, nowhere
	}
	for i := range h.Len() {
		f := h.At(i)
		if f.ID != httpmsg.NameCookie {
			continue
		}
		for pair, rest := nextCookie(f.Value); pair != nil; pair, rest = nextCookie(rest) {
			v, ok := cookie(pair, s.cookie)
			switch {
			case !ok:
			case where == somewhere:
				return nil, ambiguous
			default:
				value, where = v, somewhere
			}
		}
	}
	return value, where
}

// stripCookies takes the cookie out, and a Cookie field in which nothing is left.
func (s *source) stripCookies(r *httpmsg.Request) {
	h := &r.Header
	if !h.Has(httpmsg.NameCookie) {
		return
	}
	empty := false
	for i := range h.Len() {
		f := h.At(i)
		if f.ID != httpmsg.NameCookie || !s.isIn(f.Value) {
			continue
		}
		out := r.Arena.Alloc(len(f.Value) + 2)[:0]
		for pair, rest := nextCookie(f.Value); pair != nil; pair, rest = nextCookie(rest) {
			if _, ok := cookie(pair, s.cookie); ok {
				continue
			}
			if len(out) > 0 {
				out = append(out, "; "...)
			}
			out = append(out, pair...)
		}
		f.Value = out
		empty = empty || len(out) == 0
	}
	if empty {
		h.DelFunc(func(f *httpmsg.Field) bool { return f.ID == httpmsg.NameCookie && len(f.Value) == 0 })
	}
}

func (s *source) isIn(field []byte) bool {
	for pair, rest := nextCookie(field); pair != nil; pair, rest = nextCookie(rest) {
		if _, ok := cookie(pair, s.cookie); ok {
			return true
		}
	}
	return false
}

// nextCookie splits the first pair from a Cookie field, without empty ones.
func nextCookie(field []byte) (pair, rest []byte) {
	for len(field) > 0 {
		if i := bytes.IndexByte(field, ';'); i >= 0 {
			pair, field = field[:i], field[i+1:]
		} else {
			pair, field = field, nil
		}
		if pair = httpmsg.TrimOWS(pair); len(pair) > 0 {
			return pair, field
		}
	}
	return nil, nil
}

// cookie returns the value of a pair of that name, without quotes around it.
func cookie(pair []byte, name string) ([]byte, bool) {
	key, value, ok := bytes.Cut(pair, []byte("="))
	if !ok || string(httpmsg.TrimOWS(key)) != name {
		return nil, false
	}
	value = httpmsg.TrimOWS(value)
	if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
		value = value[1 : n-1]
	}
	return value, true
}
