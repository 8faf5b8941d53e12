package proxy_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy"
	"github.com/gridway/gridway/internal/telemetry/accesslog"
	"github.com/gridway/gridway/internal/wire/tlsx/meshtest"
)

const edgeID = "spiffe://example.org/ns/default/sa/edge"

// vouching is an edge that knows ada by a key, a workload of the mesh, and the outbound
// proxy of another one.
type vouching struct {
	authority             *meshtest.Authority
	edge, inner, outbound *harness
	innerID               *meshtest.Identities
	log                   *logged
}

type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// said takes what was logged.
func (l *logged) said(t *testing.T, what string) {
	t.Helper()
	waitFor(t, what+" in the log", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return strings.Contains(l.text.String(), what)
	})
}

// startVouching leads edge and outbound to the workload with app, and to the address
// plain, which is not in the mesh.
func startVouching(t *testing.T, app, plain string, change ...func(edge, inner *ir.Config)) *vouching {
	t.Helper()
	a := meshtest.NewAuthority(t)
	v := &vouching{authority: a, innerID: meshtest.New(a, reviewsID), log: &logged{}}
	edge, inner, out := config(), config(app), config()
	l := inner.Listeners[0]
	l.Protocol, l.Mesh, l.Client.KeepRequestID = ir.HTTPS, true, true
	l.Sections[0].Protocol, l.Sections[0].ServerNames = ir.HTTP, []string{reviewsAt}
	digest := sha256.Sum256([]byte("the key of ada, long enough"))
	edge.Consumers = []*ir.Consumer{{Namespace: "default", Name: "ada", Groups: []string{"staff"}, GroupList: "staff", Credentials: []ir.ConsumerCredential{{Name: "key", KeyDigest: digest[:]}}}}
	edge.Listeners[0].Vouching = &ir.Vouching{Lifetime: 30 * time.Second}
	edge.Routes[0].Rules[0].Policy.Authentication = &ir.Authentication{
		Policy: "default/keys", Namespace: "default", Optional: true,
		AnyOf: []ir.AuthenticationMethod{{Name: "keys", APIKey: &ir.APIKeyAuth{From: []ir.CredentialSource{{Header: "X-API-Key"}}}}},
	}
	outbound(ir.EgressAllow, []string{"reviews:9080"}, "")(out)
	out.Listeners[0].Client.KeepRequestID, out.Listeners[0].Local = true, true
	for _, f := range change {
		f(edge, inner)
	}
	access := accesslog.New(v.log, accesslog.Options{})
	v.inner = startWith(t, proxy.Options{Identities: v.innerID, AccessLog: access}, inner)
	t.Cleanup(func() { _ = access.Close(context.Background()) })
	for _, cfg := range []*ir.Config{edge, out} {
		cfg.Clusters[0].Endpoints = []ir.Endpoint{{Address: v.inner.addr, Weight: 1, Identity: reviewsID, ServerName: reviewsAt}}
		if plain != "" {
			cfg.Clusters[0].Endpoints = append(cfg.Clusters[0].Endpoints, ir.Endpoint{Address: plain, Weight: 1})
		}
	}
	v.edge = startWith(t, proxy.Options{Identities: meshtest.New(a, edgeID)}, edge)
	v.outbound = startWith(t, proxy.Options{Identities: meshtest.New(a, shopID)}, out)
	return v
}

// send sends a request with headers, "Name", "value", …
func (h *harness) send(c *http.Client, url string, headers ...string) *http.Response {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), "GET", url, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header[headers[i]] = append(r.Header[headers[i]], headers[i+1])
	}
	resp, err := c.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return resp
}

func (v *vouching) atEdge(headers ...string) *http.Response {
	return v.edge.send(http.DefaultClient, "http://"+v.edge.addr+"/", headers...)
}

// passedOn is a request of another workload's application.
func (v *vouching) passedOn(headers ...string) *http.Response {
	return v.outbound.send(v.outbound.through(), "http://reviews:9080/", headers...)
}

// seeing is an application that says what it has seen of the caller.
func seeing(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Name", name)
		w.Header().Set("X-Token", r.Header.Get("Gridway-Caller")+r.Header.Get("Gridway_Caller"))
		w.Header().Set("X-Id", r.Header.Get("X-Request-Id"))
	}
}

func staffOnly(_, inner *ir.Config) {
	rule := ir.AuthorizationRule{Name: "staff", AuthorizationConditions: ir.AuthorizationConditions{Groups: []string{"staff"}}}
	inner.Authorizations = []*ir.Authorization{{Policy: "default/staff", Action: ir.AuthorizationAllow, Rules: []ir.AuthorizationRule{rule}, Hash: 1}}
	inner.Routes[0].Rules[0].Policy.Authorization = inner.Authorizations
}

func TestVouching(t *testing.T) {
	v := startVouching(t, serve(t, seeing("inner")), "", staffOnly)
	if resp := v.atEdge(); resp.StatusCode != 403 {
		t.Errorf("nobody gets %s", resp.Status)
	}
	resp := v.atEdge("X-API-Key", "the key of ada, long enough")
	token, id := resp.Header.Get("X-Token"), resp.Header.Get("X-Id")
	if resp.StatusCode != 200 || strings.Count(token, ".") != 2 || id == "" {
		t.Fatalf("%s, %q for %q", resp.Status, token, id)
	}
	v.log.said(t, `"consumer":"default/ada"`)
	pass := func(status int, fault string, headers ...string) {
		t.Helper()
		if resp := v.passedOn(headers...); resp.StatusCode != status {
			t.Errorf("%q: %s, want %d", fault, resp.Status, status)
		}
		if fault != "" {
			v.log.said(t, `"auth_faults":"gridway-caller:`+fault+`"`)
		}
	}
	pass(200, "", "Gridway-Caller", token, "X-Request-Id", id)
	pass(403, "")
	pass(403, "other_request", "Gridway-Caller", token)
	pass(403, "bad_signature", "Gridway-Caller", token[:len(token)-2]+"AA", "X-Request-Id", id)
	pass(403, "ambiguous", "Gridway-Caller", token, "Gridway-Caller", token, "X-Request-Id", id)
	if resp := v.atEdge("Gridway-Caller", token, "X-Request-Id", id); resp.StatusCode != 403 {
		t.Errorf("an edge believes its client: %s", resp.Status)
	}
	v.innerID.Deny(edgeID)
	pass(403, "untrusted", "Gridway-Caller", token, "X-Request-Id", id)
}

// What applications get is what was believed, under one name.
func TestVouchedHeader(t *testing.T) {
	v := startVouching(t, serve(t, seeing("inner")), "")
	for _, headers := range [][]string{
		{"Gridway-Caller", "a.b.c"}, {"Gridway_Caller", "a.b.c"}, {"gridway-caller", "a.b.c"},
	} {
		if got := v.atEdge(headers...).Header.Get("X-Token"); got != "" {
			t.Errorf("an application sees %q at the edge's word", got)
		}
		if got := v.passedOn(headers...).Header.Get("X-Token"); got != "" {
			t.Errorf("an application sees %q of another", got)
		}
	}
}

// Nothing of the caller goes to endpoints outside of the mesh, in whatever order they
// are tried, nor to where copies go.
func TestVouchingStaysInside(t *testing.T) {
	copies := make(chan string, 8)
	outside := serve(t, func(_ http.ResponseWriter, r *http.Request) { copies <- r.Header.Get("Gridway-Caller") })
	v := startVouching(t, serve(t, seeing("inner")), serve(t, seeing("plain")), func(edge, _ *ir.Config) {
		c := *edge.Clusters[0]
		c.Name, c.Hash, c.Endpoints = "Backend/default/copies", 2, []ir.Endpoint{{Address: outside, Weight: 1}}
		edge.Clusters = append(edge.Clusters, &c)
		edge.Routes[0].Rules[0].Filters.Mirrors = []ir.Mirror{{Cluster: c.Name, Numerator: 1, Denominator: 1}}
	})
	token := ""
	for token == "" {
		token = v.atEdge("X-API-Key", "the key of ada, long enough").Header.Get("X-Token")
	}
	seen := map[string]int{}
	for range 4 {
		resp := v.atEdge("X-API-Key", "the key of ada, long enough")
		seen[fmt.Sprint(resp.Header.Get("X-Name"), resp.Header.Get("X-Token") != "")]++
		resp = v.passedOn("Gridway-Caller", token)
		seen[fmt.Sprint("passed on ", resp.Header.Get("X-Name"))]++
		if resp.Header.Get("X-Name") == "plain" && resp.Header.Get("X-Token") != "" {
			t.Error("an endpoint outside of the mesh gets the token that an application has sent")
		}
	}
	want := map[string]int{"innertrue": 2, "plainfalse": 2, "passed on inner": 2, "passed on plain": 2}
	if !maps.Equal(seen, want) {
		t.Errorf("%v", seen)
	}
	for range 4 + 1 {
		if got := <-copies; got != "" {
			t.Errorf("a copy outside of the mesh has %q", got)
		}
	}
	// What is no service at all.
	if resp := v.outbound.send(v.outbound.through(), "http://"+outside+"/", "Gridway-Caller", token); resp.StatusCode != 200 {
		t.Error(resp.Status)
	}
	if got := <-copies; got != "" {
		t.Errorf("what is outside gets %q", got)
	}
}
