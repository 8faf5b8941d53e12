package http3

import (
	"github.com/gridway/gridway/internal/proxy/pipeline"
	"github.com/gridway/gridway/internal/telemetry/metric"
	"github.com/gridway/gridway/internal/wire/h3"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// ready lets a request through that came before the end of the handshake, and may
// so be a replay, if that does no harm: marked as such (RFC 8470 §5.1). Others wait.
// It is false if the connection has failed meanwhile.
func (s *stream) ready() bool {
	if s.c.shook() {
		return true
	}
	if !s.replayable() {
		if !s.Confirm() {
			s.abort(h3.RequestRejected)
			return false
		}
		return true
	}
	// What a proxy before this one has marked is that one's to send again: a 425 for
	// it is passed on (RFC 8470 §5.2).
	if !s.x.Req.Header.HasName(pipeline.EarlyData) {
		s.x.Early = true
		s.x.Req.Header.Add(pipeline.EarlyData, []byte("1"))
	}
	s.lst.Metrics.HTTP3(metric.HTTP3Early)
	return true
}

// replayable tells whether to serve the request twice does no more than to serve
// it once: by its method, and without content (RFC 8470 §4).
func (s *stream) replayable() bool {
	switch s.x.Req.MethodID {
	case httpmsg.MethodGet, httpmsg.MethodHead, httpmsg.MethodOptions:
		return s.ended && s.x.Req.Upgrade == nil
	}
	return false
}

// shook tells whether the handshake is over.
func (c *Conn) shook() bool {
	select {
	case <-c.q.HandshakeComplete():
		return true
	default:
		return false
	}
}

// Confirm waits for the end of the handshake, after which what the client has sent
// is its own; the handshake's timeout bounds that. It is false if the handshake
// has failed.
func (s *stream) Confirm() bool {
	select {
	case <-s.c.q.HandshakeComplete():
	case <-s.c.q.Context().Done():
	}
	return s.c.q.Context().Err() == nil
}
