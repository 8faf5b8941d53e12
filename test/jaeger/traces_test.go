package jaeger

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gridway/gridway/test/harness"
)

// clientSpan is the parent that all requests of the test come with.
const clientSpan = "b7ad6b7169203331"

// names lists spans for messages.
func names(spans map[string]*span) string {
	var out []string
	for _, s := range spans {
		out = append(out, s.service+": "+s.name)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func inOrder(s *span) {
	slices.SortFunc(s.children, func(a, b *span) int { return cmp.Compare(a.start.UnixNano(), b.start.UnixNano()) })
	for _, c := range s.children {
		inOrder(c)
	}
}

// shape writes a tree of spans: who made each, of which kind, what came of it, and what
// policies have decided.
func shape(s *span) string {
	var b strings.Builder
	var write func(s *span, depth int)
	write = func(s *span, depth int) {
		kind := "client"
		if s.server {
			kind = "server"
		}
		fmt.Fprintf(&b, "%s%s %s %s", strings.Repeat("  ", depth), s.service, kind, cmp.Or(s.attributes["http.response.status_code"], "unanswered"))
		for _, key := range []string{"rpc.response.status_code", "gridway.try", "error.type"} {
			if v := s.attributes[key]; v != "" && (key != "gridway.try" || v != "first") {
				b.WriteString(" " + v)
			}
		}
		if s.failed {
			b.WriteString(" failed")
		}
		for _, e := range s.events {
			if p := e.attributes["gridway.policy.name"]; p != "" {
				fmt.Fprintf(&b, " [%s by %s]", e.name, p)
			}
		}
		b.WriteByte('\n')
		for _, c := range s.children {
			write(c, depth+1)
		}
	}
	write(s, 0)
	return b.String()
}

// Jaeger understands the traces of a mesh as they were, whichever protocol of OTLP they
// came by: who is below whom, tries, decisions, failures, and who has made each span.
func TestTraces(t *testing.T) {
	byGRPC, byHTTP := startJaeger(t, "OTLP over gRPC"), startJaeger(t, "OTLP over HTTP")
	m := startMesh(t, byGRPC, byHTTP)

	const through = `edge server 200
  edge client 200
    front server 200
      front client 200
        front server 200
          front client 200
            ratings server 200
              ratings client 200
`
	for i, c := range []struct {
		name, method, path string
		http2, grpc        bool
		status             int
		want               string
	}{
		{name: "HTTP/1.1", path: m.relay("/stars"), status: 200, want: through},
		{name: "HTTP/2", path: m.relay("/stars"), http2: true, status: 200, want: through},
		{name: "gRPC", method: "POST", path: "/shop.Calls/Price", http2: true, grpc: true, status: 200, want: `edge server 200 OK
  edge client 200 OK
    calls server 200 OK
      calls client 200 OK
`},
		{name: "a call of gRPC that fails", method: "POST", path: "/shop.Calls/Fails", http2: true, grpc: true, status: 200, want: `edge server 200 INTERNAL INTERNAL failed
  edge client 200 INTERNAL INTERNAL failed
    calls server 200 INTERNAL INTERNAL failed
      calls client 200 INTERNAL INTERNAL failed
`},
		{name: "a retry", path: "/flaky/one", status: 200, want: `edge server 200
  edge client 503 503 failed
    front server 503 503 failed
      front client 503 503 failed
  edge client 200 retry
    front server 200
      front client 200
`},
		{name: "a hedge", path: "/late/one", status: 200, want: `edge server 200
  edge client unanswered Outpaced failed
    front server unanswered
      front client unanswered ClientGone failed
  edge client 200 hedge
    front server 200
      front client 200
`},
		{name: "a refusal", method: "DELETE", path: m.relay("/stars"), status: 403, want: `edge server 403
  edge client 403 403 failed
    front server 403
      front client 403 403 failed
        front server 403
          front client 403 403 failed
            ratings server 403 [policy denied by default/guard]
`},
		{name: "a failure", path: m.relay("/fails"), status: 500, want: `edge server 500 500 failed
  edge client 500 500 failed
    front server 500 500 failed
      front client 500 500 failed
        front server 500 500 failed
          front client 500 500 failed
            ratings server 500 500 failed
              ratings client 500 500 failed
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			id := fmt.Sprintf("%032x", i+0x5eed)
			if got := m.ask(cmp.Or(c.method, "GET"), c.path, id, c.http2, c.grpc); got != c.status {
				t.Fatalf("status %d, want %d", got, c.status)
			}
			for _, j := range []*server{byGRPC, byHTTP} {
				root := j.trace(id, strings.Count(c.want, "\n"))
				if got := shape(root); got != c.want {
					t.Errorf("%s: the trace is\n%swant\n%s", j.name, got, c.want)
				}
				judge(t, j, root, c.grpc, map[bool]string{true: "2", false: "1.1"}[c.http2])
			}
		})
	}
	t.Run("searches", func(t *testing.T) { searches(t, byGRPC, byHTTP) })
}

// judge holds a trace to what all have in common.
func judge(t *testing.T, j *server, root *span, grpc bool, version string) {
	t.Helper()
	if root.parent != clientSpan {
		t.Errorf("%s: the edge's span is below %q, not below the client's", j.name, root.parent)
	}
	if got := root.attributes["network.protocol.version"]; got != version {
		t.Errorf("%s: the client speaks HTTP %s, want %s", j.name, got, version)
	}
	var look func(s, above *span)
	look = func(s, above *span) {
		where := fmt.Sprintf("%s: %s of %s", j.name, s.name, s.service)
		if s.start.Unix() == 0 || s.end.Before(s.start) || above != nil && s.start.Before(above.start) {
			t.Errorf("%s lasts from %v to %v", where, s.start, s.end)
		}
		for _, key := range []string{"http.request.method", "url.scheme", "url.path", "server.address", "network.protocol.version", "gridway.cluster"} {
			if s.attributes[key] == "" && (s.server || key != "gridway.cluster") && s.attributes["http.response.status_code"] != "403" {
				t.Errorf("%s has no %s: %v", where, key, s.attributes)
			}
		}
		if !s.server && (s.attributes["network.peer.address"] == "" || s.attributes["network.peer.port"] == "") && s.attributes["error.type"] != "Outpaced" {
			t.Errorf("%s does not say whom it has asked: %v", where, s.attributes)
		}
		if grpc && (s.attributes["rpc.system"] != "grpc" || s.attributes["rpc.service"] != "shop.Calls" || !strings.HasPrefix(s.name, "shop.Calls/")) {
			t.Errorf("%s is no call of gRPC: %v", where, s.attributes)
		}
		if s.service == "edge" && s.resource["service.version"] == "" {
			t.Errorf("%s does not say which Gridway it is", where)
		}
		for _, key := range []string{"service.instance.id", "service.namespace", "host.name", "gridway.role"} {
			if s.resource[key] == "" {
				t.Errorf("%s comes from somebody without %s: %v", where, key, slices.Collect(maps.Keys(s.resource)))
			}
		}
		for _, e := range s.events {
			if a := e.attributes; strings.HasPrefix(e.name, "policy ") &&
				(a["gridway.policy.kind"] != "AuthorizationPolicy" || a["gridway.policy.rule"] != "no-deletes" || !strings.HasSuffix(a["code.file.path"], "mesh.yaml") || a["code.line.number"] == "") {
				t.Errorf("%s: the decision is %v", where, e)
			}
		}
		for _, c := range s.children {
			look(c, s)
		}
	}
	look(root, nil)
}

// searches are what people do in the user interface.
func searches(t *testing.T, servers ...*server) {
	for _, j := range servers {
		for _, c := range []struct {
			service, tags string
			want          int
		}{
			{"ratings", `{}`, 4},
			{"ratings", `{"error.type":"500"}`, 1},
			{"edge", `{"http.response.status_code":"500"}`, 1},
			{"edge", `{"gridway.try":"hedge"}`, 1},
			{"calls", `{"rpc.response.status_code":"INTERNAL"}`, 1},
		} {
			if got := j.found(c.service, c.tags); len(got) != c.want {
				t.Errorf("%s: %d traces of %s with %s, want %d", j.name, len(got), c.service, c.tags, c.want)
			}
		}
	}
}

// ask makes a request that is a part of a trace, and returns its status.
func (m *mesh) ask(method, path, trace string, http2, grpc bool) int {
	m.t.Helper()
	var body io.Reader
	if grpc {
		body = bytes.NewReader([]byte{0, 0, 0, 0, 0})
	}
	req, err := http.NewRequestWithContext(m.t.Context(), method, fmt.Sprintf("http://127.0.0.1:%d%s", m.edge, path), body)
	if err != nil {
		m.t.Fatal(err)
	}
	req.Header.Set("Traceparent", "00-"+trace+"-"+clientSpan+"-01")
	if grpc {
		req.Header.Set("Content-Type", "application/grpc")
		req.Header.Set("Te", "trailers")
	}
	transport := &http.Transport{Protocols: new(http.Protocols)}
	defer transport.CloseIdleConnections()
	transport.Protocols.SetHTTP1(!http2)
	transport.Protocols.SetUnencryptedHTTP2(http2)
	resp, err := (&http.Client{Transport: transport, Timeout: harness.Patience}).Do(req)
	if err != nil {
		m.t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		m.t.Fatal(err)
	}
	return resp.StatusCode
}
