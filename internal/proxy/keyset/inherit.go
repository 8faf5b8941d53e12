package keyset

import (
	"crypto/sha256"
	"slices"

	"github.com/gridway/gridway/internal/jwt"
)

const (
	// maxAdopted bounds what is taken over from another process.
	maxAdopted = 1024
	// digestLen is the length of what a set is known by there.
	digestLen = sha256.Size
)

// Export returns the keys that were fetched, for a process that replaces this one,
// so that it serves from its first request on although their server may be down:
// each is a digest of where they come from and the JWK Set.
func (s *Set) Export() [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out [][]byte
	for id, from := range s.sources {
		if r, ok := from.(*remote); ok {
			if body := r.body(); body != nil {
				digest := sha256.Sum256([]byte(id))
				out = append(out, slices.Concat(digest[:], body))
			}
		}
	}
	return out
}

// Adopt takes over what Export has returned in another process, before the first
// configuration. Newer keys are fetched all the same.
func (s *Set) Adopt(all [][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.adopted = make(map[[digestLen]byte][]byte, min(len(all), maxAdopted))
	for _, b := range all {
		if len(b) > digestLen && len(b) <= digestLen+jwt.MaxSet && len(s.adopted) < maxAdopted {
			s.adopted[[digestLen]byte(b)] = b[digestLen:]
		}
	}
}

// inherit gives new keys what was adopted for them; the caller holds mu.
func (s *Set) inherit(id string, r *remote) {
	digest := sha256.Sum256([]byte(id))
	text, ok := s.adopted[digest]
	if !ok {
		return
	}
	delete(s.adopted, digest)
	if set, _, err := jwt.ParseSet(text); err == nil {
		r.keys.Store(&fetched{set: set, body: text})
	}
}
