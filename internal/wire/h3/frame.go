package h3

// FrameType is a type of RFC 9114 §7.2, or of RFC 9218 §7.2.
type FrameType uint64

const (
	FrameData           FrameType = 0x0
	FrameHeaders        FrameType = 0x1
	FrameCancelPush     FrameType = 0x3
	FrameSettings       FrameType = 0x4
	FramePushPromise    FrameType = 0x5
	FrameGoAway         FrameType = 0x7
	FrameMaxPushID      FrameType = 0xd
	FramePriorityUpdate FrameType = 0xf0700
)

// formerHTTP2 tells whether a type was HTTP/2's and must not be sent (RFC 9114
// §7.2.8).
func (t FrameType) formerHTTP2() bool { return t == 0x2 || t == 0x6 || t == 0x8 || t == 0x9 }

// known tells whether a type has a meaning on some stream; all others are passed
// over (RFC 9114 §9).
func (t FrameType) known() bool {
	switch t {
	case FrameData, FrameHeaders, FrameCancelPush, FrameSettings, FramePushPromise, FrameGoAway, FrameMaxPushID:
		return true
	}
	return t.formerHTTP2()
}

// AppendFrameHeader appends the beginning of a frame whose payload has that length.
func AppendFrameHeader(dst []byte, t FrameType, length int) []byte {
	return AppendVarint(AppendVarint(dst, uint64(t)), uint64(length))
}

// headersRoom is how much of a buffer is left free before a field section, for the
// beginning of its frame.
const headersRoom = 1 + 4

// BeginHeaders leaves room for the beginning of a HEADERS frame.
func BeginHeaders(dst []byte) []byte {
	var room [headersRoom]byte
	return append(dst, room[:]...)
}

// EndHeaders fills the room that BeginHeaders has left at start, and returns the
// frame, which has grown to the end of b. A length of four bytes is no less valid
// for a short section (RFC 9000 §16).
func EndHeaders(b []byte, start int) []byte {
	n := uint32(len(b) - start - headersRoom)
	b[start] = byte(FrameHeaders)
	b[start+1], b[start+2], b[start+3], b[start+4] = byte(n>>24)|0x80, byte(n>>16), byte(n>>8), byte(n)
	return b
}

// StreamType is what a unidirectional stream begins with (RFC 9114 §6.2, RFC 9204 §4.2).
type StreamType uint64

const (
	StreamControl StreamType = 0x0
	StreamPush    StreamType = 0x1
	StreamEncoder StreamType = 0x2
	StreamDecoder StreamType = 0x3
)

// AppendGoAway appends a GOAWAY frame (RFC 9114 §5.2).
func AppendGoAway(dst []byte, id uint64) []byte {
	dst = AppendFrameHeader(dst, FrameGoAway, varintLen(id))
	return AppendVarint(dst, id)
}
