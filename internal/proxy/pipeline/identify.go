package pipeline

import (
	"encoding/hex"
	"math/rand/v2"
	"strconv"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// identify finds out who calls and marks the request for the upstream: client
// address, forwarding headers, request ID.
func (x *Exchange) identify() bool {
	client := &x.Listener.IR.Client
	if !x.refuseMethod() {
		return false
	}
	x.resolveClient(client)
	x.forwardingHeaders(client)
	x.forwardCertificate(client)
	if client.Via != "" {
		x.appendVia(&x.Req.Header, x.Req.Version, client.Via)
	}
	if client.RequestIDHeader != "" {
		x.setRequestID(client, x.hops.trusted)
	}
	return true
}

// refuseMethod answers what a gateway does not pass on.
func (x *Exchange) refuseMethod() bool {
	switch x.Req.MethodID {
	case httpmsg.MethodConnect:
		if len(x.Req.Upgrade) > 0 { // RFC 9220 §3
			x.Fail(501, filter.BadRequest, "the only protocol for extended CONNECT is websocket")
			return false
		}
		x.Fail(405, filter.BadRequest, "CONNECT is for forward proxies; this is a gateway")
		return false
	case httpmsg.MethodTrace, httpmsg.MethodOptions:
		return x.countForward()
	}
	return true
}

// countForward handles Max-Forwards, RFC 9110 §7.6.2.
func (x *Exchange) countForward() bool {
	v := x.Req.Header.Get(httpmsg.NameMaxForwards)
	if v == nil {
		return true
	}
	n, err := strconv.ParseUint(string(v), 10, 16)
	switch {
	case err != nil:
		x.Fail(400, filter.BadRequest, "Max-Forwards is not a number")
	case n > 0:
		x.Req.Header.Set(httpmsg.NameMaxForwards, strconv.AppendUint(x.Req.Arena.Alloc(8)[:0], n-1, 10))
		return true
	case x.Req.MethodID == httpmsg.MethodTrace:
		x.Fail(405, filter.BadRequest, "TRACE is not answered here")
	default:
		x.Answer(204, "", nil)
	}
	return false
}

// appendVia adds this hop, which received the message with that version, RFC
// 9110 §7.6.3.
func (x *Exchange) appendVia(h *httpmsg.Header, received httpmsg.Version, pseudonym string) {
	b := x.scratch[:0]
	if h.Has(httpmsg.NameVia) {
		b = append(h.AppendJoined(b, httpmsg.NameVia), ", "...)
	}
	b = append(b, byte('0'+received/10), '.', byte('0'+received%10), ' ')
	b = append(b, pseudonym...)
	x.scratch = b[:0]
	h.Set(httpmsg.NameVia, x.Req.Arena.Copy(b))
}

// setRequestID keeps the client's ID where the policy or trust allows it, and
// makes one otherwise: a random UUID (RFC 9562 version 4).
func (x *Exchange) setRequestID(c *ir.ClientPolicy, trusted bool) {
	h := &x.Req.Header
	name := x.Listener.RequestIDHeader
	if c.KeepRequestID || trusted {
		if v := h.GetName(name); validRequestID(v) {
			x.RequestID = v
			return
		}
	}
	id := x.Req.Arena.Alloc(36)[:36]
	appendUUID(id)
	x.RequestID = id
	h.SetName(name, id)
}

// validRequestID bounds what a client may put into our logs.
func validRequestID(v []byte) bool {
	if len(v) == 0 || len(v) > 128 {
		return false
	}
	for _, c := range v {
		if c <= ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

func appendUUID(dst []byte) {
	var b [16]byte
	hi, lo := rand.Uint64(), rand.Uint64()
	for i := range 8 {
		b[i] = byte(hi >> (8 * i))
		b[8+i] = byte(lo >> (8 * i))
	}
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	hex.Encode(dst[0:8], b[0:4])
	hex.Encode(dst[9:13], b[4:6])
	hex.Encode(dst[14:18], b[6:8])
	hex.Encode(dst[19:23], b[8:10])
	hex.Encode(dst[24:36], b[10:16])
	dst[8], dst[13], dst[18], dst[23] = '-', '-', '-', '-'
}
