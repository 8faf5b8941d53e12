package h2

import "encoding/binary"

// AppendData appends a DATA frame. data is no longer than the peer's maximum.
func AppendData(dst []byte, id uint32, data []byte, end bool) []byte {
	var flags Flags
	if end {
		flags = FlagEndStream
	}
	dst = AppendFrameHeader(dst, FrameHeader{uint32(len(data)), FrameData, flags, id})
	return append(dst, data...)
}

// BeginHeaders makes room for the header of a HEADERS frame. The block is
// appended to what it returns, and EndHeaders called with the length of dst.
func BeginHeaders(dst []byte) []byte {
	return append(dst, make([]byte, FrameHeaderLen)...)
}

// EndHeaders makes frames of a block: HEADERS, and CONTINUATION if it is longer
// than one may be.
func EndHeaders(dst []byte, start int, id uint32, end bool) []byte {
	var flags Flags
	if end {
		flags = FlagEndStream
	}
	size := len(dst) - start - FrameHeaderLen
	if size <= minMaxFrame {
		AppendFrameHeader(dst[:start], FrameHeader{uint32(size), FrameHeaders, flags | FlagEndHeaders, id})
		return dst
	}
	more := (size - 1) / minMaxFrame // CONTINUATION frames
	dst = append(dst, make([]byte, more*FrameHeaderLen)...)
	block := dst[start+FrameHeaderLen:]
	for i := more; i > 0; i-- { // from the end, so that nothing is overwritten
		from, to := i*minMaxFrame, min((i+1)*minMaxFrame, size)
		at := from + i*FrameHeaderLen
		copy(block[at:], block[from:to])
		f := FrameHeader{uint32(to - from), FrameContinuation, 0, id}
		if i == more {
			f.Flags = FlagEndHeaders
		}
		AppendFrameHeader(block[:at-FrameHeaderLen], f)
	}
	AppendFrameHeader(dst[:start], FrameHeader{minMaxFrame, FrameHeaders, flags, id})
	return dst
}

// AppendPriority appends a PRIORITY frame.
func AppendPriority(dst []byte, id uint32, p PriorityParam) []byte {
	dst = AppendFrameHeader(dst, FrameHeader{5, FramePriority, 0, id})
	dep := p.StreamDep
	if p.Exclusive {
		dep |= 1 << 31
	}
	return append(binary.BigEndian.AppendUint32(dst, dep), p.Weight)
}

// AppendRSTStream appends a RST_STREAM frame.
func AppendRSTStream(dst []byte, id uint32, code ErrCode) []byte {
	dst = AppendFrameHeader(dst, FrameHeader{4, FrameRSTStream, 0, id})
	return binary.BigEndian.AppendUint32(dst, uint32(code))
}

// AppendSettings appends a SETTINGS frame.
func AppendSettings(dst []byte, settings ...Setting) []byte {
	dst = AppendFrameHeader(dst, FrameHeader{uint32(6 * len(settings)), FrameSettings, 0, 0})
	for _, s := range settings {
		dst = binary.BigEndian.AppendUint16(dst, uint16(s.ID))
		dst = binary.BigEndian.AppendUint32(dst, s.Value)
	}
	return dst
}

// AppendSettingsAck appends the acknowledgement of SETTINGS.
func AppendSettingsAck(dst []byte) []byte {
	return AppendFrameHeader(dst, FrameHeader{0, FrameSettings, FlagAck, 0})
}

// AppendPing appends a PING frame.
func AppendPing(dst []byte, data [8]byte, ack bool) []byte {
	var flags Flags
	if ack {
		flags = FlagAck
	}
	dst = AppendFrameHeader(dst, FrameHeader{8, FramePing, flags, 0})
	return append(dst, data[:]...)
}

// AppendGoAway appends a GOAWAY frame.
func AppendGoAway(dst []byte, last uint32, code ErrCode, debug string) []byte {
	dst = AppendFrameHeader(dst, FrameHeader{uint32(8 + len(debug)), FrameGoAway, 0, 0})
	dst = binary.BigEndian.AppendUint32(dst, last)
	dst = binary.BigEndian.AppendUint32(dst, uint32(code))
	return append(dst, debug...)
}

// AppendWindowUpdate appends a WINDOW_UPDATE frame; stream 0 is the connection.
func AppendWindowUpdate(dst []byte, id, increment uint32) []byte {
	dst = AppendFrameHeader(dst, FrameHeader{4, FrameWindowUpdate, 0, id})
	return binary.BigEndian.AppendUint32(dst, increment)
}

// AppendPriorityUpdate appends a PRIORITY_UPDATE frame (RFC 9218 §7.1).
func AppendPriorityUpdate(dst []byte, id uint32, field string) []byte {
	dst = AppendFrameHeader(dst, FrameHeader{uint32(4 + len(field)), FramePriorityUpdate, 0, 0})
	return append(binary.BigEndian.AppendUint32(dst, id), field...)
}
