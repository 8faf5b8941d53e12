package acme

import (
	"context"
	"fmt"
	"regexp"
)

// Storage keeps what must outlive a process, for all processes that share it.
// Keys are paths like "certificates/shop.example-1f"; values have at most
// maxValue bytes. Methods may be called at the same time.
type Storage interface {
	// Load returns a value; the error is fs.ErrNotExist if there is none, and
	// errDamaged if it is longer than any of ours.
	Load(ctx context.Context, key string) ([]byte, error)
	// Store replaces a value, wholly or not at all.
	Store(ctx context.Context, key string, value []byte) error
	// Delete removes a value; there need not be one.
	Delete(ctx context.Context, key string) error
	// Move gives a value another key.
	Move(ctx context.Context, from, to string) error
	Locker
}

// Locker excludes others, in this process and in others, who want the same
// lock. What a process that has died held is free again.
type Locker interface {
	// Lock waits until it has the lock or ctx ends.
	Lock(ctx context.Context, key string) (unlock func(), err error)
}

// maxValue is far more than a chain of certificates with its key takes.
const maxValue = 1 << 20

// A key consists of file names that mean nothing special to a file system.
var validKey = regexp.MustCompile(`^[a-z0-9]+(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,199})+$`)

func checkKey(key string) error {
	if !validKey.MatchString(key) {
		return fmt.Errorf("storage: %q is not a key", key)
	}
	return nil
}
