package acme

import (
	"crypto/ecdsa"
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/test/harness"
)

// Clients see one certificate after the other, and nothing else.
func TestRenewal(t *testing.T) {
	t.Parallel()
	plain, secure := ports(t)
	a := newAuthority(t, settings{httpPort: plain, tlsPort: secure, life: 15 * time.Second})
	withoutAdvice(a)
	g := start(t, a.shop(plain, secure), t.TempDir())
	last := a.issued(secure, "shop.test")
	for {
		cert, err := a.handshake(secure, "shop.test") // also says whether it has expired
		if err != nil {
			t.Fatalf("a handshake failed: %v", err)
		}
		if cert.Equal(last) {
			continue
		}
		if left := last.NotAfter.Sub(cert.NotBefore); left > 6*time.Second {
			t.Errorf("renewed %v before the end of a life of 15 s", left)
		}
		if cert.PublicKey.(*ecdsa.PublicKey).Equal(last.PublicKey) {
			t.Error("the key is the old one")
		}
		break
	}
	if v := g.Metric("gridway_certificate_tries_total", `result="failed"`); v != 0 {
		t.Errorf("%v tries failed", v)
	}
}

// withoutAdvice lets the authority have no renewal information: pebble's advice
// for certificates of seconds is any moment of their lives.
func withoutAdvice(a *authority) {
	a.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, "/"+ariPath) {
			return false
		}
		w.WriteHeader(http.StatusNotFound)
		return true
	})
}

// The listener is open before there is an authority, and gets its certificate
// when there is one. Then the authority is gone until the certificate has
// expired: that one goes on being shown, until there is a new one.
func TestAuthorityDown(t *testing.T) {
	t.Parallel()
	plain, secure := ports(t)
	a := newAuthority(t, settings{httpPort: plain, tlsPort: 1, life: 8 * time.Second})
	withoutAdvice(a)
	a.down()
	g := start(t, a.shop(plain, secure), t.TempDir())
	if st := g.reaches("Failing"); st.Failures != 1 || st.Valid || time.Until(st.NextTry) > 10*time.Second || !strings.Contains(st.Error, "connection refused") {
		t.Errorf("%+v", st)
	}
	if _, err := a.handshake(secure, "shop.test"); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("without a certificate: %v", err)
	}
	if c, err := net.Dial("tcp", local(plain)); err != nil {
		t.Error(err)
	} else {
		c.Close()
	}
	if s := g.Get("/v1/status"); !strings.Contains(s, `"type":"Ready","status":"False","reason":"Failing"`) ||
		!strings.Contains(s, `"of":"listener https","type":"Programmed","status":"False","reason":"Pending"`) {
		t.Errorf("status: %s", s)
	}
	a.up()
	first := a.issued(secure, "shop.test")
	a.down()
	if !harness.Soon(func() bool { return time.Now().After(first.NotAfter.Add(time.Second)) }) {
		t.Fatal("the certificate does not expire")
	}
	shown, err := handshake(secure, &tls.Config{ServerName: "shop.test", InsecureSkipVerify: true})
	if err != nil || !shown.Equal(first) {
		t.Errorf("after the end of the certificate: %v", err)
	}
	if st := g.reaches("Failing"); st.Valid || st.NotAfter.IsZero() {
		t.Errorf("%+v", st)
	}
	a.up()
	a.issued(secure, "shop.test")
	if v := g.Metric("gridway_certificate_failures", "default/pebble:shop.test"); v != 0 {
		t.Errorf("%v failures after a success", v)
	}
}

// An authority that has lost its memory gets the account anew, with the old key.
func TestAuthorityForgets(t *testing.T) {
	t.Parallel()
	plain, secure := ports(t)
	a := newAuthority(t, settings{httpPort: plain, tlsPort: 1, life: 12 * time.Second})
	withoutAdvice(a)
	state := t.TempDir()
	g := start(t, a.shop(plain, secure), state)
	first := a.issued(secure, "shop.test")
	before := secrets(t, state)
	a.reset()
	if !harness.Soon(func() bool {
		cert, err := handshake(secure, &tls.Config{ServerName: "shop.test", InsecureSkipVerify: true})
		return err == nil && !cert.Equal(first)
	}) {
		t.Fatal("not renewed")
	}
	if v := g.Metric("gridway_certificate_tries_total", `result="failed"`); v != 0 {
		t.Errorf("%v tries failed", v)
	}
	if after := secrets(t, state); after[0] != before[0] { // accounts come first
		t.Error("the account has another key")
	}
}

// A name that cannot be proved is tried again later and later, with the other
// challenge, and a restart does not ask at once.
func TestRejectedChallenge(t *testing.T) {
	t.Parallel()
	plain, secure := ports(t)
	a := newAuthority(t, settings{httpPort: plain, tlsPort: secure})
	yaml := strings.ReplaceAll(a.shop(plain, secure), "hostname: shop.test", "hostname: nowhere.test")
	state := t.TempDir()
	g := start(t, yaml, state)
	st := g.reaches("Failing")
	if wait := time.Until(st.NextTry); st.Failures != 1 || wait < time.Minute || wait > 3*time.Minute || !strings.Contains(st.Error, "nowhere.test") || !strings.Contains(st.Error, "http-01") {
		t.Errorf("%+v", st)
	}
	if v := g.Metric("gridway_certificate_tries_total", `result="failed"`); v != 1 {
		t.Errorf("%v tries failed", v)
	}
	orders := a.requests(newOrder)
	g.Stop()
	g = start(t, yaml, state)
	st = g.reaches("Failing")
	if wait := time.Until(st.NextTry); st.Failures != 1 || wait < 30*time.Second || wait > time.Minute+10*time.Second {
		t.Errorf("after a restart: %+v", st)
	}
	// Whoever changes the issuer is not made to wait.
	g.Write(strings.Replace(yaml, "contact: [ops@shop.test]", "challenges: [TLS-ALPN-01]", 1))
	if !harness.Soon(func() bool { st = g.certificates()[0]; return strings.Contains(st.Error, "tls-alpn-01") }) {
		t.Errorf("after a change: %+v", st)
	}
	if n := a.requests(newOrder) - orders; n != 1 {
		t.Errorf("%d orders after the restart", n)
	}
}

// An authority that asks to be left alone is left alone, also after a restart.
func TestRateLimit(t *testing.T) {
	t.Parallel()
	plain, secure := ports(t)
	a := newAuthority(t, settings{httpPort: plain, tlsPort: 1})
	a.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, "/"+newOrder) {
			return false
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.Header().Set("Retry-After", "7200")
		w.WriteHeader(http.StatusTooManyRequests)
		w.Write([]byte(`{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many certificates"}`))
		return true
	})
	state := t.TempDir()
	g := start(t, a.shop(plain, secure), state)
	st := g.reaches("Failing")
	if wait := time.Until(st.NextTry); wait < 119*time.Minute || wait > 127*time.Minute || !strings.Contains(st.Error, "too many certificates") {
		t.Errorf("%+v", st)
	}
	g.Stop()
	a.intercept(nil)
	g = start(t, a.shop(plain, secure), state)
	if again := g.reaches("Failing"); !again.NextTry.Equal(st.NextTry) {
		t.Errorf("after a restart: %+v", again)
	}
}

// A certificate that was revoked is replaced, long before two thirds of its
// life, because the authority's renewal information says so.
func TestRevoked(t *testing.T) {
	t.Parallel()
	plain, secure := ports(t)
	a := newAuthority(t, settings{httpPort: plain, tlsPort: 1, life: time.Hour})
	withoutAdvice(a)
	state := t.TempDir()
	g := start(t, a.shop(plain, secure), state)
	first := a.issued(secure, "shop.test")
	g.reaches("Issued")
	g.Stop()
	// It was issued a while ago, the authority was last asked then, and has
	// revoked it since.
	rewrite(t, state, "certificates", func(v map[string]any) { v["issued"] = time.Now().Add(-10 * time.Minute) })
	rewrite(t, state, "renewal", func(v map[string]any) { v["again"] = time.Now().Add(-time.Second) })
	a.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, "/"+ariPath) || !strings.HasSuffix(r.URL.Path, certID(t, first)) {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]any{
			"suggestedWindow": map[string]any{"start": time.Now().Add(-time.Hour), "end": time.Now().Add(-time.Minute)},
			"explanationURL":  "https://pebble.test/incident",
		})
		return true
	})
	g = start(t, a.shop(plain, secure), state)
	if !harness.Soon(func() bool {
		cert, err := a.handshake(secure, "shop.test")
		return err == nil && !cert.Equal(first)
	}) {
		t.Fatal("not replaced")
	}
	if !strings.Contains(g.Output.String(), "https://pebble.test/incident") {
		t.Error("the log does not have the authority's explanation")
	}
}

// rewrite changes the only stored value of a kind.
func rewrite(t *testing.T, state, kind string, change func(map[string]any)) {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(state, "acme", kind, "*.json"))
	if err != nil || len(list) != 1 {
		t.Fatalf("%s: %v, %v", kind, list, err)
	}
	text, err := os.ReadFile(list[0])
	if err != nil {
		t.Fatal(err)
	}
	v := map[string]any{}
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	change(v)
	if text, err = json.Marshal(v); err == nil {
		err = os.WriteFile(list[0], text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
