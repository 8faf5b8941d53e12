package e2e

import (
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/proxy"
	"github.com/gridway/gridway/internal/telemetry/trace"
)

// A copy of a call of gRPC has the status of gRPC with which its mirror answered, wherever
// that stands, and counts by it; the call has its own, over HTTP/2 and HTTP/3.
func TestMirroredCalls(t *testing.T) {
	t.Parallel()
	peer := func(inTrailer bool, code string) string {
		return serveProtocols(t, plainProtocols(), func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "application/grpc")
			if inTrailer {
				w.Header().Set("Trailer", "Grpc-Status")
				_, _ = io.WriteString(w, "\x00\x00\x00\x00\x03abc")
			}
			w.Header().Set("Grpc-Status", code)
		}).addr
	}
	backend := func(name, address string) string {
		return strings.Replace(backendDoc(name, address), "spec:", "spec:\n  protocol: h2c", 1)
	}
	records := trace.New(0)
	ca := newAuthority(t, "servers")
	g := serveYAML(t, http3Config(t, ca, "http3: {}", routeDoc("app", `
filters:
- {type: RequestMirror, requestMirror: {backendRef: {group: gridway.dev, kind: Backend, name: good}}}
- {type: RequestMirror, requestMirror: {backendRef: {group: gridway.dev, kind: Backend, name: unavailable}}}
- {type: RequestMirror, requestMirror: {backendRef: {group: gridway.dev, kind: Backend, name: missing}}}
`), backend("app", peer(true, "0")), backend("good", peer(true, "0")), backend("unavailable", peer(true, "14")), backend("missing", peer(false, "5"))),
		func(o *proxy.Options) { o.Records = records })
	clients := map[string]*http.Client{
		"HTTP/2": overHTTP2(t, &tls.Config{ServerName: "a.example", InsecureSkipVerify: true}), "HTTP/3": overHTTP3(t, "a.example"),
	}
	for n, protocol := range slices.Sorted(maps.Keys(clients)) {
		id := fmt.Sprintf("%032x", 0xca11+n)
		status, code := over(t, clients[protocol], "https://"+g.addr)("/shop.Calls/Price", strings.NewReader("\x00\x00\x00\x00\x03abc"), http.Header{
			"Traceparent": {"00-" + id + "-b7ad6b7169203331-01"}, "Content-Type": {"application/grpc"}, "Te": {"trailers"},
		})
		if status != 200 || code != "0" {
			t.Errorf("%s: the call: %d %s", protocol, status, code)
		}
		eventually(t, "records of the call and its copies", func() bool { return len(records.Find(&trace.Query{TraceID: id})) == 4 })
		got := map[string]bool{}
		for _, r := range records.Find(&trace.Query{TraceID: id}) {
			if r.Purpose != "mirror" && r.Failed {
				t.Errorf("%s: the call's own record: %+v", protocol, r)
			}
			got[fmt.Sprintf("%s %s %s/%s", r.Purpose, r.GRPCStatus, r.GRPCService, r.GRPCMethod)] = true
		}
		for _, want := range []string{" OK shop.Calls/Price", "mirror OK shop.Calls/Price", "mirror UNAVAILABLE shop.Calls/Price", "mirror NOT_FOUND shop.Calls/Price"} {
			if !got[want] {
				t.Errorf("%s: no record of %q; there are %v", protocol, want, got)
			}
		}
	}
	for result, want := range map[string]float64{"2xx": 4, "5xx": 2} {
		eventually(t, "copies that ended in "+result, func() bool { return g.metric("gridway_mirror_requests_total", `result="`+result+`"`) == want })
	}
}
