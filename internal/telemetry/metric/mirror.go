package metric

import "time"

// MirrorResult is what became of a copy of a request that was to go to a mirror.
type MirrorResult uint8

const (
	// Mirrored2xx and the next three are the classes of the status of a complete answer.
	Mirrored2xx MirrorResult = iota
	Mirrored3xx
	Mirrored4xx
	Mirrored5xx
	// MirrorTooMany: as many copies, or as many bytes of them, were under way as may be.
	MirrorTooMany
	// MirrorRefused: by the cluster's circuit breaker. MirrorNoEndpoint: none can be used.
	MirrorRefused
	MirrorNoEndpoint
	MirrorConnectFailure
	MirrorTimeout
	MirrorReset
	// MirrorTooSlow: the mirror took the body so slowly that the rest was not kept for it.
	MirrorTooSlow
	// MirrorCutShort: the request itself did not come to its end.
	MirrorCutShort
	mirrorResults
)

var mirrorNames = [mirrorResults]string{
	"2xx", "3xx", "4xx", "5xx", "too_many", "refused", "no_endpoint", "connect_failure", "timeout", "reset", "too_slow", "cut_short",
}

// String is a label of metrics, and the reason in records of copies that had no answer.
func (r MirrorResult) String() string {
	if r < mirrorResults {
		return mirrorNames[r]
	}
	return "unknown"
}

// Answered tells whether there was a complete answer.
func (r MirrorResult) Answered() bool { return r <= Mirrored5xx }

// MirrorStatus is the result of a complete answer.
func MirrorStatus(status int) MirrorResult {
	return min(MirrorResult(max(status/100, 2)-2), Mirrored5xx)
}

// copies counts those that went to a cluster. Few clusters are mirrors, so that the others
// have none.
type copies struct {
	took    histogram
	results events
}

// Mirrored counts a copy of a request that was to go to the cluster, and took so long, which
// counts of those alone that were answered.
func (h *Cluster) Mirrored(result MirrorResult, took time.Duration) {
	h = h.self()
	c := h.copies.Load()
	if c == nil {
		made := &copies{}
		made.took.cells.stripes, made.took.native, made.results.cells.stripes = h.events.cells.stripes, h.red.native, h.events.cells.stripes
		if c = made; !h.copies.CompareAndSwap(nil, made) {
			c = h.copies.Load()
		}
	}
	c.results.add(int(result))
	if result.Answered() {
		c.took.observe(took)
	}
}

var (
	mirrorFamily = define("gridway_mirror_requests_total", counter,
		"Copies of requests for mirrors, by the mirror's cluster and result: the class of the answer's status, or why there was none: too_many (copies under way), refused (by the circuit breaker), no_endpoint, connect_failure, timeout, reset, too_slow (to keep the body for it), cut_short (with the request itself). They count neither as requests nor as tries.",
		"cluster", "result")
	mirrorTimeFamily = define("gridway_mirror_request_duration_seconds", histo,
		"Time from the begin of a copy to the end of the mirror's answer.", "cluster")
)

func (e *emitter) copies(h *Cluster) {
	c := h.copies.Load()
	if c == nil {
		return
	}
	e.times(&mirrorTimeFamily, &c.took, h.name)
	if c.results.cells.used() {
		t := c.results.totals()
		e.named(&mirrorFamily, &t, 0, mirrorNames[:], h.name)
	}
}
