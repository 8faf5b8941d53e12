package hpack

import (
	"errors"

	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// What makes a block undecodable. The connection cannot go on: the tables of
// both sides may differ now.
var (
	ErrTruncated  = errors.New("hpack: the block ends within a field")
	ErrInteger    = errors.New("hpack: an integer is cut off or too large")
	ErrIndex      = errors.New("hpack: an index is not in the tables")
	ErrHuffman    = errors.New("hpack: a string is not in Huffman code")
	ErrSizeUpdate = errors.New("hpack: a table size update is too large, late or missing")
	// ErrBomb is not the format's error: a few bytes stand for very many.
	ErrBomb = errors.New("hpack: the header list is many times larger than its limit")
)

// maxKeptScratch bounds what an idle decoder holds on to.
const maxKeptScratch = 8 << 10

// bombFactor is how many times the limit of the header list a block may stand
// for before its sender is thought to be after the decoder's time.
const bombFactor = 8

// Decoder decodes the blocks of one connection, in their order. It is made by
// NewDecoder.
type Decoder struct {
	table table
	// allowed is the table size that the peer may choose.
	allowed uint32
	// owed: the peer must begin its next block with a size update.
	owed bool

	in       []byte
	arena    *httpmsg.Arena
	budget   int // what is left of the header list's limit
	bomb     int // the budget at which to give up
	updates  int
	begun    bool
	tooLarge bool
	scratch  []byte
	remember bool
	memo     *memo // nil until there is something to remember
}

// NewDecoder returns a decoder with the table size that applies before SETTINGS.
func NewDecoder() *Decoder {
	d := &Decoder{allowed: DefaultTableSize}
	d.table.max = DefaultTableSize
	return d
}

// SetTableSize says what SETTINGS_HEADER_TABLE_SIZE the peer has acknowledged.
// A peer that has used more must now begin with an update (RFC 9113 §4.3.1).
func (d *Decoder) SetTableSize(size uint32) {
	d.allowed = min(size, maxInt)
	d.owed = d.table.max > d.allowed
}

// Remember lets the decoder keep 4 KiB of what the peer says again and again.
func (d *Decoder) Remember() { d.remember = true }

// Begin starts a complete block. Its fields are copied to the arena as far as
// the header list is no larger than maxList (RFC 9113 §10.5.1: names and values
// with 32 bytes for each field).
func (d *Decoder) Begin(block []byte, arena *httpmsg.Arena, maxList int) {
	d.in, d.arena, d.budget = block, arena, maxList
	d.bomb = -bombFactor * maxList
	d.updates, d.begun, d.tooLarge = 0, false, false
}

// TooLarge tells, at the end, whether fields were left out for the limit. What
// entered the table was decoded all the same: the connection can go on.
func (d *Decoder) TooLarge() bool { return d.tooLarge }

// Next decodes the next field; it is false at the end of the block. After an
// error the decoder cannot be used any more.
func (d *Decoder) Next(f *Field) (bool, error) {
	for len(d.in) > 0 {
		b := d.in[0]
		if b&0xe0 == 0x20 {
			if err := d.resize(); err != nil {
				return false, err
			}
			continue
		}
		if d.owed {
			return false, ErrSizeUpdate
		}
		d.begun = true
		var err error
		if b >= 0x80 {
			err = d.indexed(f)
		} else if b < 0x10 && d.remember {
			err = d.rememberedLiteral(f)
		} else {
			err = d.literal(f, b)
		}
		if err != nil {
			return false, err
		}
		if !d.tooLarge {
			return true, nil
		}
		if d.budget < d.bomb {
			return false, ErrBomb
		}
	}
	if d.owed {
		return false, ErrSizeUpdate
	}
	if cap(d.scratch) > maxKeptScratch {
		d.scratch = nil
	}
	d.in, d.arena = nil, nil
	return false, nil
}

// resize does a dynamic table size update (RFC 7541 §6.3): at the start of the
// block, and at most two (§4.2).
func (d *Decoder) resize() error {
	size, n := readInt(d.in, 5)
	if n == 0 {
		return ErrInteger
	}
	if d.updates++; d.begun || d.updates > 2 || size > d.allowed {
		return ErrSizeUpdate
	}
	d.in = d.in[n:]
	d.owed = false
	d.table.setMax(size)
	return nil
}

// fits takes a field's size from what the header list may have.
func (d *Decoder) fits(name, value int) bool {
	d.budget -= name + value + entryOverhead
	if d.budget < 0 {
		d.tooLarge = true
	}
	return !d.tooLarge
}

// indexed decodes an indexed field (RFC 7541 §6.1).
func (d *Decoder) indexed(f *Field) error {
	index := uint32(d.in[0] & 0x7f)
	n := 1
	if index == 0x7f {
		if index, n = readInt(d.in, 7); n == 0 {
			return ErrInteger
		}
	}
	d.in = d.in[n:]
	if index-1 < uint32(staticLen) {
		s := &static[index]
		if d.fits(len(s.Name), len(s.Value)) {
			*f = *s
		}
		return nil
	}
	e := d.find(index)
	if e == nil {
		return ErrIndex
	}
	if d.fits(int(e.name), int(e.value)) {
		f.Name = d.dynamicName(e)
		f.Value = d.arena.Copy(d.table.valueOf(e))
		f.ID, f.Pseudo, f.Flaw, f.Sensitive = e.id, e.pseudo, e.flaw, false
	}
	return nil
}

// find returns the entry of an index beyond the static table; nil if there is none.
func (d *Decoder) find(index uint32) *entry {
	age := index - uint32(staticLen) // 1 is the newest
	if index == 0 || age > uint32(d.table.len()) {
		return nil
	}
	return d.table.entry(d.table.next - age)
}

// dynamicName returns a name that lives as long as the arena.
func (d *Decoder) dynamicName(e *entry) []byte {
	if e.id != httpmsg.NameOther && e.flaw != FlawUpperCase {
		return e.id.Lower()
	}
	return d.arena.Copy(d.table.nameOf(e))
}

// literal decodes the three forms of literal fields (RFC 7541 §6.2).
func (d *Decoder) literal(f *Field, b byte) error {
	prefix := uint(4)
	if b >= 0x40 {
		prefix = 6
	}
	index, n := readInt(d.in, prefix)
	if n == 0 {
		return ErrInteger
	}
	d.in = d.in[n:]
	var lit Field
	if err := d.literalName(&lit, index); err != nil {
		return err
	}
	value, err := d.readString()
	if err != nil {
		return err
	}
	lit.Value = value
	if lit.Flaw == FlawNone && !validValue(value) {
		lit.Flaw = FlawValue
	}
	if d.fits(len(lit.Name), len(value)) {
		*f = lit
		f.Sensitive = b&0xf0 == 0x10
		if f.ID == httpmsg.NameOther || f.Flaw == FlawUpperCase {
			f.Name = d.arena.Copy(lit.Name)
		}
		f.Value = d.arena.Copy(value)
	}
	if b >= 0x40 {
		d.table.insert(lit.Name, value, lit.ID, lit.Pseudo, lit.Flaw)
	}
	d.scratch = d.scratch[:0]
	return nil
}

// rememberedLiteral decodes a literal without indexing that may have come before.
func (d *Decoder) rememberedLiteral(f *Field) error {
	end := literalEnd(d.in)
	if end == 0 {
		return d.literal(f, 0)
	}
	if d.memo == nil {
		d.memo = new(memo)
	}
	literal := d.in[:end]
	at := d.memo.of(literal)
	r := at.find(literal)
	if r == nil {
		err := d.literal(f, 0)
		if err == nil && !d.tooLarge {
			at.keep(literal, f)
		}
		return err
	}
	d.in = d.in[end:]
	name := r.id.Lower()
	if d.fits(len(name), int(r.size)) {
		*f = Field{Name: name, Value: d.arena.Copy(r.value[:r.size]), ID: r.id}
	}
	return nil
}

// literalName resolves the name of a literal. It may be in scratch or in the block.
func (d *Decoder) literalName(lit *Field, index uint32) error {
	switch {
	case index == 0:
		name, err := d.readString()
		if err != nil {
			return err
		}
		lit.Name = name
		lit.ID, lit.Pseudo, lit.Flaw = identify(name)
		if lit.ID != httpmsg.NameOther && lit.Flaw == FlawNone {
			lit.Name = lit.ID.Lower()
		}
	case index <= uint32(staticLen):
		s := &static[index]
		lit.Name, lit.ID, lit.Pseudo = s.Name, s.ID, s.Pseudo
	default:
		e := d.find(index)
		if e == nil {
			return ErrIndex
		}
		lit.ID, lit.Pseudo = e.id, e.pseudo
		if e.flaw != FlawValue {
			lit.Flaw = e.flaw
		}
		if e.id != httpmsg.NameOther && lit.Flaw == FlawNone {
			lit.Name = e.id.Lower()
		} else {
			// To insert the field may evict the entry that its name is from (§4.4).
			start := len(d.scratch)
			d.scratch = append(d.scratch, d.table.nameOf(e)...)
			lit.Name = d.scratch[start:]
		}
	}
	return nil
}

// readString reads a string literal (RFC 7541 §5.2). It is in the block or, decoded, in
// scratch, which holds no more than the block's length can stand for.
func (d *Decoder) readString() ([]byte, error) {
	if len(d.in) == 0 {
		return nil, ErrTruncated
	}
	huffman := d.in[0] >= 0x80
	length, n := readInt(d.in, 7)
	if n == 0 {
		return nil, ErrInteger
	}
	d.in = d.in[n:]
	if uint64(length) > uint64(len(d.in)) {
		return nil, ErrTruncated
	}
	s := d.in[:length:length]
	d.in = d.in[length:]
	if !huffman {
		return s, nil
	}
	start, room := len(d.scratch), huffRoom(len(s))
	if cap(d.scratch)-start < room {
		d.scratch = make([]byte, start, 2*start+max(room, 256))
		// What was in the old one is still referred to, and stays there.
	}
	dst := d.scratch[start : start+room]
	m, ok := huffDecode(dst, s)
	if !ok {
		return nil, ErrHuffman
	}
	d.scratch = d.scratch[:start+m]
	return dst[:m:m], nil
}
