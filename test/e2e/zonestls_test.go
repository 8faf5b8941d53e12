package e2e

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"testing"
)

// A Backend with zones whose endpoints speak TLS: requests stay in the zone of
// the proxy while its endpoints are well and who they say they are, and go to
// the other when none is.
func TestZonesOverTLS(t *testing.T) {
	t.Parallel()
	ca, other := newAuthority(t, "backends"), newAuthority(t, "other")
	good := &tls.Config{Certificates: []tls.Certificate{ca.pair("app.internal")}}
	stranger := &tls.Config{Certificates: []tls.Certificate{other.pair("app.internal")}}
	endpoints, servers := "", map[string]*wellness{}
	for _, e := range []struct {
		name, zone string
		config     *tls.Config
	}{{"a1", "a", good}, {"a2", "a", good}, {"stranger", "a", stranger}, {"b1", "b", good}, {"b2", "b", good}} {
		s := startWellness(t, e.config, onlyHTTP1)
		servers[e.name] = s
		endpoints += fmt.Sprintf("  - {address: %q, zone: %s}\n", s.addr, e.zone)
	}
	port := ownPort(t)
	p := start(t, documents(plainOn(port), caDoc("backends", ca.pem), routeDoc("app", ""), `apiVersion: gridway.dev/v1alpha1
kind: Backend
metadata: {name: app}
spec:
  protocol: https
  tls: {caCertificateRefs: [{group: "", kind: ConfigMap, name: backends}], serverName: app.internal}
  endpoints:
`+endpoints, policyDoc("app", "Backend", "app", `
loadBalancer: {algorithm: RoundRobin, zoneAware: true, panicThreshold: 0}
healthCheck: {http: {path: /healthz}, interval: 100ms, timeout: 5s, unhealthyThreshold: 1, healthyThreshold: 1}
`)), "--zone", "a")
	unhealthy := func(n float64) func() bool {
		return func() bool {
			return p.metric("gridway_cluster_endpoints", `state="unhealthy"`) == n && p.metric("gridway_cluster_endpoints", `state="healthy"`) == 5-n
		}
	}
	// share sends requests and tells how many each endpoint got.
	share := func() map[string]uint64 {
		t.Helper()
		before := map[string]uint64{}
		for name, s := range servers {
			before[name] = s.rest.Load()
		}
		for range 20 {
			resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/", port))
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != 200 || string(body) != "HTTP/1.1 https" {
				t.Errorf("%d %s", resp.StatusCode, body)
			}
		}
		got := map[string]uint64{}
		for name, s := range servers {
			if n := s.rest.Load() - before[name]; n > 0 {
				got[name] = n
			}
		}
		return got
	}
	eventually(t, "the stranger is found out", unhealthy(1))
	if got := share(); got["a1"]+got["a2"] == 0 || got["stranger"] > 0 {
		t.Errorf("with two of three in the zone: %v", got)
	}
	// Nobody is left in the zone.
	servers["a1"].status.Store(500)
	servers["a2"].status.Store(500)
	eventually(t, "the zone is down", unhealthy(3))
	if got := share(); got["b1"] != 10 || got["b2"] != 10 {
		t.Errorf("without the zone: %v", got)
	}
	servers["b1"].status.Store(500)
	eventually(t, "one is left", unhealthy(4))
	if got := share(); got["b2"] != 20 {
		t.Errorf("one is left: %v", got)
	}
	for _, s := range servers {
		s.status.Store(200)
	}
	eventually(t, "all but the stranger are back", unhealthy(1))
	eventually(t, "the zone is used again", func() bool { got := share(); return got["a1"] > 0 && got["a2"] > 0 })
	if servers["stranger"].rest.Load() > 0 || servers["stranger"].seen.Load() != "" {
		t.Error("the stranger was asked")
	}
}
