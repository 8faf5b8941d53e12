package pipeline

import (
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// ErrBodyTooLarge reports a request body over its limit; a Downstream that knows
// early fails with it, too.
var ErrBodyTooLarge = errors.New("pipeline: the request's body is over the limit")

// requestBody is the request's body on its way upstream. While keeping, it
// retains what was read, up to a bound, so that another try can replay it.
type requestBody struct {
	x     *Exchange
	limit int64 // 0: none
	// announced is the limit of what the client may say that it will send; 0: none.
	announced int64
	ended     bool
	err       error
	// waited is how long the client was waited for, in nanoseconds, where that counts.
	waited int64

	// whole: all of the body is in first, which needs no copy to be replayed.
	whole bool
	first []byte

	kept    []byte
	keepMax int64
	// overflow: not all is kept. Who asks may do so beside the pump.
	overflow atomic.Bool

	// wrapped is what request body filters made of the body, or nil. What it gives is
	// read into piece, of which ready was read before it was asked for.
	wrapped      io.Reader
	piece, ready []byte
	rest         []byte
}

func (b *requestBody) begin(x *Exchange, keepMax int64) {
	*b = requestBody{x: x, kept: b.kept[:0], piece: b.piece, keepMax: keepMax, limit: x.maxBody()}
	if x.Req.Body == httpmsg.BodyNone {
		b.whole, b.ended = true, true
		return
	}
	if funcs := x.RequestBodyFuncs(); len(funcs) > 0 {
		var r io.Reader = rawBody{b}
		for _, f := range funcs {
			r = f(r)
		}
		b.wrapped = r
		b.announced = b.limit
		if x.PaceRequest == nil {
			b.transform()
		}
		return
	}
	b.announced = b.limit
	if buffer := x.Rule.Policy.Buffer; buffer != nil && buffer.RequestBytes > 0 && (b.limit == 0 || buffer.RequestBytes < b.limit) {
		b.announced = buffer.RequestBytes
	}
	if x.PaceRequest != nil {
		return // nothing passes before it was paid for
	}
	first, ok, err := x.ahead.body, x.ahead.ended, error(nil)
	if !x.ahead.held {
		first, ok, err = x.Down.Whole()
	}
	b.err = err
	if ok {
		b.first, b.whole, b.ended = first, true, true
		if read := x.bodyRead.Add(int64(len(first))); b.limit > 0 && read > b.limit {
			b.err = ErrBodyTooLarge
		}
	}
}

// transform reads what filters make of a body that is here already, so that it is
// sent with the head, as one is that they leave alone. An endpoint that answers at
// the head would otherwise cost its connection and the client's. Of more than a
// piece the rest follows.
func (b *requestBody) transform() {
	here, err := b.x.allAhead()
	if b.err = err; !here || err != nil {
		return
	}
	for n := 0; ; {
		read, err := b.readWrapped(n)
		switch n += read; {
		case err == io.EOF:
			b.first, b.whole, b.ended = b.piece[:n], true, true
			b.x.Req.Trailer.Reset() // see trailer
			return
		case err != nil:
			b.err = err
			return
		case n == len(b.piece):
			b.ready = b.piece
			return
		}
	}
}

// BodyLimit is how many bytes the request's body may announce to have; zero is
// no limit.
func (x *Exchange) BodyLimit() int64 { return x.body.announced }

// replayable tells whether everything read so far can be sent again.
func (b *requestBody) replayable() bool {
	return b.whole || !b.overflow.Load() && (b.keepMax > 0 || b.x.bodyRead.Load() == 0)
}

// next returns the next piece, valid until the next call, and io.EOF with or
// after the last one.
func (b *requestBody) next() ([]byte, error) {
	if b.ended || b.err != nil {
		return nil, b.endError()
	}
	var piece []byte
	var err error
	switch {
	case len(b.ready) > 0:
		piece, b.ready = b.ready, nil
	case b.wrapped != nil:
		var n int
		n, err = b.readWrapped(0)
		piece = b.piece[:n]
	default:
		piece, err = b.readRaw()
	}
	switch {
	case err == io.EOF:
		b.ended = true
	case err != nil:
		b.err = err
	}
	return piece, err
}

// nextHere is next for the exchange's own task, which waits as long as the body's
// bandwidth wants.
func (b *requestBody) nextHere() ([]byte, error) {
	piece, err := b.next()
	if wait := b.x.chargeRequest(len(piece)); wait > 0 && !b.x.wait(wait) {
		b.err = b.x.waitFailure()
		return nil, b.err
	}
	return piece, err
}

func (b *requestBody) endError() error {
	if b.err != nil {
		return b.err
	}
	return io.EOF
}

// errSlow: the client sends a body more slowly than it may.
var errSlow = errors.New("pipeline: the request's body comes too slowly")

func (b *requestBody) readRaw() ([]byte, error) {
	client, since := &b.x.Listener.IR.Client, int64(0)
	slowest := client.MinBodyRate
	if b.x.call.on && b.x.Route.GRPC {
		slowest = 0
	}
	if slowest > 0 {
		since = now()
	}
	piece, err := b.x.readDown()
	if slowest > 0 {
		b.waited += now() - since
		late := time.Duration(b.waited) - client.BodyGrace
		if err == nil && late > 0 && float64(b.x.bodyRead.Load()+int64(len(piece))) < float64(slowest)*late.Seconds() {
			return nil, errSlow
		}
	}
	if read := b.x.bodyRead.Add(int64(len(piece))); b.limit > 0 && read > b.limit {
		return nil, ErrBodyTooLarge
	}
	return piece, err
}

// readWrapped reads into piece from a place on.
func (b *requestBody) readWrapped(from int) (n int, err error) {
	defer b.x.containBody(&err)
	if b.piece == nil {
		b.piece = make([]byte, 16<<10)
	}
	for {
		n, err := b.wrapped.Read(b.piece[from:])
		if n > 0 || err != nil {
			return n, err
		}
	}
}

func (b *requestBody) keep(piece []byte) {
	if b.keepMax == 0 || b.overflow.Load() {
		return
	}
	if int64(len(b.kept)+len(piece)) > b.keepMax {
		b.overflow.Store(true)
		b.kept = b.kept[:0]
		return
	}
	b.kept = append(b.kept, piece...)
}

// buffer reads the whole body, at most max bytes, before anything is sent.
func (b *requestBody) buffer(max int64) error {
	if b.whole {
		return b.err
	}
	b.keepMax = max
	for {
		piece, err := b.nextHere()
		b.keep(piece)
		switch {
		case b.overflow.Load():
			b.err = ErrBodyTooLarge
			return b.err
		case err == io.EOF:
			b.first, b.whole = b.kept, true
			return nil
		case err != nil:
			return err
		}
	}
}

// peek reads the body until it ends or is longer than max. What was read is
// kept; the rest streams behind it.
func (b *requestBody) peek(max int64) error {
	if b.whole {
		return b.err
	}
	for int64(len(b.kept)) <= max {
		piece, err := b.nextHere()
		b.kept = append(b.kept, piece...)
		if err == io.EOF {
			b.first, b.whole = b.kept, true
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// rawBody reads the body as it came, for body filters.
type rawBody struct{ b *requestBody }

func (r rawBody) Read(p []byte) (int, error) {
	b := r.b
	if len(b.rest) == 0 {
		piece, err := b.readRaw()
		if len(piece) == 0 {
			return 0, err
		}
		b.rest = piece
		if err != nil && err != io.EOF {
			return 0, err
		}
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// release forgets what was kept, and its memory if that was much.
func (b *requestBody) release() {
	if c, ok := b.wrapped.(io.Closer); ok {
		c.Close()
	}
	kept := b.kept[:0]
	if cap(kept) > 64<<10 {
		kept = nil
	}
	*b = requestBody{kept: kept, piece: b.piece}
}
