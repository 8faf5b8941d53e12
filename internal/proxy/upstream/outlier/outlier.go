// Package outlier ejects endpoints that fail real requests: by consecutive
// errors, at once, and by success rate compared with the other endpoints, at
// each interval. It owns no goroutines and reads no clock; the cluster calls
// Tick when it is due.
//
// At most MaxPercent of the endpoints are ejected at a time, but one always may
// be, as long as the cluster has another: the only endpoint is never ejected.
package outlier

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/upstream/lb"
)

// Class is how a try ended.
type Class uint8

const (
	// Success is any answer below 500.
	Success Class = iota
	// ServerError is an answer of 500 or above that is not a GatewayError.
	ServerError
	// GatewayError is 502, 503 or 504, or no answer: connect failure, reset, timeout.
	GatewayError
)

// Cause is the rule that ejected an endpoint.
type Cause uint8

const (
	// NotEjected is no cause.
	NotEjected Cause = iota
	// Consecutive5xx: so many errors in a row, of any class.
	Consecutive5xx
	// ConsecutiveGatewayErrors: so many gateway errors in a row. Where one try
	// reaches both limits, this narrower one is the cause.
	ConsecutiveGatewayErrors
	// SuccessRate: it did worse than the other endpoints.
	SuccessRate
)

// String is for people: "consecutive 5xx".
func (c Cause) String() string {
	return [...]string{"", "consecutive 5xx", "consecutive gateway errors", "success rate"}[c]
}

// Host is the detector's view of one endpoint.
type Host struct {
	Node *lb.Node

	errors  atomic.Int32 // consecutive, of any class
	gateway atomic.Int32 // consecutive gateway errors
	tries   atomic.Uint32
	fine    atomic.Uint32

	// Guarded by Detector.mu.
	until int64 // end of the ejection; zero while not ejected
	grade int   // ejections that count for the length of the next one
	back  bool  // it returned in this interval
	total int   // ejections ever
	cause Cause // of the last one
}

// Detector watches the endpoints of one cluster.
type Detector struct {
	cfg ir.Outlier

	mu      sync.Mutex // guards what follows and the hosts' ejections
	hosts   []*Host
	ejected int
	swept   int64 // last interval's end
}

// New makes a detector. Zero durations get defaults: interval 10 s, base
// ejection 30 s, longest ejection 300 s.
func New(cfg ir.Outlier, now int64) *Detector {
	if cfg.Interval <= 0 {
		cfg.Interval = 10 * time.Second
	}
	if cfg.BaseEjection <= 0 {
		cfg.BaseEjection = 30 * time.Second
	}
	if cfg.MaxEjection <= 0 {
		cfg.MaxEjection = 300 * time.Second
	}
	cfg.MaxEjection = max(cfg.MaxEjection, cfg.BaseEjection)
	return &Detector{cfg: cfg, swept: now}
}

// SetHosts replaces the endpoints. Hosts keep their state.
func (d *Detector) SetHosts(hosts []*Host) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hosts, d.ejected = hosts, 0
	for _, h := range hosts {
		if h.until != 0 {
			d.ejected++
		}
	}
}

// Record takes in a try and tells by which rule it got the host ejected, if it did.
func (d *Detector) Record(h *Host, c Class, now int64) Cause {
	h.tries.Add(1)
	if c == Success {
		h.fine.Add(1)
		if h.errors.Load() != 0 {
			h.errors.Store(0)
			h.gateway.Store(0)
		}
		return NotEjected
	}
	errors := h.errors.Add(1)
	var gateway int32
	if c == GatewayError {
		gateway = h.gateway.Add(1)
	} else {
		h.gateway.Store(0)
	}
	var cause Cause
	switch {
	case reached(gateway, d.cfg.ConsecutiveGateway):
		cause = ConsecutiveGatewayErrors
	case reached(errors, d.cfg.Consecutive5xx):
		cause = Consecutive5xx
	default:
		return NotEjected
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.eject(h, cause, now) {
		return NotEjected
	}
	return cause
}

func reached(n int32, limit int) bool { return limit > 0 && int(n) >= limit }

// eject is called with mu held.
func (d *Detector) eject(h *Host, cause Cause, now int64) bool {
	h.errors.Store(0)
	h.gateway.Store(0)
	if h.until != 0 || h.Node.State()&lb.Removed != 0 || d.ejected+1 > d.allowed() {
		return false
	}
	h.grade++
	h.back = false
	h.total++
	h.cause = cause
	h.until = now + int64(min(time.Duration(min(h.grade, 1<<20))*d.cfg.BaseEjection, d.cfg.MaxEjection))
	d.ejected++
	h.Node.SetState(lb.Ejected, true)
	return true
}

func (d *Detector) allowed() int {
	if len(d.hosts) < 2 {
		return 0
	}
	return min(max(len(d.hosts)*d.cfg.MaxPercent/100, 1), len(d.hosts))
}

// Tick returns ejected hosts whose time is over and, once per interval, compares
// success rates. It reports each change by the host's place in SetHosts and
// returns when it wants to be called again.
func (d *Detector) Tick(now int64, changed func(i int, ejected bool)) (next int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, h := range d.hosts {
		if h.until != 0 && now >= h.until {
			h.until, h.back = 0, true
			d.ejected--
			h.errors.Store(0)
			h.gateway.Store(0)
			h.Node.SetState(lb.Ejected, false)
			changed(i, false)
		}
	}
	if now-d.swept >= int64(d.cfg.Interval) {
		d.swept = now
		d.sweep(now, changed)
	}
	next = d.swept + int64(d.cfg.Interval)
	for _, h := range d.hosts {
		if h.until != 0 {
			next = min(next, h.until)
		}
	}
	return next
}

// sweep ends an interval: a host that was in use through all of it has its next
// ejection shortened by one step, and success rates are compared.
func (d *Detector) sweep(now int64, changed func(i int, ejected bool)) {
	type rated struct {
		i    int
		rate float64
	}
	var rates []rated
	for i, h := range d.hosts {
		tries, fine := h.tries.Swap(0), h.fine.Swap(0)
		if h.until != 0 {
			continue
		}
		if !h.back && h.grade > 0 {
			h.grade--
		}
		h.back = false
		if tries > 0 && int(tries) >= d.cfg.SuccessRateMinRequests {
			rates = append(rates, rated{i, math.Min(1, float64(fine)/float64(tries))})
		}
	}
	if d.cfg.SuccessRateStdev <= 0 || len(rates) < max(d.cfg.SuccessRateMinHosts, 2) {
		return
	}
	var mean, variance float64
	for _, r := range rates {
		mean += r.rate / float64(len(rates))
	}
	for _, r := range rates {
		variance += (r.rate - mean) * (r.rate - mean) / float64(len(rates))
	}
	least := mean - math.Sqrt(variance)*float64(d.cfg.SuccessRateStdev)/100
	for _, r := range rates {
		if r.rate < least && d.eject(d.hosts[r.i], SuccessRate, now) {
			changed(r.i, true)
		}
	}
}

// Learn copies the ejection of another detector's host, for an endpoint that
// was rebuilt. Call it before SetHosts; from's detector may go on running.
func (d *Detector) Learn(h *Host, from *Detector, old *Host) {
	from.mu.Lock()
	until, grade, total, cause := old.until, old.grade, old.total, old.cause
	from.mu.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	h.until, h.grade, h.total, h.cause = until, grade, total, cause
	h.Node.SetState(lb.Ejected, until != 0)
}

// Ejections tells how often a host was ejected, and until when and why it is.
func (d *Detector) Ejections(h *Host) (total int, until int64, cause Cause) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if h.until != 0 {
		cause = h.cause
	}
	return h.total, h.until, cause
}
