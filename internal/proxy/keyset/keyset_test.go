package keyset_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/keyset"
)

const patience = 20 * time.Second

// key is a JWK Set with one new key of that name.
func key(t testing.TB, id string) string {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: k.Public(), KeyID: id}}})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// idp is a server of keys.
type idp struct {
	*httptest.Server
	asked, discovered atomic.Int32
	mu                sync.Mutex // guards what follows
	body              string
	status            int
	header            http.Header
	hold              chan struct{}
	document          string
}

func newIDP(t *testing.T, body string) *idp {
	s := &idp{body: body, status: 200}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		body, status, hold, document := s.body, s.status, s.hold, s.document
		for name, v := range s.header {
			w.Header()[name] = v
		}
		s.mu.Unlock()
		if r.URL.Path == "/.well-known/openid-configuration" {
			s.discovered.Add(1)
			fmt.Fprint(w, document)
			return
		}
		s.asked.Add(1)
		if hold != nil {
			<-hold
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *idp) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func config(sets ...*ir.KeySet) *ir.Config { return &ir.Config{KeySets: sets} }

func remote(s *idp) *ir.KeySet {
	return &ir.KeySet{Name: "default/p/0/0", URL: s.URL + "/keys", Refresh: time.Hour}
}

func apply(s *keyset.Set, cfg *ir.Config) {
	s.Begin(cfg)
	s.End(cfg)
}

func none() {}

// has tells the name of the only key.
func has(k *keyset.Keys) string {
	s := k.Current()
	if s == nil {
		return "none"
	}
	return s.Keys()[0].ID()
}

func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	late := time.After(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

func newSet(t *testing.T) *keyset.Set {
	s := keyset.New(keyset.Options{})
	t.Cleanup(s.Close)
	return s
}

func TestInline(t *testing.T) {
	s := newSet(t)
	one, two := key(t, "1"), key(t, "2")
	apply(s, config(&ir.KeySet{Name: "a", Inline: []byte(one)}, &ir.KeySet{Name: "b"}))
	a, b := s.Keys("a"), s.Keys("b")
	if has(a) != "1" || has(b) != "none" || b.Renew(nil, none) != nil || s.Keys("c") != nil {
		t.Errorf("%s, %s", has(a), has(b))
	}
	// Who holds it sees what a later configuration says.
	apply(s, config(&ir.KeySet{Name: "a", Inline: []byte(two)}))
	if has(a) != "2" || s.Keys("a") != a || s.Keys("b") != nil {
		t.Error(has(a))
	}
}

func TestFetched(t *testing.T) {
	server, s := newIDP(t, key(t, "1")), newSet(t)
	hold := make(chan struct{})
	server.set(func() { server.hold = hold })
	apply(s, config(remote(server)))
	k := s.Keys("default/p/0/0")
	if has(k) != "none" {
		t.Fatal("there are keys before they can be")
	}
	got, waits := make(chan bool), make(chan struct{})
	for range 5 {
		go func() { got <- k.Renew(nil, func() { waits <- struct{}{} }) != nil }()
	}
	for range 5 {
		<-waits
	}
	close(hold)
	for range 5 {
		if !<-got {
			t.Error("one who waited has no keys")
		}
	}
	if has(k) != "1" || server.asked.Load() != 1 {
		t.Errorf("%s, asked %d times", has(k), server.asked.Load())
	}
	// A configuration that says the same, under another name too, asks nobody.
	again := *remote(server)
	other := again
	other.Name = "default/q/0/0"
	apply(s, config(&again, &other))
	if has(s.Keys("default/q/0/0")) != "1" || s.Keys("default/p/0/0") != k || server.asked.Load() != 1 {
		t.Errorf("asked %d times", server.asked.Load())
	}
}

// Newer keys are there for the very request that needs them; a storm of names that
// nobody has reaches the server a few times.
func TestUnknownKeys(t *testing.T) {
	server, s := newIDP(t, key(t, "1")), newSet(t)
	apply(s, config(remote(server)))
	k := s.Keys("default/p/0/0")
	if k.Renew(nil, none) == nil {
		t.Fatal("no keys")
	}
	two := key(t, "2")
	server.set(func() { server.body = two })
	var all sync.WaitGroup
	was := k.Current()
	for range 50 {
		all.Go(func() {
			if now := k.Renew(was, none); now == was {
				t.Error("a request has the keys of before")
			}
		})
	}
	all.Wait()
	if has(k) != "2" || server.asked.Load() != 2 {
		t.Errorf("%s, asked %d times", has(k), server.asked.Load())
	}
	for range 1000 {
		k.Renew(k.Current(), none)
	}
	// Two at the beginning, three more at once, one for each ten seconds that this took.
	if n := server.asked.Load(); n > 10 {
		t.Errorf("asked %d times for keys that nobody has", n)
	}
}

// A server that fails takes nothing away, whatever way it fails.
func TestStale(t *testing.T) {
	one := key(t, "1")
	for name, fail := range map[string]func(*idp){
		"down":    func(s *idp) { s.Close() },
		"500":     func(s *idp) { s.set(func() { s.status = 500 }) },
		"a page":  func(s *idp) { s.set(func() { s.body = "<html>" }) },
		"no keys": func(s *idp) { s.set(func() { s.body = `{"keys":[]}` }) },
		"secrets": func(s *idp) { s.set(func() { s.body = `{"keys":[{"kty":"oct","k":"AAAA"}]}` }) },
		"endless": func(s *idp) { s.set(func() { s.body = one + string(make([]byte, 300<<10)) }) },
	} {
		t.Run(name, func(t *testing.T) {
			server, s := newIDP(t, one), newSet(t)
			apply(s, config(remote(server)))
			k := s.Keys("default/p/0/0")
			if k.Renew(nil, none) == nil {
				t.Fatal("no keys")
			}
			fail(server)
			if k.Renew(k.Current(), none); has(k) != "1" {
				t.Error("the keys are gone")
			}
			// Nor does a change of the configuration that is about something else.
			apply(s, config(remote(server), &ir.KeySet{Name: "z", Inline: []byte(one)}))
			if has(k) != "1" {
				t.Error("the keys are gone with a change")
			}
		})
	}
}

// A server that is not there at first is asked again, without anybody's request.
func TestRetries(t *testing.T) {
	server, s := newIDP(t, key(t, "1")), newSet(t)
	server.set(func() { server.status = 503 })
	apply(s, config(remote(server)))
	k := s.Keys("default/p/0/0")
	if k.Renew(nil, none) != nil {
		t.Fatal("keys of nothing")
	}
	server.set(func() { server.status = 200 })
	until(t, "keys", func() bool { return k.Current() != nil })
}

func TestDiscovery(t *testing.T) {
	server, s := newIDP(t, key(t, "1")), newSet(t)
	set := func(issuer string) *ir.KeySet {
		return &ir.KeySet{Name: issuer, URL: server.URL + "/.well-known/openid-configuration", Discovery: true, Issuer: issuer, Refresh: time.Hour}
	}
	document := func(issuer, keys string) {
		text, _ := json.Marshal(map[string]any{"issuer": issuer, "jwks_uri": keys, "more": []int{1}})
		server.set(func() { server.document = string(text) })
	}
	document(server.URL, server.URL+"/keys")
	apply(s, config(set(server.URL)))
	if k := s.Keys(server.URL); k.Renew(nil, none) == nil || has(k) != "1" || server.discovered.Load() != 1 {
		t.Errorf("asked %d times, %s", server.discovered.Load(), has(k))
	}
	for i, c := range []struct{ issuer, keys string }{
		{"https://evil.example", server.URL + "/keys"},
		{"", server.URL + "/keys"},
		{"me2", ""},
		{"me3", "file:///etc/passwd"},
		{"me4", "http://10.1.2.3/keys"},
		{"me5", "http://user:pw@127.0.0.1/keys"},
	} {
		document(c.issuer, c.keys)
		name := fmt.Sprint("me", i)
		apply(s, config(set(name)))
		if k := s.Keys(name); k.Renew(nil, none) != nil {
			t.Errorf("%+v: keys of %s", c, has(k))
		}
	}
	server.set(func() { server.document = "<html>" })
	apply(s, config(set("page")))
	if s.Keys("page").Renew(nil, none) != nil {
		t.Error("keys of a page")
	}
}

// Close ends fetches that are under way, and those who wait for them.
func TestClose(t *testing.T) {
	server := newIDP(t, key(t, "1"))
	hold := make(chan struct{})
	defer close(hold)
	server.set(func() { server.hold = hold })
	s := keyset.New(keyset.Options{})
	apply(s, config(remote(server)))
	k := s.Keys("default/p/0/0")
	waits, gone := make(chan struct{}), make(chan struct{})
	go func() {
		k.Renew(nil, func() { close(waits) })
		close(gone)
	}()
	<-waits
	s.Close()
	<-gone
}
