package lb

import (
	"math"
	"sync/atomic"
	"time"
)

// State is a set of reasons why an endpoint gets no new work.
type State uint32

const (
	// Unhealthy: active health checks fail.
	Unhealthy State = 1 << iota
	// Ejected by outlier detection.
	Ejected
	// Draining: only for sessions that already live there.
	Draining
	// Removed from the cluster, still used by exchanges that began before.
	Removed
)

// Node is what balancing reads and writes of one endpoint on the request path.
// It lives as long as the endpoint, through every View that names it.
type Node struct {
	state   atomic.Uint32
	active  atomic.Int32
	latency atomic.Uint64 // see observe
}

// State returns the reasons why the node is out of use; zero means in use.
func (n *Node) State() State { return State(n.state.Load()) }

// SetState adds or takes away reasons and tells whether that changed anything.
// The balancer stops choosing the node at once; its share is spread exactly
// over the others from the next View on.
func (n *Node) SetState(s State, on bool) bool {
	if on {
		return State(n.state.Or(uint32(s)))&s != s
	}
	return State(n.state.And(^uint32(s)))&s != 0
}

// Active is the number of tries in progress.
func (n *Node) Active() int { return int(n.active.Load()) }

// Latency is the peak-sensitive moving average, decayed to now. Zero means
// that nothing was measured for a long time.
func (n *Node) Latency(now int64, decay time.Duration) time.Duration {
	return time.Duration(decayed(n.latency.Load(), now, decay))
}

// The average and its time share one word, so that readers never see one
// without the other: a float32 of nanoseconds above a time in units of 65.5 µs
// that wraps after three days.
const stampShift = 16

func pack(ns float64, now int64) uint64 {
	return uint64(math.Float32bits(float32(ns)))<<32 | uint64(uint32(now>>stampShift))
}

func unpack(w uint64, now int64) (ns, elapsed float64) {
	age := int32(uint32(now>>stampShift) - uint32(w))
	if age < 0 { // another goroutine's clock reading was later than ours
		age = 0
	}
	return float64(math.Float32frombits(uint32(w >> 32))), float64(age) * (1 << stampShift)
}

func decayed(w uint64, now int64, decay time.Duration) float64 {
	if w == 0 {
		return 0
	}
	ns, age := unpack(w, now)
	if age == 0 {
		return ns
	}
	return ns * math.Exp(-age/float64(decay))
}

// Observe takes in the latency of one try. A latency above the average replaces
// it at once; one below pulls it down with time constant decay.
func (n *Node) Observe(now int64, latency, decay time.Duration) {
	for {
		old := n.latency.Load()
		sample := max(float64(latency), 1)
		if old != 0 {
			ns, age := unpack(old, now)
			if sample < ns {
				if age == 0 {
					return
				}
				keep := math.Exp(-age / float64(decay))
				sample = ns*keep + sample*(1-keep)
			}
		}
		if n.latency.CompareAndSwap(old, pack(sample, now)) {
			return
		}
	}
}

// ObserveLeast takes in a try that was given up: it would have taken longer
// still, so it counts if it took longer than the average already.
func (n *Node) ObserveLeast(now int64, latency, decay time.Duration) {
	if float64(latency) > decayed(n.latency.Load(), now, decay) {
		n.Observe(now, latency, decay)
	}
}

// Learn copies what another node has learned, for an endpoint that was rebuilt.
func (n *Node) Learn(from *Node) {
	n.latency.Store(from.latency.Load())
	n.SetState(from.State()&(Unhealthy|Ejected), true)
}
