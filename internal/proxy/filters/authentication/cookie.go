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

// stripCookies takes the cookie out of the request.
func (s *source) stripCookies(r *httpmsg.Request) {
	stripCookies(r, func(name []byte) bool { return string(name) == s.cookie })
}

// stripCookies takes cookies out, and Cookie fields in which nothing is left.
func stripCookies(r *httpmsg.Request, drop func(name []byte) bool) {
	h := &r.Header
	if !h.Has(httpmsg.NameCookie) {
		return
	}
	empty := false
	for i := range h.Len() {
		f := h.At(i)
		if f.ID != httpmsg.NameCookie || !anyCookie(f.Value, drop) {
			continue
		}
		out := r.Arena.Alloc(len(f.Value) + 2)[:0]
		for pair, rest := nextCookie(f.Value); pair != nil; pair, rest = nextCookie(rest) {
			if drop(cookieName(pair)) {
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

func anyCookie(field []byte, is func(name []byte) bool) bool {
	for pair, rest := nextCookie(field); pair != nil; pair, rest = nextCookie(rest) {
		if is(cookieName(pair)) {
			return true
		}
	}
	return false
}

func cookieName(pair []byte) []byte {
	name, _, _ := bytes.Cut(pair, []byte("="))
	return httpmsg.TrimOWS(name)
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
