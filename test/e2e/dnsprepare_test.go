package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	mdns "github.com/miekg/dns"
)

// byName is a Backend of one name, and a route to it.
func byName(name, fields, resolver string) string {
	return documents(strings.Replace(dnsBackend(resolver, fields), "name: app", "name: "+name, 1), fmt.Sprintf(`apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: %[1]s}
spec:
  parentRefs: [{name: edge}]
  rules:
  - matches: [{path: {type: PathPrefix, value: /%[1]s}}]
    backendRefs: [{group: gridway.dev, kind: Backend, name: %[1]s}]
`, name))
}

// A process that is ready, and a route that is served, know their endpoints,
// however slow the resolver is; nothing is answered 503.
func TestNamesAreResolvedBeforeTheyServe(t *testing.T) {
	t.Parallel()
	app, _ := onePort(t, "127.0.81.1", "127.0.81.2")
	s := startNameServer(t)
	records := []string{
		"app.test. 60 A 127.0.81.1", "two.test. 60 A 127.0.81.2",
		fmt.Sprintf("_http._tcp.two.test. 60 SRV 1 1 %d two.test.", app),
	}
	s.say(records...)
	slow := func(mdns.ResponseWriter, *mdns.Msg, *mdns.Msg) bool {
		<-time.After(50 * time.Millisecond)
		return false
	}
	s.behave(slow)
	port := ownPort(t)
	doc := documents(plainOn(port), byName("app", fmt.Sprintf("name: app.test, port: %d", app), s.addr))
	p := start(t, doc)
	if by := fetch(t, port, "/app"); by != "127.0.81.1" {
		t.Errorf("the first request after the start is answered by %q", by)
	}

	// From the first moment that a new route answers, its endpoints do.
	added := byName("two", "name: _http._tcp.two.test, type: SRV", s.addr)
	doc = documents(doc, added)
	p.write(doc)
	var by string
	eventually(t, "the new route serves", func() bool { by = fetch(t, port, "/two"); return by != "RouteNotFound" })
	if by != "127.0.81.2" {
		t.Errorf("the first request to a new route is answered by %q", by)
	}

	// A Backend whose name changes goes from one to the next.
	s.say(append(records, "other.test. 60 A 127.0.81.2")...)
	s.behave(slow)
	p.write(strings.Replace(doc, "name: app.test", "name: other.test", 1))
	eventually(t, "the other name is used", func() bool {
		by := fetch(t, port, "/app")
		if by != "127.0.81.1" && by != "127.0.81.2" {
			t.Errorf("in between, a request is answered by %q", by)
		}
		return by == "127.0.81.2"
	})
}

// A resolver that says nothing holds nothing up for good: the process becomes
// ready, other changes serve, and so does the name when the resolver is back.
func TestSilentResolverOfAProcess(t *testing.T) {
	t.Parallel()
	app, _ := onePort(t, "127.0.82.1", "127.0.82.2")
	s := startNameServer(t)
	mute := func(mdns.ResponseWriter, *mdns.Msg, *mdns.Msg) bool { return true }
	s.behave(mute)
	port := ownPort(t)
	doc := documents(plainOn(port), byName("app", fmt.Sprintf("name: app.test, port: %d", app), s.addr))
	p := start(t, doc)
	if by := fetch(t, port, "/app"); by != "NoHealthyEndpoint" {
		t.Errorf("a name that nobody knows is answered by %q", by)
	}
	p.said("nobody has answered in time", "app.test")
	p.reload(documents(doc, byName("two", fmt.Sprintf("name: two.test, port: %d", app), s.addr), fmt.Sprintf(`apiVersion: gridway.dev/v1alpha1
kind: Backend
metadata: {name: three}
spec:
  endpoints: [{address: "127.0.82.2:%d"}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: three}
spec:
  parentRefs: [{name: edge}]
  rules:
  - matches: [{path: {type: PathPrefix, value: /three}}]
    backendRefs: [{group: gridway.dev, kind: Backend, name: three}]
`, app)))
	if by := fetch(t, port, "/three"); by != "127.0.82.2" {
		t.Errorf("another route of the same change is answered by %q", by)
	}
	s.say("app.test. 60 A 127.0.82.1", "two.test. 60 A 127.0.82.2")
	eventually(t, "the names are known", func() bool { return fetch(t, port, "/app") == "127.0.82.1" && fetch(t, port, "/two") == "127.0.82.2" })
}
