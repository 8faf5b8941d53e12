package pipeline

import (
	"errors"
	"io"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/upstream"
	"github.com/gridway/gridway/internal/wire/bufpool"
	"github.com/gridway/gridway/internal/wire/h1"
	"github.com/gridway/gridway/internal/wire/httpmsg"
	"github.com/gridway/gridway/internal/wire/netx"
)

const (
	// spliceFrom is the body size from which moving it inside the kernel pays.
	spliceFrom = 64 << 10
	spliceStep = 256 << 10
	// filteredPiece is how much of a body filters are asked for at a time.
	filteredPiece = 16 << 10
)

// respond passes the response of the last try on.
func (x *Exchange) respond(c *upstream.Cluster) {
	o := upstream.Outcome{Kind: upstream.OK, Status: x.Resp.Status, Latency: x.latency(x.headAt)}
	x.leaveEarly()
	if x.switched() {
		x.keepLogged()
		if x.ws.asked {
			x.openWebSocket(c, o)
		} else {
			x.tunnel(c, o)
		}
		return
	}
	if !x.pump.complete() {
		x.answering.Store(true)
	}
	x.up.SetReadBy(x.streamDeadline(x.clock))
	h1.StripHopByHop(&x.Resp.Header)
	x.markResponse()
	x.followEvents()
	if !x.bufferResponse(c, o) {
		return
	}
	x.keepSession()
	if x.call.translated && x.Resp.Body == httpmsg.BodyNone && !x.call.known {
		x.noteAnswer(&o) // before a filter moves what the head says
	}
	x.filterResponse()
	x.replaceResponse()
	x.keepLogged()
	err := x.relay()
	switch {
	case err == nil && x.BrokenOff != nil:
		o.Kind = x.brokenOff(x.BrokenOff)
		x.noteBroken()
	case err == nil && x.call.on && !x.call.known:
		x.noteAnswer(&o)
	case err == nil:
	case x.broken:
		x.Flags |= filter.ClientGone.Flag()
		o.Kind = upstream.Cancelled
		if netx.IsTimeout(err) { // it was there, but did not take its response
			x.cutOff()
		}
	default:
		o.Kind = x.cutShort(err)
	}
	if x.Passed != nil {
		x.Passed(&x.Exchange) // while the trailer is there
	}
	x.returnConn(c, o)
}

// markResponse adds what a gateway owes a response that it passes on: the date
// of its arrival if it has none (RFC 9110 §6.6.1), and this hop in Via.
func (x *Exchange) markResponse() {
	h := &x.Resp.Header
	if !h.Has(httpmsg.NameDate) {
		h.AddID(httpmsg.NameDate, x.Listener.Clock.Date())
	}
	if via := x.Listener.IR.Client.Via; via != "" {
		x.appendVia(h, x.Resp.Version, via)
	}
}

// cutOff ends a client that is too slow. A reset frees what the kernel holds for
// it; a close would let that wait for as long as the client likes.
func (x *Exchange) cutOff() {
	if conn := x.Down.Conn(); conn != nil {
		_ = conn.Abort()
	}
	x.Down.Abort()
}

// cutShort ends a response whose upstream failed in the middle, so that the
// client can tell.
func (x *Exchange) cutShort(err error) upstream.OutcomeKind {
	if !x.native() || !x.endCall(err, netx.IsTimeout(err) && x.overdue()) {
		x.broken = true
		x.Down.Abort()
	}
	return x.brokenOff(err)
}

// brokenOff says what it means that a response ended early.
func (x *Exchange) brokenOff(err error) upstream.OutcomeKind {
	if netx.IsTimeout(err) {
		x.Flags |= filter.UpstreamTimeout.Flag()
		if x.overdue() {
			return upstream.OK
		}
		return upstream.Timeout
	}
	if errors.Is(err, filter.ErrDecompressionLimit) {
		x.Flags |= filter.DecompressionLimit.Flag()
		return upstream.OK
	}
	if errors.Is(err, netx.ErrWatchGone) {
		x.Flags |= filter.ClientGone.Flag()
		return upstream.Cancelled
	}
	x.Flags |= filter.UpstreamReset.Flag()
	return upstream.Reset
}

// overdue tells whether the time of the exchange or of its stream is over. The
// upstream was not silent then: it, or the client, had much to say.
func (x *Exchange) overdue() bool {
	d := x.Rule.Policy.Timeouts.MaxStream
	at := x.tick()
	return x.deadline > 0 && at >= x.deadline || d > 0 && at >= x.started+int64(d)
}

// filterResponse runs the response filters: the backend's, then the rule's.
func (x *Exchange) filterResponse() {
	if x.backend != nil {
		for _, f := range x.backend.Filters.Response {
			f.OnResponse(&x.Exchange)
		}
	}
	if x.rule != nil {
		for _, f := range x.rule.Filters.Response {
			f.OnResponse(&x.Exchange)
		}
	}
}

// streamDeadline is when the next piece of a stream must have come, seen from the time at.
func (x *Exchange) streamDeadline(at int64) int64 {
	t := &x.Rule.Policy.Timeouts
	by := x.deadline
	if t.MaxStream > 0 {
		if m := x.started + int64(t.MaxStream); by == 0 || m < by {
			by = m
		}
	}
	if t.Idle > 0 {
		if m := at + int64(t.Idle); by == 0 || m < by {
			by = m
		}
	}
	return by
}

// relay copies head and body to the client.
func (x *Exchange) relay() error {
	if err := x.writeHead(); err != nil {
		return err
	}
	if x.Req.MethodID == httpmsg.MethodHead || x.Resp.Body == httpmsg.BodyNone {
		return x.endResponse(nil)
	}
	if funcs := x.ResponseBodyFuncs(); len(funcs) > 0 {
		return x.relayFiltered(funcs)
	}
	if x.held.active {
		if err := x.writeBody(x.held.out); err != nil {
			return err
		}
		return x.endResponse(&x.Resp.Trailer)
	}
	if x.mayBeSpliced() && !x.up.Buffered() {
		if done, err := x.relaySpliced(); done || err != nil {
			return err
		}
	}
	events := x.Resp.Body != httpmsg.BodyLength && x.isEventStream()
	if !x.up.Buffered() { // the body may be long in coming
		if x.Resp.Body != httpmsg.BodyLength {
			x.stream()
		}
		if err := x.flush(); err != nil {
			return err
		}
	}
	for {
		piece, err := x.readBody()
		if len(piece) > 0 {
			if x.call.on {
				x.call.frames.Follow(piece)
				if !x.shown && x.p.Taps.On() {
					x.tapOpened()
				}
			}
			if werr := x.writeBody(piece); werr != nil {
				return werr
			}
		}
		switch {
		case err == io.EOF:
			return x.endResponse(&x.Resp.Trailer)
		case err != nil:
			return err
		}
		if !x.up.Buffered() {
			if events && !x.streaming { // its first event came with the head
				x.stream()
			}
			x.lasting = x.lasting || events || x.call.on
			if err := x.flush(); err != nil {
				return err
			}
			if x.mayBeSpliced() {
				if done, err := x.relaySpliced(); done || err != nil {
					return err
				}
			}
			x.up.SetReadBy(x.streamDeadline(x.tick()))
		}
	}
}

// mayBeSpliced tells whether a body is long, and both sides are plain TCP that
// the exchange has alone.
func (x *Exchange) mayBeSpliced() bool {
	if x.PaceResponse != nil || x.Resp.Body != httpmsg.BodyLength || x.Resp.Length < spliceFrom {
		return false
	}
	down, up := x.Down.Conn(), x.up.Conn()
	return down != nil && up != nil && !down.IsTLS() && !up.IsTLS()
}

// relaySpliced moves the rest of a long body inside the kernel where both sides
// are plain TCP. It goes in steps, so that the stream's timeouts hold for each.
func (x *Exchange) relaySpliced() (done bool, err error) {
	down, up := x.Down.Conn(), x.up.Conn()
	if err := x.flush(); err != nil {
		return false, err
	}
	down.SetWriteWithin(x.Listener.IR.Client.BodyIdleTimeout)
	for {
		up.SetReadBy(x.streamDeadline(x.tick()))
		n, err := x.first.Splice(down, spliceStep)
		x.sent += n
		switch {
		case err != nil:
			var toClient *netx.WriteError
			x.broken = x.broken || errors.As(err, &toClient)
			return false, err
		case n == 0:
			return done, nil
		case x.up.Ended():
			return true, x.endResponse(nil)
		}
	}
}

// relayFiltered copies a body through the filters that asked for it.
func (x *Exchange) relayFiltered(funcs []filter.BodyFunc) (err error) {
	src := &upstreamBody{x: x, rest: x.held.out}
	var r io.Reader = src
	for _, f := range funcs {
		r = f(r)
	}
	if c, ok := r.(io.Closer); ok {
		defer c.Close()
	}
	piece := bufpool.Get(filteredPiece)
	defer piece.Release()
	buf := piece.B
	if !x.held.active && !x.up.Buffered() {
		if x.Resp.Body != httpmsg.BodyLength {
			x.stream()
		}
		if err := x.flush(); err != nil {
			return err
		}
	}
	for {
		n, err := r.Read(buf)
		if n > 0 {
			if werr := x.writeBody(buf[:n]); werr != nil {
				return werr
			}
			if werr := x.flush(); werr != nil {
				return werr
			}
		}
		switch {
		case err == io.EOF:
			return x.endResponse(nil)
		case err != nil:
			return err
		}
		if x.up != nil { // the response is not held
			x.up.SetReadBy(x.streamDeadline(x.tick()))
		}
	}
}

// upstreamBody is the response's body as a reader.
type upstreamBody struct {
	x    *Exchange
	rest []byte
}

func (u *upstreamBody) Read(p []byte) (int, error) {
	if len(u.rest) == 0 {
		if u.x.up == nil { // it was held, and that is all
			return 0, io.EOF
		}
		piece, err := u.x.readBody()
		if len(piece) == 0 {
			return 0, err
		}
		u.rest = piece
	}
	n := copy(p, u.rest)
	u.rest = u.rest[n:]
	return n, nil
}

func (x *Exchange) writeHead() error {
	x.headSent = true
	if x.TLS != nil && x.Req.Version < httpmsg.HTTP3 {
		if alt := x.Listener.AltSvc.Load(); alt != nil {
			x.Resp.Header.Set(httpmsg.NameAltSvc, *alt)
		}
	}
	x.status = x.Resp.Status
	return x.client(x.Down.WriteHead(&x.Resp))
}

func (x *Exchange) writeBody(p []byte) error {
	if x.PaceResponse != nil {
		return x.writePaced(p)
	}
	return x.writePiece(p)
}

func (x *Exchange) writePiece(p []byte) error {
	x.sent += int64(len(p))
	return x.client(x.Down.WriteBody(p))
}

func (x *Exchange) flush() error { return x.client(x.Down.Flush()) }

func (x *Exchange) endResponse(trailer *httpmsg.Header) error {
	return x.client(x.Down.End(trailer))
}

// client marks errors of the client's side.
func (x *Exchange) client(err error) error {
	if err != nil {
		x.broken = true
	}
	return err
}

// inform passes an interim response on (RFC 9110 §15.2). HTTP/1.0 has none, and
// a client that sends its body already, to an earlier try, needs no 100.
func (x *Exchange) inform() error {
	if x.Req.Version < httpmsg.HTTP11 {
		return nil
	}
	if x.Resp.Status == 100 {
		if x.continued || x.bodyRead.Load() > 0 {
			return nil
		}
		x.continued = true
	}
	h1.StripHopByHop(&x.Resp.Header)
	return x.client(x.Down.Inform(&x.Resp))
}

// sendContinue asks for a body that is read here before it goes upstream.
func (x *Exchange) sendContinue() error {
	x.Resp.Reset()
	x.Resp.Status = 100
	err := x.inform()
	x.Resp.Reset()
	return err
}
