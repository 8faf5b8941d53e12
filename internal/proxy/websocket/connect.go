package websocket

import (
	"errors"

	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// ErrUnsupported: no WebSocket can be opened to the endpoint, which speaks HTTP/2
// or HTTP/3 without having announced extended CONNECT (RFC 8441 §3, RFC 9220 §3).
var ErrUnsupported = errors.New("websocket: the endpoint takes none over the HTTP that it speaks")

var methodGet = []byte("GET")

// AsUpgrade makes an extended CONNECT that opens a WebSocket (RFC 8441 §4) what it
// is with HTTP/1.1: a GET that asks for an upgrade. What it says after its head is
// no body. Routes and policies see no difference.
func AsUpgrade(r *httpmsg.Request) {
	if r.MethodID != httpmsg.MethodConnect || !httpmsg.EqualFold(r.Upgrade, "websocket") {
		return
	}
	r.Method, r.MethodID = methodGet, httpmsg.MethodGet
	r.Body, r.Length = httpmsg.BodyNone, 0
}
