package ocspstaple

import (
	"crypto/sha256"
	"maps"
	"slices"
	"time"
)

// maxAdopted bounds what is taken over from another process.
const maxAdopted = 4096

// Export returns the responses that are valid, for a process that replaces this
// one: each is the SHA-256 of the certificate and the DER of its response.
func (s *Stapler) Export() [][]byte {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	var out [][]byte
	for key, e := range s.entries {
		if len(e.response) > 0 && now.Before(e.until) {
			out = append(out, slices.Concat(key[:], e.response))
		}
	}
	for key, der := range s.adopted { // of a listener that is not there at present
		out = append(out, slices.Concat(key[:], der))
	}
	return out
}

// Adopt takes over what Export has returned in another process. A response is
// verified when its certificate is asked for.
func (s *Stapler) Adopt(all [][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.adopted = make(map[[sha256.Size]byte][]byte, min(len(all), maxAdopted))
	for _, b := range all {
		if len(b) > sha256.Size && len(b) <= sha256.Size+maxResponse && len(s.adopted) < maxAdopted {
			s.adopted[[sha256.Size]byte(b)] = b[sha256.Size:]
		}
	}
}

// inherit gives a new entry the response that was adopted for it; the caller
// holds mu.
func (s *Stapler) inherit(key [sha256.Size]byte, e *entry) {
	der, ok := s.adopted[key]
	if !ok {
		return
	}
	delete(s.adopted, key)
	if r, err := check(der, e.leaf, e.issuer); err == nil {
		e.take(r, time.Now())
	}
}

// Pending tells whether there is a certificate without a response whose first
// attempt has not ended.
func (s *Stapler) Pending() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for e := range maps.Values(s.entries) {
		if e.response == nil && e.failures == 0 {
			return true
		}
	}
	return false
}
