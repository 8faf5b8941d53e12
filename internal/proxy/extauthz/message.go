package extauthz

import (
	"bytes"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// message is one of Protocol Buffers while it is written.
type message struct{ b []byte }

// open begins a message inside, which close ends.
func (m *message) open(field protowire.Number) (start int) {
	m.b = protowire.AppendTag(m.b, field, protowire.BytesType)
	m.b = append(m.b, 0) // most are short
	return len(m.b)
}

func (m *message) close(start int) {
	n := len(m.b) - start
	more := protowire.SizeVarint(uint64(n)) - 1
	for range more {
		m.b = append(m.b, 0)
	}
	copy(m.b[start+more:], m.b[start:start+n])
	protowire.AppendVarint(m.b[:start-1], uint64(n))
}

// text writes a string, which is of UTF-8: what is not becomes U+FFFD. An empty
// one is left out.
func (m *message) text(field protowire.Number, v []byte) {
	if len(v) == 0 {
		return
	}
	if !utf8.Valid(v) {
		v = bytes.ToValidUTF8(v, []byte("\uFFFD"))
	}
	m.bytes(field, v)
}

func (m *message) bytes(field protowire.Number, v []byte) {
	m.b = protowire.AppendTag(m.b, field, protowire.BytesType)
	m.b = protowire.AppendBytes(m.b, v)
}

// number writes an integer other than 0.
func (m *message) number(field protowire.Number, v uint64) {
	if v != 0 {
		m.b = protowire.AppendTag(m.b, field, protowire.VarintType)
		m.b = protowire.AppendVarint(m.b, v)
	}
}

// pair writes an entry of a map of strings.
func (m *message) pair(field protowire.Number, key, value []byte) {
	at := m.open(field)
	m.text(1, key)
	m.text(2, value)
	m.close(at)
}
