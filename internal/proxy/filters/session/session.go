// Package session keeps a client on one endpoint (Gateway API session
// persistence, GEP-1619): a token in a cookie or a header names the endpoint
// that served the client first. The proxy keeps nothing, so any proxy with the
// same key honours the token.
//
// It is no filter of the chain: the pipeline asks Lookup before it chooses an
// endpoint, and calls Set when it has the response's head. A Session is shared
// by all exchanges; it owns no goroutines. The snapshot and the pipeline import
// the package.
package session

import (
	"bytes"
	"strconv"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// Session is the session persistence of a rule.
type Session struct {
	header     bool
	name       []byte
	absolute   int64 // milliseconds; zero is for ever
	idle       int64
	codec      *codec
	attributes []byte // of the cookie, but for Secure
}

// clockSkew is how far in the future a token of another proxy may begin, in milliseconds.
const clockSkew = 60_000

// New makes the persistence of a rule. Without a usable key or name it does
// nothing; compile gives both.
func New(p *ir.SessionPersistence) *Session {
	s := &Session{header: p.Header, name: []byte(p.Name), absolute: milliseconds(p.AbsoluteTimeout), idle: milliseconds(p.IdleTimeout)}
	codec, err := newCodec(p.Key, p.Name)
	if err != nil || p.Name == "" {
		return s
	}
	s.codec = codec
	path := p.Path
	if path == "" || bytes.ContainsAny([]byte(path), ";\r\n") {
		path = "/"
	}
	s.attributes = append(s.attributes, "; Path="+path...)
	if p.Permanent && s.absolute > 0 {
		s.attributes = append(s.attributes, "; Max-Age="...)
		s.attributes = strconv.AppendInt(s.attributes, (s.absolute+999)/1000, 10)
	}
	s.attributes = append(s.attributes, "; HttpOnly; SameSite=Lax"...)
	return s
}

// milliseconds rounds up, so that a short timeout does not become none.
func milliseconds(d time.Duration) int64 { return int64((d + time.Millisecond - 1) / time.Millisecond) }

// Lookup returns the address of the endpoint that the client's token names. It
// is false for clients without a valid token of a session that goes on.
func (s *Session) Lookup(x *filter.Exchange) (address string, ok bool) {
	if s.codec == nil {
		return "", false
	}
	now := x.Start.UnixMilli()
	try := func(text []byte) bool {
		t, ok := s.codec.parse(text)
		if !ok || t.began > now+clockSkew || s.absolute > 0 && now-t.began >= s.absolute || s.idle > 0 && now-t.used >= s.idle {
			return false
		}
		x.Kept.Session, x.Kept.SessionBegan = t.address, t.began
		return true
	}
	if s.header {
		if v := x.Req.Header.GetName(s.name); v != nil {
			ok = try(v)
		}
		return x.Kept.Session, ok
	}
	// A client may send two cookies of the name, for different paths: the
	// first that is valid counts.
	h := &x.Req.Header
	for i := 0; h.Has(httpmsg.NameCookie) && i < h.Len(); i++ {
		f := h.At(i)
		if f.ID != httpmsg.NameCookie {
			continue
		}
		for v, rest := nextCookie(f.Value, s.name); v != nil; v, rest = nextCookie(rest, s.name) {
			if try(v) {
				return x.Kept.Session, true
			}
		}
	}
	return "", false
}

// Set tells the client which endpoint has served it, unless its token says so
// already and no idle timeout wants it renewed.
func (s *Session) Set(x *filter.Exchange, address string) {
	if s.codec == nil || address == "" {
		return
	}
	now := x.Start.UnixMilli()
	t := token{address: address, began: now, used: now}
	if x.Kept.Session == address {
		if s.idle == 0 {
			return
		}
		t.began = x.Kept.SessionBegan
	}
	arena := &x.Req.Arena
	if s.header {
		x.Resp.Header.SetName(s.name, s.codec.appendToken(arena.Alloc(tokenText)[:0], t))
		return
	}
	v := arena.Alloc(len(s.name) + 1 + tokenText + len(s.attributes) + len("; Secure"))[:0]
	v = append(append(v, s.name...), '=')
	v = s.codec.appendToken(v, t)
	v = append(v, s.attributes...)
	if x.Req.Scheme == "https" {
		v = append(v, "; Secure"...)
	}
	x.Resp.Header.AddID(httpmsg.NameSetCookie, v)
}

// tokenText is the length of the longest token's text.
const tokenText = (maxToken*8 + 5) / 6

// nextCookie returns the value of the next cookie of that name in a Cookie
// field (RFC 6265 §4.2.1), without quotes; nil if there is none.
func nextCookie(field, name []byte) (value, rest []byte) {
	for len(field) > 0 {
		pair := field
		if i := bytes.IndexByte(field, ';'); i >= 0 {
			pair, field = field[:i], field[i+1:]
		} else {
			field = nil
		}
		pair = httpmsg.TrimOWS(pair)
		if len(pair) > len(name) && pair[len(name)] == '=' && bytes.Equal(pair[:len(name)], name) {
			value = pair[len(name)+1:]
			if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
				value = value[1 : n-1]
			}
			return value, field
		}
	}
	return nil, nil
}
