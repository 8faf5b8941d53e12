package hpack

import (
	"encoding/binary"

	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// memo remembers what literals without indexing were decoded to. Servers that
// leave the dynamic table alone, as NGINX does, send the same bytes with each
// response; to look these up is cheaper than to decode and check them again.
type memo struct {
	pairs [1 << memoBits]pair
}

// pair has two fields that fall on one place, of which the older makes room.
type pair struct {
	fields [2]remembered
	newer  uint8 // which of them was asked for last
}

const (
	memoBits = 4
	// memoLiteral and memoValue are the longest that are remembered.
	memoLiteral = 48
	memoValue   = 64
)

// remembered is a regular field without a flaw, whose name has an ID.
type remembered struct {
	literal [memoLiteral]byte
	value   [memoValue]byte
	length  uint8 // of literal; 0 if there is none
	size    uint8 // of value
	id      httpmsg.Name
}

// literalEnd is the length of the literal that the block begins with, if that is
// one without indexing whose meaning does not depend on the dynamic table, and
// short; otherwise it is 0.
func literalEnd(in []byte) int {
	const longInt = 0x7f
	name, p := uint32(in[0]), 1
	if name == 0x0f {
		if len(in) < 2 || in[1] >= 0x80 {
			return 0
		}
		name += uint32(in[1])
		p = 2
	}
	if name > uint32(staticLen) {
		return 0
	}
	if name == 0 {
		if len(in) < 2 || in[1]&longInt == longInt {
			return 0
		}
		p += 1 + int(in[1]&longInt)
	}
	if p >= len(in) || in[p]&longInt == longInt {
		return 0
	}
	p += 1 + int(in[p]&longInt)
	if p > len(in) || p > memoLiteral {
		return 0
	}
	return p
}

// of is where the literal is, or would be.
func (m *memo) of(literal []byte) *pair {
	var sum uint64
	if n := len(literal); n >= 8 {
		sum = binary.LittleEndian.Uint64(literal) ^ binary.LittleEndian.Uint64(literal[n-8:])*0xff51afd7ed558ccd
	} else {
		for _, b := range literal {
			sum = sum<<8 | uint64(b)
		}
	}
	return &m.pairs[sum*0x9e3779b97f4a7c15>>(64-memoBits)]
}

// find is nil if the literal is not there.
func (p *pair) find(literal []byte) *remembered {
	for i := range p.fields {
		r := &p.fields[i]
		if int(r.length) == len(literal) && string(r.literal[:r.length]) == string(literal) {
			p.newer = uint8(i)
			return r
		}
	}
	return nil
}

// keep remembers what the literal was decoded to.
func (p *pair) keep(literal []byte, f *Field) {
	if len(f.Value) > memoValue || f.Flaw != FlawNone || f.ID == httpmsg.NameOther {
		return
	}
	p.newer = 1 - p.newer&1
	r := &p.fields[p.newer]
	r.length, r.size = uint8(copy(r.literal[:], literal)), uint8(copy(r.value[:], f.Value))
	r.id = f.ID
}
