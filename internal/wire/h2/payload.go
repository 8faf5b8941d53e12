package h2

import "encoding/binary"

// The parsers of payloads check what one frame alone shows: its length, whether
// it is on a stream, padding. Slices are those of the payload.

// PriorityParam is the prioritisation of RFC 7540, which is read and not followed
// (RFC 9113 §5.3).
type PriorityParam struct {
	StreamDep uint32
	Exclusive bool
	Weight    uint8 // one less than the weight
}

func parsePriorityParam(b []byte) PriorityParam {
	dep := binary.BigEndian.Uint32(b)
	return PriorityParam{StreamDep: dep & maxStreamID, Exclusive: dep > maxStreamID, Weight: b[4]}
}

// unpad removes padding (RFC 9113 §6.1).
func unpad(h FrameHeader, p []byte) ([]byte, *Error) {
	if !h.Flags.Has(FlagPadded) {
		return p, nil
	}
	if len(p) == 0 {
		return nil, errFrameSize
	}
	pad := int(p[0])
	if pad > len(p)-1 {
		return nil, errPadding
	}
	return p[1 : len(p)-pad], nil
}

// ParseData returns the content of a DATA frame (§6.1).
func ParseData(h FrameHeader, p []byte) ([]byte, *Error) {
	if h.StreamID == 0 {
		return nil, errNoStream
	}
	return unpad(h, p)
}

// ParseHeaders returns the fragment of a HEADERS frame (§6.2).
func ParseHeaders(h FrameHeader, p []byte) (fragment []byte, prio PriorityParam, e *Error) {
	if h.StreamID == 0 {
		return nil, prio, errNoStream
	}
	p, e = unpad(h, p)
	if e != nil {
		return nil, prio, e
	}
	if h.Flags.Has(FlagPriority) {
		if len(p) < 5 {
			return nil, prio, errFrameSize
		}
		prio = parsePriorityParam(p)
		p = p[5:]
	}
	return p, prio, nil
}

// ParsePriority parses a PRIORITY frame (§6.3).
func ParsePriority(h FrameHeader, p []byte) (PriorityParam, *Error) {
	if h.StreamID == 0 {
		return PriorityParam{}, errNoStream
	}
	if len(p) != 5 {
		return PriorityParam{}, errFrameSize
	}
	return parsePriorityParam(p), nil
}

// ParseRSTStream parses a RST_STREAM frame (§6.4).
func ParseRSTStream(h FrameHeader, p []byte) (ErrCode, *Error) {
	if h.StreamID == 0 {
		return 0, errNoStream
	}
	if len(p) != 4 {
		return 0, errFrameSize
	}
	return ErrCode(binary.BigEndian.Uint32(p)), nil
}

// CheckSettings checks a SETTINGS frame (§6.5) so that NextSetting can read it.
func CheckSettings(h FrameHeader, p []byte) *Error {
	switch {
	case h.StreamID != 0:
		return errNotOnStream
	case len(p)%6 != 0, h.Flags.Has(FlagAck) && len(p) != 0:
		return errFrameSize
	}
	return nil
}

// NextSetting splits the first setting off.
func NextSetting(p []byte) (id SettingID, value uint32, rest []byte) {
	return SettingID(binary.BigEndian.Uint16(p)), binary.BigEndian.Uint32(p[2:]), p[6:]
}

// ParsePushPromise parses a PUSH_PROMISE frame (§6.6).
func ParsePushPromise(h FrameHeader, p []byte) (promised uint32, fragment []byte, e *Error) {
	if h.StreamID == 0 {
		return 0, nil, errNoStream
	}
	p, e = unpad(h, p)
	if e != nil {
		return 0, nil, e
	}
	if len(p) < 4 {
		return 0, nil, errFrameSize
	}
	return binary.BigEndian.Uint32(p) & maxStreamID, p[4:], nil
}

// ParsePing parses a PING frame (§6.7).
func ParsePing(h FrameHeader, p []byte) (data [8]byte, e *Error) {
	switch {
	case h.StreamID != 0:
		return data, errNotOnStream
	case len(p) != 8:
		return data, errFrameSize
	}
	return [8]byte(p), nil
}

// ParseGoAway parses a GOAWAY frame (§6.8).
func ParseGoAway(h FrameHeader, p []byte) (last uint32, code ErrCode, debug []byte, e *Error) {
	switch {
	case h.StreamID != 0:
		return 0, 0, nil, errNotOnStream
	case len(p) < 8:
		return 0, 0, nil, errFrameSize
	}
	return binary.BigEndian.Uint32(p) & maxStreamID, ErrCode(binary.BigEndian.Uint32(p[4:])), p[8:], nil
}

// ParseWindowUpdate parses a WINDOW_UPDATE frame (§6.9). An increment of 0 is
// for the caller to refuse, since it concerns a stream or the connection.
func ParseWindowUpdate(_ FrameHeader, p []byte) (increment uint32, e *Error) {
	if len(p) != 4 {
		return 0, errFrameSize
	}
	return binary.BigEndian.Uint32(p) & maxWindow, nil
}

// ParsePriorityUpdate parses a PRIORITY_UPDATE frame (RFC 9218 §7.1).
func ParsePriorityUpdate(h FrameHeader, p []byte) (id uint32, field []byte, e *Error) {
	switch {
	case h.StreamID != 0:
		return 0, nil, errNotOnStream
	case len(p) < 4:
		return 0, nil, errFrameSize
	}
	if id = binary.BigEndian.Uint32(p) & maxStreamID; id == 0 {
		return 0, nil, errPriorityUpdate
	}
	return id, p[4:], nil
}
