package httpmsg

import "bytes"

// Name is a well-known header as a small integer; NameOther is any other.
type Name uint8

// Field is one header field. Name is as received; ID is its number when it is well known.
type Field struct {
	Name, Value []byte
	ID          Name
	// Sensitive: the sender forbids that compression remembers the value on
	// any hop (RFC 7541 §7.1.3).
	Sensitive bool
}

// Header is an ordered list of fields that is reused from exchange to exchange.
// It keeps the slices that it is given: they must live as long as the exchange.
type Header struct {
	fields []Field
	// present has a bit for each well-known name in fields, so that the usual
	// "is there a …" costs one test.
	present [2]uint64
}

// maxKeptFields bounds what an idle Header holds on to.
const maxKeptFields = 128

// Reset removes all fields and keeps the memory for the next exchange.
func (h *Header) Reset() {
	if cap(h.fields) > maxKeptFields {
		h.fields = nil
	}
	h.fields = h.fields[:0]
	h.present = [2]uint64{}
}

// Len is the number of fields.
func (h *Header) Len() int { return len(h.fields) }

// At returns the i-th field in the order of the message. It may be changed in
// place but for its Name and ID, and is valid until fields are added or removed.
func (h *Header) At(i int) *Field { return &h.fields[i] }

// Add appends a field whose name is looked up.
func (h *Header) Add(name, value []byte) {
	h.AddField(name, value, LookupName(name))
}

// AddID appends a field with the usual spelling of a well-known name.
func (h *Header) AddID(id Name, value []byte) {
	h.AddField(id.Bytes(), value, id)
}

// AddField appends a field whose name was looked up already: id must be LookupName(name).
func (h *Header) AddField(name, value []byte, id Name) {
	if n := len(h.fields); n < cap(h.fields) {
		h.fields = h.fields[:n+1]
		f := &h.fields[n]
		f.Name, f.Value, f.ID, f.Sensitive = name, value, id, false
	} else {
		h.fields = append(h.fields, Field{Name: name, Value: value, ID: id})
	}
	h.present[id>>6&1] |= 1 << (id & 63)
}

// Has tells whether there is a field of a well-known name.
func (h *Header) Has(id Name) bool {
	return h.present[id>>6&1]&(1<<(id&63)) != 0
}

// NameSet is a set of well-known names.
type NameSet [2]uint64

// MakeNameSet returns the set of ids.
func MakeNameSet(ids ...Name) (s NameSet) {
	for _, id := range ids {
		s[id>>6&1] |= 1 << (id & 63)
	}
	return s
}

// Has tells whether id is in the set.
func (s *NameSet) Has(id Name) bool { return s[id>>6&1]&(1<<(id&63)) != 0 }

// HasAny tells whether there is a field of any name of the set.
func (h *Header) HasAny(s *NameSet) bool {
	return h.present[0]&s[0]|h.present[1]&s[1] != 0
}

// Get returns the value of the first field of a well-known name, nil if there is none.
func (h *Header) Get(id Name) []byte {
	if i := h.index(id, 0); i >= 0 {
		return h.fields[i].Value
	}
	return nil
}

// Count is the number of fields of a well-known name.
func (h *Header) Count(id Name) int {
	n := 0
	for i := h.index(id, 0); i >= 0; i = h.index(id, i+1) {
		n++
	}
	return n
}

func (h *Header) index(id Name, from int) int {
	if !h.Has(id) || id == NameOther {
		return -1
	}
	for i := from; i < len(h.fields); i++ {
		if h.fields[i].ID == id {
			return i
		}
	}
	return -1
}

func (h *Header) indexName(name []byte, id Name, from int) int {
	if id != NameOther {
		return h.index(id, from)
	}
	if !h.Has(NameOther) {
		return -1
	}
	for i := from; i < len(h.fields); i++ {
		if f := &h.fields[i]; f.ID == NameOther && EqualFold(f.Name, name) {
			return i
		}
	}
	return -1
}

// GetName returns the value of the first field of any name, in any case; nil if there is none.
func (h *Header) GetName(name []byte) []byte {
	if i := h.indexName(name, LookupName(name), 0); i >= 0 {
		return h.fields[i].Value
	}
	return nil
}

// HasName tells whether there is a field of that name, in any case.
func (h *Header) HasName(name []byte) bool {
	return h.indexName(name, LookupName(name), 0) >= 0
}

// GetString is GetName for a string.
func (h *Header) GetString(name string) []byte {
	for i := range h.fields {
		if f := &h.fields[i]; EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return nil
}

// Set gives the first field of a well-known name this value and removes the
// others, or adds one.
func (h *Header) Set(id Name, value []byte) {
	i := h.index(id, 0)
	if i < 0 {
		h.AddID(id, value)
		return
	}
	h.fields[i].Value = value
	h.deleteFrom(i+1, id.Bytes(), id)
}

// SetName is Set for any name; a new field is spelt as name.
func (h *Header) SetName(name, value []byte) {
	id := LookupName(name)
	i := h.indexName(name, id, 0)
	if i < 0 {
		h.AddField(name, value, id)
		return
	}
	h.fields[i].Value = value
	h.deleteFrom(i+1, name, id)
}

// Del removes all fields of a well-known name.
func (h *Header) Del(id Name) {
	if i := h.index(id, 0); i >= 0 {
		h.deleteFrom(i, id.Bytes(), id)
		h.present[id>>6&1] &^= 1 << (id & 63)
	}
}

// DelName removes all fields of any name, in any case.
func (h *Header) DelName(name []byte) {
	id := LookupName(name)
	if id != NameOther {
		h.Del(id)
		return
	}
	h.deleteFrom(0, name, id)
}

// deleteFrom removes the fields of that name at i and after.
func (h *Header) deleteFrom(i int, name []byte, id Name) {
	i = h.indexName(name, id, i)
	if i < 0 {
		return
	}
	kept := h.fields[:i]
	for _, f := range h.fields[i+1:] {
		if f.ID != id || id == NameOther && !EqualFold(f.Name, name) {
			kept = append(kept, f)
		}
	}
	h.fields = kept
}

// DelSet removes all fields whose names are in the set.
func (h *Header) DelSet(s *NameSet) {
	if !h.HasAny(s) {
		return
	}
	kept := 0
	for i := range h.fields {
		if s.Has(h.fields[i].ID) {
			continue
		}
		if kept != i {
			h.fields[kept] = h.fields[i]
		}
		kept++
	}
	h.fields = h.fields[:kept]
	h.present[0] &^= s[0]
	h.present[1] &^= s[1]
}

// DelFunc removes the fields for which drop is true, and keeps the order of the others.
func (h *Header) DelFunc(drop func(*Field) bool) {
	kept := 0
	h.present = [2]uint64{}
	for i := range h.fields {
		f := &h.fields[i]
		if drop(f) {
			continue
		}
		h.present[f.ID>>6&1] |= 1 << (f.ID & 63)
		if kept != i {
			h.fields[kept] = *f
		}
		kept++
	}
	h.fields = h.fields[:kept]
}

// AppendJoined appends the values of all fields of a well-known name, with ", "
// between them (RFC 9110 §5.3).
func (h *Header) AppendJoined(dst []byte, id Name) []byte {
	first := true
	for i := h.index(id, 0); i >= 0; i = h.index(id, i+1) {
		if !first {
			dst = append(dst, ", "...)
		}
		dst = append(dst, h.fields[i].Value...)
		first = false
	}
	return dst
}

// HasToken tells whether a well-known name's comma-separated values have this
// token, in any case (RFC 9110 §5.6.1).
func (h *Header) HasToken(id Name, token string) bool {
	for i := h.index(id, 0); i >= 0; i = h.index(id, i+1) {
		for item, rest := NextItem(h.fields[i].Value); item != nil; item, rest = NextItem(rest) {
			if EqualFold(item, token) {
				return true
			}
		}
	}
	return false
}

// NextItem splits the first item, without the white space around it, from a
// comma-separated list and skips empty ones. It knows no quoted strings. item
// is nil at the end.
func NextItem(list []byte) (item, rest []byte) {
	for len(list) > 0 {
		if i := bytes.IndexByte(list, ','); i >= 0 {
			item, list = list[:i], list[i+1:]
		} else {
			item, list = list, nil
		}
		if item = TrimOWS(item); len(item) > 0 {
			return item, list
		}
	}
	return nil, nil
}

// TrimOWS removes spaces and tabs from both ends (RFC 9110 §5.6.3).
func TrimOWS(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}
