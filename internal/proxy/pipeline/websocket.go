package pipeline

import (
	"bytes"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/upstream"
	"github.com/gridway/gridway/internal/proxy/websocket"
	"github.com/gridway/gridway/internal/telemetry/metric"
	"github.com/gridway/gridway/internal/wire/h1"
	"github.com/gridway/gridway/internal/wire/httpmsg"
	"github.com/gridway/gridway/internal/wire/netx"
	"github.com/gridway/gridway/internal/wire/ws"
)

// webSocket is what an exchange keeps of a WebSocket's opening handshake.
type webSocket struct {
	asked bool
	// clientKey is the client's, nil over HTTP/2 and HTTP/3, which have none; key is
	// what the endpoint got, nil over them.
	clientKey, key []byte
	opened         bool
	result         websocket.Result
}

var (
	webSocketProtocol = []byte("websocket")
	webSocketVersion  = []byte(ws.Version)
	http2Cleartext    = []byte("h2c")
)

// prepareUpgrade checks and translates a request for another protocol, before
// it goes to the cluster.
func (x *Exchange) prepareUpgrade(c *upstream.Cluster) bool {
	cfg := c.Config()
	shared := cfg.HTTP2 || cfg.HTTP3
	if !offers(x.Req.Upgrade, webSocketProtocol) {
		// HTTP/2 knows nothing else, and HTTP in a tunnel would pass by all policies;
		// a server may ignore what it is offered (RFC 9110 §7.8).
		if shared || offers(x.Req.Upgrade, http2Cleartext) {
			x.Req.Upgrade = nil
		}
		return true
	}
	h := &x.Req.Header
	key := h.Get(httpmsg.NameSecWebSocketKey)
	onStream := x.Down.Conn() == nil
	switch {
	case x.Req.MethodID != httpmsg.MethodGet:
		x.Fail(400, filter.BadRequest, "a WebSocket is opened with the method GET")
	case x.Req.Body != httpmsg.BodyNone && (x.Req.Body != httpmsg.BodyLength || x.Req.Length > 0):
		x.Fail(400, filter.BadRequest, "a request that opens a WebSocket has no body")
	case !bytes.Equal(h.Get(httpmsg.NameSecWebSocketVersion), webSocketVersion):
		x.Fail(426, filter.BadRequest, "the version of WebSocket is 13")
	case !onStream && (h.Count(httpmsg.NameSecWebSocketKey) != 1 || !ws.ValidKey(key)):
		x.Fail(400, filter.BadRequest, "Sec-WebSocket-Key must be there once, with 16 bytes in base64")
	default:
		x.Req.Upgrade = webSocketProtocol
		x.ws = webSocket{asked: true}
		if !onStream {
			x.ws.clientKey, x.ws.key = key, key
		}
		x.translateKey(shared, onStream)
		return true
	}
	return false
}

// translateKey gives the endpoint a key if it needs one and the client has none,
// and none if its protocol has none (RFC 8441 §5).
func (x *Exchange) translateKey(toStream, fromStream bool) {
	h := &x.Req.Header
	switch {
	case toStream:
		h.Del(httpmsg.NameSecWebSocketKey)
		x.ws.key = nil
	case fromStream:
		x.ws.key = ws.AppendKey(x.Req.Arena.Alloc(ws.KeyLen)[:0])
		h.Set(httpmsg.NameSecWebSocketKey, x.ws.key)
	}
}

// switched tells whether the response ends HTTP on the exchange: 101, or, where
// a side has a stream of HTTP/2 or HTTP/3, success. An endpoint of HTTP/1.1 may
// answer the request instead, but to a client with a stream the same number would
// say that the WebSocket is open.
func (x *Exchange) switched() bool {
	if x.Resp.Status == 101 {
		return true
	}
	return x.ws.asked && x.Resp.Status/100 == 2 && (x.ws.clientKey == nil || x.up.Conn() == nil)
}

// openWebSocket passes the endpoint's consent on, and carries the WebSocket to
// its end.
func (x *Exchange) openWebSocket(c *upstream.Cluster, o upstream.Outcome) {
	if !x.consented() {
		x.refuseSwitch(c, "the backend did not open the WebSocket as the protocol says")
		return
	}
	h1.StripHopByHop(&x.Resp.Header)
	h := &x.Resp.Header
	h.Del(httpmsg.NameContentLength)
	x.Resp.Reason = nil
	if x.ws.clientKey != nil {
		x.Resp.Status, x.Resp.Upgrade, x.Resp.Body = 101, webSocketProtocol, httpmsg.BodyNone
		h.Set(httpmsg.NameSecWebSocketAccept, ws.AppendAccept(x.Req.Arena.Alloc(ws.AcceptLen)[:0], x.ws.clientKey))
	} else {
		x.Resp.Status, x.Resp.Upgrade, x.Resp.Body, x.Resp.Length = 200, nil, httpmsg.BodyChunked, -1
		h.Del(httpmsg.NameSecWebSocketAccept)
	}
	x.keepSession()
	x.filterResponse()
	err := x.writeHead()
	if err == nil {
		err = x.flush()
	}
	if err == nil {
		x.carry()
	} else {
		x.Flags |= filter.ClientGone.Flag()
	}
	x.broken = true
	x.tick()
	x.closeUp(false)
	x.done(c, o, filter.ReasonNone)
}

// consented tells whether the endpoint has opened the WebSocket that it was
// asked for: with a 101 for the key that it got (RFC 6455 §4.1), or by success
// on a stream.
func (x *Exchange) consented() bool {
	if x.up.Conn() == nil {
		return x.Resp.Status/100 == 2
	}
	if x.Resp.Status != 101 || !x.agreed() || !x.pump.complete() {
		return false
	}
	var accept [ws.AcceptLen]byte
	return bytes.Equal(x.Resp.Header.Get(httpmsg.NameSecWebSocketAccept), ws.AppendAccept(accept[:0], x.ws.key))
}

// carry runs the tunnel. A drain of the client's connection ends it.
func (x *Exchange) carry() {
	t := &x.Rule.Policy.Timeouts
	o := websocket.Options{
		Client: x.Down.Tunnel(), Endpoint: x.up.Tunnel(),
		Idle: t.Idle, Counts: x.rule.Metrics.WebSocket(), Moved: x.moved,
	}
	if t.MaxStream > 0 {
		o.By = x.started + int64(t.MaxStream)
	}
	tunnel := websocket.New(o)
	within := x.p.LeaveWithin
	x.Down.OnLeave(func() { tunnel.Leave(within) })
	defer x.Down.OnLeave(nil)
	x.ws.opened = true
	x.stream()
	x.ws.result = tunnel.Run(x.Down.Task())
	x.Flags |= endFlags(&x.ws.result)
}

// moved counts what the tunnel has passed on.
func (x *Exchange) moved(from metric.Side, n int) {
	if from == metric.Client {
		x.bodyRead.Add(int64(n))
	} else {
		x.sent += int64(n)
	}
}

// endFlags says how a WebSocket has ended, if not by its peers' own wish.
func endFlags(r *websocket.Result) (f filter.Flags) {
	switch r.Cause {
	case websocket.Drain:
		f |= filter.Draining.Flag()
	case websocket.Idle:
		f |= filter.IdleTimeout.Flag()
	case websocket.Overdue:
		f |= filter.StreamTimeout.Flag()
	}
	switch {
	case r.Err == nil || f != 0:
	case netx.IsTimeout(r.Err):
		f |= filter.IdleTimeout.Flag()
	case r.By == metric.Client:
		f |= filter.ClientGone.Flag()
	default:
		f |= filter.UpstreamReset.Flag()
	}
	return f
}
