package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/telemetry/signal"
)

// observer counts for a workload of a mesh.
func observer(service string) *signal.Observer {
	return &signal.Observer{
		Recorder: signal.New(nil), TrustDomain: "example.org", Self: signal.Of(signal.Party{Kind: signal.Service, Namespace: "default", Name: service}),
	}
}

// edges are what was counted, once it is that many requests, in text and sorted.
func (h *harness) edges(requests uint64) []string {
	h.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		list, _ := h.signals.Totals()
		var out []string
		n := uint64(0)
		for _, e := range list {
			n += e.Count()
			text := fmt.Sprintf("%s: %s > %s %s %s", e.Side, e.Source.Party().ID(), e.Destination.Party().ID(), e.Protocol, e.Route)
			if e.MutualTLS {
				text += " mTLS"
			}
			for class, n := range e.Classes {
				if n > 0 {
					text += fmt.Sprintf(" %dxx=%d", class, n)
				}
			}
			if e.Errors > 0 {
				text += fmt.Sprintf(" errors=%d", e.Errors)
			}
			if e.Open != 0 {
				text += fmt.Sprintf(" open=%d", e.Open)
			}
			out = append(out, text)
		}
		if n >= requests || time.Now().After(end) {
			slices.Sort(out)
			return out
		}
	}
}

func (h *harness) wantEdges(requests uint64, want ...string) {
	h.t.Helper()
	if got := h.edges(requests); !slices.Equal(got, want) {
		h.t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A Gateway without a mesh has an edge from its clients and one to each backend.
func TestSignalsOfAGateway(t *testing.T) {
	h := start(t, []string{serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/broken" {
			w.WriteHeader(500)
		}
		io.WriteString(w, "hello")
	})}, func(cfg *ir.Config) {
		cfg.Routes[0].Rules[0].Matches[0].Path.Value = "/"
		gone := *cfg.Clusters[0]
		gone.Name, gone.Hash, gone.Endpoints = "Backend/default/gone", 7, []ir.Endpoint{{Address: "127.0.0.1:1", Weight: 1}}
		cfg.Clusters = append(cfg.Clusters, &gone)
		cfg.Routes[0].Rules = append(cfg.Routes[0].Rules, &ir.Rule{
			ID: "HTTPRoute/default/app/rules/1", Matches: []ir.Match{{Path: ir.PathMatch{Type: ir.Prefix, Value: "/gone"}}},
			Backends: []ir.BackendRef{{Cluster: gone.Name, Weight: 1, Ref: ir.Ref{Kind: "Service", Namespace: "shop", Name: "gone"}}},
		})
		cfg.Routes[0].Rules[0], cfg.Routes[0].Rules[1] = cfg.Routes[0].Rules[1], cfg.Routes[0].Rules[0]
	})
	for range 3 {
		h.get("/")
	}
	h.get("/broken")
	h.get("/gone")
	h.wantEdges(10,
		"client: gateway:default/edge > backend:default/app HTTP HTTPRoute/default/app 2xx=3 5xx=1 errors=1",
		"client: gateway:default/edge > shop/gone HTTP HTTPRoute/default/app 0xx=1 errors=1",
		"server: internet > gateway:default/edge HTTP HTTPRoute/default/app 2xx=3 5xx=2 errors=2",
	)
}

// Both proxies of a mesh tell of a request, each from its side.
func TestSignalsOfAMesh(t *testing.T) {
	m := startMesh(t, serve(t, says("app")), asSidecars)
	for range 3 {
		m.client.get("/")
	}
	m.client.wantEdges(3, "client: default/shop > default/reviews HTTP HTTPRoute/default/app mTLS 2xx=3")
	m.server.wantEdges(3, "server: default/shop > default/reviews HTTP HTTPRoute/default/app mTLS 2xx=3")
}

// What a breaker refuses has no connection, and is not plaintext for that.
func TestSignalsOfRefusedRequests(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	m := startMesh(t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
		io.WriteString(w, "late")
	}), func(client, server *ir.Config) {
		asSidecars(client, server)
		client.Clusters[0].Breaker = &ir.Breaker{MaxRequests: 1}
	})
	first := make(chan struct{})
	go func() {
		defer close(first)
		m.client.get("/")
	}()
	<-arrived
	m.client.get("/")
	close(release)
	<-first
	m.client.wantEdges(2, "client: default/shop > default/reviews HTTP HTTPRoute/default/app mTLS 0xx=1 2xx=1 errors=1")
}

// asSidecars makes one proxy a workload's and the other that of its client.
func asSidecars(client, server *ir.Config) {
	ref := ir.Ref{Kind: "Service", Namespace: "default", Name: "reviews"}
	s := server.Listeners[0].Sections[0]
	s.Identity, s.ServicePort, s.Ref = reviewsID, 9080, ref
	c := client.Listeners[0].Sections[0]
	c.ServicePort, c.Ref = 9080, ref
	for _, r := range client.Routes {
		r.Rules[0].Backends[0].Ref = ref
	}
	for _, r := range client.Streams {
		r.Backends[0].Ref = ref
	}
}

// A connection of TCP is open as long as it is, and counts when it has ended.
func TestSignalsOfConnections(t *testing.T) {
	m := startMeshStreams(t, named(t, "one"), asSidecars)
	c := m.client.connect()
	if got := greeting(c); got != "one" {
		t.Fatalf("got %q", got)
	}
	open := " default/shop > default/reviews TCP TCPRoute/default/app mTLS open=1"
	m.client.wantEdges(0, "client:"+open)
	m.server.wantEdges(0, "server:"+open)
	io.WriteString(c, "hello")
	c.CloseWrite()
	io.ReadAll(c)
	closed := " default/shop > default/reviews TCP TCPRoute/default/app mTLS 2xx=1"
	m.client.wantEdges(1, "client:"+closed)
	m.server.wantEdges(1, "server:"+closed)
}

// A session of UDP is open while it lasts, and then counts with its datagrams; how long it
// was silent before it ended is no latency.
func TestSignalsOfDatagrams(t *testing.T) {
	idle := 300 * time.Millisecond
	h := start(t, nil, datagrams([]string{answers(t, "a")}), func(cfg *ir.Config) {
		cfg.Streams[0].Idle = idle
		cfg.Streams[0].Backends[0].Ref = ir.Ref{Kind: "Backend", Namespace: "default", Name: "logs"}
	})
	c := h.udp()
	for range 3 {
		if _, _, err := ask(c, 10, 10*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	got := h.edges(2)
	if len(got) != 2 || !strings.HasPrefix(got[0], "client: gateway:") || !strings.Contains(got[0], " > backend:default/logs UDP ") || !strings.HasPrefix(got[1], "server: internet > gateway:") {
		t.Errorf("%q", got)
	}
	list, _ := h.signals.Totals()
	for _, e := range list {
		if e.InDatagrams != 3 || e.OutDatagrams != 3 || e.In != 30 || e.Out == 0 || e.Open != 0 || time.Duration(e.Nanos) >= idle {
			t.Errorf("%s: %d and %d datagrams of %d and %d bytes, %d open, %s", e.Side, e.InDatagrams, e.OutDatagrams, e.In, e.Out, e.Open, time.Duration(e.Nanos))
		}
	}
}

// Nobody listens at the endpoint: the session has failed.
func TestSignalsOfRefusedDatagrams(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := start(t, nil, datagrams([]string{pc.LocalAddr().String()}), func(cfg *ir.Config) {
		cfg.Streams[0].Backends[0].Ref = ir.Ref{Kind: "Backend", Namespace: "default", Name: "logs"}
	})
	if err := pc.Close(); err != nil {
		t.Fatal(err)
	}
	c := h.udp()
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	got := h.edges(2)
	if len(got) != 2 {
		t.Errorf("%q", got)
	}
	for _, line := range got {
		if !strings.Contains(line, " UDP ") || !strings.Contains(line, "errors=") || strings.Contains(line, "2xx") {
			t.Error(line)
		}
	}
}

// How long a stream lasts is no latency: what counts is when its answer began.
func TestSignalsOfLongStreams(t *testing.T) {
	for _, media := range []string{"text/event-stream", "application/grpc"} {
		over := make(chan struct{})
		h := start(t, []string{serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Content-Type") == "application/grpc" {
				w.Header().Set("Trailer", "Grpc-Status")
			}
			w.Header().Set("Content-Type", media)
			io.WriteString(w, "data: 1\n\n")
			http.NewResponseController(w).Flush()
			<-over
			io.WriteString(w, "data: 2\n\n")
			w.Header().Set("Grpc-Status", "0")
		})}, func(*ir.Config) {})
		req, err := http.NewRequest("POST", "http://"+h.addr+"/app", strings.NewReader(""))
		if err != nil {
			t.Fatal(err)
		}
		if media == "application/grpc" {
			req.Header.Set("Content-Type", media)
			req.Header.Set("Te", "trailers")
		}
		began := time.Now()
		resp, err := h.multiplexed().Do(req) // gRPC needs HTTP/2
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.ReadFull(resp.Body, make([]byte, 1))
		first := time.Since(began)
		for time.Since(began) < 3*first+20*time.Millisecond { // it lasts for longer than the answer took
			h.edges(0)
		}
		close(over)
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		h.edges(2)
		list, _ := h.signals.Totals()
		for i := range list {
			if e := &list[i]; e.Count() != 1 || time.Duration(e.Nanos) > first {
				t.Errorf("%s: %d requests from %s took %s, and the answer began within %s", media, e.Count(), e.Source.Party().ID(), time.Duration(e.Nanos), first)
			}
		}
	}
}

// Hosts that nobody has configured are told apart; what is denied was never called.
func TestSignalsOfWhatIsOutside(t *testing.T) {
	outside := serve(t, says("outside"))
	h := start(t, []string{serve(t, says("mesh"))}, outbound(ir.EgressAllow, []string{"reviews"}, ""))
	c := h.through()
	h.fetch(c, "http://reviews/")
	h.fetch(c, "http://"+outside+"/")
	r, conn, _ := h.connectTo(outside, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	if resp, err := http.ReadResponse(bufio.NewReader(r), nil); err != nil || resp.StatusCode != 200 {
		t.Fatal(err)
	}
	conn.Close()
	h.wantEdges(3,
		"client: unknown > backend:default/app HTTP HTTPRoute/default/app 2xx=1",
		"client: unknown > external:"+outside+" HTTP Egress/-/127.0.0.1:0 2xx=1",
		"client: unknown > external:"+outside+" TCP Egress/-/127.0.0.1:0 2xx=1",
	)
}
