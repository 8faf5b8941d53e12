package ws

import "encoding/binary"

// Opcode says what a frame is (RFC 6455 §5.2).
type Opcode byte

const (
	OpContinuation Opcode = 0x0
	OpText         Opcode = 0x1
	OpBinary       Opcode = 0x2
	OpClose        Opcode = 0x8
	OpPing         Opcode = 0x9
	OpPong         Opcode = 0xa
)

// Control tells whether frames of the kind are about the connection, not of a message.
func (o Opcode) Control() bool { return o&0x8 != 0 }

// Codes of Close frames (RFC 6455 §7.4.1).
const (
	CloseNormal    = 1000
	CloseGoingAway = 1001
	// CloseNoStatus stands for a Close frame without a code; CloseAbnormal for an
	// end without a Close frame. Neither is ever sent.
	CloseNoStatus = 1005
	CloseAbnormal = 1006
)

const (
	// maxHeader is the length of the longest header.
	maxHeader = 14
	// MaxReason is how long the text in a Close frame may be.
	MaxReason = 123

	finBit  = 0x80
	maskBit = 0x80
)

// AppendClose appends a Close frame. What goes to a server is masked with a key
// that nobody can foresee (RFC 6455 §5.3); to a client, mask is nil.
func AppendClose(dst []byte, code uint16, reason string, mask *[4]byte) []byte {
	reason = reason[:min(len(reason), MaxReason)]
	size := byte(2 + len(reason))
	dst = append(dst, finBit|byte(OpClose))
	if mask == nil {
		dst = append(dst, size)
	} else {
		dst = append(dst, maskBit|size)
		dst = append(dst, mask[:]...)
	}
	payload := len(dst)
	dst = binary.BigEndian.AppendUint16(dst, code)
	dst = append(dst, reason...)
	if mask != nil {
		for i := range dst[payload:] {
			dst[payload+i] ^= mask[i&3]
		}
	}
	return dst
}
