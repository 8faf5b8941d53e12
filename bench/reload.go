package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gridway/gridway/bench/load"
	"github.com/gridway/gridway/bench/report"
	"github.com/gridway/gridway/bench/stats"
)

// reloads changes a route times times under load, on kept and on new
// connections, and counts the requests that failed.
func (b *bench) reloads(ctx context.Context, times int) ([]report.Measure, error) {
	s, err := b.oneFile("reloads", 50)
	if err != nil {
		return nil, err
	}
	p, err := b.lab.StartGridway(ctx, "reloads", s.path, s.probe)
	if err != nil {
		return nil, err
	}
	defer p.Stop()

	loadCtx, stop := context.WithCancel(ctx)
	defer stop()
	kept := load.Target{Addr: p.Addr, Routes: 50}
	fresh := kept
	fresh.Close = true
	const limit = 5 * time.Minute // longer than it may take
	var wg sync.WaitGroup
	var results [2]load.Result
	var errs [2]error
	wg.Go(func() { results[0], errs[0] = load.Open(loadCtx, kept, 16, 2000, limit) })
	wg.Go(func() { results[1], errs[1] = load.Open(loadCtx, fresh, 8, 200, limit) })

	c := load.NewClient(s.probe)
	defer c.Close()
	var ms []float64
	for rev := 1; rev <= times && err == nil; rev++ {
		b.say.step("reload %d of %d under load", rev, times)
		var took time.Duration
		took, err = s.change(ctx, b.lab.Dir, c, rev)
		ms = append(ms, float64(took)/1e6)
	}
	stop()
	wg.Wait()
	if err != nil {
		return nil, fmt.Errorf("reload %d: %w: %s", len(ms), err, p.Output())
	}
	failed, first := int64(0), ""
	for i, r := range results {
		if errs[i] != nil {
			return nil, errs[i]
		}
		failed += r.Errors
		if r.First != nil && first == "" {
			first = ", the first: " + r.First.Error()
		}
	}
	requests := results[0].Requests + results[1].Requests
	return []report.Measure{
		{
			Name: "reload-failures", Value: stats.Of([]float64{float64(failed)}), Title: fmt.Sprintf("Failed requests over %d reloads under load", times),
			Note: fmt.Sprintf("of %d%s", requests+failed, first),
		},
		{
			Name: "reload-p99", Unit: "ms", Value: stats.Of([]float64{float64(results[0].Latency.Quantile(0.99)) / 1e6}),
			Title: "p99 latency meanwhile, at 2,000 requests/s",
		},
		{Name: "reload-live", Unit: "ms", Value: stats.Of(ms), Title: "One changed route among 50 serves, under that load"},
	}, nil
}

const (
	services  = 100
	endpoints = 1000 // of each service: the most that an EndpointSlice holds
)

// endpointChange measures how soon a changed endpoint serves, among 100,000 in
// 100 EndpointSlices of a file each. Of the changed slice one endpoint is ready,
// so that the next request shows the change.
func (b *bench) endpointChange(ctx context.Context, times int) ([]report.Measure, error) {
	backend, err := startEcho(ctx)
	if err != nil {
		return nil, err
	}
	defer backend.stop()
	s, err := b.newSite(0)
	if err != nil {
		return nil, err
	}
	s.path = filepath.Join(b.lab.Dir, "endpoints")
	if err := os.Mkdir(s.path, 0o755); err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	head(&buf, s.port, b.backend.Addr)
	for i := range services {
		fmt.Fprintf(&buf, "---\napiVersion: v1\nkind: Service\nmetadata: {name: s%d}\nspec: {ports: [{name: http, port: 80}]}\n"+
			"---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: s%d}\nspec:\n  parentRefs: [{name: edge}]\n"+
			"  rules:\n  - matches: [{path: {type: PathPrefix, value: /s%d}}]\n    backendRefs: [{name: s%d, port: 80}]\n", i, i, i, i)
	}
	if err := os.WriteFile(filepath.Join(s.path, "gateway.yaml"), buf.Bytes(), 0o644); err != nil {
		return nil, err
	}
	for i := range services {
		text := slice(i, backend.port, 0)
		if err := os.WriteFile(filepath.Join(s.path, fmt.Sprintf("slice-%03d.yaml", i)), text, 0o644); err != nil {
			return nil, err
		}
	}
	const changed = services / 2
	s.probe.Path = fmt.Sprintf("/s%d", changed)
	s.file = filepath.Join(s.path, fmt.Sprintf("slice-%03d.yaml", changed))
	s.text = func(rev int) []byte { return slice(changed, backend.port, rev) }
	s.mark, s.want = "X-Endpoint", func(rev int) string { return address(changed, 0, rev) }
	ms, cpu, err := b.changes(ctx, "change-endpoint", s, times)
	if err != nil {
		return nil, fmt.Errorf("endpoint change: %w", err)
	}
	return changeMeasures("change-endpoint", "One changed endpoint among 100,000 serves, in 100 EndpointSlices", ms, cpu), nil
}

// address of an endpoint: all of 127.0.0.0/8 is this machine.
func address(service, endpoint, rev int) string {
	if endpoint == 0 {
		return fmt.Sprintf("127.200.%d.%d", service, 1+rev%250)
	}
	return fmt.Sprintf("127.%d.%d.%d", 1+service, endpoint/250, 1+endpoint%250)
}

// slice is an EndpointSlice whose first endpoint's address depends on rev.
func slice(service, port, rev int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: s%d, labels: {kubernetes.io/service-name: s%d}}\n"+
		"addressType: IPv4\nports: [{name: http, port: %d}]\nendpoints:\n", service, service, port)
	for i := range endpoints {
		ready := i == 0 || service != services/2
		fmt.Fprintf(&b, "- {addresses: [%s], conditions: {ready: %t}}\n", address(service, i, rev), ready)
	}
	return b.Bytes()
}

// echo is a server on every loopback address that names the one it was asked at.
type echo struct {
	port int
	srv  *http.Server
	done chan struct{}
}

func startEcho(ctx context.Context) (*echo, error) {
	var lc net.ListenConfig
	// Loopback only would be one address; requests reach it on 127.0.0.0/8 alone all the same.
	ln, err := lc.Listen(ctx, "tcp4", "0.0.0.0:0")
	if err != nil {
		return nil, err
	}
	e := &echo{port: ln.Addr().(*net.TCPAddr).Port, done: make(chan struct{}), srv: &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
			if !ok || !local.IP.IsLoopback() {
				http.Error(w, "loopback only", http.StatusForbidden)
				return
			}
			w.Header().Set("X-Endpoint", local.IP.String())
			w.Header().Set("Content-Length", "0")
		}),
	}}
	go func() {
		defer close(e.done)
		_ = e.srv.Serve(ln) // returns when closed
	}()
	return e, nil
}

func (e *echo) stop() {
	_ = e.srv.Close()
	<-e.done
}
