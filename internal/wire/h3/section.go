package h3

import (
	"github.com/gridway/gridway/internal/wire/hpack"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// fieldOverhead is what each field counts for besides its bytes (RFC 9114 §4.2.2).
const fieldOverhead = 32

// section decodes one encoded field section (RFC 9204 §4.5). Without a dynamic
// table nothing has to be decoded for a later section's sake, so that it can be
// left where it is as soon as it is too large.
type section struct {
	in     []byte
	arena  *httpmsg.Arena
	budget int
	// tooLarge: there was a field that did not fit.
	tooLarge bool
}

// begin reads the prefix. Names and values go to the arena as far as the section
// is no larger than maxList.
func (d *section) begin(block []byte, arena *httpmsg.Arena, maxList int) *Error {
	*d = section{arena: arena, budget: maxList}
	if len(block) == 0 {
		return errCompression
	}
	required, n := hpack.ReadInt(block, 8)
	if n == 0 || required != 0 || n == len(block) {
		return errCompression
	}
	block = block[n:]
	// RFC 9204 §4.5.1.2: a negative base cannot be.
	if _, n = hpack.ReadInt(block, 7); n == 0 || block[0]&0x80 != 0 {
		return errCompression
	}
	d.in = block[n:]
	return nil
}

// next decodes the next field; it is false at the end, and after a field that
// was too large.
func (d *section) next(f *hpack.Field) (bool, *Error) {
	if len(d.in) == 0 || d.tooLarge {
		return false, nil
	}
	b := d.in[0]
	switch {
	case b&0xc0 == 0xc0: // indexed, static
		s, ok := d.static(6)
		if !ok {
			return false, errCompression
		}
		if !d.fits(len(s.Name), len(s.Value)) {
			return false, nil
		}
		*f = *s
		return true, nil
	case b&0xd0 == 0x50: // literal with a name of the static table
		s, ok := d.static(4)
		if !ok {
			return false, errCompression
		}
		*f = hpack.Field{Name: s.Name, ID: s.ID, Pseudo: s.Pseudo, Sensitive: b&0x20 != 0}
	case b&0xe0 == 0x20: // literal with a literal name
		if len(d.in) > 0 && !d.name(f) {
			return false, errCompression
		}
		f.Sensitive = b&0x10 != 0
	default: // of a dynamic table
		return false, errCompression
	}
	if len(d.in) == 0 {
		return false, errCompression
	}
	value, n := hpack.ReadString(d.in, 7, d.arena)
	if n == 0 {
		return false, errCompression
	}
	d.in = d.in[n:]
	f.Value = value
	if f.Flaw == hpack.FlawNone && !hpack.ValidValue(value) {
		f.Flaw = hpack.FlawValue
	}
	return d.fits(len(f.Name), len(value)), nil
}

// static reads an index with that prefix.
func (d *section) static(prefix uint) (*hpack.Field, bool) {
	i, n := hpack.ReadInt(d.in, prefix)
	if n == 0 || int(i) >= len(static) {
		return nil, false
	}
	d.in = d.in[n:]
	return &static[i], true
}

// name reads a literal name.
func (d *section) name(f *hpack.Field) bool {
	name, n := hpack.ReadString(d.in, 3, d.arena)
	if n == 0 {
		return false
	}
	d.in = d.in[n:]
	*f = hpack.Field{Name: name}
	f.ID, f.Pseudo, f.Flaw = hpack.Identify(name)
	if f.ID != httpmsg.NameOther && f.Flaw == hpack.FlawNone {
		f.Name = f.ID.Lower()
	}
	return true
}

func (d *section) fits(name, value int) bool {
	d.budget -= name + value + fieldOverhead
	if d.budget < 0 {
		d.tooLarge = true
	}
	return !d.tooLarge
}
