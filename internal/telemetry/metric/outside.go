package metric

import "time"

// What is counted elsewhere is read at each scrape.

// LogStats is what a log counts about itself.
type LogStats struct{ Written, Dropped, Errors uint64 }

// SetAccessLog names the function that reads the access log's counters.
func (r *Registry) SetAccessLog(read func() LogStats) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.accessLog = read
}

// SetLog names the function that reads the counters of the process's own log.
func (r *Registry) SetLog(read func() LogStats) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log = read
}

// Admission is the state of one adaptive concurrency limit.
type Admission struct {
	Limit, InFlight, Queued                        int
	Baseline, Recent                               time.Duration
	Admitted, Delayed, Refused, Displaced, Expired uint64
}

// SetAdmission names the function that reads the adaptive concurrency limits.
// It calls yield once per scope, which is what the policy is attached to.
func (r *Registry) SetAdmission(read func(yield func(scope string, a Admission))) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.admission = read
}

func (e *emitter) admission(scope string, a Admission) {
	if !e.room("admission") {
		return
	}
	e.gauge(&admissionLimitFamily, float64(a.Limit), scope)
	e.gauge(&admissionActiveFamily, float64(a.InFlight), scope)
	e.gauge(&admissionQueuedFamily, float64(a.Queued), scope)
	e.gauge(&admissionBaselineFamily, a.Baseline.Seconds(), scope)
	e.gauge(&admissionLatencyFamily, a.Recent.Seconds(), scope)
	for _, d := range []struct {
		result string
		n      uint64
	}{{"admitted", a.Admitted}, {"delayed", a.Delayed}, {"refused", a.Refused}, {"displaced", a.Displaced}, {"expired", a.Expired}} {
		e.count(&admissionFamily, d.n, scope, d.result)
	}
}

func (e *emitter) lines(f *family, read func() LogStats) {
	if read == nil {
		return
	}
	s := read()
	e.count(f, s.Written, "written")
	e.count(f, s.Dropped, "dropped")
	e.count(f, s.Errors, "error")
}
