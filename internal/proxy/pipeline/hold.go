package pipeline

import (
	"errors"
	"io"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/upstream"
	"github.com/gridway/gridway/internal/wire/grpc"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// heldResponse is the body of a response that is read whole before any of it
// is passed on.
type heldResponse struct {
	active bool
	body   []byte
	out    []byte // what is passed on: body, or what a filter has put in its place
}

var errResponseTooLarge = errors.New("pipeline: the response's body is over the limit")

// bufferResponse reads the whole response first where the policy asks for it,
// and gives the connection back before the client begins to take the response.
// A stream of events would be held for ever. It is false if the answer is an
// error now.
func (x *Exchange) bufferResponse(c *upstream.Cluster, o upstream.Outcome) bool {
	limit := x.holdLimit()
	if limit == 0 || x.Req.MethodID == httpmsg.MethodHead || x.Resp.Body == httpmsg.BodyNone || x.isEventStream() {
		return true
	}
	// Reading on moves what the head's slices point to.
	x.Resp.Own(&x.Req.Arena)
	x.held.active = true
	err := x.holdBody(limit)
	switch {
	case err == nil:
		x.Resp.Trailer.Own(&x.Req.Arena)
	case errors.Is(err, errResponseTooLarge):
		x.Fail(502, filter.ResponseTooLarge, "the backend's response is longer than is buffered")
	default:
		f := x.exchangeFailure(err)
		o.Kind = f.kind
		x.failUpstream(f)
	}
	if err == nil && x.call.on {
		x.noteAnswer(&o)
	}
	x.returnConn(c, o)
	if err != nil {
		x.Resp.Reset()
		x.held.active = false
		return false
	}
	x.held.out = x.held.body
	x.Held = x.held.body
	if x.Resp.Trailer.Len() == 0 {
		x.Resp.Body, x.Resp.Length = httpmsg.BodyLength, int64(len(x.held.body))
	}
	return true
}

// holdLimit is up to how many bytes a response is held; zero is not at all.
func (x *Exchange) holdLimit() int64 {
	limit := int64(0)
	if b := x.Rule.Policy.Buffer; b != nil {
		limit = b.ResponseBytes
	}
	if x.HoldResponse > 0 && grpc.IsContentType(x.Resp.Header.Get(httpmsg.NameContentType)) {
		limit = max(limit, x.HoldResponse)
	}
	return limit
}

// replaceResponse takes what a filter has put in the place of the body.
func (x *Exchange) replaceResponse() {
	if body, ok := x.Replacement(); ok {
		x.held.active, x.held.out = true, body
	}
}

func (x *Exchange) holdBody(limit int64) error {
	if x.Resp.Body == httpmsg.BodyLength && x.Resp.Length > limit {
		return errResponseTooLarge
	}
	for {
		piece, err := x.readBody()
		if int64(len(x.held.body)+len(piece)) > limit {
			return errResponseTooLarge
		}
		x.held.body = append(x.held.body, piece...)
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
		x.up.SetReadBy(x.streamDeadline(x.tick()))
	}
}

// release forgets what was held, and its memory if that was much.
func (h *heldResponse) release() {
	const keep = 64 << 10
	if cap(h.body) > keep {
		h.body = nil
	}
	*h = heldResponse{body: h.body[:0]}
}
