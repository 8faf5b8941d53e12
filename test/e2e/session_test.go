package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// sessionDoc is a route with session persistence over a Backend.
func sessionDoc(persistence string, addrs ...string) string {
	return documents(gatewayDoc, routeDoc("app", "sessionPersistence: "+persistence), backendDoc("app", addrs...),
		policyDoc("app", "Backend", "app", "loadBalancer: {algorithm: RoundRobin, panicThreshold: 0}"))
}

func TestSessionByCookie(t *testing.T) {
	t.Parallel()
	servers, addrs := several(t, 4)
	doc := func(addrs ...string) string { return sessionDoc(`{sessionName: visit, type: Cookie}`, addrs...) }
	g := serveYAML(t, doc(addrs...))
	resp, first := g.get("/")
	cookies := resp.Cookies()
	if len(cookies) != 1 || cookies[0].Name != "visit" || !cookies[0].HttpOnly {
		t.Fatalf("cookies %v", resp.Header["Set-Cookie"])
	}
	if strings.Contains(cookies[0].Value, "127.0.0.1") {
		t.Error("the cookie tells the endpoint's address")
	}
	session := header("Cookie", "a=b; visit="+cookies[0].Value)
	if got := g.tally(50, 4, "/", session); got[first] != 50 {
		t.Errorf("%v, want all on %s", got, first)
	}
	if got := g.tally(40, 2, "/"); len(got) != 4 {
		t.Errorf("without a session: %v", got)
	}

	// It survives reloads.
	for range 3 {
		g.apply(doc(append(addrs[1:4:4], addrs[0])...))
		if got := g.tally(20, 4, "/", session); got[first] != 20 {
			t.Errorf("after a reload: %v, want all on %s", got, first)
		}
	}

	// Its endpoint goes: the client gets another one, and a new session.
	i := int(first[0] - 'a')
	g.apply(doc(append(addrs[:i:i], addrs[i+1:]...)...))
	servers[i].http.Close()
	resp, second := g.get("/", session)
	want(t, resp, 200, "")
	if second == first || len(resp.Cookies()) != 1 {
		t.Fatalf("went to %s, cookies %v", second, resp.Cookies())
	}
	session = header("Cookie", "visit="+resp.Cookies()[0].Value)
	if got := g.tally(20, 4, "/", session); got[second] != 20 {
		t.Errorf("new session: %v, want all on %s", got, second)
	}
}

func TestSessionByHeader(t *testing.T) {
	t.Parallel()
	_, addrs := several(t, 4)
	g := serveYAML(t, sessionDoc(`{sessionName: X-Session, type: Header}`, addrs...))
	resp, first := g.get("/")
	token := resp.Header.Get("X-Session")
	if token == "" {
		t.Fatalf("no session header: %v", resp.Header)
	}
	if got := g.tally(30, 4, "/", header("X-Session", token)); got[first] != 30 {
		t.Errorf("%v, want all on %s", got, first)
	}
	// Made up and changed tokens are worth nothing, and hurt nobody.
	for _, bad := range []string{"x", token + "x", token[:len(token)-2], strings.Repeat("A", 500)} {
		if got := g.tally(12, 1, "/", header("X-Session", bad)); len(got) != 4 {
			t.Errorf("with token %.20q: %v", bad, got)
		}
	}
}

// The session holds even if the endpoint's weight in the split says otherwise.
func TestSessionSurvivesACanary(t *testing.T) {
	t.Parallel()
	stable, canary := named(t, "stable"), named(t, "canary")
	doc := func(s, c int) string {
		return documents(gatewayDoc, backendDoc("stable", stable.addr), backendDoc("canary", canary.addr), ruleDoc(fmt.Sprintf(`
- sessionPersistence: {sessionName: visit}
  backendRefs:
  - {group: gridway.dev, kind: Backend, name: stable, weight: %d}
  - {group: gridway.dev, kind: Backend, name: canary, weight: %d}
`, s, c)))
	}
	g := serveYAML(t, doc(0, 1))
	resp, body := g.get("/")
	if body != "canary" {
		t.Fatal(body)
	}
	session := func(r *http.Request) { r.AddCookie(resp.Cookies()[0]) }
	g.apply(doc(99, 1))
	if got := g.tally(50, 2, "/", session); got["canary"] != 50 {
		t.Errorf("%v", got)
	}
}

// An endpoint that is out of use does not keep its sessions.
func TestSessionLeavesAnEjectedEndpoint(t *testing.T) {
	t.Parallel()
	a, b := startBurst(t, "a", 503), startBurst(t, "b", 503)
	g := serveYAML(t, documents(gatewayDoc, routeDoc("app", "sessionPersistence: {sessionName: visit}"),
		backendDoc("app", a.addr, b.addr),
		policyDoc("app", "Backend", "app", "loadBalancer: {panicThreshold: 0}\noutlierDetection: {consecutive5xx: 2, baseEjection: 1h}")))
	resp, first := g.get("/")
	session := func(r *http.Request) { r.AddCookie(resp.Cookies()[0]) }
	map[string]*burst{"a": a, "b": b}[first].failing.Store(true)
	eventually(t, "the session moves", func() bool {
		resp, body := g.get("/", session)
		return resp.StatusCode == 200 && body != first
	})
}

// A Service's own affinity: the client's address chooses the endpoint.
func TestServiceAffinityByClientIP(t *testing.T) {
	t.Parallel()
	hosts := []string{"127.0.78.1", "127.0.78.2", "127.0.78.3"}
	port, _ := onePort(t, hosts...)
	g := serveYAML(t, documents(gatewayDoc, policyDoc("edge", "Gateway", "edge", "client: {forwarded: {trustedHops: 1}}"),
		ruleDoc("- backendRefs: [{name: app, port: 80}]"), fmt.Sprintf(`apiVersion: v1
kind: Service
metadata: {name: app}
spec: {ports: [{port: 80}], sessionAffinity: ClientIP}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: app, labels: {kubernetes.io/service-name: app}}
addressType: IPv4
ports: [{port: %d}]
endpoints: [{addresses: [%q]}, {addresses: [%q]}, {addresses: [%q]}]
`, port, hosts[0], hosts[1], hosts[2])))
	used := map[string]int{}
	for i := range 60 {
		client := header("X-Forwarded-For", fmt.Sprintf("10.0.0.%d", i))
		_, first := g.get("/", client)
		used[first]++
		for range 3 {
			if _, again := g.get("/", client); again != first {
				t.Fatalf("client %d went to %s, then to %s", i, first, again)
			}
		}
	}
	for _, h := range hosts {
		if used[h] < 5 {
			t.Errorf("60 clients are on %v", used)
		}
	}
}
