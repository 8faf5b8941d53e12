package pipeline

import (
	"io"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// ahead is what was read of the request's body before an endpoint was chosen, since
// a filter wanted to see it. The endpoint gets it all the same.
type ahead struct {
	held  bool
	body  []byte
	at    int // how much of it was passed on
	ended bool
	own   []byte // what body is a part of, if it was copied
}

// hold reads the body until it ends or is longer than max. It is false if the
// exchange cannot go on, and has its reply where there is one.
func (x *Exchange) hold(max int) (body []byte, whole, ok bool) {
	if x.Req.Body == httpmsg.BodyNone {
		return nil, true, true
	}
	a := &x.ahead
	err := x.readAhead(max)
	if limit := x.maxBody(); err == nil && limit > 0 && int64(len(a.body)) > limit {
		err = ErrBodyTooLarge
	}
	if !x.bodyAccepted(err) {
		return nil, false, false
	}
	if x.tick(); x.deadline > 0 && x.clock >= x.deadline { // a client may have taken its time
		x.Fail(408, filter.RequestTimeout, "the request's body did not arrive in time")
		return nil, false, false
	}
	return a.body[:min(max, len(a.body))], a.ended && len(a.body) <= max, true
}

func (x *Exchange) readAhead(max int) error {
	a := &x.ahead
	if !a.held {
		first, whole, err := x.Down.Whole()
		if err != nil {
			return err
		}
		if a.held = true; whole {
			a.body, a.ended = first, true
			return nil
		}
		if x.Req.ExpectContinue {
			x.Req.Header.Del(httpmsg.NameExpect)
			if err := x.sendContinue(); err != nil {
				return err
			}
		}
		a.body = a.own[:0]
	}
	for !a.ended && len(a.body) <= max {
		piece, err := x.Down.ReadBody()
		a.body = append(a.body, piece...)
		a.own = a.body
		switch {
		case err == io.EOF:
			a.ended = true
		case err != nil:
			return err
		}
	}
	return nil
}

// allAhead tells whether all of the body has arrived, and has it held then.
func (x *Exchange) allAhead() (bool, error) {
	a := &x.ahead
	if a.held {
		return a.ended, nil
	}
	body, whole, err := x.Down.Whole()
	if err == nil && whole {
		a.held, a.body, a.ended = true, body, true
	}
	return a.ended, err
}

// readDown is the next piece of the body as it came.
func (x *Exchange) readDown() ([]byte, error) {
	a := &x.ahead
	if !a.held {
		return x.Down.ReadBody()
	}
	piece := a.body[a.at:]
	switch a.at = len(a.body); {
	case a.ended:
		return piece, io.EOF
	case len(piece) > 0:
		return piece, nil
	}
	return x.Down.ReadBody()
}

// release forgets what was read, and its memory if that was much.
func (a *ahead) release() {
	own := a.own[:0]
	if cap(own) > 64<<10 {
		own = nil
	}
	*a = ahead{own: own}
}
