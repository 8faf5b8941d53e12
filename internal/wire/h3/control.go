package h3

import (
	"io"
	"sync/atomic"

	"github.com/gridway/gridway/internal/wire/head"
	"github.com/gridway/gridway/internal/wire/hpack"
)

// Peer reads the streams that a peer opens besides those of requests.
type Peer struct {
	// Client: it is a client's. Servers must not send everything that clients may.
	Client bool
	// OnSettings and OnGoAway, which may be nil, are told what has come.
	OnSettings func(Settings)
	OnGoAway   func(id uint64)
	// OnPriority is told which priority a client wants for a request (RFC 9218 §7.2),
	// whether that has come or not; it may be nil.
	OnPriority func(id uint64, urgency uint8, incremental bool)

	maxPush uint64
	pushes  bool
	goneAt  uint64
	gone    bool
	opened  [StreamDecoder + 1]atomic.Bool // streams of which there is one of each kind
	// spent counts frames that nobody needs many of; requests make them plausible.
	spent atomic.Int64
}

// maxControl is how many frames a control stream may have beyond what Earn allows.
const maxControl = 256

// Earn allows two more frames on the control stream, as a request makes plausible.
// Any goroutine may call it.
func (p *Peer) Earn() {
	if p.spent.Add(-2) < 0 {
		p.spent.Store(0)
	}
}

func (p *Peer) spend() error {
	if p.spent.Add(1) > maxControl {
		return errFlood
	}
	return nil
}

// Uni reads a unidirectional stream until it ends. It is not known if its type is
// none of RFC 9114 and RFC 9204: then it may be reset, or left alone (RFC 9114 §6.2).
func (p *Peer) Uni(r *Reader) (known bool, err error) {
	v, err := r.Varint()
	if err != nil {
		return true, nil //nolint:nilerr // it was given up before it had said what it is
	}
	t := StreamType(v)
	switch {
	case t > StreamDecoder:
		return false, nil
	case t == StreamPush: // clients have none, and MAX_PUSH_ID was not sent (RFC 9114 §6.2.2)
		return true, errStreamType
	case p.opened[t].Swap(true):
		return true, errStreamType
	case t == StreamControl:
		return true, p.Control(r)
	case t == StreamEncoder:
		return true, p.Encoder(r)
	}
	return true, p.Decoder(r)
}

// Control reads a control stream, behind its type, until it ends, which is an error
// (RFC 9114 §6.2.1).
func (p *Peer) Control(r *Reader) error {
	t, length, err := r.Next()
	switch {
	case err == io.EOF:
		return errClosedControl
	case err != nil:
		return err
	case t != FrameSettings:
		return errMissingSettings
	case length > maxSettingsBytes:
		return errSettings
	}
	b, err := r.Payload(nil)
	if err != nil {
		return err
	}
	s, bad := parseSettings(b)
	if bad != nil {
		return bad
	}
	if p.OnSettings != nil {
		p.OnSettings(s)
	}
	for {
		if err := p.control(r); err != nil {
			return err
		}
	}
}

func (p *Peer) control(r *Reader) error {
	t, length, err := r.Next()
	switch {
	case err == io.EOF:
		return errClosedControl
	case err != nil:
		return err
	case t == FramePriorityUpdate && p.Client:
		return p.priority(r, length)
	case t == FrameGoAway, t == FrameCancelPush, t == FrameMaxPushID && p.Client:
		if err := p.spend(); err != nil {
			return err
		}
	default:
		return errUnexpected
	}
	if length == 0 || length > 8 {
		return errFrameSize
	}
	b, err := r.Payload(nil)
	if err != nil {
		return err
	}
	v, n := ReadVarint(b)
	if n != len(b) {
		return errFrameSize
	}
	return p.number(t, v)
}

// priority reads PRIORITY_UPDATE. What is longer than any priority that is meant
// is passed over.
func (p *Peer) priority(r *Reader, length uint64) error {
	if err := p.spend(); err != nil || length > maxPriority {
		return err
	}
	b, err := r.Payload(nil)
	if err != nil {
		return err
	}
	id, n := ReadVarint(b)
	switch {
	case n == 0:
		return errFrameSize
	case id%4 != 0:
		return errID
	case p.OnPriority != nil:
		urgency, incremental := head.ParsePriority(b[n:])
		p.OnPriority(id, urgency, incremental)
	}
	return nil
}

// number handles a frame that is one number.
func (p *Peer) number(t FrameType, v uint64) error {
	switch t {
	case FrameMaxPushID: // nothing is pushed, but it may not go back (RFC 9114 §7.2.7)
		if p.pushes && v < p.maxPush {
			return errID
		}
		p.pushes, p.maxPush = true, v
	case FrameCancelPush: // of a push that was never promised (RFC 9114 §7.2.3)
		if !p.pushes || v > p.maxPush {
			return errID
		}
	case FrameGoAway: // RFC 9114 §5.2
		if p.gone && v > p.goneAt || !p.Client && v%4 != 0 {
			return errID
		}
		p.gone, p.goneAt = true, v
		if p.OnGoAway != nil {
			p.OnGoAway(v)
		}
	}
	return nil
}

// Encoder reads a QPACK encoder stream. With a dynamic table of no capacity there
// is one instruction that it may have (RFC 9204 §4.3.1).
func (p *Peer) Encoder(r *Reader) error {
	for {
		v, err := r.instruction(func(b byte) uint {
			if b&0xe0 == 0x20 {
				return 5
			}
			return 0
		})
		switch {
		case err == io.EOF:
			return errClosedControl
		case err != nil:
			return err
		case v != 0:
			return errEncoderStream
		}
	}
}

// Decoder reads a QPACK decoder stream. Nothing but cancelled streams can be told
// where the dynamic table is not used (RFC 9204 §4.4).
func (p *Peer) Decoder(r *Reader) error {
	for {
		_, err := r.instruction(func(b byte) uint {
			if b&0xc0 == 0x40 {
				return 6
			}
			return 0
		})
		switch {
		case err == io.EOF:
			return errClosedControl
		case err == errEncoderStream:
			return errDecoderStream
		case err != nil:
			return err
		}
	}
}

// instruction reads an instruction that is one integer, whose first byte tells how
// long its prefix is; 0 if it cannot be.
func (r *Reader) instruction(prefix func(byte) uint) (uint32, error) {
	const longest = 6
	for {
		if len(r.b) > 0 {
			p := prefix(r.b[0])
			if p == 0 {
				return 0, errEncoderStream
			}
			if v, n := hpack.ReadInt(r.b, p); n > 0 {
				r.b = r.b[n:]
				return v, nil
			}
			if len(r.b) >= longest {
				return 0, errEncoderStream
			}
		}
		if err := r.fill(); err != nil {
			if err == io.EOF && len(r.b) > 0 {
				return 0, errEncoderStream
			}
			return 0, err
		}
	}
}
