package httpmsg

import "encoding/binary"

// maxNameLen is the length of the longest well-known name.
const maxNameLen = 32

// nameEntry holds a well-known name in lower case as words, so that a name is
// compared eight bytes at a time. fold has 0x20 at letters only: 'X'|0x20 is
// 'x', while every other byte must be equal as it is.
type nameEntry struct {
	word, fold [maxNameLen / 8]uint64
	length     int
	id         Name
}

const nameSlots = 512

// nameTable is a hash table with open addressing; the multipliers of nameSlot
// give each well-known name a slot of its own (TestNameTableIsPerfect).
var nameTable, nameIndex = buildNameTable()

func buildNameTable() (table [nameCount]nameEntry, index [nameSlots]Name) {
	for id := NameOther + 1; id < nameCount; id++ {
		lower := []byte(spellings[id])
		fold := make([]byte, len(lower))
		for i, c := range lower {
			if 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' {
				lower[i], fold[i] = c|0x20, 0x20
			}
		}
		e := nameEntry{length: len(lower), id: id}
		for w := 0; w < words(len(lower)); w++ {
			e.word[w], e.fold[w] = nameWord(lower, w), nameWord(fold, w)
		}
		table[id] = e
		slot := nameSlot(lower)
		for index[slot] != NameOther {
			slot = (slot + 1) % nameSlots
		}
		index[slot] = id
	}
	return table, index
}

func words(n int) int { return (n + 7) / 8 }

// nameWord is the w-th word of b. The last word of a name overlaps the one
// before it, so that no load reaches outside of b.
func nameWord(b []byte, w int) uint64 {
	n := len(b)
	switch {
	case n >= 8:
		return binary.LittleEndian.Uint64(b[min(8*w, n-8):])
	case n >= 4:
		return uint64(binary.LittleEndian.Uint32(b)) | uint64(binary.LittleEndian.Uint32(b[n-4:]))<<32
	default:
		return uint64(b[0]) | uint64(b[n/2])<<8 | uint64(b[n-1])<<16
	}
}

func nameSlot(b []byte) uint32 {
	n := uint32(len(b))
	h := n*60907 + uint32(b[0]|0x20)*63058 + uint32(b[n-1]|0x20)*32064 +
		uint32(b[n/2]|0x20)*26670 + uint32(b[n*3/4]|0x20)*2779
	return h >> 7 % nameSlots
}

// LookupName returns the number of a well-known name, whatever its case, and
// NameOther for any other.
func LookupName(b []byte) Name {
	if len(b) == 0 || len(b) > maxNameLen {
		return NameOther
	}
	slot := nameSlot(b)
	for {
		id := nameIndex[slot]
		if id == NameOther {
			return NameOther
		}
		if nameTable[id].is(b) {
			return id
		}
		slot = (slot + 1) % nameSlots
	}
}

func (e *nameEntry) is(b []byte) bool {
	if len(b) != e.length {
		return false
	}
	for w := 0; w < words(len(b)); w++ {
		if nameWord(b, w)|e.fold[w] != e.word[w] {
			return false
		}
	}
	return true
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
