package hpack

import (
	"encoding/binary"
	"math/bits"

	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// maxEncoderTable bounds the dynamic table that the encoder uses, whatever the
// peer offers.
const maxEncoderTable = 4096

// secret are the well-known fields that are never indexed: who can make a
// client or this proxy send fields of his choice beside them must not learn
// from compression what they are (RFC 7541 §7.1).
var secret = httpmsg.MakeNameSet(
	httpmsg.NameAuthorization, httpmsg.NameProxyAuthorization, httpmsg.NameCookie, httpmsg.NameSetCookie,
	httpmsg.NameXAPIKey, httpmsg.NameGridwayCaller,
)

// fleeting are the well-known fields whose values hardly ever come again.
var fleeting = httpmsg.MakeNameSet(
	httpmsg.NameContentLength, httpmsg.NameContentRange, httpmsg.NameETag, httpmsg.NameLastModified,
	httpmsg.NameIfMatch, httpmsg.NameIfNoneMatch, httpmsg.NameIfModifiedSince, httpmsg.NameIfUnmodifiedSince,
	httpmsg.NameIfRange, httpmsg.NameRange, httpmsg.NameAge, httpmsg.NameLocation, httpmsg.NameExpires,
	httpmsg.NameXRequestID, httpmsg.NameXCorrelationID, httpmsg.NameTraceparent, httpmsg.NameTracestate,
	httpmsg.NameB3, httpmsg.NameXB3TraceID, httpmsg.NameXB3SpanID, httpmsg.NameXB3ParentSpanID,
	httpmsg.NameGRPCTimeout, httpmsg.NameGRPCMessage, httpmsg.NameIdempotencyKey,
)

const (
	pairSlots = 256
	nameSlots = 64
)

// pairSlot remembers a field by its hash. number is its entry in the table, if
// it is still there, plus one: 0 for a field that was seen and not inserted.
type pairSlot struct {
	hash, number uint32
}

// Encoder encodes the blocks of one connection, in their order. It is made by
// NewEncoder.
//
// A field enters the dynamic table when it comes for the second time within a
// while: values that are sent once push nothing out.
type Encoder struct {
	table table
	// update: the next block begins with a size update to lowest, and the one
	// after it, if that is another, to final.
	update        bool
	lowest, final uint32
	plain         bool

	pairs [pairSlots]pairSlot
	names [nameSlots]uint32 // numbers plus one
	lower []byte
}

// NewEncoder returns an encoder with the table size that applies before SETTINGS.
func NewEncoder() *Encoder {
	e := &Encoder{}
	e.table.max = DefaultTableSize
	return e
}

// SetHuffman says whether strings are sent in Huffman code where that is
// shorter; they are by default. Without it a hop costs less time and more bytes.
func (e *Encoder) SetHuffman(on bool) { e.plain = !on }

// SetTableSize says what SETTINGS_HEADER_TABLE_SIZE the peer has sent.
func (e *Encoder) SetTableSize(size uint32) {
	size = min(size, maxEncoderTable)
	if !e.update {
		if size == e.table.max {
			return
		}
		e.lowest = size
	}
	e.update = true
	e.lowest, e.final = min(e.lowest, size), size
	e.table.setMax(e.lowest)
}

// Begin appends what a block must start with. The smallest size since the last
// block must be announced (RFC 7541 §4.2); if the last is larger it waits for
// the next block, since there are decoders that take only one update.
func (e *Encoder) Begin(dst []byte) []byte {
	if !e.update {
		return dst
	}
	e.table.setMax(e.lowest)
	dst = appendInt(dst, 0x20, 5, e.lowest)
	e.update = e.lowest != e.final
	e.lowest = e.final
	return dst
}

// Method appends :method.
func (e *Encoder) Method(dst, method []byte) []byte {
	switch string(method) {
	case "GET":
		return append(dst, 0x80|staticMethod)
	case "POST":
		return append(dst, 0x80|staticMethod+1)
	}
	return e.pseudo(dst, staticMethod, method, true)
}

// Scheme appends :scheme.
func (e *Encoder) Scheme(dst []byte, scheme string) []byte {
	switch scheme {
	case "http":
		return append(dst, 0x80|staticScheme)
	case "https":
		return append(dst, 0x80|staticScheme+1)
	}
	e.lower = append(e.lower[:0], scheme...)
	return e.pseudo(dst, staticScheme, e.lower, true)
}

// Path appends :path. Paths are many, and may hold secrets: they stay out of the table.
func (e *Encoder) Path(dst, path []byte) []byte {
	if len(path) == 1 && path[0] == '/' {
		return append(dst, 0x80|staticPath)
	}
	return e.pseudo(dst, staticPath, path, false)
}

// Authority appends :authority.
func (e *Encoder) Authority(dst, authority []byte) []byte {
	return e.pseudo(dst, staticAuthority, authority, true)
}

// Protocol appends :protocol (RFC 8441).
func (e *Encoder) Protocol(dst, protocol []byte) []byte {
	return e.field(dst, protocolName, httpmsg.NameOther, 0, protocol, true)
}

var protocolName = []byte(":protocol")

// Status appends :status, a number of three digits.
func (e *Encoder) Status(dst []byte, status int) []byte {
	for i, s := range staticStatuses {
		if s == status {
			return append(dst, byte(0x80|staticStatus+i))
		}
	}
	e.lower = append(e.lower[:0], byte('0'+status/100%10), byte('0'+status/10%10), byte('0'+status%10))
	return e.pseudo(dst, staticStatus, e.lower, true)
}

func (e *Encoder) pseudo(dst []byte, index uint8, value []byte, keep bool) []byte {
	return e.field(dst, static[index].Name, httpmsg.NameOther, index, value, keep)
}

// Field appends a regular field, its name in lower case.
func (e *Encoder) Field(dst []byte, f *httpmsg.Field) []byte {
	name, index := f.ID.Lower(), uint8(0)
	if f.ID == httpmsg.NameOther {
		name = e.toLower(f.Name)
	} else {
		index = staticName[f.ID]
	}
	if f.Sensitive || secret.Has(f.ID) {
		return e.literal(dst, 0x10, 4, index, name, f.ID, f.Value)
	}
	return e.field(dst, name, f.ID, index, f.Value, !fleeting.Has(f.ID))
}

func (e *Encoder) toLower(name []byte) []byte {
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			e.lower = append(e.lower[:0], name...)
			for ; i < len(e.lower); i++ {
				if c := e.lower[i]; 'A' <= c && c <= 'Z' {
					e.lower[i] = c | 0x20
				}
			}
			return e.lower
		}
	}
	return name
}

// field appends a field that may be indexed; index is that of its name in the
// static table, or 0.
func (e *Encoder) field(dst, name []byte, id httpmsg.Name, index uint8, value []byte, keep bool) []byte {
	size := len(name) + len(value) + entryOverhead
	if !keep || size > int(e.table.max)/2 {
		return e.literal(dst, 0x00, 4, index, name, id, value)
	}
	hash := hashOf(hashOf(uint32(index)<<8|uint32(id), name), value)
	slot, seen := e.slot(hash)
	if !seen {
		*slot = pairSlot{hash: hash}
		return e.literal(dst, 0x00, 4, index, name, id, value)
	}
	if n := slot.number - 1; slot.number != 0 && e.table.has(n) {
		if x := e.table.entry(n); string(e.table.nameOf(x)) == string(name) && string(e.table.valueOf(x)) == string(value) {
			return appendInt(dst, 0x80, 7, uint32(staticLen)+e.table.next-n)
		}
	}
	dst = e.literal(dst, 0x40, 6, index, name, id, value)
	if n, ok := e.table.insert(name, value, id, PseudoNone, FlawNone); ok {
		slot.number = n + 1
		e.names[hashOf(0, name)%nameSlots] = n + 1
	}
	return dst
}

// slot returns the slot of a hash, or the one to use for it: of two, one whose
// field is not in the table, or else the older.
func (e *Encoder) slot(hash uint32) (slot *pairSlot, seen bool) {
	a := &e.pairs[hash%pairSlots]
	if a.hash == hash {
		return a, true
	}
	b := &e.pairs[hash%pairSlots^1]
	if b.hash == hash {
		return b, true
	}
	if a.number != 0 && e.table.has(a.number-1) && (b.number == 0 || !e.table.has(b.number-1) || b.number < a.number) {
		return b, false
	}
	return a, false
}

// literal appends a literal field of the form that the first bits say.
func (e *Encoder) literal(dst []byte, first byte, prefix uint, index uint8, name []byte, id httpmsg.Name, value []byte) []byte {
	if index != 0 {
		dst = appendInt(dst, first, prefix, uint32(index))
		return e.string(dst, value)
	}
	if n := e.names[hashOf(0, name)%nameSlots]; n != 0 && e.table.has(n-1) {
		if x := e.table.entry(n - 1); x.id == id && string(e.table.nameOf(x)) == string(name) {
			dst = appendInt(dst, first, prefix, uint32(staticLen)+e.table.next-(n-1))
			return e.string(dst, value)
		}
	}
	dst = append(dst, first)
	dst = e.string(dst, name)
	return e.string(dst, value)
}

// string appends a string literal.
func (e *Encoder) string(dst, s []byte) []byte {
	if !e.plain {
		if n := huffSize(s); n < len(s) {
			return appendHuffman(appendInt(dst, 0x80, 7, uint32(n)), s)
		}
	}
	return append(appendInt(dst, 0, 7, uint32(len(s))), s...)
}

// hashOf need not resist attacks: who makes two fields collide makes his own
// connection compress less.
func hashOf(seed uint32, b []byte) uint32 {
	const mix = 0x9e3779b97f4a7c15
	h := uint64(seed)<<32 ^ uint64(len(b))
	for len(b) >= 8 {
		h = bits.RotateLeft64((h^binary.LittleEndian.Uint64(b))*mix, 29)
		b = b[8:]
	}
	var last uint64
	for i, c := range b {
		last |= uint64(c) << (8 * i)
	}
	h = (h ^ last) * mix
	return uint32(h>>32) ^ uint32(h)
}
