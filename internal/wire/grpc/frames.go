package grpc

import "encoding/binary"

// prefixLen is that of the flag and the length before each message.
const prefixLen = 5

// Frames follows the messages of one direction of a call (PROTOCOL-HTTP2.md,
// "Length-Prefixed-Message"), whatever the pieces are in which they come. The
// zero value is at the beginning.
type Frames struct {
	left, length uint32 // of the message; and what is known of the next one's length
	prefix       uint8  // bytes of its prefix that have come
	begun        uint32 // messages, up to two
}

// Follow takes the next piece.
func (f *Frames) Follow(p []byte) {
	for len(p) > 0 {
		switch {
		case f.left > 0:
			n := min(uint64(f.left), uint64(len(p)))
			f.left -= uint32(n)
			p = p[n:]
		case f.prefix == 0 && len(p) >= prefixLen:
			f.left, f.begun = binary.BigEndian.Uint32(p[1:]), min(f.begun+1, 2)
			p = p[prefixLen:]
		default: // a prefix in pieces
			if f.prefix > 0 {
				f.length = f.length<<8 | uint32(p[0])
			}
			if f.prefix++; f.prefix == prefixLen {
				*f = Frames{left: f.length, begun: min(f.begun+1, 2)}
			}
			p = p[1:]
		}
	}
}

// Several tells whether more than one message has begun.
func (f *Frames) Several() bool { return f.begun > 1 }

// Between tells whether no message is cut short here.
func (f *Frames) Between() bool { return f.left == 0 && f.prefix == 0 }
