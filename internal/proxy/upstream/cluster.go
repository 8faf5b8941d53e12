package upstream

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/upstream/breaker"
	"github.com/gridway/gridway/internal/proxy/upstream/budget"
	"github.com/gridway/gridway/internal/proxy/upstream/health"
	"github.com/gridway/gridway/internal/proxy/upstream/lb"
	"github.com/gridway/gridway/internal/proxy/upstream/outlier"
	"github.com/gridway/gridway/internal/proxy/upstream/pool"
)

// Cluster is the running form of one ir.Cluster. It lives while configurations
// have its name with its hash; exchanges that hold it may go on after that.
type Cluster struct {
	set     *Set
	cfg     atomic.Pointer[ir.Cluster]
	metrics ClusterMetrics

	lbConfig *lb.Config
	balancer *lb.Balancer
	view     atomic.Pointer[arrangement]

	rules pool.Rules
	slots *pool.Slots
	tls   *tls.Config
	quic  *tls.Config // of HTTP/3; checks use tls, over TCP
	// findIdle is method value idleConn, made once.
	findIdle func(*pool.Stack) (conn idleConn, own bool)
	hashOn   []hashSource

	requests *breaker.Gauge
	retries  *breaker.Gauge
	failure  *breaker.Failure
	budget   *budget.Budget
	detector *outlier.Detector
	// refused counts requests that found a limit reached.
	refused atomic.Uint64

	// reaping is set while the keeper looks after idle connections.
	reaping atomic.Bool
	// dirty asks the keeper for a new arrangement.
	dirty atomic.Bool

	mu         sync.Mutex // guards the making of arrangements and what follows
	discovered bool       // endpoints came by Update
	round      uint64     // counts lists of endpoints
	retired    bool
	rebuildAt  int64 // not before, so that flapping in a huge cluster stays cheap
	lastReap   int64

	checker *health.Checker // nil without active health checks
	keeperItem
}

// arrangement is one immutable set of endpoints with the view over them.
type arrangement struct {
	lb        *lb.View
	endpoints []*Endpoint // in the order of the view's members
	byName    map[string]*Endpoint
}

func newCluster(s *Set, cfg *ir.Cluster, now int64) (*Cluster, error) {
	c := &Cluster{
		set:      s,
		metrics:  noMetrics{},
		lbConfig: lb.NewConfig(cfg.Balance, s.opts.Zone),
		rules:    pool.NewRules(cfg.Pool),
		hashOn:   hashSources(cfg.Balance.HashOn),
		budget:   budget.New(cfg.RetryBudget),
	}
	c.cfg.Store(cfg)
	c.balancer = lb.NewBalancer(c.lbConfig, rand.Uint64())
	c.findIdle = c.idleAnywhere
	if s.opts.Metrics != nil {
		c.metrics = s.opts.Metrics.Cluster(cfg.Name)
	}
	b := ir.Breaker{}
	if cfg.Breaker != nil {
		b = *cfg.Breaker
	}
	c.slots = pool.NewSlots(b.MaxConnections, b.MaxPending)
	c.requests = breaker.NewGauge(b.MaxRequests)
	c.retries = breaker.NewGauge(b.MaxRetries)
	c.failure = breaker.NewFailure(b.Failure)
	if cfg.Outlier != nil {
		c.detector = outlier.New(*cfg.Outlier, now)
	}
	if cfg.TLS != nil {
		t, err := s.opts.ClientTLS(cfg.TLS)
		if err != nil {
			return nil, fmt.Errorf("cluster %s: %w", cfg.Name, err)
		}
		switch {
		case cfg.HTTP3:
			c.quic = t.Clone()
			c.quic.NextProtos, c.quic.MinVersion = []string{"h3"}, tls.VersionTLS13
		case cfg.HTTP2:
			t = t.Clone()
			t.NextProtos = []string{"h2"}
		case cfg.Protocol == ir.TCP && !slices.Equal(t.NextProtos, cfg.TLS.ALPN):
			t = t.Clone()
			t.NextProtos = cfg.TLS.ALPN // if none, what is inside is not known
		}
		c.tls = t
	}
	if cfg.ProxyProtocol != 0 {
		c.rules.Off = true // a connection speaks for one client
	}
	c.view.Store(&arrangement{lb: lb.Build(c.lbConfig, nil, nil, now)})
	return c, nil
}

// Name is the cluster's name.
func (c *Cluster) Name() string { return c.cfg.Load().Name }

// Crowded tells whether exchanges wait in line for a connection.
func (c *Cluster) Crowded() bool { return c.slots.Waiting() > 0 }

// Config is the compiled cluster. Its Endpoints are those that the
// configuration named, not later updates.
func (c *Cluster) Config() *ir.Cluster { return c.cfg.Load() }

// Begin starts an exchange at the monotonic time now; zero reads the clock. No
// try of the exchange may have begun before. Unless it fails with ErrOverload
// or ErrBreakerOpen, End must follow.
func (c *Cluster) Begin(now int64) error {
	if !c.requests.Enter() {
		c.overloaded(EventOverloadRequests)
		return ErrOverload
	}
	if c.failure == nil && c.budget == nil {
		return nil
	}
	now = orNow(now)
	allowed, halfOpen := c.failure.Allow(now)
	if halfOpen {
		c.metrics.Count(EventBreakerHalfOpen)
	}
	if !allowed {
		c.requests.Leave()
		c.metrics.Count(EventBreakerRejected)
		return ErrBreakerOpen
	}
	c.budget.Request(now)
	return nil
}

// End ends an exchange.
func (c *Cluster) End() { c.requests.Leave() }

// AllowRetry asks for one more try of an exchange (a retry or a hedge). If it
// says yes, RetryDone must follow when that try has ended. Unless the breaker
// is closed it says no: a half-open one lets so many tries through, no more.
func (c *Cluster) AllowRetry() bool {
	switch {
	case !c.failure.Closed():
	case !c.retries.Enter():
		c.metrics.Count(EventOverloadRetries)
	case c.budget != nil && !c.budget.Allow(orNow(0)):
		c.retries.Leave()
	default:
		return true
	}
	c.metrics.Count(EventRetryDenied)
	return false
}

// RetryDone ends what AllowRetry allowed.
func (c *Cluster) RetryDone() { c.retries.Leave() }

// maxTurnedDown bounds how often Pick draws an endpoint that is to be avoided
// before it searches for another.
const maxTurnedDown = 8

// Pick chooses an endpoint and counts it active until Done.
func (c *Cluster) Pick(q *Query) (*Endpoint, error) {
	a := c.view.Load()
	if q.Sticky != "" {
		if e := a.byName[q.Sticky]; e != nil && e.node.State()&^lb.Draining == 0 && !contains(q.Avoid, e) {
			c.balancer.Acquire(&e.node)
			return e, nil
		}
	}
	ask := lb.Query{Hash: q.Hash, HasHash: q.HasHash, Now: q.Now}
	if c.lbConfig.Balance.Algorithm == ir.PeakEWMA {
		ask.Now = orNow(q.Now)
	}
	i := a.lb.Pick(c.balancer, &ask)
	for i < 0 {
		now := c.view.Load()
		if now == a {
			return nil, ErrNoHealthyEndpoint
		}
		a = now // the endpoints were replaced meanwhile
		i = a.lb.Pick(c.balancer, &ask)
	}
	if len(q.Avoid) == 0 || !contains(q.Avoid, a.endpoints[i]) {
		return a.endpoints[i], nil
	}
	return c.pickOther(a, &ask, a.endpoints[i], q.Avoid), nil
}

// pickOther looks for an endpoint that is not to be avoided, by the algorithm
// first, then anywhere in order of priority; first is used if there is none.
func (c *Cluster) pickOther(a *arrangement, ask *lb.Query, first *Endpoint, avoid []*Endpoint) *Endpoint {
	for ask.Attempt = 1; ask.Attempt <= maxTurnedDown && len(a.endpoints) > 1; ask.Attempt++ {
		i := a.lb.Pick(c.balancer, ask)
		if i < 0 {
			break
		}
		if e := a.endpoints[i]; !contains(avoid, e) {
			c.balancer.Release(&first.node)
			return e
		}
		c.balancer.Release(&a.endpoints[i].node)
	}
	i := a.lb.Any(c.balancer, func(i int) bool { return contains(avoid, a.endpoints[i]) })
	if i < 0 {
		return first
	}
	c.balancer.Release(&first.node)
	return a.endpoints[i]
}

func contains(list []*Endpoint, e *Endpoint) bool {
	for _, x := range list {
		if x == e || x.name == e.name {
			return true
		}
	}
	return false
}

// failurePenalty is the latency that a try without an answer counts as, so that
// an endpoint that fails fast does not look fast.
const failurePenalty = time.Second

// Done ends the try that Pick began.
func (c *Cluster) Done(e *Endpoint, o Outcome) {
	c.Release(e)
	c.Observe(e, o)
}

// Release and Observe are the two halves of Done, for streams: their verdict is
// known long before they end.
func (c *Cluster) Release(e *Endpoint) { c.balancer.Release(&e.node) }

// Observe takes in how a try went.
func (c *Cluster) Observe(e *Endpoint, o Outcome) {
	e.tries.Add(1)
	if o.Kind == Cancelled {
		e.node.ObserveLeast(orNow(o.Now), o.Latency, c.lbConfig.Balance.Decay)
		return
	}
	class := classOf(&o)
	if class != outlier.Success {
		e.failures.Add(1)
	}
	now := orNow(o.Now)
	latency := o.Latency
	if class == outlier.GatewayError {
		latency = max(latency, failurePenalty)
	}
	e.node.Observe(now, latency, c.lbConfig.Balance.Decay)
	if c.detector != nil {
		if cause := c.detector.Record(&e.host, class, now); cause != outlier.NotEjected {
			c.metrics.Count(ejections[cause])
			c.set.logEndpoint(slog.LevelWarn, "endpoint ejected", e, "cause", cause.String(), "after", o.Kind.String(), "status", o.Status)
			c.rearrangeSoon(now)
		}
	}
	started := o.Started
	if started == 0 {
		started = now - int64(o.Latency)
	}
	if c.failure.Record(now, started, class != outlier.Success) {
		if state, _ := c.failure.State(); state == breaker.Open {
			c.metrics.Count(EventBreakerOpened)
		} else {
			c.metrics.Count(EventBreakerClosed)
		}
	}
}

// ejections are the events of outlier detection's causes.
var ejections = [...]Event{
	outlier.Consecutive5xx:           EventEjectedConsecutive5xx,
	outlier.ConsecutiveGatewayErrors: EventEjectedGatewayErrors,
	outlier.SuccessRate:              EventEjectedSuccessRate,
}

func classOf(o *Outcome) outlier.Class {
	switch {
	case o.Kind != OK, o.Status >= 502 && o.Status <= 504:
		return outlier.GatewayError
	case o.Status >= 500:
		return outlier.ServerError
	}
	return outlier.Success
}
