package tlsx

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
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

// Tickets are the secrets from which the session ticket keys of listeners are
// derived. One set serves all listeners of a process and outlives the Servers
// that it serves one after another; Export and Adopt carry it over to the
// process that replaces this one.
type Tickets struct {
	now func() time.Time

	// generation counts rotations, so that most handshakes need no lock.
	generation atomic.Uint64
	rotateAt   atomic.Int64 // Unix nanoseconds

	mu      sync.Mutex // guards masters and rotation
	masters [][sha256.Size]byte
}

// NewTickets makes secrets of its own. Now may be nil for the system's clock.
func NewTickets(now func() time.Time) *Tickets {
	if now == nil {
		now = time.Now
	}
	t := &Tickets{now: now}
	t.rotateAt.Store(now().UnixNano())
	t.rotate()
	return t
}

// rotate makes a new secret and drops those that are too old; mu is held, or
// nobody else knows t.
func (t *Tickets) rotate() {
	now := t.now()
	missed := now.Sub(time.Unix(0, t.rotateAt.Load())) / ticketRotation // nobody came to rotate
	keep := max(ticketKeep-1-int(min(missed, ticketKeep)), 0)
	var key [sha256.Size]byte
	_, _ = rand.Read(key[:]) // never fails
	t.masters = append([][sha256.Size]byte{key}, t.masters[:min(len(t.masters), keep)]...)
	t.rotateAt.Store(now.Add(ticketRotation).UnixNano())
	t.generation.Add(1)
}

// ticketFormat is the first byte of what Export returns; when the sealing secret
// is to be replaced (8 bytes, Unix nanoseconds) and the secrets, newest first,
// follow it.
const ticketFormat = 1

// Export returns the secrets, for a process that replaces this one.
func (t *Tickets) Export() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := binary.BigEndian.AppendUint64([]byte{ticketFormat}, uint64(t.rotateAt.Load()))
	for i := range t.masters {
		b = append(b, t.masters[i][:]...)
	}
	return b
}

// Adopt makes what Export has returned in another process the secrets of this
// one. It is called before the first Server has t.
func (t *Tickets) Adopt(b []byte) error {
	const head = 1 + 8
	n := (len(b) - head) / sha256.Size
	switch {
	case len(b) == 0 || b[0] != ticketFormat:
		return errors.New("tlsx: session ticket keys of an unknown format")
	case len(b) < head || (len(b)-head)%sha256.Size != 0 || n == 0 || n > ticketKeep:
		return errors.New("tlsx: session ticket keys of a wrong length")
	}
	// A clock that was set back must not keep a key in use.
	at := min(int64(binary.BigEndian.Uint64(b[1:])), t.now().Add(ticketRotation).UnixNano())
	t.mu.Lock()
	defer t.mu.Unlock()
	t.masters = make([][sha256.Size]byte, n)
	for i := range t.masters {
		copy(t.masters[i][:], b[head+i*sha256.Size:])
	}
	t.rotateAt.Store(at)
	t.generation.Add(1)
	return nil
}

// sealer derives a section's ticket keys from the secrets. A ticket of one
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
func (t *Tickets) seal(sec *section) {
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
	keys := make([][sha256.Size]byte, len(t.masters))
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
