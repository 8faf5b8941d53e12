package h2

import (
	"github.com/gridway/gridway/internal/wire/bufpool"
	"github.com/gridway/gridway/internal/wire/hpack"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// Conn is one side of a connection. It is made by NewServer or NewClient.
type Conn struct {
	cfg    Config
	client bool
	now    int64

	enc *hpack.Encoder
	dec *hpack.Decoder

	// What was received.
	preface  int // bytes of the client's preface that are still to come
	started  bool
	need     int
	data     dataFrame
	block    headerBlock
	trailer  httpmsg.Header
	scratch  httpmsg.Arena // of trailers, and of blocks that are not wanted
	failed   *Error
	lastRecv int64
	heard    uint32 // counts frames

	// Settings. local are what the peer has acknowledged.
	local, peer Settings
	acks        int // SETTINGS of ours that wait for their acknowledgement

	streams  streamTable
	opened   int // streams of the peer, or a client's own, that are open
	held     int // and those that are not released
	lastPeer uint32
	nextID   uint32
	resets   recent // streams that were reset from here
	known    recent // streams that the peer has opened
	free     *Stream
	freeLen  int

	sendWindow, recvWindow int64
	unread                 int64 // what was sent and not given back
	parked                 list  // streams that wait for a share of sendWindow
	hungry                 int64 // since when nothing has come for sendWindow while streams wait; 0: not known
	unshared               bool  // sendWindow is anybody's
	credit                 int64

	sched     schedule
	early     pendingPriorities
	out       *bufpool.Buf
	outLen    int
	overflown bool
	last      lastFrame

	// GOAWAY: what was sent and received.
	leaving   leaveState
	lastTaken uint32 // streams above are not taken any more
	gone      bool   // the peer takes no more
	goneLast  uint32
	goneCode  ErrCode
	sweep     bool

	timers timers

	resetBudget, controlBudget bucket
	owedFrames                 owedFrames
}

// NewServer returns the server's side of a connection. Its SETTINGS wait in the output.
func NewServer(cfg Config, now int64) *Conn {
	c := newConn(cfg, now)
	c.preface = len(Preface)
	c.begin()
	return c
}

// NewClient returns the client's side of a connection. Its preface waits in the output.
func NewClient(cfg Config, now int64) *Conn {
	c := newConn(cfg, now)
	c.client = true
	c.dec.Remember() // clients index what they repeat; servers often do not
	c.nextID = 1
	c.room(len(Preface))
	c.append([]byte(Preface))
	c.begin()
	return c
}

func newConn(cfg Config, now int64) *Conn {
	cfg.resolve()
	c := &Conn{
		cfg: cfg, now: now, enc: hpack.NewEncoder(), dec: hpack.NewDecoder(),
		local: initialSettings, peer: initialSettings,
		sendWindow: defaultWindow, recvWindow: defaultWindow,
		lastTaken: maxStreamID, lastRecv: now, need: FrameHeaderLen,
		resetBudget:   newBucket(cfg.ResetBurst, cfg.ResetRate, now),
		controlBudget: newBucket(cfg.ControlBurst, cfg.ControlRate, now),
	}
	c.enc.SetHuffman(!cfg.NoHuffman)
	return c
}

// begin sends what is announced to the peer.
func (c *Conn) begin() {
	settings := [...]Setting{
		{SettingHeaderTableSize, uint32(c.cfg.HeaderTableSize)},
		{SettingInitialWindowSize, uint32(c.cfg.StreamWindow)},
		{SettingMaxHeaderListSize, uint32(c.cfg.HeaderBytes)},
		{SettingMaxConcurrentStreams, uint32(c.cfg.MaxStreams)},
		{SettingNoRFC7540Priorities, 1},
		{SettingEnableConnectProtocol, 1},
	}
	announced := settings[:5]
	if c.client {
		settings[3] = Setting{SettingEnablePush, 0}
		announced = settings[:4]
	} else if c.cfg.ExtendedConnect {
		announced = settings[:6]
	}
	c.room(FrameHeaderLen + 6*len(announced))
	c.setOut(AppendSettings(c.outBytes(), announced...))
	c.acks++
	c.timers.ack = c.now + int64(c.cfg.AckTimeout)
	if grow := int64(c.cfg.ConnWindow) - defaultWindow; grow > 0 {
		c.recvWindow += grow
		c.control(func(b []byte) []byte { return AppendWindowUpdate(b, 0, uint32(grow)) })
	}
	c.rearm()
}

// Next reads from in up to the next event and returns how much it has used;
// EventNone means all that can be used now. now is a monotonic time in
// nanoseconds; the driver calls Next when Deadline has come too, with what there
// is of in. After an error, which is an *Error, nothing more can be received;
// what is in the output should still be sent.
func (c *Conn) Next(in []byte, now int64, ev *Event) (n int, err error) {
	ev.clear()
	c.now = now
	if c.failed != nil {
		return 0, c.failed
	}
	if now >= c.timers.next && c.timers.next != 0 || c.sweep {
		if e := c.expire(ev); e != nil {
			return 0, c.fail(e)
		}
		if ev.Kind != EventNone {
			return 0, nil
		}
	}
	for {
		m, e := c.step(in[n:], ev)
		n += m
		if e == nil && c.overflown {
			e = errOutputFlood
		}
		if e != nil {
			return n, c.fail(e)
		}
		if ev.Kind != EventNone || m == 0 {
			return n, nil
		}
	}
}

// Need is how many bytes Next must be given at once to go on.
func (c *Conn) Need() int { return c.need }

// fail ends the connection for an error of the peer.
func (c *Conn) fail(e *Error) *Error {
	c.failed = e
	c.overflown = false
	if c.leaving < leaveClosed {
		c.leaving = leaveClosed
		c.sendGoAway(c.lastPeer, e.Code, e.Reason)
	}
	return e
}

// step reads one frame, or a part of a DATA frame.
func (c *Conn) step(in []byte, ev *Event) (int, *Error) {
	if c.preface > 0 {
		return c.readPreface(in)
	}
	if c.data.active {
		// A frame without content ends without a byte, and what is behind it must
		// not wait for more to come.
		if n := c.readData(in, ev); n > 0 || c.data.active || ev.Kind != EventNone {
			return n, nil
		}
	}
	if len(in) < FrameHeaderLen {
		c.need = FrameHeaderLen
		return 0, nil
	}
	h := ParseFrameHeader(in)
	if e := c.admit(h); e != nil {
		return 0, e
	}
	if h.Type == FrameData {
		n, e := c.beginData(h, in, ev)
		if n == 0 || e != nil || ev.Kind != EventNone {
			return n, e
		}
		return n + c.readData(in[n:], ev), nil
	}
	end := FrameHeaderLen + int(h.Length)
	if len(in) < end {
		c.need = end
		return 0, nil
	}
	c.hear()
	return end, c.receive(h, in[FrameHeaderLen:end:end], ev)
}

// hear notes that a frame has come.
func (c *Conn) hear() {
	c.lastRecv = c.now
	c.heard++
}

func (c *Conn) readPreface(in []byte) (int, *Error) {
	n := min(len(in), c.preface)
	at := len(Preface) - c.preface
	if string(in[:n]) != Preface[at:at+n] {
		return 0, errPreface
	}
	c.preface -= n
	if c.need = FrameHeaderLen; c.preface > 0 {
		c.need = 1
	}
	return n, nil
}

// admit checks what can be told before a frame's payload has come.
func (c *Conn) admit(h FrameHeader) *Error {
	switch {
	case h.Length > minMaxFrame:
		return errFrameSize
	case !c.started && (h.Type != FrameSettings || h.Flags.Has(FlagAck)):
		return errFirstFrame // RFC 9113 §3.4
	case c.block.id != 0 && (h.Type != FrameContinuation || h.StreamID != c.block.id):
		return errContinuation // §6.10
	}
	return nil
}

// receive handles a frame that has come completely.
func (c *Conn) receive(h FrameHeader, p []byte, ev *Event) *Error {
	switch h.Type {
	case FrameHeaders:
		return c.recvHeaders(h, p, ev)
	case FrameContinuation:
		return c.recvContinuation(h, p, ev)
	case FrameWindowUpdate:
		return c.recvWindowUpdate(h, p, ev)
	case FrameRSTStream:
		return c.recvReset(h, p, ev)
	case FrameSettings:
		return c.recvSettings(h, p, ev)
	case FramePing:
		return c.recvPing(h, p, ev)
	case FrameGoAway:
		return c.recvGoAway(h, p, ev)
	case FramePushPromise:
		return errPush
	case FramePriority:
		return c.recvPriority(h, p, ev)
	case FramePriorityUpdate:
		return c.recvPriorityUpdate(h, p)
	}
	return c.spend(1) // RFC 9113 §5.5: unknown types are ignored
}

// spend counts frames that carry nothing.
func (c *Conn) spend(n int64) *Error {
	if !c.controlBudget.spend(n, c.now) {
		return errFlood
	}
	return nil
}

// idle tells whether a stream has not been opened yet.
func (c *Conn) idle(id uint32) bool {
	if c.client == (id&1 == 1) {
		return !c.client || id >= c.nextID
	}
	return id > c.lastPeer
}
