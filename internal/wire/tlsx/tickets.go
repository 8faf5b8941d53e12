package tlsx

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/ir"
)

const (
	// ticketRotation is how long one key seals new tickets.
	ticketRotation = 12 * time.Hour
	// ticketKeep is how many keys open tickets, the sealing one included.
	ticketKeep = 3
)

// tickets holds the session ticket keys of a listener. It outlives the Servers
// that it serves one after another.
type tickets struct {
	now func() time.Time

	// generation counts rotations, so that most handshakes need no lock.
	generation atomic.Uint64
	rotateAt   atomic.Int64 // Unix nanoseconds

	mu      sync.Mutex // guards masters and rotation
	masters [][32]byte // newest first
}

func newTickets(now func() time.Time) *tickets {
	t := &tickets{now: now}
	t.rotate()
	return t
}

// rotate makes a new key and drops the oldest; mu is held, or nobody else knows t.
func (t *tickets) rotate() {
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails
	t.masters = append([][32]byte{key}, t.masters[:min(len(t.masters), ticketKeep-1)]...)
	t.rotateAt.Store(t.now().Add(ticketRotation).UnixNano())
	t.generation.Add(1)
}

// sealer derives a section's ticket keys from the listener's. A ticket of one
// section is of no use at another, nor after a change of client verification:
// both could let a client in that a full handshake would refuse.
type sealer struct {
	context    [sha256.Size]byte
	generation atomic.Uint64 // of the keys that the section's config has
	mu         sync.Mutex    // orders changes of the config's keys
}

func sealContext(in *ir.Section) [sha256.Size]byte {
	var mode, ca []byte
	if in.TLS.ClientAuth != nil {
		mode, ca = []byte(in.TLS.ClientAuth.Mode), in.TLS.ClientAuth.CA
	}
	return digest([]byte("gridway session ticket"), []byte(in.Name), mode, ca)
}

// seal gives the section's config the keys of now.
func (t *tickets) seal(sec *section) {
	if t.now().UnixNano() >= t.rotateAt.Load() {
		t.mu.Lock()
		if t.now().UnixNano() >= t.rotateAt.Load() {
			t.rotate()
		}
		t.mu.Unlock()
	}
	if sec.keys.generation.Load() == t.generation.Load() {
		return
	}
	sec.keys.mu.Lock()
	defer sec.keys.mu.Unlock()
	t.mu.Lock()
	generation := t.generation.Load()
	keys := make([][32]byte, len(t.masters))
	for i := range t.masters {
		mac := hmac.New(sha256.New, t.masters[i][:])
		mac.Write(sec.keys.context[:])
		mac.Sum(keys[i][:0])
	}
	t.mu.Unlock()
	sec.config.SetSessionTicketKeys(keys)
	if sec.quic != nil {
		sec.quic.SetSessionTicketKeys(keys)
	}
	sec.keys.generation.Store(generation)
}
