package client_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAddresses(t *testing.T) {
	for address, ok := range map[string]bool{
		"": true, "127.0.0.1:9901": true, "http://localhost:1": true, "https://gw.example": true, "unix:/run/x": true,
		"ftp://x": false, "http://": false, "http://a b": false, "::": false,
	} {
		c, err := client.New(client.Options{Address: address})
		if (err == nil) != ok {
			t.Errorf("New(%q): %v", address, err)
		}
		if c != nil {
			c.Close()
		}
	}
}

func TestNobodyThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	for _, a := range []string{address, "unix:" + t.TempDir() + "/none"} {
		c, err := client.New(client.Options{Address: a})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Status(t.Context())
		if !errors.Is(err, client.ErrUnreachable) || !strings.Contains(err.Error(), a) {
			t.Errorf("%v", err)
		}
		c.Close()
	}
}

// serve answers every request with h.
func serve(t *testing.T, h http.HandlerFunc) *client.Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	c, err := client.New(client.Options{Address: s.URL, Token: "the-token", Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestFaultsAreErrors(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer the-token" {
			t.Errorf("presented %q", r.Header.Get("Authorization"))
		}
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"title":"Not Found","status":404,"detail":"no such thing"}`))
	})
	_, err := c.Object(t.Context(), "HTTPRoute", "", "a/b")
	var f *adminapi.Fault
	if !errors.As(err, &f) || f.Status != 404 || f.Detail != "no such thing" || errors.Is(err, client.ErrUnreachable) {
		t.Errorf("%v", err)
	}
}

func TestSomethingElseAnswers(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		_, _ = w.Write([]byte("<html>bad gateway"))
	})
	_, err := c.Status(t.Context())
	var f *adminapi.Fault
	if !errors.As(err, &f) || f.Status != 502 || !strings.Contains(err.Error(), "is this a Gridway admin API?") {
		t.Errorf("%v", err)
	}
	c = serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) })
	if _, err := c.Status(t.Context()); err == nil || !strings.Contains(err.Error(), "/v1/status") {
		t.Errorf("%v", err)
	}
}

func TestTheTokenDoesNotFollowRedirects(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") }))
	defer other.Close()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) })
	if _, err := c.Status(t.Context()); err == nil {
		t.Error("a redirect is a success")
	}
}

func TestCancelledCallsSaySo(t *testing.T) {
	release := make(chan struct{})
	c := serve(t, func(http.ResponseWriter, *http.Request) { <-release })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Status(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, client.ErrUnreachable) {
		t.Errorf("%v", err)
	}
	close(release)
}
