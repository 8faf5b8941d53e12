// Package token remembers tokens that were verified and bounds the work of
// verifying others. Package proxy owns both, and the filters of all rules share
// them. It owns no goroutines.
//
// Only tokens whose signature was good are remembered, so that a flood of bad ones
// displaces nobody. A good one that is new takes the place of one that was not used
// lately, or of another one of the same subject, of which each part of the memory
// holds two at most: who can get many tokens of his own pushes out his own.
package token

import (
	"crypto/sha256"
	"encoding/binary"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/jwt"
	"github.com/gridway/gridway/internal/proxy/filter"
)

const (
	// parts of the memory; a token has its place in one of them.
	parts = 4096
	// places of a part.
	places = 8
	// most is what the tokens of a part take, in bytes as they are reckoned.
	most = 16 << 10
	// own is how many tokens of one subject a part holds.
	own = 2
	// worth is how much a token's use counts when a place is wanted.
	worth = 3
)

// Digest of a token is what it is known by.
type Digest = [sha256.Size]byte

// Verified is a token whose signature was good. It is immutable.
type Verified struct {
	Digest Digest
	Claims *filter.Claims
	// By is the key and how the token names it; what trusts that key trusts the token.
	By jwt.Signed
	// Type is "typ" as jwt.MediaType makes it.
	Type string
	// Expires is when nobody can use it any more; zero is never.
	Expires time.Time
	// Size is that of the claims as they were sent, in bytes.
	Size int

	owner uint64
	used  atomic.Uint32
}

// cost is roughly what the token takes in memory.
func (v *Verified) cost() int { return 512 + 2*v.Size }

// Cache is the memory.
type Cache struct {
	seed  maphash.Seed
	parts [parts]atomic.Pointer[part]
}

// part changes as a whole, so that readers need no lock.
type part struct {
	mu     sync.Mutex // for who changes it
	hand   int        // guarded by mu: where the next idle token is looked for
	places [places]atomic.Pointer[Verified]
}

// NewCache makes one that remembers nothing.
func NewCache() *Cache { return &Cache{seed: maphash.MakeSeed()} }

func (c *Cache) at(d *Digest) *atomic.Pointer[part] {
	return &c.parts[binary.LittleEndian.Uint64(d[:])%parts]
}

// Get finds a token that was verified, which may have expired since, or may have
// been verified with a key that is not trusted any more.
func (c *Cache) Get(d *Digest) *Verified {
	p := c.at(d).Load()
	if p == nil {
		return nil
	}
	for i := range p.places {
		if v := p.places[i].Load(); v != nil && v.Digest == *d {
			if v.used.Load() < worth { // a store for each request would be a contended line
				v.used.Store(worth)
			}
			return v
		}
	}
	return nil
}

// Put remembers a token at a time, if there is a place for it.
func (c *Cache) Put(v *Verified, now time.Time) {
	cost := v.cost()
	if cost > most {
		return
	}
	v.owner = maphash.String(c.seed, v.Claims.Issuer+"\x00"+v.Claims.Subject)
	at := c.at(&v.Digest)
	p := at.Load()
	if p == nil {
		at.CompareAndSwap(nil, &part{})
		p = at.Load()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.put(v, cost, now)
}

// put is under the part's lock.
func (p *part) put(v *Verified, cost int, now time.Time) {
	total, mine, same := 0, 0, -1
	for i := range p.places {
		old := p.places[i].Load()
		switch {
		case old == nil:
			continue
		case old.Digest == v.Digest || !old.Expires.IsZero() && !now.Before(old.Expires):
			p.places[i].Store(nil)
			continue
		case old.owner == v.owner:
			if mine++; same < 0 || old.used.Load() < p.places[same].Load().used.Load() {
				same = i
			}
		}
		total += old.cost()
	}
	if mine >= own {
		total -= p.places[same].Load().cost()
		p.places[same].Store(nil)
	}
	for total+cost > most || p.free() < 0 {
		i := p.idle()
		if i < 0 {
			return // all are in use: a little less for that
		}
		total -= p.places[i].Load().cost()
		p.places[i].Store(nil)
	}
	p.places[p.free()].Store(v)
}

func (p *part) free() int {
	for i := range p.places {
		if p.places[i].Load() == nil {
			return i
		}
	}
	return -1
}

// idle finds a token that was not used lately. If there is none, each is a step
// nearer to it.
func (p *part) idle() int {
	for n := range places {
		i := (p.hand + n) % places
		if v := p.places[i].Load(); v != nil && v.used.Load() == 0 {
			p.hand = i + 1
			return i
		}
	}
	for i := range p.places {
		if v := p.places[i].Load(); v != nil {
			v.used.Store(v.used.Load() - 1)
		}
	}
	return -1
}
