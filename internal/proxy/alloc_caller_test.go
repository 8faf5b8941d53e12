package proxy_test

import (
	"crypto/sha256"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
)

// What it costs to know who calls: nothing where the caller is found here, and an
// answer where somebody else is asked.
func TestAuthenticationAllocatesLittle(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	const reply = "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
	const key = "a key that is long enough"
	const get = "GET /a HTTP/1.1\r\nHost: example.com\r\nUser-Agent: test/1.0\r\nX-API-Key: " + key + "\r\n\r\n"
	judge := fixedPeer(t, 0, "HTTP/1.1 204 No Content\r\nServer: judge\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n")
	for _, tc := range []struct {
		name    string
		ceiling float64
		method  ir.AuthenticationMethod
	}{
		{"API key", 0.05, ir.AuthenticationMethod{Name: "key", APIKey: &ir.APIKeyAuth{From: []ir.CredentialSource{{Header: "X-API-Key"}}}}},
		{"another server is asked", 1.05, ir.AuthenticationMethod{Name: "external", External: &ir.ExternalAuth{
			Cluster: "Backend/default/judge", Timeout: time.Minute, Send: ir.HeaderSet{Names: []string{"X-API-Key"}},
		}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := start(t, []string{fixedPeer(t, 0, reply)}, func(cfg *ir.Config) {
				judges := *cfg.Clusters[0]
				judges.Name, judges.Hash, judges.Host = "Backend/default/judge", 2, "judge.example"
				judges.Endpoints = []ir.Endpoint{{Address: judge, Weight: 1}}
				cfg.Clusters = append(cfg.Clusters, &judges)
				digest := sha256.Sum256([]byte(key))
				cfg.Consumers = []*ir.Consumer{{Namespace: "default", Name: "caller", Credentials: []ir.ConsumerCredential{{Name: "key", KeyDigest: digest[:]}}}}
				cfg.Routes[0].Rules[0].Policy.Authentication = &ir.Authentication{
					Policy: "default/callers", Namespace: "default", AnyOf: []ir.AuthenticationMethod{tc.method},
				}
			})
			got := allocsPerRequest(t, h, get, 5)
			t.Logf("%.4f allocations per request", got)
			if got > tc.ceiling {
				t.Errorf("%.3f allocations per request, want at most %v", got, tc.ceiling)
			}
		})
	}
}
