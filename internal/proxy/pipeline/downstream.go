package pipeline

import (
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/websocket"
	"github.com/gridway/gridway/internal/wire/httpmsg"
	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/netx"
)

// Downstream is the client's side of one exchange, whatever protocol it speaks.
// One goroutine may read the request's body while another writes the response;
// the rest is for the exchange's own goroutine.
type Downstream interface {
	// Task is what the exchange runs on, nil for an ordinary goroutine.
	Task() *loop.Task
	// Gone tells whether the client has closed or reset its side.
	Gone() bool
	// Cut tells why this side closed the connection: Draining at the end of a drain,
	// IdentityDenied, or ReasonNone if it has not.
	Cut() filter.Reason

	// Whole returns the request's body if all of it has arrived already; the
	// slice stays valid for the whole exchange. An error says that what is
	// there of the body is not framed as it must be.
	Whole() (body []byte, ok bool, err error)
	// BeginBody says that another goroutine will call ReadBody from now on.
	BeginBody()
	// BindBody says which task calls ReadBody, nil for a goroutine; before that
	// it is the exchange's own.
	BindBody(t *loop.Task)
	// ReadBody returns the next piece of the request's body, valid until the
	// next call, and io.EOF with or after the last one.
	ReadBody() ([]byte, error)
	// StopBody makes a blocked ReadBody return, for good.
	StopBody()

	// Inform sends an interim response.
	Inform(resp *httpmsg.Response) error
	// WriteHead starts the response; it may wait in a buffer for the body.
	WriteHead(resp *httpmsg.Response) error
	// WriteBody sends a piece of the body; what is short may wait for Flush.
	WriteBody(piece []byte) error
	// Flush sends what waits.
	Flush() error
	// End closes the response and flushes it. The trailer may be nil.
	End(trailer *httpmsg.Header) error
	// Abort ends the response so that the client can tell it is not complete.
	Abort()

	// OnLeave lets f be called, once and on any goroutine, when the connection is
	// to end as soon as it can; at once if that is so already. Nil forgets f; it
	// may be running still.
	OnLeave(f func())

	// Conn is the connection itself when this exchange has it alone (HTTP/1),
	// for upgrades and splicing; nil when it is shared.
	Conn() *netx.Conn
	// Upgraded says that the connection no longer speaks HTTP and returns what
	// was read from it already.
	Upgraded() (early []byte)
	// Tunnel is the client's side of a WebSocket, once the head that opens it
	// was sent. It goes on from what was read already.
	Tunnel() websocket.Side
}
