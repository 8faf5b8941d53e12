package metric

import (
	"context"
	"sync"
	"time"

	"github.com/gridway/gridway/internal/telemetry/latency"
)

// SampleEvery is how often Run keeps a sample. A window reaches back to the
// last sample but one: between 5 and 10 seconds.
const SampleEvery = 5 * time.Second

// window keeps the two latest samples of a red.
type window struct {
	mu            sync.Mutex // guards both
	older, recent sample
}

type sample struct {
	at     time.Time
	counts *redCounts
}

// nothing is what every handle starts from; it is only read.
var nothing redCounts

func (w *window) start(now time.Time) {
	s := sample{at: now, counts: &nothing}
	w.older, w.recent = s, s
}

func (w *window) sample(now time.Time, r *red) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.older = w.recent
	w.recent.at = now
	// An idle rule keeps one sample however long it is idle.
	if r.count() != w.older.counts.count {
		w.recent.counts = r.total()
	}
}

// base returns what a window ending now starts from.
func (w *window) base() sample {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.older
}

// Run keeps samples until ctx ends, and forgets series that are past their
// grace. Without it Snapshot's window is the whole life of each handle.
func (r *Registry) Run(ctx context.Context) {
	t := time.NewTicker(SampleEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			r.Sample()
		}
	}
}

// Sample does one round of what Run does.
func (r *Registry) Sample() {
	now := r.opt.Now()
	r.expire(now)
	for _, h := range sorted(r, r.routes, r.beyond.route) {
		h.window.sample(now, &h.red)
	}
	for _, h := range sorted(r, r.streams, r.beyond.stream) {
		h.window.sample(now, &h.red)
	}
	for _, h := range sorted(r, r.clusters, r.beyond.cluster) {
		h.window.sample(now, &h.red)
	}
}

// Stats is one row of Snapshot. Rates are per second over Window.
type Stats struct {
	// Window is the time that the row covers.
	Window time.Duration `json:"window"`
	// Requests is the rate of exchanges (of tries, for a cluster).
	Requests float64 `json:"requests"`
	// Errors is the share of 5xx and of tries without an answer, from 0 to 1.
	Errors        float64       `json:"errors"`
	P50           time.Duration `json:"p50"`
	P95           time.Duration `json:"p95"`
	P99           time.Duration `json:"p99"`
	RequestBytes  float64       `json:"requestBytes"`
	ResponseBytes float64       `json:"responseBytes"`
	// Classes are rates of no response and of 1xx to 5xx, in this order.
	Classes [6]float64 `json:"classes"`
	// Open is what is under way: streams of a rule (WebSockets, server-sent events,
	// calls of gRPC, connections of TCP, sessions of UDP), tries of a cluster.
	Open int64 `json:"open"`
	// Total is the number of exchanges since the start.
	Total uint64 `json:"total"`
}

// RouteStats is the row of one rule.
type RouteStats struct {
	Route string `json:"route"`
	Rule  string `json:"rule"`
	Stats
}

// ClusterStats is the row of one cluster.
type ClusterStats struct {
	Cluster string `json:"cluster"`
	Stats
}

// Snapshot is what `gridway top` shows: rules and clusters that have had any
// traffic or have something under way, by name.
type Snapshot struct {
	At       time.Time      `json:"at"`
	Routes   []RouteStats   `json:"routes"`
	Clusters []ClusterStats `json:"clusters"`
}

// Snapshot returns rates and percentiles of the last seconds (see SampleEvery).
func (r *Registry) Snapshot() Snapshot {
	s := Snapshot{At: r.opt.Now(), Routes: []RouteStats{}, Clusters: []ClusterStats{}}
	for _, h := range sorted(r, r.routes, r.beyond.route) {
		s.addRoute(h, h.streams.Load())
	}
	for _, h := range sorted(r, r.streams, r.beyond.stream) {
		s.addRoute(&h.Route, h.active.Load())
	}
	tries := r.tries()
	for _, h := range sorted(r, r.clusters, r.beyond.cluster) {
		if open := tries[h.name]; open > 0 || h.red.cells.used() {
			st := stats(&h.red, &h.window, s.At, true)
			st.Open = open
			s.Clusters = append(s.Clusters, ClusterStats{h.name, st})
		}
	}
	return s
}

func (s *Snapshot) addRoute(h *Route, open int64) {
	if open <= 0 && !h.red.cells.used() {
		return
	}
	st := stats(&h.red, &h.window, s.At, false)
	st.Open = max(open, 0)
	s.Routes = append(s.Routes, RouteStats{h.route, h.rule, st})
}

// tries are those under way, by cluster.
func (r *Registry) tries() map[string]int64 {
	r.mu.RLock()
	read := r.gauges
	r.mu.RUnlock()
	out := map[string]int64{}
	if read != nil {
		read(func(cluster string, g ClusterGauges) { out[cluster] = int64(g.ActiveRequests) })
	}
	return out
}

// stats compares the counters with the window's base. Where noAnswer is set,
// an event without a status is an error of the other side.
func stats(r *red, w *window, now time.Time, noAnswer bool) Stats {
	base, t := w.base(), r.total()
	s := Stats{Window: now.Sub(base.at), Total: t.count}
	seconds := s.Window.Seconds()
	n := t.count - base.counts.count
	if seconds <= 0 || n == 0 {
		return s
	}
	for i := range t.latency {
		t.latency[i] -= base.counts.latency[i]
	}
	var byClass [6]uint64
	for i := range t.codes {
		byClass[classOf(i)] += t.codes[i] - base.counts.codes[i]
	}
	for i, c := range byClass {
		s.Classes[i] = float64(c) / seconds
	}
	failed := byClass[5]
	if noAnswer {
		failed += byClass[0]
	}
	s.Requests = float64(n) / seconds
	s.Errors = float64(failed) / float64(n)
	s.RequestBytes = float64(t.in-base.counts.in) / seconds
	s.ResponseBytes = float64(t.out-base.counts.out) / seconds
	s.P50, s.P95, s.P99 = latency.Quantile(&t.latency, 0.50), latency.Quantile(&t.latency, 0.95), latency.Quantile(&t.latency, 0.99)
	return s
}
