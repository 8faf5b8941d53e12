package pipeline

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"sync/atomic"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/wire/httpmsg"
	"github.com/gridway/gridway/internal/wire/netx"
)

// events follows a response of server-sent events
// (https://html.spec.whatwg.org/multipage/server-sent-events.html), so that it
// can be ended between two of them: the client connects again then, and has lost
// nothing.
type events struct {
	down Downstream
	// leaveBy is when the stream is to end for its client's connection; 0 is never.
	leaveBy atomic.Int64
	tail    [4]byte // the last bytes that have come
	n       int     // how many of them there are
}

// isEventStream tells whether the response is one of server-sent events.
func (x *Exchange) isEventStream() bool {
	media, _, _ := bytes.Cut(x.Resp.Header.Get(httpmsg.NameContentType), []byte(";"))
	return httpmsg.EqualFold(httpmsg.TrimOWS(media), "text/event-stream")
}

// followEvents begins to follow the response if it is a stream of events that
// can be read here.
func (x *Exchange) followEvents() {
	if x.Resp.Body == httpmsg.BodyLength || x.Resp.Body == httpmsg.BodyNone || !x.isEventStream() {
		return
	}
	if coding := x.Resp.Header.Get(httpmsg.NameContentEncoding); coding != nil && !httpmsg.EqualFold(coding, "identity") {
		return
	}
	e := &events{down: x.Down}
	x.events = e
	within := x.p.LeaveWithin
	x.Down.OnLeave(func() {
		by := netx.Monotonic()
		if within > 0 { // clients shall not all come back at once
			by += int64(rand.N(within))
		}
		e.leaveBy.Store(by)
	})
	x.up.SetWatch(e)
}

// forgetEvents ends what followEvents has begun.
func (x *Exchange) forgetEvents() {
	if x.events != nil {
		x.Down.OnLeave(nil)
		x.events = nil
	}
}

// readEvents is readBody for a stream of events, which ends between two of them
// when the client's connection is to end, or its time is over.
func (x *Exchange) readEvents() ([]byte, error) {
	e := x.events
	if e.mayEnd() {
		return nil, x.endEvents(filter.Draining)
	}
	piece, err := x.up.ReadBody()
	e.follow(piece)
	switch {
	case errors.Is(err, netx.ErrWatchGone) && e.mayEnd():
		err = x.endEvents(filter.Draining)
	case netx.IsTimeout(err) && e.between() && x.overdue():
		err = x.endEvents(filter.StreamTimeout)
	}
	return piece, err
}

// endEvents ends the response as if the endpoint had, and says why.
func (x *Exchange) endEvents(why filter.Reason) error {
	x.Flags |= why.Flag()
	return io.EOF
}

// follow notes what has come.
func (e *events) follow(p []byte) {
	if len(p) >= len(e.tail) {
		e.n = copy(e.tail[:], p[len(p)-len(e.tail):])
		return
	}
	keep := min(e.n, len(e.tail)-len(p))
	copy(e.tail[:], e.tail[e.n-keep:e.n])
	e.n = keep + copy(e.tail[keep:], p)
}

// between tells whether an event has just ended: with an empty line, whose ends
// are CRLF, LF or CR. Before the first there is nothing to lose either.
func (e *events) between() bool {
	t := e.tail[:e.n]
	if len(t) == 0 {
		return true
	}
	t, ended := cutLineEnd(t)
	if !ended {
		return false
	}
	_, ended = cutLineEnd(t)
	return ended
}

func cutLineEnd(b []byte) ([]byte, bool) {
	switch {
	case bytes.HasSuffix(b, []byte("\r\n")):
		return b[:len(b)-2], true
	case len(b) > 0 && (b[len(b)-1] == '\n' || b[len(b)-1] == '\r'):
		return b[:len(b)-1], true
	}
	return b, false
}

func (e *events) mayEnd() bool {
	by := e.leaveBy.Load()
	return by != 0 && netx.Monotonic() >= by && e.between()
}

// Gone implements netx.Watcher: waiting for more has no point once the client
// has gone, or is to go.
func (e *events) Gone() bool { return e.down.Gone() || e.mayEnd() }

// Awaiting lets the client's driver know what the exchange waits for.
func (e *events) Awaiting(n netx.Nudger) {
	if a, ok := e.down.(netx.Awaiter); ok {
		a.Awaiting(n)
	}
}
