package clientcert

import (
	"crypto/sha256"
	"crypto/x509"
	"sync"
)

const (
	// generation is how many certificates are remembered before those that were not
	// asked for meanwhile are forgotten: at most twice as many at a time.
	generation = 512
	// maxRemembered bounds what one of them was read from, in bytes.
	maxRemembered = 16 << 10
)

type digest = [sha256.Size]byte

// Cache remembers what was read of certificates: some 16 MiB at the very most, one
// or two in practice. Nil remembers nothing.
type Cache struct {
	mu       sync.Mutex // guards what follows
	now, was map[digest]*Certificate
}

// Of is what is known of a certificate that was verified.
func (c *Cache) Of(cert *x509.Certificate) (*Certificate, error) {
	return c.remember('x', cert.Raw, func() (*Certificate, error) { return Of(cert) })
}

// Parse is Parse of this package.
func (c *Cache) Parse(value []byte) (*Certificate, error) {
	return c.remember('h', value, func() (*Certificate, error) { return Parse(value) })
}

func (c *Cache) remember(kind byte, text []byte, read func() (*Certificate, error)) (*Certificate, error) {
	if c == nil || len(text) == 0 || len(text) > maxRemembered {
		return read()
	}
	key := sha256.Sum256(text)
	key[0] ^= kind
	c.mu.Lock()
	got := c.now[key]
	if got == nil {
		if got = c.was[key]; got != nil {
			c.put(key, got)
		}
	}
	c.mu.Unlock()
	if got != nil {
		return got, nil
	}
	got, err := read()
	if err != nil {
		return nil, err // whoever sends it pays for it each time
	}
	c.mu.Lock()
	c.put(key, got)
	c.mu.Unlock()
	return got, nil
}

// put is under the lock.
func (c *Cache) put(key digest, got *Certificate) {
	if c.now == nil || len(c.now) >= generation {
		c.now, c.was = make(map[digest]*Certificate, generation), c.now
	}
	c.now[key] = got
}
