package pipeline

import (
	"time"

	"github.com/gridway/gridway/internal/proxy/admission"
	"github.com/gridway/gridway/internal/proxy/filter"
)

// admit takes a place under the rule's adaptive concurrency limit.
func (x *Exchange) admit() bool {
	l := x.rule.Limiter
	if l == nil {
		return true
	}
	p := x.Rule.Policy.Admission
	priority := p.DefaultPriority
	if p.PriorityHeader != "" {
		if v := x.Req.Header.GetString(p.PriorityHeader); len(v) == 1 && v[0] >= '0' && v[0] <= '9' {
			priority = int(v[0] - '0')
		}
	}
	place, ok := l.AcquireOn(x.Down.Task(), priority, x.deadline, x.gone)
	if !ok {
		x.Fail(503, filter.AdmissionDenied, "too many requests at once for what the backend can do; try again later")
		return false
	}
	x.place = place
	return true
}

// release gives the place back and tells the limiter how it went.
func (x *Exchange) release() {
	place := x.place
	if !place.Held() {
		return
	}
	x.place = admission.Place{}
	place.Release(x.load())
	x.Down.Task().Share() // with who gets the place
}

// load is what the exchange tells of how busy the backend is: how long that
// took to answer, from the end of the request to the head of the response. What
// clients take to send and to receive is not the backend's.
func (x *Exchange) load() (admission.Sign, time.Duration) {
	switch {
	case x.backend == nil || !x.pump.complete():
		return admission.Silent, 0
	case x.Flags.Has(filter.UpstreamTimeout), x.Flags.Has(filter.UpstreamReset):
		return admission.Overloaded, 0
	case x.upstreamAt == 0:
		return admission.Silent, 0
	}
	answered := x.headAt >= x.upstreamAt
	switch {
	case answered && x.Resp.Status == 503 && x.Local.Status == 0:
		return admission.Overloaded, 0
	case answered:
		return admission.Answered, x.latency(x.headAt)
	case x.Flags.Has(filter.ClientGone):
		return admission.Unanswered, x.latency(x.tick())
	}
	return admission.Silent, 0
}

// leaveEarly gives the place back of what is no work for the backend any more,
// though it may go on for days.
func (x *Exchange) leaveEarly() {
	if !x.place.Held() {
		return
	}
	if x.switched() || x.isEventStream() {
		x.release()
	}
}
