package httpmsg

import (
	"bytes"
	"encoding/binary"
)

// maxNameLen is the length of the longest well-known name.
const maxNameLen = 32

// nameEntry holds a well-known name in lower case as up to four words: its first
// and last eight bytes, which may overlap, and the sixteen in the middle if there
// are as many. fold has 0x20 at letters only: 'X'|0x20 is 'x', while every other
// byte must be equal as it is.
type nameEntry struct {
	length     int
	word, fold [4]uint64
}

const (
	nameSlots = 512
	// foldAll makes letters lower-case, and mixes up some other bytes, which is
	// good enough for a hash.
	foldAll = 0x2020202020202020
	// These multipliers give each well-known name a slot of its own
	// (TestNameTableIsPerfect).
	nameMix0 = 0x8efb9ae290c7d1b
	nameMix1 = 0x9e3779b97f4a7c15
)

// nameTable is indexed by Name; nameIndex is a hash table with open addressing.
var nameTable, nameIndex = buildNameTable()

func buildNameTable() (table [128]nameEntry, index [nameSlots]Name) {
	for id := NameOther + 1; id < nameCount; id++ {
		lower := []byte(spellings[id])
		fold := make([]byte, len(lower))
		for i, c := range lower {
			if 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' {
				lower[i], fold[i] = c|0x20, 0x20
			}
		}
		e := &table[id]
		e.length = len(lower)
		e.word[0], e.word[1] = nameEnds(lower)
		e.fold[0], e.fold[1] = nameEnds(fold)
		if len(lower) > 16 {
			e.word[2], e.word[3] = nameMiddle(lower)
			e.fold[2], e.fold[3] = nameMiddle(fold)
		}
		slot := nameSlot(e.word[0], e.word[1], len(lower))
		for index[slot] != NameOther {
			slot = (slot + 1) % nameSlots
		}
		index[slot] = id
	}
	return table, index
}

// nameEnds returns the first and the last bytes of a name of at least two.
func nameEnds(b []byte) (first, last uint64) {
	n := len(b)
	switch {
	case n >= 8:
		return binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[n-8:])
	case n >= 4:
		return uint64(binary.LittleEndian.Uint32(b)), uint64(binary.LittleEndian.Uint32(b[n-4:]))
	default:
		return uint64(binary.LittleEndian.Uint16(b)), uint64(b[n-1])
	}
}

// nameMiddle returns what nameEnds leaves out of 17 to 32 bytes.
func nameMiddle(b []byte) (second, third uint64) {
	return binary.LittleEndian.Uint64(b[8:]), binary.LittleEndian.Uint64(b[len(b)-16:])
}

func nameSlot(first, last uint64, n int) uint64 {
	h := ((first|foldAll)+uint64(n))*nameMix0 ^ (last | foldAll)
	return h * nameMix1 >> (64 - 9)
}

// LookupName returns the number of a well-known name, whatever its case, and
// NameOther for any other.
func LookupName(b []byte) Name {
	n := len(b)
	if n < 2 || n > maxNameLen {
		return NameOther
	}
	first, last := nameEnds(b)
	slot := nameSlot(first, last, n)
	for {
		id := nameIndex[slot%nameSlots]
		if id == NameOther {
			return NameOther
		}
		e := &nameTable[id%128]
		if e.length == n && first|e.fold[0] == e.word[0] && last|e.fold[1] == e.word[1] {
			if n <= 16 {
				return id
			}
			second, third := nameMiddle(b)
			if second|e.fold[2] == e.word[2] && third|e.fold[3] == e.word[3] {
				return id
			}
		}
		slot++
	}
}

// String returns the name as the proxy writes it, and "" for NameOther.
func (n Name) String() string {
	if n < nameCount {
		return spellings[n]
	}
	return ""
}

// Bytes returns String as bytes. They must not be changed.
func (n Name) Bytes() []byte {
	if n < nameCount {
		return spellingBytes[n]
	}
	return nil
}

var spellingBytes = func() (b [nameCount][]byte) {
	for i, s := range spellings {
		b[i] = []byte(s)
	}
	return b
}()

// Lower returns the name in lower case, as HTTP/2 writes it. It must not be changed.
func (n Name) Lower() []byte {
	if n < nameCount {
		return lowerBytes[n]
	}
	return nil
}

var lowerBytes = func() (b [nameCount][]byte) {
	for i, s := range spellings {
		b[i] = bytes.ToLower([]byte(s))
	}
	return b
}()

// EqualFold tells whether two field names or tokens are equal but for the case
// of ASCII letters. Unlike bytes.EqualFold it knows no other letters.
func EqualFold[S, T []byte | string](a S, b T) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if x, y := a[i], b[i]; x != y && lower(x) != lower(y) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}
