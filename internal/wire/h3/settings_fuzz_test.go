package h3

import (
	"bytes"
	"testing"

	"github.com/quic-go/quic-go/quicvarint"
)

// FuzzSettings: integers are those of the QUIC library, and a SETTINGS frame says
// what its pairs say, one after the other.
func FuzzSettings(f *testing.F) {
	f.Add(AppendSettings(nil, Settings{MaxFieldSection: 65536})[2:])
	f.Add([]byte{0x06, 0x40, 0x00, 0x21, 0x00})
	f.Add([]byte{0x08, 0x01, 0x08, 0x01})
	f.Add([]byte{0x08, 0x30})
	f.Add([]byte{0x02, 0x00})
	f.Add([]byte{0x06, 0xc0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		b = b[:min(len(b), maxSettingsBytes)] // which whoever reads a frame has checked
		var want Settings
		var bad *Error
		seen := map[uint64]bool{}
		for rest := b; len(rest) > 0 && bad == nil; {
			var pair [2]uint64
			for i := range pair {
				v, n, err := quicvarint.Parse(rest)
				if own, m := ReadVarint(rest); (err == nil) != (m > 0) || err == nil && (own != v || m != n) {
					t.Fatalf("%x: %d in %d bytes, want %d in %d, %v", rest, own, m, v, n, err)
				}
				if err != nil {
					bad = errFrameSize
					break
				}
				if out := AppendVarint(nil, v); !bytes.Equal(out, quicvarint.Append(nil, v)) || varintLen(v) != len(out) {
					t.Fatalf("%d is written as %x", v, out)
				}
				pair[i], rest = v, rest[n:]
			}
			switch {
			case bad != nil:
			case seen[pair[0]], 2 <= pair[0] && pair[0] <= 5: // RFC 9114 §7.2.4 and §7.2.4.1
				bad = errSettings
			case pair[0] == settingMaxFieldSection:
				want.MaxFieldSection = pair[1]
			case pair[0] == settingExtendedConnect && pair[1] > 1: // RFC 8441 §3
				bad = errSettings
			case pair[0] == settingExtendedConnect:
				want.ExtendedConnect = pair[1] == 1
			}
			seen[pair[0]] = true
		}
		got, err := parseSettings(b)
		if err != bad || bad == nil && got != want {
			t.Fatalf("%x: %+v, %v, want %+v, %v", b, got, err, want, bad)
		}
	})
}
