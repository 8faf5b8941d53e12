package h2

import (
	"time"

	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// Config is what a connection allows its peer. A zero field stands for its default.
type Config struct {
	// MaxStreams is how many streams the peer may have open; default 128. A
	// server refuses more with REFUSED_STREAM. Streams that ended but were not
	// released by the driver count too, up to twice that number.
	MaxStreams int
	// StreamWindow is how many bytes of content a stream may send before the
	// driver consumes them; default 65536, at most 2³¹-1.
	StreamWindow int
	// ConnWindow is the same for all streams together. The default is
	// MaxStreams × StreamWindow: then no stream can ever stall another.
	ConnWindow int
	// HeaderTableSize is the size of the peer's dynamic table; default 4096.
	// Negative is 0.
	HeaderTableSize int
	// HeaderBytes is the size of a head or trailer section, counted as RFC 9113
	// §10.5.1 does; default 65536. More is refused with 431.
	HeaderBytes int
	// HeaderCount is the number of fields; default 100. More is refused with 431.
	HeaderCount int
	// MergeSlashes makes one '/' of several in a path.
	MergeSlashes bool
	// ExtendedConnect allows CONNECT with :protocol (RFC 8441) to clients.
	ExtendedConnect bool
	// NewRequest, if it is there, is asked for what a server's next request is
	// decoded to, when Event.Request is nil.
	NewRequest func() *httpmsg.Request
	// OnReset, if it is there, is called for each stream that is reset: with the
	// peer's code, or with ours and the reason if it was the peer's fault.
	OnReset func(code ErrCode, ours bool, reason string)
	// NoHuffman sends strings as they are: less work, more bytes.
	NoHuffman bool

	// HeaderTimeout is how long a header block may take; default 10 s.
	HeaderTimeout time.Duration
	// AckTimeout is how long SETTINGS may wait for their acknowledgement;
	// default 10 s. The same, but 3 s at most, applies to the PING of a graceful end.
	AckTimeout time.Duration
	// StallTimeout is how long a stream may wait for the peer to take its
	// content; default 60 s. It is reset then.
	StallTimeout time.Duration
	// KeepAlive is after how long without a frame, while streams are open, the peer
	// is asked by PING whether it is there; 0 for never. A client asks besides when
	// it resets a stream since whose beginning it has heard nothing.
	KeepAlive time.Duration
	// KeepAliveTimeout is how long it may take to answer; default 5 s.
	KeepAliveTimeout time.Duration

	// ResetBurst and ResetRate bound how many streams are reset, by the peer or
	// by its fault: so many at once, and so many a second; default 1000 and 33.
	ResetBurst, ResetRate int
	// ControlBurst and ControlRate bound frames that carry nothing: PING,
	// SETTINGS, PRIORITY, WINDOW_UPDATE, empty DATA, unknown types. Content in
	// either direction allows more of them. Default 1000 and 100.
	ControlBurst, ControlRate int
}

const (
	// maxContinuations bounds the frames of a header block beside its bytes.
	maxContinuations = 64
	// maxInterim bounds the interim responses to a request.
	maxInterim = 64
)

func (c *Config) resolve() {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	defTime := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	if c.NewRequest == nil {
		c.NewRequest = func() *httpmsg.Request { return new(httpmsg.Request) }
	}
	if c.HeaderTableSize < 0 {
		c.HeaderTableSize = 0
	} else {
		def(&c.HeaderTableSize, 4096)
	}
	def(&c.MaxStreams, 128)
	def(&c.StreamWindow, 64<<10)
	c.StreamWindow = min(c.StreamWindow, maxWindow)
	def(&c.ConnWindow, min(c.MaxStreams*c.StreamWindow, maxWindow))
	c.ConnWindow = max(min(c.ConnWindow, maxWindow), defaultWindow)
	def(&c.HeaderBytes, 64<<10)
	def(&c.HeaderCount, 100)
	defTime(&c.HeaderTimeout, 10*time.Second)
	defTime(&c.AckTimeout, 10*time.Second)
	defTime(&c.StallTimeout, time.Minute)
	defTime(&c.KeepAliveTimeout, 5*time.Second)
	def(&c.ResetBurst, 1000)
	def(&c.ResetRate, 33)
	def(&c.ControlBurst, 1000)
	def(&c.ControlRate, 100)
}
