package e2e

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/proxy"
	"github.com/gridway/gridway/internal/telemetry/metric"
)

// seriesOf counts those of Gridway's own.
func seriesOf(g *gateway) (n int, text string) {
	w := httptest.NewRecorder()
	g.metrics.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, "gridway_") {
			n++
		}
	}
	return n, w.Body.String()
}

// Whatever clients and endpoints make up, the series stay as many as the
// configuration and the lists of the program allow, and memory does not grow.
func TestHostileCardinality(t *testing.T) {
	ca := newAuthority(t, "test CA")
	cert, key := ca.issue("a.example")
	app := h2cBackend(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Header.Get("Content-Type") == "application/grpc" {
			w.Header().Set("Content-Type", "application/grpc")
			w.Header().Set("Grpc-Status", strconv.Itoa(rand.IntN(1000)))
			return
		}
		w.WriteHeader(200 + rand.IntN(800))
	})
	const limit = 20
	registry := proxy.NewMetrics(metric.Build{}, metric.Settings{Limit: limit, Native: true})
	g := serveYAML(t, documents(`apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: gridway
  listeners:
  - {name: http, port: 80, protocol: HTTP}
  - {name: https, port: 443, protocol: HTTPS, hostname: a.example, tls: {certificateRefs: [{name: a}]}}
`, secretDoc("a", cert, key), routeDoc("app", ""), app), func(o *proxy.Options) { o.Metrics = registry })
	g.metrics = registry
	open := g.proxy.Listening()
	plain, secure := open[":80"].String(), open[":443"].String()
	over2 := overHTTP2(t, nil)
	random := func(alphabet string, n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = alphabet[rand.IntN(len(alphabet))]
		}
		return string(b)
	}
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	attack := func(n int) {
		g.parallel(n, 8, func(i int) {
			junk := random(letters, 12)
			switch i % 4 {
			case 0: // what HTTP/1.1 lets a client choose
				sayAll(plain, fmt.Sprintf("%s /%s?%s HTTP/1.1\r\nHost: %s.example\r\nUser-Agent: %s\r\nTraceparent: 00-%032x-%016x-01\r\nX-%s: %s\r\nConnection: close\r\n\r\n",
					junk, junk, junk, junk, junk, rand.Uint64()|1, rand.Uint64()|1, junk, junk))
			case 1: // and what is no HTTP
				sayAll(plain, random(letters+" /:\x00\x01\xff\r", 60)+"\r\n\r\n")
			case 2:
				req, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+plain+"/"+junk+".Service/"+junk, bytes.NewReader(make([]byte, 5)))
				if err != nil {
					t.Error(err)
					return
				}
				req.Header.Set("Content-Type", "application/grpc")
				if resp, err := over2.Do(req); err == nil {
					_ = resp.Body.Close()
				}
			default:
				c, err := tls.Dial("tcp", secure, &tls.Config{ServerName: strings.ToLower(junk) + ".example", InsecureSkipVerify: true, NextProtos: []string{junk}})
				if err == nil {
					_ = c.Close()
				}
			}
		})
	}
	attack(800)
	before, _ := seriesOf(g)
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	heap := m.HeapAlloc
	attack(4000)
	after, text := seriesOf(g)
	runtime.GC()
	runtime.ReadMemStats(&m)
	t.Logf("%d series after 800, %d after 4800; %d KiB more of heap", before, after, (int64(m.HeapAlloc)-int64(heap))/1024)
	// One rule, one cluster, two listeners, and methods of gRPC up to the limit, each
	// with up to 17 statuses and those of two more.
	if bound := 800 + (limit+2)*17; after > bound {
		t.Errorf("%d series, more than %d", after, bound)
	}
	if grown := int64(m.HeapAlloc) - int64(heap); grown > 8<<20 {
		t.Errorf("%d bytes more of heap", grown)
	}
	if got := g.metric("gridway_grpc_calls_total", `service="overflow"`); got < 500 {
		t.Errorf("%v calls in the overflow", got)
	}
	if got := g.metric("gridway_metrics_label_sets_folded", `kind="grpc_method"`); got < 500 {
		t.Errorf("%v methods are said to be folded", got)
	}
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "gridway_grpc_calls_total") && invented.MatchString(line) {
			t.Errorf("a client's own words: %s", line)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

// invented is what clients of the test make up.
var invented = regexp.MustCompile(`^gridway.*[A-Z]{12}`)

// sayAll sends bytes and waits for the answer's end.
func sayAll(addr, text string) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer c.Close()
	if _, err := io.WriteString(c, text); err == nil {
		_, _ = io.Copy(io.Discard, bufio.NewReader(c))
	}
}
