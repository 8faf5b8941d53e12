// Package http1 drives one HTTP/1 exchange on an upstream connection: it moves
// bytes between a netx.Conn and the h1 codec. It owns no goroutines; one
// goroutine may send the request while another receives the response. The
// pipeline imports it.
package http1

import (
	"errors"

	"github.com/gridway/gridway/internal/proxy/websocket"
	"github.com/gridway/gridway/internal/wire/bufpool"
	"github.com/gridway/gridway/internal/wire/h1"
	"github.com/gridway/gridway/internal/wire/httpmsg"
	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/netx"
)

const (
	headBuffer  = 4 << 10
	readBuffer  = 16 << 10
	largeBuffer = 64 << 10
	// chunkOverhead is room for a chunk's size line, its CRLF and a last chunk.
	chunkOverhead = 32
)

// ErrResponseHeadTooLarge reports a response head over the limit.
var ErrResponseHeadTooLarge = errors.New("http1: the response's header is over the limit")

// Stream is one exchange on an upstream connection. Its zero value is ready for Begin.
type Stream struct {
	conn *netx.Conn
	lim  h1.Limits

	// Sending.
	out     *bufpool.Buf
	chunked bool
	sentAll bool
	// unsent waits for ReadHead, which writes it and waits in one step.
	unsent []byte
	// requestTrailer follows a chunked body that was sent whole.
	requestTrailer *httpmsg.Header

	// Receiving.
	in       *bufpool.Buf
	r, w     int
	scan     h1.Scanner
	chunks   h1.ChunkReader
	method   httpmsg.Method
	kind     httpmsg.BodyKind
	left     int64
	trailer  *httpmsg.Header
	received bool
	complete bool
	keep     bool
}

// Begin starts an exchange on conn. headerBytes and headerCount bound the response's head.
func (s *Stream) Begin(conn *netx.Conn, headerBytes, headerCount int) {
	s.conn = conn
	s.lim = h1.Limits{HeaderBytes: headerBytes, HeaderCount: headerCount}
	s.chunked, s.sentAll, s.unsent = false, false, nil
	s.r, s.w = 0, 0
	s.kind, s.left, s.trailer = httpmsg.BodyNone, 0, nil
	s.received, s.complete, s.keep = false, false, false
}

// Conn is the connection of the exchange.
func (s *Stream) Conn() *netx.Conn { return s.conn }

// Received tells whether any byte of a response has arrived.
func (s *Stream) Received() bool { return s.received }

// Reusable tells, after the response has ended, whether the connection may
// serve another exchange.
func (s *Stream) Reusable() bool { return s.complete && s.keep && s.sentAll && s.r == s.w }

// End gives the buffers back. The connection stays with the caller.
func (s *Stream) End() {
	if s.in != nil {
		s.in.Release()
		s.in = nil
	}
	if s.out != nil {
		s.out.Release()
		s.out = nil
	}
	s.scan.Reset()
	s.conn, s.unsent = nil, nil
}

// Bind says which task sends and receives, nil for a goroutine.
func (s *Stream) Bind(t *loop.Task) { s.conn.Bind(t) }

// BindWrite says which task sends.
func (s *Stream) BindWrite(t *loop.Task) { s.conn.BindWrite(t) }

// SetReadBy lets reads fail from the monotonic time t on.
func (s *Stream) SetReadBy(t int64) { s.conn.SetReadBy(t) }

// SetWriteBy is SetReadBy for writes.
func (s *Stream) SetWriteBy(t int64) { s.conn.SetWriteBy(t) }

// SetWatch lets w be asked whether reading still has a point.
func (s *Stream) SetWatch(w netx.Watcher) { s.conn.SetWatch(w) }

// Unprocessed is false: HTTP/1 has no way to say so.
func (s *Stream) Unprocessed() bool { return false }

// Cut closes the connection at once.
func (s *Stream) Cut() { s.conn.Kill() }

// Tunnel is the connection after a WebSocket was opened on it.
func (s *Stream) Tunnel() websocket.Side { return websocket.OnConn(s.conn, s.Rest()) }
