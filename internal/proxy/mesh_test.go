package proxy_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy"
	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/tlsx/meshtest"
)

const (
	shopID    = "spiffe://example.org/ns/default/sa/shop"
	reviewsID = "spiffe://example.org/ns/default/sa/reviews"
	ratingsID = "spiffe://example.org/ns/default/sa/ratings"
	reviewsAt = "9080.reviews.default.mesh"
)

// meshPair is a client's proxy, a server's proxy, and what is between them.
type meshPair struct {
	authority       *meshtest.Authority
	client, server  *harness
	clientID, svcID *meshtest.Identities
}

// startMesh runs app behind a proxy of the mesh, and a proxy that leads there.
func startMesh(t *testing.T, app string, change ...func(client, server *ir.Config)) *meshPair {
	t.Helper()
	return startLoggedMesh(t, app, nil, nil, change...)
}

// startLoggedMesh is startMesh with logs, which may be nil.
func startLoggedMesh(t *testing.T, app string, clientLog, serverLog *slog.Logger, change ...func(client, server *ir.Config)) *meshPair {
	t.Helper()
	a := meshtest.NewAuthority(t)
	m := &meshPair{authority: a, clientID: meshtest.New(a, shopID), svcID: meshtest.New(a, reviewsID)}
	server, client := config(app), config("")
	l := server.Listeners[0]
	l.Protocol, l.Mesh = ir.HTTPS, true
	l.Sections[0].Protocol, l.Sections[0].ServerNames = ir.HTTP, []string{reviewsAt}
	for _, f := range change {
		f(client, server)
	}
	loops, err := loop.NewGroup(runtime.GOMAXPROCS(0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(loops.Close)
	m.server = startWith(t, proxy.Options{Identities: m.svcID, Log: serverLog, Loops: loops, Signals: observer("reviews")}, server)
	if e := client.Clusters[0].Endpoints; e[0].Address == "" {
		e[0] = ir.Endpoint{Address: m.server.addr, Weight: 1, Identity: reviewsID, ServerName: reviewsAt}
	}
	m.client = startWith(t, proxy.Options{Identities: m.clientID, Log: clientLog, Loops: loops, Signals: observer("shop")}, client)
	return m
}

func startWith(t *testing.T, o proxy.Options, cfg *ir.Config) *harness {
	t.Helper()
	o.IdleGrace = 20 * time.Millisecond
	h := &harness{t: t, proxy: proxy.New(o), cfg: cfg, signals: o.Signals}
	h.apply()
	var at netip.AddrPort
	for _, at = range h.proxy.Listening() {
	}
	h.addr = fmt.Sprintf("127.0.0.1:%d", at.Port())
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := h.proxy.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
	})
	return h
}

// edit makes the next configuration of the one that serves.
func (h *harness) edit() *ir.Config {
	h.t.Helper()
	b, err := json.Marshal(h.cfg)
	if err != nil {
		h.t.Fatal(err)
	}
	h.cfg = new(ir.Config)
	if err := json.Unmarshal(b, h.cfg); err != nil {
		h.t.Fatal(err)
	}
	return h.cfg
}

func TestMeshExchange(t *testing.T) {
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", r.Proto+" "+r.Host+" "+r.Header.Get("X-Forwarded-Client-Cert")+" "+r.Header.Get("X-Forwarded-Proto"))
		fmt.Fprintf(w, "%s %s %s", r.Method, r.URL, body)
	})
	m := startMesh(t, app, func(_, server *ir.Config) {
		server.Listeners[0].Client.ClientCert = ir.ForwardedClientCert{Mode: ir.ClientCertSanitizeSet, URI: true}
		server.Listeners[0].Sections[0].Identity = reviewsID
	})
	for range 3 {
		resp, body := m.client.get("/a?b")
		seen := resp.Header.Get("X-Seen")
		if resp.StatusCode != 200 || body != "GET /a?b " || !strings.HasPrefix(seen, "HTTP/1.1 "+m.client.addr+" By="+reviewsID+";Hash=") ||
			!strings.HasSuffix(seen, ";URI="+shopID+" http") {
			t.Fatalf("%d %q %q", resp.StatusCode, body, seen)
		}
	}
	resp, err := http.Post("http://"+m.client.addr+"/post", "text/plain", strings.NewReader(strings.Repeat("x", 1<<20)))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); len(body) != len("POST /post ")+1<<20 {
		t.Errorf("%d bytes", len(body))
	}
	if n := m.server.proxy.Left(); n != 1 {
		t.Errorf("%d connections carry it", n)
	}
}

// Trailers, WebSockets and requests that their clients have begun with HTTP/2 all ride
// the same connection; the application is spoken to as its cluster says.
func TestMeshKindsOfExchanges(t *testing.T) {
	app := serveCleartext(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		w.(http.Flusher).Flush()
		n, _ := io.Copy(flushing{w}, r.Body)
		w.Header().Set("X-Sum", fmt.Sprint(n, " ", r.Proto, " ", r.Trailer.Get("X-End")))
	})
	m := startMesh(t, app, func(_, server *ir.Config) { server.Clusters[0].HTTP2 = true })
	for _, version := range []int{1, 2} {
		transport := &http.Transport{Protocols: new(http.Protocols)}
		transport.Protocols.SetHTTP1(version == 1)
		transport.Protocols.SetUnencryptedHTTP2(version == 2)
		defer transport.CloseIdleConnections()
		body, w := io.Pipe()
		r, _ := http.NewRequest("POST", "http://"+m.client.addr, body)
		r.Trailer = http.Header{"X-End": nil}
		resp, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 4)
		for range 3 { // each piece passes before the next is sent
			io.WriteString(w, "ping")
			if _, err := io.ReadFull(resp.Body, b); err != nil || string(b) != "ping" {
				rest, _ := io.ReadAll(resp.Body)
				t.Fatalf("HTTP/%d: %s %q %v %s", version, resp.Status, b, err, rest)
			}
		}
		r.Trailer.Set("X-End", "yes")
		w.Close()
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if got := resp.Trailer.Get("X-Sum"); got != "12 HTTP/2.0 yes" {
			t.Errorf("HTTP/%d: %q", version, got)
		}
	}
}

// flushing passes on at once what a handler writes.
type flushing struct{ http.ResponseWriter }

func (w flushing) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.ResponseWriter.(http.Flusher).Flush()
	return n, err
}

// serveCleartext is serve for HTTP/2 without TLS.
func serveCleartext(t *testing.T, h http.HandlerFunc) string {
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// A cluster may have endpoints of the mesh and others while a service moves in, and
// WebSockets go to both.
func TestMeshMixedCluster(t *testing.T) {
	behind, beside := serve(t, echoWebSocket("mesh")), serve(t, echoWebSocket("plain"))
	m := startMesh(t, behind)
	cluster := m.client.edit().Clusters[0]
	cluster.Endpoints = append(cluster.Endpoints, ir.Endpoint{Address: beside, Weight: 1})
	m.client.apply()
	seen := map[string]int{}
	for range 6 {
		resp, body := m.client.get("/")
		if resp.StatusCode != 200 {
			t.Fatal(resp.Status)
		}
		seen[body]++
	}
	for range 6 {
		c, _, _, err := ws.Dial(t.Context(), "ws://"+m.client.addr+"/")
		if err != nil {
			t.Fatal(err)
		}
		if err := wsutil.WriteClientText(c, []byte("hi")); err != nil {
			t.Fatal(err)
		}
		answer, err := wsutil.ReadServerText(c)
		if err != nil {
			t.Fatal(err)
		}
		seen["websocket "+string(answer)]++
		c.Close()
	}
	want := map[string]int{"mesh": 3, "plain": 3, "websocket mesh hi": 3, "websocket plain hi": 3}
	if !maps.Equal(seen, want) {
		t.Errorf("seen %v", seen)
	}
}

// echoWebSocket answers messages, and requests with its name.
func echoWebSocket(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			io.WriteString(w, name)
			return
		}
		c, _, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			return
		}
		defer c.Close()
		for {
			message, err := wsutil.ReadClientText(c)
			if err != nil || wsutil.WriteServerText(c, append([]byte(name+" "), message...)) != nil {
				return
			}
		}
	}
}

// An endpoint that is to be another one gets connections of its own.
func TestMeshIdentityChanges(t *testing.T) {
	m := startMesh(t, serve(t, sayHello))
	m.some(t, 3)
	e := m.client.cfg.Clusters[0].Endpoints[0]
	e.Identity = ratingsID
	m.client.proxy.Update(ir.EndpointUpdate{Cluster: "Backend/default/app", Endpoints: []ir.Endpoint{e}})
	if resp, _ := m.client.get("/"); resp.Header.Get("X-Gridway-Reason") != "MeshTLSFailure" {
		t.Errorf("the connection of %s has served %s: %s", reviewsID, ratingsID, resp.Status)
	}
	m.svcID.Add(reviewsID, m.authority.Issue(ratingsID, time.Hour))
	m.some(t, 3)
	// Two workloads behind one address are two endpoints.
	m.svcID.Add(ratingsID, m.authority.Issue(ratingsID, time.Hour))
	m.svcID.Add(reviewsID, m.authority.Issue(reviewsID, time.Hour))
	l := m.server.edit().Listeners[0]
	other := *l.Sections[0]
	other.Name, other.ServerNames, other.Identity = "Gateway/default/edge/ratings", []string{"ratings"}, ratingsID
	l.Sections = append(l.Sections, &other)
	m.server.apply()
	e.ServerName = "ratings"
	was := m.client.cfg.Clusters[0].Endpoints[0]
	m.client.proxy.Update(ir.EndpointUpdate{Cluster: "Backend/default/app", Endpoints: []ir.Endpoint{was, e}})
	m.some(t, 6)
	for _, e := range m.client.proxy.Upstreams().Cluster("Backend/default/app").Snapshot().Endpoints {
		if e.Tries == 0 { // a request may not have been counted as over when the next one came
			t.Errorf("%+v", e)
		}
	}
}

// A section that is gone ends its connections with what they carry, and a client that
// comes again is refused.
func TestMeshSectionGone(t *testing.T) {
	m := startMesh(t, serve(t, sayHello))
	m.some(t, 3)
	l := m.server.edit().Listeners[0]
	l.Sections[0].ServerNames, l.Sections[0].Name = []string{"other"}, "Gateway/default/edge/other"
	m.server.apply()
	m.some(t, 1) // which the connection that there is still carries
	waitFor(t, "its end", func() bool {
		resp, _ := m.client.get("/")
		return resp.Header.Get("X-Gridway-Reason") == "MeshTLSFailure"
	})
}

// Who the client's proxy is decides what it may, and is in the log.
func TestMeshAuthorization(t *testing.T) {
	for id, status := range map[string]int{shopID: 200, "spiffe://example.org/ns/default/*": 200, ratingsID: 403} {
		m := startMesh(t, serve(t, sayHello), func(_, server *ir.Config) {
			rule := ir.AuthorizationRule{Name: "clients", AuthorizationConditions: ir.AuthorizationConditions{Identities: []string{id}}}
			a := &ir.Authorization{Policy: "default/clients", Action: ir.AuthorizationAllow, Rules: []ir.AuthorizationRule{rule}, Hash: 1}
			server.Authorizations = []*ir.Authorization{a}
			server.Routes[0].Rules[0].Policy.Authorization = server.Authorizations
		})
		if resp, _ := m.client.get("/"); resp.StatusCode != status {
			t.Errorf("%s is allowed: %s", id, resp.Status)
		}
	}
}
