package websocket

import (
	"errors"
	"os"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/gridway/gridway/internal/wire/bufpool"
	"github.com/gridway/gridway/internal/wire/h3"
	"github.com/gridway/gridway/internal/wire/netx"
)

// QUIC is a side that has a stream of an HTTP/3 connection, whose frames of
// content carry the WebSocket (RFC 9220). Its driver embeds it, and tells the end
// of the stream where that concerns it. The library blocks, so tasks are detached.
type QUIC struct {
	netx.Ends

	str  *quic.Stream
	r    *h3.Reader
	body *h3.Body
	// accept is how long the peer may take for a piece that is written; 0 is for ever.
	accept time.Duration
	// broken is told what is wrong with the frames that have come.
	broken func(*h3.Error)

	into *bufpool.Buf
	out  []byte

	mu          sync.Mutex
	interrupted bool // guarded by mu, as is the read deadline
}

// Begin makes a side of a stream whose message's head was read from r and whose
// content is body.
func (s *QUIC) Begin(str *quic.Stream, r *h3.Reader, body *h3.Body, accept time.Duration, broken func(*h3.Error)) {
	body.Connect()
	s.str, s.r, s.body, s.accept, s.broken = str, r, body, accept, broken
}

// Release gives its memory back. Nobody may read from it any more.
func (s *QUIC) Release() {
	s.into.Release()
	s.into = nil
}

// Read implements Side.
func (s *QUIC) Read() ([]byte, error) {
	s.Reader.Detach()
	if err := s.arm(); err != nil {
		return nil, err
	}
	piece, err := s.body.Next(s.r, s.room(), nil, nil)
	if err == nil || len(piece) > 0 {
		return piece, err
	}
	if errors.Is(err, os.ErrDeadlineExceeded) && s.wasInterrupted() {
		return nil, netx.ErrInterrupted
	}
	if bad, ok := h3.AsError(err); ok {
		s.broken(bad)
	}
	return nil, err
}

// arm sets the deadline, unless the read is to return at once.
func (s *QUIC) arm() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.interrupted {
		s.interrupted = false
		return netx.ErrInterrupted
	}
	return s.str.SetReadDeadline(netx.WallClock(s.ReadBy))
}

func (s *QUIC) wasInterrupted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.interrupted
	s.interrupted = false
	return was
}

// room is where a long frame is read to; none is kept for short ones.
func (s *QUIC) room() []byte {
	switch long := s.r.Left() > bufpool.Small; {
	case long && s.into == nil:
		s.into = bufpool.Get(bufpool.Medium)
	case !long:
		s.Release()
	}
	if s.into == nil {
		return nil
	}
	return s.into.B
}

// Interrupt implements Side.
func (s *QUIC) Interrupt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.interrupted = true
	_ = s.str.SetReadDeadline(time.Now())
}

const (
	// copied is how long a piece is at most that is sent together with its frame's
	// beginning.
	copied = 4 << 10
	// mostWrite is how much the peer has to take within its time for a piece.
	mostWrite = 16 << 10
)

// Write implements Side.
func (s *QUIC) Write(p []byte) error {
	s.Writer.Detach()
	s.out = h3.AppendFrameHeader(s.out[:0], h3.FrameData, len(p))
	if len(p) <= copied {
		return s.write(append(s.out, p...))
	}
	if err := s.write(s.out); err != nil {
		return err
	}
	return s.write(p)
}

func (s *QUIC) write(p []byte) error {
	for len(p) > 0 {
		by := s.WriteBy
		if s.accept > 0 {
			if most := netx.After(s.accept); by == 0 || most < by {
				by = most
			}
		}
		_ = s.str.SetWriteDeadline(netx.WallClock(by))
		n, err := s.str.Write(p[:min(len(p), mostWrite)])
		if p = p[n:]; err != nil {
			return err
		}
	}
	return nil
}

// CloseWrite implements Side.
func (s *QUIC) CloseWrite() error { return s.str.Close() }

// Cut resets the stream, which is what a reset of a connection is (RFC 9220 §3).
func (s *QUIC) Cut() {
	s.str.CancelWrite(quic.StreamErrorCode(h3.RequestCancelled))
	s.str.CancelRead(quic.StreamErrorCode(h3.RequestCancelled))
}
