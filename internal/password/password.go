// Package password compares passwords with their hashes, argon2id and bcrypt,
// with bounded work: so many at a time, so many that wait, client by client in turn,
// and none for a password that was right before. It owns no goroutines; package proxy
// owns the Verifier, the filters call it, and compile and the CLI read and make hashes.
//
// A hash remembers the password that was right last as a keyed digest, whose key
// is the process's own. Nothing that was wrong is remembered, so that a flood of
// guesses displaces nobody: who has given the right password once goes on without
// a place in the queue that the flood fills.
package password

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net/netip"
	"sync/atomic"
	"time"
)

const (
	// maxPassword bounds what is hashed, in bytes.
	maxPassword = 1024
	// maxWaiting is how many may wait for each that is at work.
	maxWaiting = 16
	// patience is how long one waits at most.
	patience = 2 * time.Second
)

// Hash is a password's hash, which may be shared and is never changed, but for
// what it remembers.
type Hash struct {
	compare func(password []byte) bool
	right   atomic.Pointer[[sha256.Size]byte]
}

// Verdict says what became of a comparison.
type Verdict uint8

const (
	Wrong Verdict = iota
	Right
	// Busy: too many are at work and waiting.
	Busy
)

// Verifier bounds the work.
type Verifier struct {
	key  [32]byte
	line *line
}

// New makes a Verifier that works on n passwords at a time.
func New(n int) *Verifier {
	n = max(n, 1)
	v := &Verifier{line: newLine(n, n*maxWaiting)}
	_, _ = rand.Read(v.key[:]) // it never fails
	return v
}

// Verify compares. Known is false where there is nobody of that name: the work is
// that for h all the same, and the verdict is never Right. From is whose turn it is
// among those who wait. Wait is called before work that takes long, and may be called
// from any goroutine.
func (v *Verifier) Verify(h *Hash, known bool, password []byte, from netip.Addr, wait func()) Verdict {
	if len(password) == 0 || len(password) > maxPassword {
		return Wrong
	}
	digest := v.digest(password)
	if right := h.right.Load(); known && right != nil && subtle.ConstantTimeCompare(digest[:], right[:]) == 1 {
		return Right
	}
	wait()
	if !v.line.take(network(from), patience) {
		return Busy
	}
	same := h.compare(password)
	v.line.leave()
	if !same || !known {
		return Wrong
	}
	kept := digest // only now does it outlive the call
	h.right.Store(&kept)
	return Right
}

// digest is keyed by what stands before the password and has a fixed length; it
// never leaves the process.
func (v *Verifier) digest(password []byte) [sha256.Size]byte {
	var text [len(v.key) + maxPassword]byte
	n := copy(text[:], v.key[:])
	n += copy(text[n:], password)
	return sha256.Sum256(text[:n])
}
