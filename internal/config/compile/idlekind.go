package compile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gridway/gridway/internal/config/store"
)

// noteIdleForKind warns of fields that mean nothing to routes of this kind, or to
// what their backends speak, on policies that name the route or a backend. Those
// on what the route shares with others may have them.
func (s *routeScope) noteIdleForKind(m *settings, backends []resolvedRef) {
	note := func(code, path, message, remedy string) {
		for _, p := range sortedUnder(m, path) {
			if b := m.origin[p]; b.target.key == s.state.object.Key || b.target.key.Kind == "Backend" || b.target.key.Kind == "Service" {
				s.state.shared = append(s.state.shared, problemAt(b.policy.used, "spec."+p, store.Warning, code, message, remedy))
				return
			}
		}
	}
	add := func(path, message, remedy string) { note("NoEffect", path, message, remedy) }
	if s.grpc() {
		add("hedge", "calls of gRPC are not hedged: it does not say which may run twice", "leave it out; retry.retryOn tries again by status")
		add("compression", "messages of gRPC are compressed by who sends them, and not here", "leave it out")
	}
	every := func(f func(*backend) bool) bool {
		return len(backends) > 0 && !slices.ContainsFunc(backends, func(r resolvedRef) bool { return r.backend == nil || !f(r.backend) })
	}
	if s.stream == "" && every((*backend).speaksHTTP1) && !s.grpc() {
		add("connectionPool.http2KeepAlive", "the backends are spoken to by HTTP/1.1", "leave it out, or set protocol h2 or h2c of the Backend")
	}
	hc := m.spec.HealthCheck
	if hc == nil || hc.Port != nil {
		return // another port may have another protocol
	}
	if s.stream == "" && every((*backend).speaksHTTP1) && !s.grpc() {
		note("HealthCheckMismatch", "healthCheck.grpc", "the backends are spoken to by HTTP/1.1, and this asks them by HTTP/2: those that do not know that are never healthy",
			"check by http, set protocol h2 or h2c of the Backend, or set port to where the health service is")
	}
	if s.stream == useUDP {
		for _, path := range []string{"healthCheck.http", "healthCheck.grpc", "healthCheck.tcp"} {
			note("HealthCheckMismatch", path, "datagrams go to a UDP port, and this asks the TCP port of the same number: an endpoint that does not listen there is never healthy",
				"set port to one where the endpoint answers checks, or leave it out")
		}
	}
	if every(func(b *backend) bool { return b.base.HTTP3 }) {
		add("healthCheck.tcp", "the backends speak HTTP/3, on UDP: a connection by TCP says nothing of them", "check by http or grpc")
	}
}

// sortedUnder lists the leaves of a field that are set, in order.
func sortedUnder(m *settings, path string) (out []string) {
	for p := range m.origin {
		if p == path || strings.HasPrefix(p, path+".") {
			out = append(out, p)
		}
	}
	slices.Sort(out)
	return out
}

// noteUnusedTLS warns of backends whose tls a route does not use, because what
// clients send is passed on as it is.
func (s *routeScope) noteUnusedTLS(fields []string, backends []resolvedRef) {
	what := "the client's own TLS is passed on as it is"
	if s.stream == useUDP {
		what = "datagrams are passed on as they are"
	}
	for i, r := range backends {
		if r.backend != nil && r.backend.unusedTLS && i < len(fields) {
			s.state.shared = append(s.state.shared, problemAt(s.object, fields[i], store.Warning, "NoEffect",
				fmt.Sprintf("tls of %s is not used here: %s", r.key, what), "leave tls out of it, or terminate TLS at the listener (mode Terminate)"))
		}
	}
}
