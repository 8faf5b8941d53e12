package pipeline

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/proxy/upstream"
	"github.com/gridway/gridway/internal/wire/httpmsg"
	"github.com/gridway/gridway/internal/wire/loop"
)

// pump sends a request body that has not arrived whole, beside the task that
// waits for the response: on a task of its own, or a goroutine where there are
// no tasks. It belongs to the exchange and outlives its tries: each try gets
// what was kept so far and then what comes. Only the pump reads the body while
// it runs.
type pump struct {
	x *Exchange
	// task is what the pump runs on; nil before it has begun. Guarded by mu.
	task *loop.Task

	mu      sync.Mutex
	changed sync.Cond
	// target is the try that gets the body; nil between tries and after a
	// failed write. Guarded by mu, as are the body's kept bytes.
	target  upstream.Stream
	stopped bool
	running bool
	// ended: the last piece was sent, or tried to be.
	ended atomic.Bool
	// awaiting: the client has still to send the next piece; came is the time
	// of the last one. refused: the try could not be given one.
	awaiting, refused atomic.Bool
	came              atomic.Int64
}

// errForgotten: not all of the body that was sent before is known any more.
var errForgotten = errors.New("pipeline: the request's body cannot be sent again")

// start hands the body to a try whose head was sent, and starts the pump
// on the first call. It replays what earlier tries have sent.
func (p *pump) start(x *Exchange, s upstream.Stream) error {
	p.lock(x.Down.Task())
	defer p.mu.Unlock()
	if p.changed.L == nil {
		p.changed.L = &p.mu
	}
	p.refused.Store(false)
	b := &x.body
	if b.overflow.Load() { // since it was decided to try again
		return errForgotten
	}
	if ended := p.ended.Load(); len(b.kept) > 0 || ended {
		if err := s.SendBody(b.kept, ended, b.trailer(x)); err != nil || ended {
			return err
		}
	}
	p.target = s
	if p.running {
		s.BindWrite(p.task)
		p.changed.Broadcast()
		x.Down.Task().Share()
		return nil
	}
	p.x, p.running, p.stopped, p.task = x, true, false, nil
	s.BindWrite(nil) // until Resume knows its task; a goroutine has none
	p.awaiting.Store(true)
	p.came.Store(x.upstreamAt)
	x.Down.BeginBody()
	if t := x.Down.Task(); t != nil {
		t.Go(p)
	} else {
		go p.run()
	}
	return nil
}

// Resume runs the pump on a task.
func (p *pump) Resume(t *loop.Task) (idle bool) {
	p.lock(t)
	p.task = t
	if p.target != nil {
		p.target.BindWrite(t)
	}
	p.x.Down.BindBody(t)
	p.mu.Unlock()
	p.run()
	return false
}

func (p *pump) run() {
	b := &p.x.body
	for {
		p.awaiting.Store(true)
		piece, err := b.next()
		p.pause(p.x.chargeRequest(len(piece)))
		p.came.Store(now())
		p.awaiting.Store(false)
		p.lock(p.task)
		if err != nil && err != io.EOF {
			p.fail()
			return
		}
		if p.target == nil && !p.stopped {
			p.mu.Unlock()
			p.task.Detach()
			p.mu.Lock()
		}
		for p.target == nil && !p.stopped {
			p.changed.Wait()
		}
		if p.stopped {
			p.finish()
			return
		}
		b.keep(piece)
		ended := err == io.EOF
		p.x.mirrors.feed(piece, ended)
		p.target.SetWriteBy(p.x.streamDeadline(now()))
		if p.target.SendBody(piece, ended, b.trailer(p.x)) != nil {
			p.refused.Store(true)
			p.leave() // who reads the response sees why
		}
		if ended {
			p.leave()
			p.ended.Store(true)
			p.finish()
			return
		}
		p.mu.Unlock()
	}
}

// fail ends the try: without its body the request cannot be answered well.
func (p *pump) fail() {
	if p.target != nil {
		p.target.Cut()
	}
	p.finish()
}

// finish is called with mu held, and releases it.
func (p *pump) finish() {
	p.leave()
	p.running = false
	p.changed.Broadcast()
	p.mu.Unlock()
}

// leave gives the writing side of the try's connection back to the exchange.
func (p *pump) leave() {
	if p.target != nil {
		p.target.BindWrite(p.x.Down.Task())
		p.target = nil
	}
}

// detach takes the body away from a try whose connection was closed.
func (p *pump) detach(x *Exchange) {
	p.lock(x.Down.Task())
	p.target = nil
	p.mu.Unlock()
}

// stop ends the pump and waits for it; the rest of the body stays unread.
// Unless the body was complete, the caller has closed the try's connection, so
// that no write can hold the pump.
func (p *pump) stop() {
	if p.x == nil {
		return
	}
	p.lock(p.x.Down.Task())
	if p.running {
		x := p.x
		p.mu.Unlock()
		x.Down.Task().Detach()
		p.mu.Lock()
	}
	if p.running {
		p.stopped = true
		p.changed.Broadcast()
		p.x.Down.StopBody()
		for p.running {
			p.changed.Wait()
		}
	}
	p.x, p.target, p.stopped = nil, nil, false
	p.ended.Store(false)
	p.mu.Unlock()
}

// lock takes mu on task t. The pump holds it while it writes, and so may wait
// for the very loop that t would hold up.
func (p *pump) lock(t *loop.Task) {
	if !p.mu.TryLock() {
		t.Detach()
		p.mu.Lock()
	}
}

// complete tells whether all of the body was sent. It never waits.
func (p *pump) complete() bool { return p.x == nil || p.ended.Load() }

// cameUntil is when the client's last piece came: until then an upstream that
// has not answered was waiting, too. It is zero when all of the body was there
// before the try.
func (p *pump) cameUntil() int64 {
	if p.x == nil {
		return 0
	}
	return p.came.Load()
}

// clientsTurn tells whether the body is still on its way at the time at of a
// try that began at since, and not because the upstream does not take it.
func (p *pump) clientsTurn(at, since int64) bool {
	if p.complete() || p.refused.Load() {
		return false
	}
	if p.awaiting.Load() {
		return true
	}
	held := at - p.came.Load() // by a write
	return held < int64(time.Second) && held < (at-since)/4
}

// failure is why the body could not be read, if that happened. The caller has
// closed the try's connection.
func (p *pump) failure(x *Exchange) error {
	p.lock(x.Down.Task())
	defer p.mu.Unlock()
	return x.body.err
}

// trailer is what follows a chunked body; body filters drop it.
func (b *requestBody) trailer(x *Exchange) *httpmsg.Header {
	if b.wrapped != nil || x.Req.Trailer.Len() == 0 {
		return nil
	}
	if x.DropWithheld(); x.Req.Trailer.Len() == 0 {
		return nil
	}
	return &x.Req.Trailer
}
