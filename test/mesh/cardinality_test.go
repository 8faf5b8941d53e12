package mesh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/mesh/signals"
	"github.com/gridway/gridway/internal/telemetry/signal"
)

// statusesProgram is the name of a program that answers with the status that a header of a
// request names.
const statusesProgram = "statuses"

func serveStatuses(port string) {
	err := http.ListenAndServe("127.0.0.1:"+port, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if n, err := strconv.Atoi(r.Header.Get("Wanted")); err == nil {
			w.WriteHeader(n)
		}
	}))
	fmt.Fprintln(os.Stderr, err)
	os.Exit(3)
}

const cardinalityRoutes = `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: public}
spec:
  gatewayClassName: gridway
  listeners:
  - {name: http, port: EDGE, protocol: HTTP}
  - {name: udp, port: DATAGRAMS, protocol: UDP}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: orders}
spec:
  parentRefs: [{name: public, sectionName: http}]
  rules:
  - backendRefs: [{name: orders, port: ORDERS}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: UDPRoute
metadata: {name: datagrams}
spec:
  parentRefs: [{name: public, sectionName: udp}]
  rules:
  - backendRefs: [{group: gridway.dev, kind: Backend, name: datagrams}]
---
apiVersion: gridway.dev/v1alpha1
kind: Backend
metadata: {name: datagrams}
spec:
  endpoints: [{address: "127.0.0.1:SINK"}]
`

// measured is what a process tells of itself at /metrics, and what it has in memory.
type measured struct {
	series, memory int
	text           string
}

func measure(t *testing.T, p *process, probes string) (m measured) {
	t.Helper()
	eventually(t, "metrics", func() error {
		resp, err := http.Get("http://127.0.0.1:" + probes + "/metrics")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		m.text = string(text)
		return err
	})
	for line := range strings.Lines(m.text) {
		if !strings.HasPrefix(line, "#") {
			m.series++
		}
	}
	var err error
	if m.memory, err = resident(p.cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	return m
}

// madeUp are words of those who attack.
var madeUp = regexp.MustCompile(`[A-Z]{12}`)

// Whatever clients, programs and endpoints make up (paths, hosts, methods, user agents,
// identifiers of traces, methods of gRPC, statuses, hosts outside and peers of UDP): neither
// an edge nor a sidecar has more series for it than there are bounds, nor memory without one,
// and the service graph says how much it has folded.
func TestHostileCardinalityInAMesh(t *testing.T) {
	m := newMesh(t, "")
	probesOrders, probesCart, probesEdge := port(t), port(t), port(t)
	orders := m.sidecar("orders", statusesProgram, "--probes", "127.0.0.1:"+probesOrders, "--access-log", "off", "--metrics-limit", "200")
	m.speaking("kubernetes.io/h2c", "calls", healthProgram)
	upOrders, upCalls := port(t), port(t)
	cart := m.sidecar("cart", "cart", "--http-proxy", "--upstream", "orders=:"+upOrders, "--upstream", "calls=:"+upCalls, "--probes", "127.0.0.1:"+probesCart, "--access-log", "off", "--metrics-limit", "200")
	sink, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	open, datagrams := port(t), port(t)
	_, sinkPort, _ := net.SplitHostPort(sink.LocalAddr().String())
	m.write(strings.NewReplacer("EDGE", open, "DATAGRAMS", datagrams, "ORDERS", orders.port, "SINK", sinkPort).Replace(cardinalityRoutes))
	edge := run(t, []string{"GRIDWAY_JOIN_TOKEN=" + m.token}, "edge", "--control", m.address, "--state-dir", filepath.Join(m.dir, "edge"), "--access-log", "off", "--metrics-limit", "200", "--probes", "127.0.0.1:"+probesEdge)
	edge.said("in the mesh")
	for _, at := range []string{open, upOrders} {
		eventually(t, "orders answers", func() error {
			resp, err := http.Get("http://127.0.0.1:" + at + "/")
			if err == nil {
				resp.Body.Close()
				if resp.StatusCode != 200 {
					err = errors.New(resp.Status)
				}
			}
			return err
		})
	}
	eventually(t, "calls answers", func() error { return callHealth(t, upCalls) })

	h2c := &http.Transport{Protocols: new(http.Protocols)}
	h2c.Protocols.SetUnencryptedHTTP2(true)
	defer h2c.CloseIdleConnections()
	plain := &http.Transport{MaxIdleConnsPerHost: 8}
	defer plain.CloseIdleConnections()
	outside := &http.Transport{Proxy: http.ProxyURL(proxyOf(t, cart)), MaxIdleConnsPerHost: 8}
	defer outside.CloseIdleConnections()
	word := func() string {
		b := make([]byte, 12)
		for i := range b {
			b[i] = byte('A' + rand.IntN(26))
		}
		return string(b)
	}
	ask := func(by http.RoundTripper, method, at string, edit func(*http.Request)) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, method, at, bytes.NewReader(make([]byte, 5)))
		if err != nil {
			t.Error(err)
			return
		}
		req.Header.Set("User-Agent", word())
		req.Header.Set("X-"+word(), word())
		req.Header.Set("X-Request-Id", word())
		req.Header.Set("Traceparent", fmt.Sprintf("00-%016x%016x-%016x-01", rand.Uint64()|1, rand.Uint64(), rand.Uint64()|1))
		req.Header.Set("B3", fmt.Sprintf("%016x%016x-%016x-1", rand.Uint64()|1, rand.Uint64(), rand.Uint64()|1))
		edit(req)
		if resp, err := by.RoundTrip(req); err == nil { // some of it is no answer of HTTP
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	}
	attack := func(n int) {
		var wg sync.WaitGroup
		next := make(chan int)
		for range 8 {
			wg.Go(func() {
				for i := range next {
					at := []string{open, upOrders}[i%2]
					switch i / 2 % 4 {
					case 0, 1:
						ask(plain, word(), "http://127.0.0.1:"+at+"/"+word()+"?"+word(), func(r *http.Request) {
							r.Host = strings.ToLower(word()) + ".example"
							r.Header.Set("Wanted", strconv.Itoa(200+rand.IntN(800)))
						})
					case 2:
						at = []string{open, upCalls}[i%2]
						ask(h2c, "POST", "http://127.0.0.1:"+at+"/"+word()+"."+word()+"/"+word(), func(r *http.Request) {
							r.Header.Set("Content-Type", "application/grpc")
							r.Header.Set("Te", "trailers")
						})
					default:
						u := url.URL{Scheme: "http", Host: fmt.Sprintf("127.%d.%d.%d:9", 1+rand.IntN(200), rand.IntN(256), 1+rand.IntN(250)), Path: "/" + word()}
						ask(outside, "GET", u.String(), func(*http.Request) {})
						if c, err := net.Dial("udp", "127.0.0.1:"+datagrams); err == nil {
							_, _ = io.WriteString(c, word())
							_ = c.Close()
						}
					}
				}
			})
		}
		for i := range n {
			next <- i
		}
		close(next)
		wg.Wait()
	}
	attack(first)
	type attacked struct {
		name, probes, folded string
		p                    *process
		before               measured
	}
	const methods, edges = `gridway_metrics_label_sets_folded{kind="grpc_method"}`, "gridway_edges_folded_total"
	all := []*attacked{{name: "edge", probes: probesEdge, folded: methods, p: edge}, {name: "orders", probes: probesOrders, folded: methods, p: orders}, {name: "cart", probes: probesCart, folded: edges, p: cart}}
	for _, x := range all {
		x.before = measure(t, x.p, x.probes)
	}
	attack(3 * first)
	for _, x := range all {
		after := measure(t, x.p, x.probes)
		t.Logf("%s: %d series and %d KiB after %d requests, %d series and %d KiB after %d", x.name, x.before.series, x.before.memory>>10, first, after.series, after.memory>>10, 4*first)
		if after.series > maxSeries {
			t.Errorf("%s: %d series", x.name, after.series)
		}
		if grown := after.memory - x.before.memory; grown > maxGrowth {
			t.Errorf("%s: %d KiB more", x.name, grown>>10)
		}
		for line := range strings.Lines(after.text) {
			if madeUp.MatchString(line) && !strings.HasPrefix(line, "gridway_grpc_") {
				t.Errorf("%s: somebody's own words: %s", x.name, line)
			}
		}
		_, folded, _ := strings.Cut(after.text, "\n"+x.folded+" ")
		if n, _, _ := strings.Cut(folded, "\n"); n == "" || n == "0" {
			t.Errorf("%s does not say how much it has folded: %q", x.name, n)
		}
	}
	var g *signals.Graph
	within(t, 2*time.Minute, "the graph has it", func() (err error) {
		if g, err = m.graph(); err != nil {
			return err
		}
		others := uint64(0)
		for _, e := range g.Edges {
			if e.Destination == "other" {
				others += e.Count
			}
		}
		if others == 0 {
			return fmt.Errorf("%d edges, and none for all that are too many", len(g.Edges))
		}
		return nil
	})
	if most := signal.MaxHosts + 32; len(g.Edges) > most {
		t.Errorf("%d edges in the graph", len(g.Edges))
	}
	t.Logf("%d edges in the graph, %d bytes in the table", len(g.Edges), g.State.Memory)
}

const (
	// first is how many requests there are before the first look; three times as many follow.
	first = 2000
	// maxSeries of one process: of 256 hosts outside, each with 20 to 30. maxGrowth, in bytes,
	// of its memory is for the noise of collections.
	maxSeries = 12_000
	maxGrowth = 64 << 20
)
