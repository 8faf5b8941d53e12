package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/gridway/gridway/bench/load"
	"github.com/gridway/gridway/bench/peers"
)

// workload is one case: traffic of one kind through several proxies.
type workload struct {
	name, title string
	conns       int
	target      load.Target // Addr and TLS are each proxy's own
	tls         bool
	rate        float64 // of the latency measurement; 0 is none
	rateConns   int
	callers     int // whose API keys the requests have
	proxies     []peers.Spec
	long        bool // left out of a quick run
}

// builds is the case with two builds of Gridway, and without what they are
// compared with otherwise.
func (w workload) builds() workload {
	i := slices.IndexFunc(w.proxies, func(s peers.Spec) bool { return s.Kind == peers.Gridway })
	now := w.proxies[i]
	before := now
	before.Kind, before.Label = peers.Before, string(peers.Before)
	w.proxies, w.rate = []peers.Spec{now, before}, 0
	return w
}

// manyRoutes of the case that compares them with few. A quick run has fewer,
// since so many take long to load.
func manyRoutes(quick bool) int {
	if quick {
		return 10_000
	}
	return 100_000
}

// callers of the cases in which somebody asks who calls.
const callers = 1000

// everyone is all four, with the same wishes.
func everyone(s peers.Spec) []peers.Spec {
	var specs []peers.Spec
	for _, k := range []peers.Kind{peers.Gridway, peers.NGINX, peers.HAProxy, peers.ReverseProxy} {
		s.Kind, s.Label = k, string(k)
		specs = append(specs, s)
	}
	return specs
}

// thousands writes a whole number of thousands as people do.
func thousands(n int) string { return fmt.Sprintf("%d,%03d", n/1000, n%1000) }

// suite lists the cases in the order in which they run.
func suite(quick bool) []workload {
	plain := everyone(peers.Spec{})
	most := plain
	if quick {
		most = plain[:3] // ReverseProxy, which its aim compares in one case, is left out of the others
	}
	get := func(path string) load.Target { return load.Target{Path: path} }
	put := func(n int) load.Target { return load.Target{Path: "/upload", Upload: n} }
	h2 := func(streams int) load.Target { return load.Target{Path: "/1k", Traffic: load.HTTP2, Streams: streams} }
	three := plain[:3]
	raw := everyone(peers.Spec{Raw: true})[:3]
	toHTTP2 := everyone(peers.Spec{BackendHTTP2: true})
	toHTTP2 = append(toHTTP2[:1], toHTTP2[2:]...) // NGINX speaks HTTP/2 to backends of gRPC only
	many := manyRoutes(quick)
	// traced is a request as a browser's code sends it.
	traced := load.Target{Path: "/1k", Headers: []string{
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) bench", "Accept: */*",
		"traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
	}}
	token := peers.NewToken(time.Now())
	// door is the three with a policy, and Gridway without.
	door := func(d peers.Door) []peers.Spec {
		return append(everyone(peers.Spec{Door: d})[:3], peers.Spec{Kind: peers.Gridway, Label: "gridway-bare"})
	}
	pair := func(m peers.Mesh) []peers.Spec { return everyone(peers.Spec{Mesh: m, Raw: m == peers.MeshTCP})[:3] }
	return append([]workload{
		{name: "plain-1", title: "GET 1 KiB, 1 connection", conns: 1, target: get("/1k"), rate: 1000, rateConns: 1, proxies: most},
		{name: "plain-64", title: "GET 1 KiB, 64 connections", conns: 64, target: get("/1k"), rate: 2000, rateConns: 64, proxies: plain},
		{name: "plain-512", title: "GET 1 KiB, 512 connections", conns: 512, target: get("/1k"), rate: 2000, rateConns: 512, proxies: most},
		{name: "down-64k", title: "GET 64 KiB", conns: 32, target: get("/files/64k"), rate: 500, rateConns: 32, proxies: most},
		{name: "down-10m", title: "GET 10 MiB", conns: 4, target: get("/files/10m"), rate: 10, rateConns: 4, proxies: most},
		{name: "up-1k", title: "POST 1 KiB", conns: 32, target: put(1 << 10), rate: 2000, rateConns: 32, proxies: most, long: true},
		{name: "up-64k", title: "POST 64 KiB", conns: 32, target: put(64 << 10), rate: 500, rateConns: 32, proxies: most},
		{name: "up-10m", title: "POST 10 MiB", conns: 4, target: put(10 << 20), rate: 10, rateConns: 4, proxies: most},
		{name: "tls-64", title: "TLS 1.3, GET 1 KiB", conns: 64, target: get("/1k"), tls: true, rate: 2000, rateConns: 64, proxies: most},
		{name: "close", title: "New connection per request", conns: 64, target: load.Target{Path: "/1k", Close: true}, rate: 500, rateConns: 64, proxies: most},
		{name: "tls-close", title: "New TLS 1.3 connection per request", conns: 32, target: load.Target{Path: "/1k", Close: true}, tls: true, rate: 100, rateConns: 32, proxies: most, long: true},
		{name: "h2-1", title: "HTTP/2, GET 1 KiB, 1 connection with 100 streams", conns: 1, target: h2(100), rate: 2000, rateConns: 1, proxies: most},
		{name: "h2-64", title: "HTTP/2, GET 1 KiB, 64 connections with 8 streams", conns: 64, target: h2(8), rate: 2000, rateConns: 8, proxies: most},
		{name: "h2-tls", title: "HTTP/2 over TLS 1.3, GET 1 KiB, 64 connections with 8 streams", conns: 64, target: h2(8), tls: true, rate: 2000, rateConns: 8, proxies: most},
		{name: "h1-h2", title: "HTTP/1.1 to HTTP/2, GET 1 KiB, 64 connections", conns: 64, target: get("/1k"), rate: 2000, rateConns: 64, proxies: toHTTP2, long: true},
		{name: "h2-h2", title: "HTTP/2 to HTTP/2, GET 1 KiB, 64 connections with 8 streams", conns: 64, target: h2(8), rate: 2000, rateConns: 8, proxies: toHTTP2, long: true},
		{name: "grpc", title: "gRPC, unary calls of 100 bytes, 64 connections with 8 streams", conns: 64, target: load.Target{Path: "/bench.Echo/Unary", Traffic: load.GRPC, Streams: 8}, rate: 1000, rateConns: 8, proxies: three},
		{name: "grpc-stream", title: "gRPC, messages of 100 bytes, 16 connections with 4 streams", conns: 16, target: load.Target{Path: "/bench.Echo/Stream", Traffic: load.GRPCStream, Streams: 4}, rate: 1000, rateConns: 4, proxies: three},
		{name: "websocket", title: "WebSocket, messages of 64 bytes, 64 connections", conns: 64, target: load.Target{Path: "/ws", Traffic: load.WebSocket}, rate: 2000, rateConns: 64, proxies: three},
		{name: "tcp-64", title: "Raw TCP relay, exchanges of 1 KiB, 64 connections", conns: 64, target: get("/1k"), rate: 2000, rateConns: 64, proxies: raw},
		{name: "tcp-10m", title: "Raw TCP relay, 10 MiB to the client", conns: 4, target: get("/files/10m"), rate: 10, rateConns: 4, proxies: raw},
		{name: "mesh-http", title: "Two sidecars with mutual TLS, GET 1 KiB, 64 connections", conns: 64, target: get("/1k"), rate: 1000, rateConns: 64, proxies: pair(peers.MeshHTTP)},
		{name: "mesh-http-5k", title: "Two sidecars with mutual TLS, GET 1 KiB, 256 connections", conns: 256, target: get("/1k"), rate: 5000, rateConns: 64, proxies: pair(peers.MeshHTTP), long: true},
		{name: "mesh-grpc", title: "Two sidecars with mutual TLS, unary calls of 100 bytes, 64 connections with 8 streams", conns: 64, target: load.Target{Path: "/bench.Echo/Unary", Traffic: load.GRPC, Streams: 8}, rate: 1000, rateConns: 8, proxies: pair(peers.MeshGRPC)},
		{name: "mesh-tcp", title: "Two sidecars with mutual TLS, raw TCP, exchanges of 1 KiB, 64 connections", conns: 64, target: get("/1k"), rate: 1000, rateConns: 64, proxies: pair(peers.MeshTCP)},
		{
			name: "mesh-callers", title: "An edge and a sidecar with mutual TLS, API keys of 1,000 callers, of whom the sidecar is told", conns: 64, target: get("/1k"), callers: callers, rate: 1000, rateConns: 64,
			proxies: []peers.Spec{
				{Kind: peers.Gridway, Label: "gridway", Mesh: peers.MeshHTTP, Callers: peers.CallersTold},
				{Kind: peers.Gridway, Label: "gridway-untold", Mesh: peers.MeshHTTP, Callers: peers.CallersKept},
			},
		},
		{
			name: "routes", title: thousands(many) + " routes", conns: 64, target: load.Target{}, rate: 2000, rateConns: 64,
			proxies: []peers.Spec{
				{Kind: peers.Gridway, Label: "gridway", Routes: many},
				{Kind: peers.Gridway, Label: "gridway-10", Routes: 10},
				{Kind: peers.HAProxy, Label: "haproxy", Routes: many},
				{Kind: peers.HAProxy, Label: "haproxy-10", Routes: 10},
				{Kind: peers.NGINX, Label: "nginx-10", Routes: 10},
			},
		},
		{
			name: "everything", title: "Everything on", conns: 64, rate: 2000, rateConns: 64,
			target: traced,
			proxies: []peers.Spec{
				{Kind: peers.Gridway, Label: "gridway", Full: true},
				{Kind: peers.NGINX, Label: "nginx", Full: true},
				{Kind: peers.HAProxy, Label: "haproxy", Full: true},
				{Kind: peers.NGINX, Label: "nginx-bare"},
			},
		},
		{
			name: "telemetry", title: "Metrics, access log and 1 % of traces, against a build that counts nothing", conns: 64, target: get("/1k"), rate: 2000, rateConns: 64,
			proxies: []peers.Spec{
				{Kind: peers.Gridway, Label: "gridway", Telemetry: peers.Exported},
				{Kind: peers.Gridway, Label: "gridway-usual"},
				{Kind: peers.Uncounted, Label: "gridway-uncounted", Telemetry: peers.None},
			},
		},
		{name: "api-key", title: "API keys of 1,000 callers", conns: 64, target: get("/1k"), callers: callers, rate: 2000, rateConns: 64, proxies: door(peers.Door{Keys: callers})},
		{name: "rate-limit", title: "Rate limits of 1,000 callers", conns: 64, target: get("/1k"), callers: callers, rate: 2000, rateConns: 64, proxies: door(peers.Door{Limit: true})},
		{
			name: "rate-limit-together", title: "Rate limits of 1,000 callers, counted for several proxies together", conns: 64, target: get("/1k"),
			callers: callers, rate: 2000, rateConns: 64, long: true,
			proxies: []peers.Spec{
				{Kind: peers.Gridway, Label: "gridway-leases", Door: peers.Door{Limit: true, Store: peers.Leases}},
				{Kind: peers.Gridway, Label: "gridway-redis", Door: peers.Door{Limit: true, Store: peers.Redis}},
				{Kind: peers.Gridway, Label: "gridway-alone", Door: peers.Door{Limit: true}},
			},
		},
		{name: "shields", title: "10,000 networks and ten programs refused, headers for browsers", conns: 64, target: traced, rate: 2000, rateConns: 64, proxies: door(peers.Door{Shield: true})},
		{name: "authorization", title: "A rule about method, path and client", conns: 64, target: get("/1k"), rate: 2000, rateConns: 64, proxies: door(peers.Door{Rules: true})},
		{
			name: "jwt", title: "A JSON Web Token (EdDSA), the same in all requests", conns: 64, rate: 2000, rateConns: 64,
			target:  load.Target{Path: "/1k", Headers: []string{"Authorization: Bearer " + token}},
			proxies: []peers.Spec{{Kind: peers.Gridway, Label: "gridway", Door: peers.Door{Token: token}}, {Kind: peers.Gridway, Label: "gridway-bare"}},
		},
		{
			name: "auth-request", title: "Another server is asked about each request", conns: 64, target: get("/1k"), rate: 1000, rateConns: 64,
			proxies: []peers.Spec{
				{Kind: peers.Gridway, Label: "gridway", Door: peers.Door{Ask: true}},
				{Kind: peers.NGINX, Label: "nginx", Door: peers.Door{Ask: true}},
				{Kind: peers.Gridway, Label: "gridway-bare"},
			},
		},
		{
			name: "front-door", title: "API keys, rate limits, access log, trace context and all else", conns: 64, callers: callers, rate: 2000, rateConns: 64, target: traced,
			proxies: append(everyone(peers.Spec{Full: true, Door: peers.Door{Keys: callers, Limit: true}})[:3], peers.Spec{Kind: peers.NGINX, Label: "nginx-bare"}),
		},
	}, doors()...)
}
