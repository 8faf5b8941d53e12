package fetch_test

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/fetch"
)

func client(t *testing.T, o fetch.Options) *fetch.Client {
	t.Helper()
	c, err := fetch.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func TestGet(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept") != "application/json" || r.Header.Get("User-Agent") != "gridway" || r.Header.Get("Accept-Encoding") != "" {
			t.Errorf("asked with %v", r.Header)
		}
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprint(w, "{}")
	})
	r, err := client(t, fetch.Options{}).Get(t.Context(), s.URL+"/keys", "application/json")
	if err != nil || string(r.Body) != "{}" || r.Status != 200 {
		t.Fatalf("%+v, %v", r, err)
	}
	if d, ok := r.Freshness(time.Now()); d != time.Minute || !ok {
		t.Errorf("fresh for %v, %v", d, ok)
	}
}

func TestPost(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		name, secret, _ := r.BasicAuth()
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(201)
		fmt.Fprintf(w, "%s %s %s %s", r.Method, name, secret, body)
	})
	req, _ := http.NewRequest("GET", "http://x/", nil)
	req.SetBasicAuth("me", "secret")
	r, err := client(t, fetch.Options{}).Do(t.Context(), &fetch.Request{Method: "POST", URL: s.URL, Header: req.Header, Body: []byte("token=x")})
	if err != nil || r.Status != 201 || string(r.Body) != "POST me secret token=x" {
		t.Fatalf("%+v, %v", r, err)
	}
}

// An answer that never ends, or says that it will be long, takes no more than the bound.
func TestBody(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/exact":
			fmt.Fprint(w, strings.Repeat("a", 1000))
		case "/announced":
			w.Header().Set("Content-Length", "1000000000")
			fmt.Fprint(w, "a")
		case "/endless":
			for r.Context().Err() == nil {
				if _, err := fmt.Fprint(w, strings.Repeat("a", 512)); err != nil {
					return
				}
			}
		case "/short":
			w.Header().Set("Content-Length", "10")
			fmt.Fprint(w, "a")
		case "/header":
			w.Header().Set("X", strings.Repeat("a", 64<<10))
		}
	})
	c := client(t, fetch.Options{MaxBody: 1000})
	if r, err := c.Get(t.Context(), s.URL+"/exact", "*/*"); err != nil || len(r.Body) != 1000 {
		t.Errorf("%v", err)
	}
	for _, path := range []string{"/announced", "/endless"} {
		if _, err := c.Get(t.Context(), s.URL+path, "*/*"); !errors.Is(err, fetch.ErrTooLong) {
			t.Errorf("%s: %v", path, err)
		}
	}
	for _, path := range []string{"/short", "/header"} {
		if r, err := c.Get(t.Context(), s.URL+path, "*/*"); err == nil {
			t.Errorf("%s: %+v", path, r)
		}
	}
}

func TestTime(t *testing.T) {
	release := make(chan struct{})
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "a")
		w.(http.Flusher).Flush()
		<-release
	})
	defer close(release)
	_, err := client(t, fetch.Options{Timeout: 50 * time.Millisecond}).Get(t.Context(), s.URL, "*/*")
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no answer in time") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = client(t, fetch.Options{}).Get(ctx, s.URL, "*/*"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestRedirects(t *testing.T) {
	var asked atomic.Int32
	var location atomic.Value
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		switch r.URL.Path {
		case "/end":
			fmt.Fprint(w, "end")
		case "/away":
			w.Header().Set("Location", location.Load().(string))
			w.WriteHeader(302)
		default:
			http.Redirect(w, r, "/end", http.StatusTemporaryRedirect)
		}
	})
	c := client(t, fetch.Options{Redirects: 1})
	if r, err := c.Get(t.Context(), s.URL+"/begin", "*/*"); err != nil || string(r.Body) != "end" {
		t.Errorf("%v", err)
	}
	// Neither with a body nor with a credential, and no more than wanted.
	var status *fetch.StatusError
	if _, err := client(t, fetch.Options{}).Get(t.Context(), s.URL+"/begin", "*/*"); !errors.As(err, &status) || status.Status != 307 {
		t.Errorf("%v", err)
	}
	for _, q := range []*fetch.Request{
		{Method: "POST", URL: s.URL + "/begin", Body: []byte("x")},
		{URL: s.URL + "/begin", Header: http.Header{"Authorization": {"Bearer x"}}},
	} {
		before := asked.Load()
		if r, err := c.Do(t.Context(), q); err != nil || r.Status != 307 || asked.Load() != before+1 {
			t.Errorf("%s: %+v, %v, asked %d times", q.Method, r, err, asked.Load()-before)
		}
	}
	for _, to := range []string{"file:///etc/passwd", "http://10.0.0.1/", "http://user:secret@127.0.0.1/"} {
		location.Store(to)
		if r, err := c.Get(t.Context(), s.URL+"/away", "*/*"); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %+v, %v", to, r, err)
		}
	}
}

func TestTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/down" {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
			return
		}
		fmt.Fprint(w, r.Proto)
	}))
	s.EnableHTTP2 = true
	s.Config.ErrorLog = nil
	s.StartTLS()
	t.Cleanup(s.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	c := client(t, fetch.Options{TLS: &ir.UpstreamTLS{CA: ca}, Redirects: 3})
	if r, err := c.Get(t.Context(), s.URL, "*/*"); err != nil || string(r.Body) != "HTTP/2.0" {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := c.Get(t.Context(), s.URL+"/down", "*/*"); err == nil || !strings.Contains(err.Error(), "from https to http") {
		t.Errorf("%v", err)
	}
	if _, err := client(t, fetch.Options{}).Get(t.Context(), s.URL, "*/*"); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a stranger's certificate: %v", err)
	}
	if _, err := fetch.New(fetch.Options{TLS: &ir.UpstreamTLS{CA: []byte("nothing")}}); err == nil {
		t.Error("a CA that is none is taken")
	}
}

// Credentials and queries are in no error; URLs that must not be asked are not.
func TestErrors(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1") // of no effect
	c := client(t, fetch.Options{})
	_, err = c.Get(t.Context(), "http://"+address+"/keys?secret=1", "*/*")
	if err == nil || !strings.Contains(err.Error(), "GET http://"+address+"/keys: ") || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
	for _, u := range []string{"http://10.0.0.1/keys", "https://user:secret@idp.example/", "gopher://x/", "http://idp.example/?secret"} {
		if _, err := c.Get(t.Context(), u, "*/*"); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", u, err)
		}
	}
}

func TestFreshness(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	for _, c := range []struct {
		name string
		h    http.Header
		d    time.Duration
		ok   bool
	}{
		{"nothing", http.Header{}, 0, false},
		{"public", http.Header{"Cache-Control": {"public"}}, 0, false},
		{"max-age", http.Header{"Cache-Control": {"public, MAX-AGE=300"}}, 5 * time.Minute, true},
		{"quoted", http.Header{"Cache-Control": {`max-age="300"`}}, 5 * time.Minute, true},
		{"in the second line", http.Header{"Cache-Control": {"public", "max-age=300"}}, 5 * time.Minute, true},
		{"aged", http.Header{"Cache-Control": {"max-age=300"}, "Age": {"100"}}, 200 * time.Second, true},
		{"too old", http.Header{"Cache-Control": {"max-age=300"}, "Age": {"1000"}}, 0, true},
		{"not a number", http.Header{"Cache-Control": {"max-age=-1"}}, 0, true},
		{"huge", http.Header{"Cache-Control": {"max-age=99999999999999999999"}}, 0, true},
		{"no-store", http.Header{"Cache-Control": {"no-store, max-age=5"}}, 0, true},
		{"no-cache", http.Header{"Cache-Control": {"max-age=5, no-cache"}}, 0, true},
		{"Expires", http.Header{"Expires": {at(time.Minute)}}, time.Minute, true},
		{"Expires by Date", http.Header{"Expires": {at(time.Minute)}, "Date": {at(30 * time.Second)}}, 30 * time.Second, true},
		{"Expires in the past", http.Header{"Expires": {at(-time.Minute)}}, 0, true},
		{"Expires that is none", http.Header{"Expires": {"0"}}, 0, true},
		{"max-age wins", http.Header{"Expires": {at(time.Minute)}, "Cache-Control": {"max-age=1"}}, time.Second, true},
	} {
		r := &fetch.Response{Header: c.h}
		if d, ok := r.Freshness(now); d != c.d || ok != c.ok {
			t.Errorf("%s: %v %v, want %v %v", c.name, d, ok, c.d, c.ok)
		}
	}
}
