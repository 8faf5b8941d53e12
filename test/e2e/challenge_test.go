package e2e

import (
	"crypto/tls"
	"net/http"
	"testing"

	"github.com/gridway/gridway/internal/proxy"
)

// keyAuthorizations knows one token, and takes its time with another.
type keyAuthorizations struct {
	asked, release chan struct{}
}

const knownToken = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"

func (a *keyAuthorizations) KeyAuthorization(token string) (string, bool) {
	if token == "slow" {
		a.asked <- struct{}{}
		<-a.release
	}
	return token + ".thumb", token == knownToken
}

func (a *keyAuthorizations) Certificate(string) (*tls.Certificate, bool) { return nil, false }

// A certificate authority gets its answer whatever routes there are; all else,
// also below the same path, is theirs. Who waits for an answer holds up nobody.
func TestChallengeAnswers(t *testing.T) {
	up := named(t, "backend")
	a := &keyAuthorizations{asked: make(chan struct{}), release: make(chan struct{})}
	g := serveYAML(t, documents(gatewayDoc, routeDoc("app", ""), backendDoc("app", up.addr)),
		func(o *proxy.Options) { o.Challenges = a })
	const path = "/.well-known/acme-challenge/"
	for _, tt := range []struct{ method, path, body string }{
		{"GET", path + knownToken, knownToken + ".thumb"},
		{"HEAD", path + knownToken, ""},
		{"GET", path + knownToken + "?x", knownToken + ".thumb"},
		{"GET", path + "x/../" + knownToken, knownToken + ".thumb"},
		{"GET", path + "unknown", "backend"},
		{"GET", path, "backend"},
		{"GET", "/x" + path + knownToken, "backend"},
		{"POST", path + knownToken, "backend"},
	} {
		resp, body, err := g.do(g.request(tt.method, tt.path, nil, host("nobody.example")))
		if err != nil || resp.StatusCode != 200 || body != tt.body {
			t.Errorf("%s %s: %v %v %q", tt.method, tt.path, resp, err, body)
		}
	}
	done := make(chan *http.Response)
	go func() {
		resp, _, err := g.do(g.request("GET", path+"slow", nil))
		if err != nil {
			t.Error(err)
		}
		done <- resp
	}()
	<-a.asked
	g.parallel(64, 8, func(int) {
		if resp, _, err := g.do(g.request("GET", "/", nil)); err != nil || resp.StatusCode != 200 {
			t.Errorf("%v %v", resp, err)
		}
	})
	close(a.release)
	<-done
}
