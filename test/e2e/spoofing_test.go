package e2e

import (
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/proxy/filter"
)

// Nobody tells the endpoint who calls but the gateway: however a name is spelt, how
// often it comes, and whether it comes before the body or after it.
func TestSpoofedIdentities(t *testing.T) {
	t.Parallel()
	seen := make(chan http.Header, 1)
	app := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		all := r.Header.Clone()
		for name, values := range r.Trailer {
			for _, v := range values {
				all.Add("Trailer "+name, v)
			}
		}
		seen <- all
	})
	idp := newIssuer(t)
	g := http3Edge(t, "http3: {}", routeDoc("app", ""), backendDoc("app", app.addr), idp.policy("consumer: {claim: azp}"), keyed("acme", "", "k", keyA))
	config := &tls.Config{ServerName: "a.example", InsecureSkipVerify: true}
	first := &http.Client{Transport: &http.Transport{TLSClientConfig: config}, Timeout: 4 * patience}
	t.Cleanup(first.CloseIdleConnections)
	const evil = "root"
	names := []string{"X-Consumer", "x-consumer", "X-CONSUMER", "X_Consumer", "x_CONSUMER", "X-Groups", "X_groups", "X-Forwarded-Client-Cert", "X-Forwarded-For"}
	for version, client := range map[string]*http.Client{"1.1": first, "2": overHTTP2(t, config.Clone()), "3": overHTTP3(t, "a.example")} {
		for _, claims := range []map[string]any{
			{"azp": "acme", "realm": map[string]any{"roles": []string{"buyer"}}},
			{"azp": "acme"}, // says nothing of roles
		} {
			req := g.request("POST", "/", io.NopCloser(strings.NewReader("body")), host("a.example"), bearer(idp.token(claims)))
			req.URL.Scheme, req.URL.Host, req.ContentLength = "https", g.addr, -1
			req.Trailer = http.Header{"X-Sum": {"7"}, "Authorization": {"Bearer x"}}
			for _, name := range names {
				// Under the very spelling, twice.
				req.Header[name], req.Trailer[name] = []string{evil, evil}, []string{evil, evil}
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatalf("HTTP/%s: %v", version, err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			want(t, resp, 200, "")
			got := <-seen
			roles, has := got["X-Groups"]
			if _, said := claims["realm"]; has != said || said && (len(roles) != 1 || roles[0] != "buyer") {
				t.Errorf("HTTP/%s: X-Groups is %q for %v", version, roles, claims)
			}
			if user := got["X-Consumer"]; len(user) != 1 || user[0] != "ada" {
				t.Errorf("HTTP/%s: X-Consumer is %q", version, user)
			}
			for name, values := range got {
				place, plain, after := strings.Cut(name, " ")
				if !after {
					plain = place
				}
				for _, own := range names[:7] {
					if filter.Alike([]byte(plain), []byte(own)) && strings.Contains(strings.Join(values, ""), evil) {
						t.Errorf("HTTP/%s: %s: %q came through", version, name, values)
					}
				}
			}
			if got.Get("X-Forwarded-Client-Cert") != "" || got.Get("Trailer X-Forwarded-For") != "" || got.Get("Trailer Authorization") != "" || got.Get("Authorization") != "" {
				t.Errorf("HTTP/%s: %v", version, got)
			}
			if got.Get("Trailer X-Sum") != "7" {
				t.Errorf("HTTP/%s: what is nobody's business did not come: %v", version, got)
			}
		}
	}
}
