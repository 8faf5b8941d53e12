package metric

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"github.com/gridway/gridway/internal/telemetry/latency"
)

// Gather implements prometheus.Gatherer: the registry, the Go runtime's and the
// process's metrics.
func (r *Registry) Gather() ([]*dto.MetricFamily, error) { return r.gatherer().Gather() }

func (r *Registry) newGatherer() prometheus.Gatherer {
	reg := prometheus.NewRegistry()
	// How long goroutines that could run wait for a processor is the saturation of
	// the event loops.
	waits := collectors.GoRuntimeMetricsRule{Matcher: regexp.MustCompile("^/sched/latencies:seconds$")}
	reg.MustRegister(r.Collector(), collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(waits)),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return reg
}

// Handler serves what Gather has in the formats of Prometheus.
func (r *Registry) Handler() http.Handler {
	return promhttp.HandlerFor(r.gatherer(), promhttp.HandlerOpts{EnableOpenMetrics: true, MaxRequestsInFlight: 4})
}

// Collector is the registry as a Prometheus collector.
func (r *Registry) Collector() prometheus.Collector { return collector{r} }

type collector struct{ r *Registry }

func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, f := range families() {
		ch <- f.desc
	}
}

// Collect emits what has had an event: a rule without traffic has no series.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	e := emitter{ch: ch, reasons: c.r.opt.Reasons, state: c.r.kinds.state, seen: map[string]int64{}}
	for _, h := range sorted(c.r, c.r.routes, c.r.beyond.route) {
		e.born = h.born
		e.red(&routeFamilies, &h.red, &h.traced, h.route, h.rule)
		if n := h.streams.Load(); n > 0 || h.red.cells.used() {
			e.gauge(&routeStreamsFamily, float64(max(n, 0)), h.route, h.rule)
		}
		e.websocket(h)
	}
	for _, h := range sorted(c.r, c.r.streams, c.r.beyond.stream) {
		e.stream(h)
	}
	e.born = c.r.born
	e.calls(&c.r.calls)
	for _, h := range sorted(c.r, c.r.policies, c.r.beyond.policy) {
		e.policy(h, c.r.opt.Decisions, c.r.opt.Faults)
	}
	e.decided(c.r)
	for _, h := range sorted(c.r, c.r.rateLimits, c.r.beyond.rateLimit) {
		e.rateLimit(h)
	}
	for _, h := range sorted(c.r, c.r.limitStores, c.r.beyond.limitStore) {
		e.rateLimitStore(h)
	}
	for _, h := range sorted(c.r, c.r.clusters, c.r.beyond.cluster) {
		e.cluster(h)
	}
	for _, h := range sorted(c.r, c.r.listeners, c.r.beyond.listener) {
		e.listener(h)
	}
	e.born = c.r.born
	c.r.mu.RLock()
	kept := c.r.kept
	sinks, records, loops := c.r.sinks, c.r.records, c.r.loops
	gauges, admission, accessLog, log, certs, limitKeys, keySets, logins, tokenIssuers := c.r.gauges, c.r.admission, c.r.accessLog, c.r.log, c.r.certs, c.r.limitKeys, c.r.keySets, c.r.logins, c.r.tokenIssuers
	callerTokens, dependencies, discovery, election, mesh, edges := c.r.callerTokens, c.r.dependencies, c.r.discovery, c.r.election, c.r.mesh, c.r.edges
	c.r.mu.RUnlock()
	if gauges != nil {
		e.clusters(c.r, gauges)
	}
	if kept != nil {
		e.configured(c.r, kept)
	}
	if certs != nil {
		certs(e.certificate)
	}
	if keySets != nil {
		keySets(e.keySet)
	}
	if discovery != nil {
		discovery(e.discovered)
	}
	if dependencies != nil {
		dependencies(e.dependency)
	}
	if election != nil {
		e.election(election())
	}
	if logins != nil {
		logins(e.login)
	}
	if tokenIssuers != nil {
		tokenIssuers(e.tokenIssuer)
	}
	if callerTokens != nil {
		callerTokens(e.callerToken)
	}
	if limitKeys != nil {
		limitKeys(e.rateLimitKeys)
	}
	if mesh != nil {
		m := mesh()
		e.mesh(&m)
	}
	if edges != nil {
		e.edges(edges())
	}
	if admission != nil {
		admission(e.admission)
	}
	e.lines(&accessLogFamily, accessLog)
	e.lines(&logFamily, log)
	if sinks != nil {
		sinks(e.sink)
	}
	if records != nil {
		e.remembered(records())
	}
	if loops != nil {
		e.loops(loops())
	}
	e.process(&c.r.process)
	for _, p := range c.r.places() {
		e.places(p)
	}
	e.shown()
	b := c.r.opt.Build
	e.gauge(&buildInfoFamily, 1, b.Version, b.Commit, b.GoVersion)
}

type emitter struct {
	ch      chan<- prometheus.Metric
	reasons []string
	// born is when what is emitted began to count.
	born time.Time
	// state bounds what only the state is shown of, seen counts it.
	state map[string]*places
	seen  map[string]int64
}

// room tells whether there is room for one more of a kind of which only the state
// is shown.
func (e *emitter) room(kind string) bool {
	e.seen[kind]++
	return e.seen[kind] <= e.state[kind].limit
}

// shown notes how many of these kinds there were.
func (e *emitter) shown() {
	for _, kind := range stateKinds {
		p := e.state[kind]
		if e.seen[kind] == 0 {
			continue
		}
		p.taken.Store(min(e.seen[kind], p.limit))
		p.folded.Store(max(e.seen[kind]-p.limit, 0))
		e.places(p)
	}
}

func (e *emitter) count(f *family, n uint64, labels ...string) {
	e.ch <- prometheus.MustNewConstMetricWithCreatedTimestamp(f.desc, prometheus.CounterValue, float64(n), e.born, labels...)
}

// seconds is a counter of time.
func (e *emitter) seconds(f *family, d time.Duration, labels ...string) {
	e.ch <- prometheus.MustNewConstMetricWithCreatedTimestamp(f.desc, prometheus.CounterValue, d.Seconds(), e.born, labels...)
}

func (e *emitter) gauge(f *family, v float64, labels ...string) {
	e.ch <- prometheus.MustNewConstMetric(f.desc, prometheus.GaugeValue, v, labels...)
}

func (e *emitter) flag(f *family, on bool) {
	if on {
		e.gauge(f, 1)
		return
	}
	e.gauge(f, 0)
}

// histogram folds the fine buckets into the exported ones, cumulatively.
func (e *emitter) histogram(f *family, c *histogramCounts, traced *exemplars, labels ...string) {
	d := &distribution{
		desc: f.desc, labels: prometheus.MakeLabelPairs(f.desc, labels), count: c.count, sum: time.Duration(c.nanos).Seconds(), native: c.native, born: e.born,
	}
	var sum uint64
	fine := 0
	for i := range exportedBuckets {
		for end := latency.Parts * (i + 1); fine < end; fine++ {
			sum += c.latency[fine]
		}
		d.buckets[i] = sum
	}
	if traced != nil {
		d.exemplars = traced.all()
	}
	e.ch <- d
}

func (e *emitter) red(f *redFamilies, r *red, traced *exemplars, labels ...string) {
	if !r.cells.used() {
		return
	}
	t := r.total()
	for i, n := range t.codes {
		if n > 0 {
			e.count(&f.requests, n, append(slices.Clip(labels), slotLabels[i][0], slotLabels[i][1])...)
		}
	}
	e.histogram(&f.duration, &histogramCounts{t.count, t.nanos, t.latency, t.native}, traced, labels...)
	e.count(&f.in, t.in, labels...)
	e.count(&f.out, t.out, labels...)
	for i, name := range e.reasons {
		if t.reasons[i] > 0 && name != "" {
			e.count(&f.reasons, t.reasons[i], append(slices.Clip(labels), name)...)
		}
	}
}

// times emits a histogram that stands alone.
func (e *emitter) times(f *family, h *histogram, label string) {
	if h.cells.used() {
		t := h.total()
		e.histogram(f, t, nil, label)
	}
}

// named emits one counter per name whose events start at first, if not zero.
func (e *emitter) named(f *family, t *[maxEvents]uint64, first int, names []string, labels ...string) {
	for i, name := range names {
		if n := t[first+i]; n > 0 {
			e.count(f, n, append(labels[:len(labels):len(labels)], name)...)
		}
	}
}

func (e *emitter) cluster(h *Cluster) {
	e.born = h.born
	e.red(&clusterFamilies, &h.red, &h.traced, h.name)
	e.times(&connectFamily, &h.connect, h.name)
	e.copies(h)
	if !h.events.cells.used() {
		return
	}
	t := h.events.totals()
	e.count(&retriesFamily, t[eventRetry], h.name)
	e.count(&retriesDeniedFamily, t[eventRetryDenied], h.name)
	e.count(&hedgesFamily, t[eventHedge], h.name)
	e.count(&hedgesWonFamily, t[eventHedgeWon], h.name)
	e.count(&returnFamily, t[eventReturn], h.name)
	e.count(&endpointUpdateFamily, t[eventEndpointsUpdate], h.name)
	e.named(&poolFamily, &t, eventPoolHit, []string{"hit", "miss", "stale"}, h.name)
	e.named(&connectFailureFamily, &t, eventConnectFailure, connectFailureNames[:], h.name)
	e.named(&breakerFamily, &t, eventBreaker, breakerNames[:], h.name)
	e.named(&ejectionFamily, &t, eventEjection, ejectionNames[:], h.name)
	e.named(&healthFamily, &t, eventHealthOK, []string{"ok", "failed"}, h.name)
	e.named(&healthChangeFamily, &t, eventHealthy, []string{"healthy", "unhealthy"}, h.name)
	e.named(&breakerChangeFamily, &t, eventBreakerOpened, []string{"open", "half_open", "closed"}, h.name)
}

func (e *emitter) listener(h *Listener) {
	if !h.place.own() || h.name == overflow && !h.events.cells.used() && !h.red.cells.used() {
		return
	}
	e.born = h.born
	e.red(&listenerFamilies, &h.red, nil, h.name)
	e.times(&handshakeTimeFamily, &h.handshake, h.name)
	t := h.events.totals()
	e.count(&acceptedFamily, t[eventAccepted], h.name)
	// Accepted and closed are not read at one instant.
	e.gauge(&openFamily, max(float64(t[eventAccepted])-float64(t[eventClosed]), 0), h.name)
	e.count(&acceptErrorFamily, t[eventAcceptError], h.name)
	for i, name := range e.reasons {
		if n := h.unrouted[i].Load(); n > 0 && name != "" {
			e.count(&unroutedStreamFamily, n, h.name, name)
		}
	}
	e.count(&resumedFamily, t[eventResumed], h.name)
	e.named(&rejectedFamily, &t, eventRejected, rejectNames[:], h.name)
	e.named(&handshakeFamily, &t, eventTLS, tlsVersions[:], h.name)
	e.named(&handshakeFailedFamily, &t, eventTLSFailed, handshakeFailureNames[:], h.name)
	h.mu.Lock()
	protocol, goAways, goAways3 := maps.Clone(h.protocol), maps.Clone(h.goAways), maps.Clone(h.goAways3)
	h.mu.Unlock()
	for _, code := range slices.Sorted(maps.Keys(protocol)) {
		e.count(&protocolFamily, protocol[code], h.name, code)
	}
	e.http2(h, &t)
	for _, reason := range slices.Sorted(maps.Keys(goAways)) {
		e.count(&goAwayFamily, goAways[reason], h.name, reason)
	}
	e.http3(h, &t)
	for _, reason := range slices.Sorted(maps.Keys(goAways3)) {
		e.count(&goAway3Family, goAways3[reason], h.name, reason)
	}
}

func (e *emitter) http2(h *Listener, t *[maxEvents]uint64) {
	open := func(f *family, opened, closed HTTP2Event) {
		if n := t[eventHTTP2+int(opened)]; n > 0 {
			e.gauge(f, max(float64(n)-float64(t[eventHTTP2+int(closed)]), 0), h.name)
		}
	}
	open(&http2Family, HTTP2Opened, HTTP2Closed)
	open(&streamsFamily, StreamOpened, StreamClosed)
	if n := t[eventHTTP2+int(HTTP2Opened)]; n > 0 {
		e.count(&http2AcceptedFamily, n, h.name)
	}
	for side, name := range resetSides {
		for code, label := range resetNames {
			if n := h.resets[side][code].Load(); n > 0 {
				e.count(&resetFamily, n, h.name, name, label)
			}
		}
	}
}

func (e *emitter) process(p *process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e.gauge(&revisionFamily, float64(p.revision))
	e.count(&reloadsFamily, p.successes, "success")
	e.count(&reloadsFamily, p.failures, "failure")
	if !p.last.IsZero() {
		e.gauge(&reloadTimeFamily, float64(p.last.UnixMilli())/1e3)
		e.gauge(&reloadTookFamily, p.took.Seconds())
	}
	e.flag(&reloadOKFamily, p.lastOK)
	e.flag(&readyFamily, p.ready)
	for _, s := range slices.Sorted(maps.Keys(p.problems)) {
		e.gauge(&problemsFamily, float64(p.problems[s]), s)
	}
	for _, k := range slices.Sorted(maps.Keys(p.objects)) {
		e.gauge(&objectsFamily, float64(p.objects[k]), k)
	}
}
