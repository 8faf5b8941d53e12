// Package password compares passwords with their hashes, argon2id and bcrypt,
// with bounded work: so many at a time, so many that wait, and none for a password
// that was right before. It owns no goroutines; package proxy owns the Verifier,
// the filters call it, and compile and the CLI read and make hashes.
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
	key     [32]byte
	slots   chan struct{}
	waiting atomic.Int64
}

// New makes a Verifier that works on n passwords at a time.
func New(n int) *Verifier {
	v := &Verifier{slots: make(chan struct{}, max(n, 1))}
	_, _ = rand.Read(v.key[:]) // it never fails
	return v
}

// Verify compares. Known is false where there is nobody of that name: the work is
// that for h all the same, and the verdict is never Right. Wait is called before
// work that takes long, and may be called from any goroutine.
func (v *Verifier) Verify(h *Hash, known bool, password []byte, wait func()) Verdict {
	if len(password) == 0 || len(password) > maxPassword {
		return Wrong
	}
	digest := v.digest(password)
	if right := h.right.Load(); known && right != nil && subtle.ConstantTimeCompare(digest[:], right[:]) == 1 {
		return Right
	}
	wait()
	if !v.take() {
		return Busy
	}
	same := h.compare(password)
	<-v.slots
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

// take waits for a place; false is that there are too many, or that it took too
// long.
func (v *Verifier) take() bool {
	select {
	case v.slots <- struct{}{}:
		return true
	default:
	}
	if v.waiting.Add(1) > int64(cap(v.slots))*maxWaiting {
		v.waiting.Add(-1)
		return false
	}
	defer v.waiting.Add(-1)
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case v.slots <- struct{}{}:
		return true
	case <-late.C:
		return false
	}
}
