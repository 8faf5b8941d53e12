package acme

import (
	"crypto/tls"
	"encoding/asn1"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

const token = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"

func challengeOf(kind, name string) acme.Challenge {
	return acme.Challenge{Type: kind, Token: token, KeyAuthorization: token + ".thumb", Identifier: acme.Identifier{Type: "dns", Value: name}}
}

func responders(s Storage) (one, two *Responder) {
	log := slog.New(slog.DiscardHandler)
	one, two = newResponder(s, log), newResponder(s, log)
	one.shared.Store(true)
	two.shared.Store(true)
	return one, two
}

func TestAnswersForOthers(t *testing.T) {
	storage := newMemory()
	one, two := responders(storage)
	both := func(what string, ask func(*Responder) bool, want bool) {
		t.Helper()
		for i, r := range []*Responder{one, two} {
			if ask(r) != want {
				t.Errorf("%s: edge %d says %v", what, i+1, !want)
			}
		}
	}
	http01 := func(r *Responder) bool {
		text, ok := r.KeyAuthorization(token)
		return ok && text == token+".thumb"
	}
	tls01 := func(r *Responder) bool {
		cert, ok := r.Certificate("Shop.example") // names have no case
		return ok && certifiesChallenge(t, cert)
	}
	both("nothing pending", http01, false)
	both("nothing pending", tls01, false)
	withdraw, err := one.present(t.Context(), challengeOf("http-01", "shop.example"))
	if err != nil {
		t.Fatal(err)
	}
	both("HTTP-01", http01, true)
	both("HTTP-01", tls01, false)
	withdraw()
	both("withdrawn", http01, false)
	if withdraw, err = two.present(t.Context(), challengeOf("tls-alpn-01", "shop.example")); err != nil {
		t.Fatal(err)
	}
	both("TLS-ALPN-01", tls01, true)
	both("TLS-ALPN-01", http01, false)
	withdraw()
	both("withdrawn", tls01, false)
	if len(storage.values) != 0 {
		t.Errorf("left in the storage: %d values", len(storage.values))
	}

	if err := save(t.Context(), storage, httpAnswerKey(token), answer{Token: token, KeyAuthorization: token + ".thumb", Expires: time.Now().Add(-time.Second)}); err != nil {
		t.Fatal(err)
	}
	both("what was left long ago", http01, false)
	for _, bad := range []string{"", "short", "../../accounts/x.json", strings.Repeat("a", 500), token + "/", token + "%00", "a b c d e f g h i j k l"} {
		if _, ok := one.KeyAuthorization(bad); ok {
			t.Errorf("%q is answered", bad)
		}
		if _, ok := one.Certificate(bad); ok {
			t.Errorf("%q has a certificate", bad)
		}
	}
	if _, err := one.present(t.Context(), challengeOf("dns-01", "shop.example")); err == nil {
		t.Error("DNS-01 is presented")
	}
	storage.fail(errors.New("no space left on device"))
	if _, err := one.present(t.Context(), challengeOf("http-01", "shop.example")); err == nil || len(one.tokens) != 0 {
		t.Error("presented, though other edges cannot know")
	}
	both("a storage that fails", http01, false)
}

// certifiesChallenge looks for the extension of RFC 8737 §3.
func certifiesChallenge(t *testing.T, cert *tls.Certificate) bool {
	t.Helper()
	for _, e := range cert.Leaf.Extensions {
		if e.Id.Equal(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 31}) {
			return e.Critical && len(e.Value) == 34
		}
	}
	return false
}

// An authority cannot make us take memory without a bound.
func TestRepliesAreBounded(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "77")
		w.WriteHeader(http.StatusServiceUnavailable)
		for range 2 * maxReply / 1024 {
			if _, err := w.Write(make([]byte, 1024)); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	r := &recorder{base: http.DefaultTransport, now: time.Now}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := r.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err == nil || n != maxReply {
		t.Errorf("%d bytes were read, %v", n, err)
	}
	if r.wait != 77*time.Second {
		t.Errorf("waits %v", r.wait)
	}
}
