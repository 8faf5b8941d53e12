package ws

import "encoding/binary"

// Scanner follows the frames of one direction, in pieces of any size. It judges
// nothing: whether the masks, the reserved bits and the order of frames are as
// they must be is for the peers. Its zero value is at the beginning of a frame.
type Scanner struct {
	left     uint64 // of the frame's payload
	head     [maxHeader]byte
	have     uint8 // bytes of a header that has not come whole
	op       Opcode
	fin      bool
	inside   bool // between the header and the end of the payload
	lost     bool
	closed   bool
	codeHave uint8 // bytes of the close code that have come
	mask     [2]byte
	code     uint16
	messages uint64
}

// Scan follows p, which comes after what was given before.
func (s *Scanner) Scan(p []byte) {
	for len(p) > 0 {
		p = p[s.Frame(p):]
	}
}

// Frame is Scan up to the end of the frame that p begins in or with. It returns
// how much of p that is: all of it, at most.
func (s *Scanner) Frame(p []byte) int {
	if s.lost {
		return len(p)
	}
	n := 0
	if !s.inside {
		if n = s.header(p); !s.inside {
			return n
		}
	}
	take := int(min(s.left, uint64(len(p)-n)))
	if s.op == OpClose && s.codeHave < 2 {
		s.readCode(p[n : n+take])
	}
	s.left -= uint64(take)
	if s.left == 0 {
		s.end()
	}
	return n + take
}

// header reads a frame's header, or as much of it as there is in p.
func (s *Scanner) header(p []byte) int {
	n := 0
	for {
		need := 2
		if s.have >= 2 {
			need = headerLen(s.head[1])
		}
		m := copy(s.head[s.have:need], p[n:])
		s.have += uint8(m)
		if n += m; int(s.have) < need {
			return n
		}
		if need > 2 || headerLen(s.head[1]) == 2 {
			break
		}
	}
	s.begin(s.head[:s.have])
	s.have = 0
	return n
}

// headerLen is how long a header is with this second byte.
func headerLen(b byte) int {
	n := 2
	switch b &^ maskBit {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if b&maskBit != 0 {
		n += 4
	}
	return n
}

// begin starts a frame.
func (s *Scanner) begin(h []byte) {
	s.fin, s.op = h[0]&finBit != 0, Opcode(h[0]&0xf)
	at := 2
	switch size := h[1] &^ maskBit; size {
	case 126:
		s.left = uint64(binary.BigEndian.Uint16(h[2:]))
		at = 4
	case 127:
		s.left = binary.BigEndian.Uint64(h[2:])
		at = 10
	default:
		s.left = uint64(size)
	}
	if s.left>>63 != 0 { // RFC 6455 §5.2: that cannot be; what follows is no frame
		s.lost = true
		return
	}
	s.inside = true
	s.mask = [2]byte{}
	if h[1]&maskBit != 0 {
		s.mask = [2]byte{h[at], h[at+1]}
	}
	if s.op == OpClose && !s.closed {
		s.code, s.codeHave = 0, 0
	}
}

// readCode takes the code from the beginning of a Close frame's payload.
func (s *Scanner) readCode(p []byte) {
	for i := 0; i < len(p) && s.codeHave < 2; i++ {
		s.code = s.code<<8 | uint16(p[i]^s.mask[s.codeHave])
		s.codeHave++
	}
}

// end ends a frame.
func (s *Scanner) end() {
	s.inside = false
	switch {
	case s.op == OpClose:
		if !s.closed && s.codeHave < 2 {
			s.code, s.codeHave = CloseNoStatus, 2
		}
		s.closed = true
	case s.fin && !s.op.Control():
		s.messages++
	}
}

// Boundary tells whether a frame has just ended: another can be put in here,
// even between the fragments of a message if it is a control frame.
func (s *Scanner) Boundary() bool { return !s.inside && s.have == 0 && !s.lost }

// Lost tells whether the bytes have stopped to make sense as frames.
func (s *Scanner) Lost() bool { return s.lost }

// Messages is how many messages have come to their end. Control frames are none.
func (s *Scanner) Messages() uint64 { return s.messages }

// Closed tells whether a Close frame has come, and with which code.
func (s *Scanner) Closed() (code uint16, ok bool) { return s.code, s.closed }
