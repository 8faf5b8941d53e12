package decode_test

import (
	"encoding/binary"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/gridway/gridway/internal/config/decode"
)

// A file in UTF-16 is refused: cut as UTF-8 it would be one document, and all
// but the first object in it would be lost without a word.
func TestUTF16IsRefused(t *testing.T) {
	const text = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: b}\n"
	for name, order := range map[string]binary.AppendByteOrder{"little endian": binary.LittleEndian, "big endian": binary.BigEndian} {
		t.Run(name, func(t *testing.T) {
			var raw []byte
			for _, u := range utf16.Encode([]rune("\ufeff" + text)) {
				raw = order.AppendUint16(raw, u)
			}
			r := decode.Decode(decode.Document{File: "a.yaml", Line: 1, Text: raw})
			if len(r.Objects) != 0 || len(r.Problems) != 1 || !strings.Contains(r.Problems[0].Message, "UTF-16") || !r.Unidentified {
				t.Errorf("%d objects, problems %v", len(r.Objects), r.Problems)
			}
		})
	}
}

func TestBinaryIsNoTemplate(t *testing.T) {
	r := decode.Decode(decode.Document{File: "a.yaml", Line: 1, Text: []byte("\x80\x81{{\xff")})
	if len(r.Problems) != 1 || !strings.Contains(r.Problems[0].Remedy, "UTF-8") {
		t.Errorf("problems %v", r.Problems)
	}
}
