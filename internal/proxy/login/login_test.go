package login_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/login"
)

func begin(t *testing.T, logins ...*ir.Login) *login.Set {
	t.Helper()
	s := login.New(login.Options{})
	t.Cleanup(s.Close)
	s.Begin(&ir.Config{Logins: logins})
	return s
}

func key(b byte) []byte { return slices.Repeat([]byte{b}, 32) }

func TestSealsAreForOnePurpose(t *testing.T) {
	one := ir.Login{Name: "one", Issuer: "i", ClientID: "c", CookieKeys: [][]byte{key(1)}}
	both, other, client := one, one, one
	both.Name, both.CookieKeys = "both", [][]byte{key(2), key(1)}
	other.Name, other.CookieKeys = "other", [][]byte{key(2)}
	client.Name, client.ClientID = "client", "d"
	s := begin(t, &one, &both, &other, &client)
	at := func(name string) *login.Login { return s.Login(name).Current() }
	now := time.Now()
	sealed := at("one").SealAttempt("cookie", login.NewAttempt("/x", now))
	if a := at("one").OpenAttempt("cookie", sealed); a == nil || a.Target != "/x" || !a.Live(now) || a.Live(now.Add(login.AttemptLife)) || a.Live(now.Add(-2*time.Minute)) {
		t.Errorf("%+v", a)
	}
	if at("both").OpenAttempt("cookie", sealed) == nil {
		t.Error("an older key opens nothing")
	}
	for what, a := range map[string]*login.Attempt{
		"another key": at("other").OpenAttempt("cookie", sealed), "another client": at("client").OpenAttempt("cookie", sealed), "another cookie": at("one").OpenAttempt("kookie", sealed),
	} {
		if a != nil {
			t.Errorf("%s opens it", what)
		}
	}
	if at("one").Open("cookie", sealed, now) != nil {
		t.Error("an attempt is a session")
	}
	for i := range sealed { // every truncation, and every letter changed
		bad := slices.Clone(sealed)
		bad[i] ^= 1
		if at("one").OpenAttempt("cookie", sealed[:i]) != nil || at("one").OpenAttempt("cookie", bad) != nil {
			t.Fatalf("something opens that was changed at %d", i)
		}
	}
}

// Secrets change without what is known of the provider going.
func TestLoginsOutliveChanges(t *testing.T) {
	var asked atomic.Int32
	var provider *httptest.Server
	provider = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = w.Write([]byte(strings.ReplaceAll(`{"issuer":"I","authorization_endpoint":"I/a","token_endpoint":"I/t"}`, "I", provider.URL)))
	}))
	defer provider.Close()
	one := &ir.Login{Name: "one", Issuer: provider.URL, URL: provider.URL, ClientID: "c", ClientSecret: []byte("a")}
	s := begin(t, one)
	h := s.Login("one")
	if m, err := h.Current().Metadata(func() {}); err != nil || m.Token != provider.URL+"/t" {
		t.Fatal(m, err)
	}
	changed := *one
	changed.ClientSecret, changed.CookieKeys = []byte("b"), [][]byte{key(1)}
	s.Begin(&ir.Config{Logins: []*ir.Login{&changed}})
	s.End(&ir.Config{Logins: []*ir.Login{&changed}})
	if _, err := h.Current().Metadata(func() {}); err != nil || asked.Load() != 1 {
		t.Errorf("%v, asked %d times", err, asked.Load())
	}
	broken := changed
	broken.Broken = true
	s.Begin(&ir.Config{Logins: []*ir.Login{&broken}})
	if _, err := h.Current().Metadata(func() {}); !errors.Is(err, login.ErrUnavailable) {
		t.Error(err)
	}
	s.End(&ir.Config{})
	if s.Login("one") != nil {
		t.Error("it is there still")
	}
}

func TestMetadata(t *testing.T) {
	const good = `"authorization_endpoint":"I/a","token_endpoint":"I/t"`
	for _, c := range []struct{ document, want string }{
		{`{"issuer":"I",` + good + `}`, ""},
		{`{"issuer":"I/",` + good + `}`, "is for issuer"},
		{`{` + good + `}`, "is for issuer"},
		{`[]`, "not JSON"},
		{`{"issuer":"I","token_endpoint":"I/t"}`, "authorization_endpoint"},
		{`{"issuer":"I","authorization_endpoint":"I/a"}`, "token_endpoint"},
		{`{"issuer":"I",` + good + `,"userinfo_endpoint":"http://a.b/"}`, "userinfo_endpoint"},
		{`{"issuer":"I",` + good + `,"end_session_endpoint":"javascript:"}`, "end_session_endpoint"},
	} {
		document, want := c.document, c.want
		var provider *httptest.Server
		provider = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(strings.ReplaceAll(document, "I", provider.URL)))
		}))
		s := begin(t, &ir.Login{Name: "one", Issuer: provider.URL, URL: provider.URL, ClientID: "c"})
		_, err := s.Login("one").Current().Metadata(func() {})
		switch {
		case want == "" && err != nil, want != "" && (!errors.Is(err, login.ErrUnavailable) || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v", document, err)
		}
		provider.Close()
	}
}

func TestRenewalHappensOnce(t *testing.T) {
	s := begin(t, &ir.Login{Name: "one", Issuer: "i", ClientID: "c"})
	l := s.Login("one").Current()
	old, newer := &login.Session{Refresh: "r"}, &login.Session{Refresh: "s"}
	var asked atomic.Int32
	var all sync.WaitGroup
	hold := make(chan struct{})
	for range 8 {
		all.Go(func() {
			got, err := l.Renew(old, time.Now(), func() {}, func() (*login.Session, error) {
				asked.Add(1)
				<-hold
				return newer, nil
			})
			if got != newer || err != nil {
				t.Error(got, err)
			}
		})
	}
	close(hold)
	all.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("the provider was asked %d times", n)
	}
	// What was refused stays so.
	for range 2 {
		if _, err := l.Renew(newer, time.Now(), func() {}, func() (*login.Session, error) {
			asked.Add(1)
			return nil, login.ErrRefused
		}); !errors.Is(err, login.ErrRefused) {
			t.Error(err)
		}
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("the provider was asked %d times", n)
	}
}
