package session_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/filters/session"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func policy(change func(*ir.SessionPersistence)) *ir.SessionPersistence {
	p := &ir.SessionPersistence{Name: "sid", Key: []byte("secret")}
	if change != nil {
		change(p)
	}
	return p
}

func exchange(at time.Duration, headers ...string) *filter.Exchange {
	x := &filter.Exchange{Start: start.Add(at)}
	x.Req.Scheme = "http"
	for i := 0; i < len(headers); i += 2 {
		x.Req.Header.Add([]byte(headers[i]), []byte(headers[i+1]))
	}
	return x
}

// issue returns the token that a first response carries.
func issue(t *testing.T, s *session.Session, address string) string {
	t.Helper()
	x := exchange(0)
	s.Set(x, address)
	v := string(x.Resp.Header.Get(httpmsg.NameSetCookie))
	token, _, _ := strings.Cut(strings.TrimPrefix(v, "sid="), ";")
	if token == "" {
		t.Fatalf("no token in %q", v)
	}
	return token
}

func TestCookie(t *testing.T) {
	s := session.New(policy(nil))
	const address = "10.0.0.1:8080"
	token := issue(t, s, address)
	if strings.Contains(token, "10.0.0.1") || len(token) > 120 {
		t.Errorf("token %q", token)
	}
	for name, headers := range map[string][]string{
		"alone":           {"Cookie", "sid=" + token},
		"among others":    {"Cookie", "a=b; sid=" + token + "; c=d"},
		"no spaces":       {"Cookie", "a=b;sid=" + token},
		"quoted":          {"Cookie", `sid="` + token + `"`},
		"second field":    {"Cookie", "a=b", "X", "y", "cookie", "sid=" + token},
		"after a bad one": {"Cookie", "sid=x; sid=; sid; xsid=1; sid=" + token},
	} {
		x := exchange(0, headers...)
		if got, ok := s.Lookup(x); !ok || got != address {
			t.Errorf("%s: %q, %v", name, got, ok)
		}
		s.Set(x, address)
		if x.Resp.Header.Len() != 0 {
			t.Errorf("%s: the session was set again", name)
		}
		s.Set(x, "10.0.0.2:8080")
		if x.Resp.Header.Len() != 1 {
			t.Errorf("%s: the session of another endpoint was not set", name)
		}
	}
	for name, headers := range map[string][]string{
		"none":        nil,
		"other name":  {"Cookie", "SID=" + token},
		"in a header": {"sid", token},
		"cut":         {"Cookie", "sid=" + token[:len(token)-1]},
		"longer":      {"Cookie", "sid=" + token + "A"},
		"very long":   {"Cookie", "sid=" + strings.Repeat("A", 10000)},
		"empty":       {"Cookie", "sid="},
		"too short":   {"Cookie", "sid=AQ"},
	} {
		x := exchange(0, headers...)
		if got, ok := s.Lookup(x); ok || got != "" || x.Kept.Session != "" {
			t.Errorf("%s: %q, %v", name, got, ok)
		}
	}
}

// No byte of a token can be changed, and no other key or name takes it.
func TestForgery(t *testing.T) {
	s := session.New(policy(nil))
	token := issue(t, s, "10.0.0.1:80")
	for i := range token {
		c := byte('A')
		if token[i] == c {
			c = 'B'
		}
		forged := token[:i] + string(c) + token[i+1:]
		if _, ok := s.Lookup(exchange(0, "Cookie", "sid="+forged)); ok {
			t.Errorf("a token with byte %d changed was taken", i)
		}
	}
	for name, other := range map[string]*ir.SessionPersistence{
		"another key":  policy(func(p *ir.SessionPersistence) { p.Key = []byte("secres") }),
		"another name": policy(func(p *ir.SessionPersistence) { p.Name = "sid2" }),
		"random key":   policy(func(p *ir.SessionPersistence) { p.Key = nil }),
	} {
		if _, ok := session.New(other).Lookup(exchange(0, "Cookie", other.Name+"="+token)); ok {
			t.Errorf("%s took the token", name)
		}
	}
	if _, ok := session.New(policy(nil)).Lookup(exchange(0, "Cookie", "sid="+token)); !ok {
		t.Error("a proxy with the same key did not take the token")
	}
}

func TestTimeouts(t *testing.T) {
	s := session.New(policy(func(p *ir.SessionPersistence) { p.AbsoluteTimeout, p.IdleTimeout = time.Hour, 10*time.Minute }))
	token := issue(t, s, "a:1")
	last := time.Duration(0)
	for _, c := range []struct {
		after time.Duration
		want  bool
	}{
		{9 * time.Minute, true},
		{18 * time.Minute, true},
		{27 * time.Minute, true},
		{36 * time.Minute, true},
		{45 * time.Minute, true},
		{54 * time.Minute, true},
		{60 * time.Minute, false},
	} {
		x := exchange(c.after, "Cookie", "sid="+token)
		if _, ok := s.Lookup(x); ok != c.want {
			t.Fatalf("after %v: %v, want %v", c.after, ok, c.want)
		}
		if !c.want {
			break
		}
		s.Set(x, "a:1") // renews the idle time, not the beginning
		v := string(x.Resp.Header.Get(httpmsg.NameSetCookie))
		token, _, _ = strings.Cut(strings.TrimPrefix(v, "sid="), ";")
		last = c.after
	}
	if _, ok := s.Lookup(exchange(last+9*time.Minute, "Cookie", "sid="+token)); ok {
		t.Error("the absolute timeout was forgotten")
	}
	token = issue(t, s, "a:1")
	if _, ok := s.Lookup(exchange(10*time.Minute, "Cookie", "sid="+token)); ok {
		t.Error("an idle session goes on")
	}
	if _, ok := s.Lookup(exchange(-2*time.Minute, "Cookie", "sid="+token)); ok {
		t.Error("a session from the future was taken")
	}
}

// A session lasts as long as it was told to, wherever in a second it begins.
func TestTimeoutsAreExact(t *testing.T) {
	for _, change := range []func(*ir.SessionPersistence){
		func(p *ir.SessionPersistence) { p.AbsoluteTimeout = 1500 * time.Millisecond },
		func(p *ir.SessionPersistence) { p.IdleTimeout = 1500 * time.Millisecond },
	} {
		s := session.New(policy(change))
		x := exchange(900 * time.Millisecond)
		s.Set(x, "a:1")
		token, _, _ := strings.Cut(strings.TrimPrefix(string(x.Resp.Header.Get(httpmsg.NameSetCookie)), "sid="), ";")
		if _, ok := s.Lookup(exchange(2399*time.Millisecond, "Cookie", "sid="+token)); !ok {
			t.Error("the session ended early")
		}
		if _, ok := s.Lookup(exchange(2400*time.Millisecond, "Cookie", "sid="+token)); ok {
			t.Error("the session did not end")
		}
	}
}

func TestCookieAttributes(t *testing.T) {
	for _, c := range []struct {
		p      *ir.SessionPersistence
		scheme string
		want   string
	}{
		{policy(nil), "http", "; Path=/; HttpOnly; SameSite=Lax"},
		{policy(nil), "https", "; Path=/; HttpOnly; SameSite=Lax; Secure"},
		{policy(func(p *ir.SessionPersistence) { p.Path = "/shop" }), "http", "; Path=/shop; HttpOnly; SameSite=Lax"},
		{policy(func(p *ir.SessionPersistence) { p.Path = "/;Domain=x" }), "http", "; Path=/; HttpOnly; SameSite=Lax"},
		{policy(func(p *ir.SessionPersistence) { p.AbsoluteTimeout = time.Hour }), "http", "; Path=/; HttpOnly; SameSite=Lax"},
		{policy(func(p *ir.SessionPersistence) { p.Permanent, p.AbsoluteTimeout = true, 90*time.Minute }), "http", "; Path=/; Max-Age=5400; HttpOnly; SameSite=Lax"},
		{policy(func(p *ir.SessionPersistence) { p.Permanent, p.AbsoluteTimeout = true, 1500*time.Millisecond }), "http", "; Path=/; Max-Age=2; HttpOnly; SameSite=Lax"},
	} {
		x := exchange(0)
		x.Req.Scheme = c.scheme
		session.New(c.p).Set(x, "a:1")
		_, attributes, _ := strings.Cut(string(x.Resp.Header.Get(httpmsg.NameSetCookie)), ";")
		if ";"+attributes != c.want {
			t.Errorf("%q, want %q", ";"+attributes, c.want)
		}
	}
}

func TestHeader(t *testing.T) {
	s := session.New(policy(func(p *ir.SessionPersistence) { p.Header, p.Name = true, "X-Session" }))
	x := exchange(0)
	s.Set(x, "unix:/run/a.sock")
	token := string(x.Resp.Header.GetString("x-session"))
	x = exchange(0, "x-session", token)
	if got, ok := s.Lookup(x); !ok || got != "unix:/run/a.sock" {
		t.Errorf("%q, %v", got, ok)
	}
	if _, ok := s.Lookup(exchange(0, "Cookie", "X-Session="+token)); ok {
		t.Error("a cookie was taken for the header")
	}
}

func FuzzLookup(f *testing.F) {
	s := session.New(policy(nil))
	x := exchange(0)
	s.Set(x, "10.0.0.1:80")
	cookie, _, _ := strings.Cut(string(x.Resp.Header.Get(httpmsg.NameSetCookie)), ";")
	f.Add(cookie)
	f.Add("a=b; sid=")
	f.Add(`sid="AQ"; sid`)
	f.Fuzz(func(t *testing.T, field string) {
		x := exchange(0, "Cookie", field)
		if address, ok := s.Lookup(x); ok && address != "10.0.0.1:80" {
			t.Fatalf("%q names %q", field, address)
		}
	})
}
