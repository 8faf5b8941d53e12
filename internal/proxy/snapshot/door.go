package snapshot

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/gridway/gridway/internal/ir"
)

// door is a digest of what a connection had to pass to come in: the listener's
// protocol and the ways in which it verifies clients.
func door(l *ir.Listener) uint64 {
	var ways [][sha256.Size]byte
	for _, s := range l.Sections {
		if s.TLS == nil || s.TLS.ClientAuth == nil {
			continue
		}
		way := sha256.Sum256(append([]byte(s.TLS.ClientAuth.Mode+" "), s.TLS.ClientAuth.CA...))
		if !slices.Contains(ways, way) {
			ways = append(ways, way)
		}
	}
	slices.SortFunc(ways, func(a, b [sha256.Size]byte) int { return slices.Compare(a[:], b[:]) })
	h := sha256.New()
	h.Write([]byte(l.Protocol))
	if l.Mesh {
		h.Write([]byte(" of the mesh"))
	}
	for _, w := range ways {
		h.Write(w[:])
	}
	return binary.BigEndian.Uint64(h.Sum(nil))
}
