package pipeline

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/proxy/admission"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/snapshot"
	"github.com/gridway/gridway/internal/proxy/upstream"
	"github.com/gridway/gridway/internal/proxy/upstream/http1"
	"github.com/gridway/gridway/internal/telemetry/accesslog"
	"github.com/gridway/gridway/internal/telemetry/signal"
	"github.com/gridway/gridway/internal/telemetry/tap"
	"github.com/gridway/gridway/internal/wire/h1"
	"github.com/gridway/gridway/internal/wire/netx"
)

// Exchange is one exchange with what the pipeline keeps beside the part that
// filters see. Exchanges are pooled: a driver takes one when a request begins
// and returns it when the response has ended.
type Exchange struct {
	filter.Exchange

	// Set by the driver.
	Down     Downstream
	Listener *snapshot.Listener
	// PeerIdentity is the SPIFFE ID of the proxy of the mesh that has sent the request;
	// empty elsewhere.
	PeerIdentity string
	// Peer is the same in the service graph; the zero value is nobody.
	Peer signal.Who
	// Early: the driver has marked the request with EarlyData. Its Confirm waits
	// until it cannot have been a replay.
	Early bool
	sni   string

	p       *Pipeline
	rule    *snapshot.Rule
	backend *snapshot.Backend

	// As the client asked for them, before filters changed them.
	host, path []byte

	// Monotonic times; deadline is zero when the exchange may take for ever.
	started    int64
	deadline   int64
	clock      int64 // the last reading
	endedAt    int64 // when the last try was over
	headAt     int64 // when the upstream's head had arrived
	upstreamAt int64 // when the last try began

	hops     hops
	hash     uint64
	hasHash  bool
	session  string // address of the session's endpoint
	attempts int
	retried  bool
	avoid    []*upstream.Endpoint

	endpoint *upstream.Endpoint
	up       upstream.Stream // of the try that is under way, or nil
	first    http1.Stream    // what up is with HTTP/1
	body     requestBody
	ahead    ahead
	bodyRead atomic.Int64 // bytes of the request's body as they came
	pump     pump
	mirrors  mirrors
	held     heldResponse
	place    admission.Place
	call     call
	ws       webSocket
	events   *events // nil unless the response is a stream of them
	// picked is endpoint for other legs of a hedged exchange to read.
	picked atomic.Pointer[upstream.Endpoint]

	ask  upstream.Ask
	gone func() bool // Down.Gone, made once

	continued bool // 100 (Continue) was sent
	headSent  bool
	status    int   // as the client saw it
	sent      int64 // body bytes to the client
	// broken: the client's connection cannot be used again.
	broken bool
	// answering: the head of the response has come, and the request is not over.
	answering atomic.Bool
	// streaming: the exchange counts as a stream of its rule.
	streaming bool
	// lasting: its response is a stream that may go on for long; see lasts.
	lasting bool
	// shown: taps were told that it goes on; told: those that ask for it, that it began.
	shown, told bool
	// opened are the edges that it is counted at as a stream.
	opened [2]signal.Key
	// trying: an endpoint was picked, and its try is not done.
	trying bool
	// vouch is what the mesh is told of the caller.
	vouch vouched
	// tainted: a defect has left the exchange in an unknown state.
	tainted bool

	// came is the request as it came, where somebody records.
	came    tap.Head
	trace   traced
	entry   accesslog.Entry
	logged  [][]byte // header fields of the response that the access log asks for, if kept
	kept    bool
	owned   bool // the response's head was copied out of the upstream connection's buffer
	scratch []byte
	timer   *time.Timer
}

var pool = sync.Pool{New: func() any {
	x := &Exchange{}
	x.Exchange.Wait = x.wait
	x.Exchange.Detach = func() { x.Down.Task().Detach() }
	x.Exchange.Call = x.asks
	x.Exchange.HoldRequest = x.hold
	x.Cause = func(err error) (late, gone bool) {
		return netx.IsTimeout(err) && x.overdue(), errors.Is(err, netx.ErrWatchGone)
	}
	x.gone = func() bool { return x.Down.Gone() }
	return x
}}

// Get takes an exchange from the pool.
func Get() *Exchange { return pool.Get().(*Exchange) }

// Release returns the exchange to the pool. Nothing of it may be used any more.
func (x *Exchange) Release() {
	x.Exchange.Reset()
	x.Req.Reset()
	x.Resp.Reset()
	x.Down, x.Listener, x.p, x.rule, x.backend = nil, nil, nil, nil, nil
	x.TLS = nil
	x.sni, x.PeerIdentity, x.Peer, x.Early = "", "", signal.Who{}, false
	if !x.tainted {
		pool.Put(x)
	}
}

// begin starts the clock and resets what an earlier exchange has left.
func (x *Exchange) begin() {
	x.begun()
	x.clear()
	if x.TLS != nil {
		x.sni = x.TLS.ServerName
	}
	x.host, x.path = x.Req.Host, x.Req.Path
	if x.p.Taps.Recording() {
		x.came.Keep(&x.Req)
	}
	x.beginCall()
	h1.StripHopByHop(&x.Req.Header)
}

func (x *Exchange) begun() {
	x.Start = time.Now()
	x.started = netx.MonotonicOf(x.Start)
	x.clock = x.started
}

// tick reads the monotonic clock. Between two events that take time the last
// reading is as good: reading costs as much as parsing a header field.
func (x *Exchange) tick() int64 {
	x.clock = now()
	return x.clock
}

// Clock is the last reading.
func (x *Exchange) Clock() int64 { return x.clock }

// ended is when the last byte was passed on.
func (x *Exchange) ended() int64 {
	if x.endedAt != 0 {
		return x.endedAt
	}
	return x.tick()
}

func (x *Exchange) clear() {
	x.deadline, x.headAt, x.upstreamAt, x.endedAt = 0, 0, 0, 0
	x.hash, x.hasHash, x.session, x.attempts, x.retried = 0, false, "", 0, false
	x.avoid = x.avoid[:0]
	x.endpoint = nil
	x.picked.Store(nil)
	x.continued, x.headSent, x.broken = false, false, false
	x.trying, x.streaming, x.lasting, x.shown, x.told = false, false, false, false, false
	x.ws, x.vouch, x.kept, x.owned = webSocket{}, vouched{}, false, false
	x.status, x.sent = 0, 0
	x.bodyRead.Store(0)
	x.trace.clear()
	x.came.Forget()
	if x.call.on {
		x.call = call{}
	}
	if x.answering.Load() {
		x.answering.Store(false)
	}
	x.Resp.Reset()
}

// Broken tells the driver that the connection cannot go on after this exchange.
func (x *Exchange) Broken() bool { return x.broken }

// stream counts the exchange as a stream of its rule until it ends.
func (x *Exchange) stream() {
	x.trace.streamed = true
	// A call is known for a stream when its response goes on behind the head.
	x.lasting = x.lasting || x.headAt != 0 && (x.call.on || x.isEventStream())
	if !x.streaming {
		x.streaming = true
		x.rule.Metrics.StreamOpened()
		x.signalOpened()
	}
	if x.p.Taps.On() {
		x.tapOpened()
	}
}

// finish gives back what the exchange holds.
func (x *Exchange) finish() {
	x.release()
	x.forgetEvents()
	if x.streaming {
		x.streaming = false
		x.rule.Metrics.StreamClosed()
		x.signalClosed()
	}
	x.pump.stop()
	x.mirrors.close()
	x.body.release()
	x.ahead.release()
	x.held.release()
	x.Exchange.End()
}

// wait blocks for d; it is false when the client went away or the deadline
// passed before. It looks for the client about every 100 ms.
func (x *Exchange) wait(d time.Duration) bool {
	const look = 100 * time.Millisecond
	x.Down.Task().Detach()
	end := now() + int64(d)
	if x.deadline > 0 && end > x.deadline {
		end = x.deadline
	}
	for {
		left := time.Duration(end - now())
		if left <= 0 {
			return x.deadline == 0 || end < x.deadline
		}
		if x.timer == nil {
			x.timer = time.NewTimer(min(left, look))
		} else {
			x.timer.Reset(min(left, look))
		}
		<-x.timer.C
		x.tick()
		if x.Down.Gone() {
			return false
		}
	}
}
