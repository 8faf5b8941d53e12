package h2

import "encoding/binary"

// FrameType is the type of a frame (RFC 9113 §6).
type FrameType uint8

const (
	FrameData         FrameType = 0x0
	FrameHeaders      FrameType = 0x1
	FramePriority     FrameType = 0x2
	FrameRSTStream    FrameType = 0x3
	FrameSettings     FrameType = 0x4
	FramePushPromise  FrameType = 0x5
	FramePing         FrameType = 0x6
	FrameGoAway       FrameType = 0x7
	FrameWindowUpdate FrameType = 0x8
	FrameContinuation FrameType = 0x9
	// FramePriorityUpdate is of RFC 9218 §7.1.
	FramePriorityUpdate FrameType = 0x10
)

// Flags of a frame; what a bit means depends on the type.
type Flags uint8

const (
	FlagEndStream  Flags = 0x01 // DATA, HEADERS
	FlagAck        Flags = 0x01 // SETTINGS, PING
	FlagEndHeaders Flags = 0x04 // HEADERS, PUSH_PROMISE, CONTINUATION
	FlagPadded     Flags = 0x08 // DATA, HEADERS, PUSH_PROMISE
	FlagPriority   Flags = 0x20 // HEADERS
)

// Has tells whether all of f are set.
func (flags Flags) Has(f Flags) bool { return flags&f == f }

const (
	// Preface is what a client sends first (RFC 9113 §3.4).
	Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

	// FrameHeaderLen is the length of a frame's header in bytes.
	FrameHeaderLen = 9
	// minMaxFrame is the payload that everybody must be able to receive, and
	// the largest that is sent and received here: larger frames make
	// neighbours wait and save nothing.
	minMaxFrame = 1 << 14

	maxWindow   = 1<<31 - 1
	maxStreamID = 1<<31 - 1
)

// FrameHeader is the header of a frame (RFC 9113 §4.1).
type FrameHeader struct {
	Length   uint32
	Type     FrameType
	Flags    Flags
	StreamID uint32
}

// ParseFrameHeader parses the header at the start of b, which has FrameHeaderLen bytes.
func ParseFrameHeader(b []byte) FrameHeader {
	_ = b[8]
	return FrameHeader{
		Length:   uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2]),
		Type:     FrameType(b[3]),
		Flags:    Flags(b[4]),
		StreamID: binary.BigEndian.Uint32(b[5:]) & maxStreamID,
	}
}

// AppendFrameHeader appends the header of a frame.
func AppendFrameHeader(dst []byte, h FrameHeader) []byte {
	return append(dst, byte(h.Length>>16), byte(h.Length>>8), byte(h.Length), byte(h.Type), byte(h.Flags),
		byte(h.StreamID>>24), byte(h.StreamID>>16), byte(h.StreamID>>8), byte(h.StreamID))
}
