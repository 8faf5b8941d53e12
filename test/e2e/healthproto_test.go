package e2e

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// wellness is a server with a page that says how it is, and a gRPC health
// service that says the same.
type wellness struct {
	addr   string
	status atomic.Int64  // of the page; 200 is SERVING
	seen   atomic.Value  // the last check: protocol, scheme, host
	rest   atomic.Uint64 // requests that are no checks
}

// grpcStatuses of the health service, by the status of the page.
var grpcStatuses = map[int64]byte{200: 1, 503: 2}

func (w *wellness) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	switch r.URL.Path {
	case "/grpc.health.v1.Health/Check":
		message, _ := io.ReadAll(r.Body)
		w.seen.Store(fmt.Sprintf("%s %s %s %q %s %s", r.Proto, scheme, r.Host, message, r.Header.Get("Content-Type"), r.Header.Get("Te")))
		rw.Header().Set("Content-Type", "application/grpc")
		rw.Write([]byte{0, 0, 0, 0, 2, 1 << 3, grpcStatuses[w.status.Load()]})
		rw.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
	case "/healthz":
		w.seen.Store(fmt.Sprintf("%s %s %s", r.Proto, scheme, r.Host))
		rw.WriteHeader(103)
		rw.WriteHeader(int(w.status.Load()))
		fmt.Fprint(rw, strings.Repeat("fine ", 10_000))
	default:
		w.rest.Add(1)
		fmt.Fprintf(rw, "%s %s", r.Proto, scheme)
	}
}

// startWellness serves over TLS with a config, and speaks the protocols that set says.
func startWellness(t *testing.T, config *tls.Config, set func(*http.Protocols)) *wellness {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wellness{addr: ln.Addr().String()}
	w.status.Store(200)
	w.seen.Store("")
	srv := &http.Server{Handler: w, Protocols: new(http.Protocols), TLSConfig: config.Clone(), ErrorLog: log.New(io.Discard, "", 0)}
	set(srv.Protocols)
	if config != nil {
		go srv.ServeTLS(ln, "", "")
	} else {
		go srv.Serve(ln)
	}
	t.Cleanup(func() { srv.Close() })
	return w
}

func onlyHTTP1(p *http.Protocols)  { p.SetHTTP1(true) }
func onlyHTTP2(p *http.Protocols)  { p.SetHTTP2(true) }
func clearHTTP2(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }

// Checks reach an endpoint as requests do: over TLS with the certificate
// verified, over HTTP/2, by gRPC; and an endpoint that is not what the
// configuration says is not healthy.
func TestHealthChecksSpeakTheBackendsProtocol(t *testing.T) {
	t.Parallel()
	ca, other := newAuthority(t, "backends"), newAuthority(t, "other")
	good := &tls.Config{Certificates: []tls.Certificate{ca.pair("app.internal")}}
	wrong := &tls.Config{Certificates: []tls.Certificate{other.pair("app.internal")}}
	const page, grpc, whole = "http: {path: /healthz}", `grpc: {service: shop.v1.Catalog, host: shop.internal}`, "grpc: {}"
	const asked = `"\x00\x00\x00\x00\x11\n\x0fshop.v1.Catalog" application/grpc trailers`
	secure := `, tls: {caCertificateRefs: [{group: "", kind: ConfigMap, name: backends}], serverName: app.internal}`
	cases := map[string]struct {
		server       *wellness
		spec, check  string
		seen, answer string // %s is the address; without an answer it never gets healthy
	}{
		"https":                 {startWellness(t, good, onlyHTTP1), "protocol: https" + secure, page, "HTTP/1.1 https %s", "HTTP/1.1 https"},
		"https tcp":             {startWellness(t, good, onlyHTTP1), "protocol: https" + secure, "tcp: {}", "", "HTTP/1.1 https"},
		"https not trusted":     {startWellness(t, wrong, onlyHTTP1), "protocol: https" + secure, page, "", ""},
		"https tcp not trusted": {startWellness(t, wrong, onlyHTTP1), "protocol: https" + secure, "tcp: {}", "", ""},
		"h2":                    {startWellness(t, good, onlyHTTP2), "protocol: h2" + secure, page, "HTTP/2.0 https %s", "HTTP/2.0 https"},
		"h2 refused by ALPN":    {startWellness(t, good, onlyHTTP1), "protocol: h2" + secure, page, "", ""},
		"h2c":                   {startWellness(t, nil, clearHTTP2), "protocol: h2c", page, "HTTP/2.0 http %s", "HTTP/2.0 http"},
		"h2c to HTTP 1":         {startWellness(t, nil, onlyHTTP1), "protocol: h2c", page, "", ""},
		"http to h2c":           {startWellness(t, nil, clearHTTP2), "protocol: http", page, "", ""},
		"grpc h2c":              {startWellness(t, nil, clearHTTP2), "protocol: h2c", grpc, "HTTP/2.0 http shop.internal " + asked, "HTTP/2.0 http"},
		"grpc h2":               {startWellness(t, good, onlyHTTP2), "protocol: h2" + secure, grpc, "HTTP/2.0 https shop.internal " + asked, "HTTP/2.0 https"},
		"grpc of the whole":     {startWellness(t, nil, clearHTTP2), "protocol: h2c", whole, `HTTP/2.0 http %s "\x00\x00\x00\x00\x00" application/grpc trailers`, "HTTP/2.0 http"},
		"grpc beside HTTP 1": {
			startWellness(t, nil, func(p *http.Protocols) { onlyHTTP1(p); clearHTTP2(p) }), "protocol: http", grpc,
			"HTTP/2.0 http shop.internal " + asked, "HTTP/1.1 http",
		},
		"grpc beside https": {
			startWellness(t, good, func(p *http.Protocols) { onlyHTTP1(p); onlyHTTP2(p) }), "protocol: https" + secure, grpc,
			"HTTP/2.0 https shop.internal " + asked, "HTTP/1.1 https",
		},
		"grpc to HTTP 1": {startWellness(t, nil, onlyHTTP1), "protocol: h2c", grpc, "", ""},
	}
	port := ownPort(t)
	docs, rules := []string{plainOn(port), caDoc("backends", ca.pem)}, ""
	for name, c := range cases {
		id := slug(name)
		docs = append(docs,
			fmt.Sprintf("apiVersion: gridway.dev/v1alpha1\nkind: Backend\nmetadata: {name: %s}\nspec: {endpoints: [{address: %q}], %s}\n", id, c.server.addr, c.spec),
			policyDoc(id, "Backend", id, "loadBalancer: {panicThreshold: 0}\nhealthCheck: {"+c.check+", interval: 100ms, timeout: 5s, unhealthyThreshold: 1, healthyThreshold: 1}"))
		rules += fmt.Sprintf("- {matches: [{path: {value: /%s}}], backendRefs: [{group: gridway.dev, kind: Backend, name: %[1]s}]}\n", id)
	}
	start(t, documents(append(docs, ruleDoc(rules))...))
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			path := "/" + slug(name)
			if c.answer == "" {
				eventually(t, "it is unhealthy", func() bool { return fetch(t, port, path) == "NoHealthyEndpoint" })
				if seen := c.server.seen.Load(); seen != "" {
					t.Errorf("it was asked: %v", seen)
				}
				return
			}
			eventually(t, "it is healthy and used", func() bool { return fetch(t, port, path) == c.answer })
			if c.seen == "" {
				return
			}
			want := strings.Replace(c.seen, "%s", c.server.addr, 1)
			eventually(t, fmt.Sprintf("the check is %s, not %v", want, c.server.seen.Load()), func() bool { return c.server.seen.Load() == want })
			for range 2 {
				c.server.status.Store(503)
				eventually(t, "it is unhealthy", func() bool { return fetch(t, port, path) == "NoHealthyEndpoint" })
				c.server.status.Store(200)
				eventually(t, "it is healthy again", func() bool { return fetch(t, port, path) == c.answer })
			}
		})
	}
}

// A Service with a BackendTLSPolicy is checked over TLS as well, and each of
// several endpoints for itself.
func TestHealthChecksOfATLSService(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "backends")
	good := &tls.Config{Certificates: []tls.Certificate{ca.pair("app.internal")}}
	servers := []*wellness{startWellness(t, good, onlyHTTP1), startWellness(t, good, onlyHTTP1), startWellness(t, nil, onlyHTTP1)}
	slices := ""
	for i, s := range servers {
		host, port, _ := net.SplitHostPort(s.addr)
		slices += fmt.Sprintf(`---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: app-%d, labels: {kubernetes.io/service-name: app}}
addressType: IPv4
ports: [{name: https, port: %s}]
endpoints: [{addresses: [%q]}]
`, i, port, host)
	}
	port := ownPort(t)
	p := start(t, documents(plainOn(port), caDoc("backends", ca.pem), ruleDoc("- backendRefs: [{name: app, port: 443}]"),
		policyDoc("app", "HTTPRoute", "app", "loadBalancer: {algorithm: RoundRobin, panicThreshold: 0}\nhealthCheck: {http: {path: /healthz}, interval: 100ms, timeout: 5s, unhealthyThreshold: 1, healthyThreshold: 1}"),
		`apiVersion: v1
kind: Service
metadata: {name: app}
spec: {ports: [{name: https, port: 443}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: app}
spec:
  targetRefs: [{group: "", kind: Service, name: app}]
  validation: {hostname: app.internal, caCertificateRefs: [{group: "", kind: ConfigMap, name: backends}]}
`+slices))
	state := func(healthy, unhealthy float64) func() bool {
		return func() bool {
			return p.metric("gridway_cluster_endpoints", `state="healthy"`) == healthy && p.metric("gridway_cluster_endpoints", `state="unhealthy"`) == unhealthy
		}
	}
	eventually(t, "the one without TLS is unhealthy", state(2, 1))
	for range 10 {
		if by := fetch(t, port, "/"); by != "HTTP/1.1 https" {
			t.Errorf("answered %q", by)
		}
	}
	if a, b := servers[0].rest.Load(), servers[1].rest.Load(); a != 5 || b != 5 {
		t.Errorf("%d and %d of 10", a, b)
	}
	servers[0].status.Store(500)
	eventually(t, "one is left", state(1, 2))
	before := servers[0].rest.Load()
	for range 4 {
		fetch(t, port, "/")
	}
	if servers[0].rest.Load() != before {
		t.Error("the unhealthy one was used")
	}
}

// Real servers that take nothing but the PROXY protocol are told by a check that
// the proxy speaks for itself.
func TestHealthChecksWithProxyProtocol(t *testing.T) {
	t.Parallel()
	nginx, plain := ownPort(t), ownPort(t)
	haproxies := ownPort(t)
	servers := map[string]string{
		"nginx": nginxWith(t, nginx, fmt.Sprintf(`listen 127.0.0.1:%d proxy_protocol; location / { return 200 "fine"; }`, nginx)),
		"haproxy": haproxy(t, haproxies, fmt.Sprintf("frontend f\n  bind 127.0.0.1:%d accept-proxy\n  http-request return status 200 content-type text/plain string fine",
			haproxies)),
		"nginx h2c": nginxWith(t, plain, fmt.Sprintf(`listen 127.0.0.1:%d http2 proxy_protocol; location / { return 200 "fine"; }`, plain)),
	}
	port := ownPort(t)
	docs, rules, paths := []string{plainOn(port)}, "", map[string]string{}
	for name, addr := range servers {
		for _, version := range []string{"V1", "V2", "none"} {
			id := slug(name + version)
			protocol, header := "http", "proxyProtocol: "+version+"\n"
			if strings.Contains(name, "h2c") {
				protocol = "h2c"
			}
			paths[id] = "fine"
			if version == "none" {
				header, paths[id] = "", "NoHealthyEndpoint"
			}
			docs = append(docs,
				fmt.Sprintf("apiVersion: gridway.dev/v1alpha1\nkind: Backend\nmetadata: {name: %s}\nspec: {endpoints: [{address: %q}], protocol: %s}\n", id, addr, protocol),
				policyDoc(id, "Backend", id, header+"loadBalancer: {panicThreshold: 0}\nhealthCheck: {http: {path: /}, interval: 100ms, timeout: 5s, unhealthyThreshold: 1, healthyThreshold: 1}"))
			rules += fmt.Sprintf("- {matches: [{path: {value: /%s}}], backendRefs: [{group: gridway.dev, kind: Backend, name: %[1]s}]}\n", id)
		}
	}
	p := start(t, documents(append(docs, ruleDoc(rules))...))
	for id, answer := range paths {
		eventually(t, id+" gets its verdict", func() bool {
			return p.metric("gridway_cluster_health_checks_total", "Backend/default/"+id+`"`) >= 2 && fetch(t, port, "/"+id) == answer
		})
		result := "ok"
		if answer != "fine" {
			result = "failed"
		}
		all := p.metric("gridway_cluster_health_checks_total", "Backend/default/"+id+`"`)
		if n := p.metric("gridway_cluster_health_checks_total", "Backend/default/"+id+`"`, `result="`+result+`"`); n < all {
			t.Errorf("%s: %v of %v checks are %s", id, n, all, result)
		}
	}
}
