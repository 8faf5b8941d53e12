package pipeline

// Once both sides may speak, silence is that of both: a stream whose client has
// said all it has to for now is as alive as its answers are, and one whose endpoint
// only listens as what the client sends.

// BodyBy is when the next piece of the request's body must have come, to who waits
// for it since a time; 0 is never. From the head of the response on the route's
// limit counts, where the response is waited for; of a call before that, too.
func (x *Exchange) BodyBy(since int64) int64 {
	if x.answering.Load() {
		return 0
	}
	idle := x.Listener.IR.Client.BodyIdleTimeout
	if x.call.on && x.Rule != nil {
		idle = x.Rule.Policy.Timeouts.Idle
	}
	if idle <= 0 {
		return 0
	}
	return since + int64(idle)
}

// stillSpoken tells, when the response was waited for in vain, whether the client
// has said something meanwhile. Then there is more time.
func (x *Exchange) stillSpoken() bool {
	if x.up.Conn() != nil || x.Rule.Policy.Timeouts.Idle <= 0 {
		return false
	}
	by := x.streamDeadline(x.pump.cameUntil())
	if by <= x.tick() {
		return false
	}
	x.up.SetReadBy(by)
	return true
}
