package token_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/token"
)

var now = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)

// verified is the n-th token of somebody, in the given part of the memory, which
// has 4096.
func verified(subject string, n, part, size int) *token.Verified {
	v := &token.Verified{
		Claims: filter.NewClaims(map[string]any{"iss": "idp", "sub": subject}), Size: size, Expires: now.Add(time.Hour),
	}
	v.Digest = sha256.Sum256(fmt.Appendf(nil, "%s %d", subject, n))
	binary.LittleEndian.PutUint64(v.Digest[:], uint64(part))
	return v
}

func TestRemembers(t *testing.T) {
	c := token.NewCache()
	v := verified("ada", 1, 7, 500)
	if c.Get(&v.Digest) != nil {
		t.Fatal("something from nothing")
	}
	c.Put(v, now)
	if c.Get(&v.Digest) != v {
		t.Fatal("it is not remembered")
	}
	if other := verified("ada", 2, 7, 500); c.Get(&other.Digest) != nil {
		t.Error("another one of the same part is found")
	}
	again := verified("ada", 1, 7, 500)
	c.Put(again, now)
	if c.Get(&v.Digest) != again {
		t.Error("the later one does not hold")
	}
	large := verified("bob", 1, 7, 8000)
	c.Put(large, now)
	if c.Get(&large.Digest) != nil || c.Get(&v.Digest) == nil {
		t.Error("one beyond all bounds is remembered")
	}
}

// Somebody with tokens without end pushes out his own.
func TestFloodOfOne(t *testing.T) {
	c := token.NewCache()
	others := make([]*token.Verified, 6)
	for i := range others {
		others[i] = verified(fmt.Sprint("user", i), 1, 3, 500)
		c.Put(others[i], now) // and they were not used since
	}
	for n := range 2000 {
		v := verified("mallory", n, 3, 500)
		c.Put(v, now)
		if n%2 == 0 {
			c.Get(&v.Digest)
		}
	}
	for i, v := range others {
		if c.Get(&v.Digest) == nil {
			t.Errorf("that of user %d is gone", i)
		}
	}
}

// Tokens of ever new subjects do not push out those that are in use, nor large ones.
func TestFloodOfMany(t *testing.T) {
	for _, size := range []int{500, 3000, 7000} {
		c := token.NewCache()
		used := make([]*token.Verified, 4)
		for i := range used {
			used[i] = verified(fmt.Sprint("user", i), 1, 3, 500)
			c.Put(used[i], now)
			c.Get(&used[i].Digest)
		}
		lost := 0
		for n := range 2000 {
			c.Put(verified(fmt.Sprint("mallory", n), n, 3, size), now)
			for _, v := range used {
				if c.Get(&v.Digest) == nil {
					lost++
					c.Put(v, now)
					c.Get(&v.Digest)
				}
			}
		}
		if lost > 0 {
			t.Errorf("tokens of %d bytes push out others %d times", size, lost)
		}
	}
}

// What nobody uses any more goes, and so does what has expired.
func TestForgets(t *testing.T) {
	c := token.NewCache()
	var old []*token.Verified
	for i := range 8 {
		v := verified(fmt.Sprint("old", i), 1, 3, 500)
		c.Put(v, now)
		c.Get(&v.Digest)
		old = append(old, v)
	}
	left := func() (n int) {
		for _, v := range old {
			if c.Get(&v.Digest) != nil {
				n++
			}
		}
		return n
	}
	for n := range 100 {
		c.Put(verified(fmt.Sprint("new", n), n, 3, 500), now)
	}
	if n := left(); n != 0 {
		t.Errorf("%d that nobody uses are remembered", n)
	}
	for i, v := range old {
		old[i] = verified(fmt.Sprint("old", i), 1, 4, 500)
		_ = v
		c.Put(old[i], now)
	}
	if n := left(); n != 8 {
		t.Fatalf("%d of 8", n)
	}
	v := verified("new", 1, 4, 500)
	c.Put(v, now.Add(2*time.Hour))
	if n := left(); n != 0 || c.Get(&v.Digest) == nil {
		t.Errorf("%d that have expired are remembered", n)
	}
}

// The memory is bounded: a part never holds more than it may.
func TestBound(t *testing.T) {
	c := token.NewCache()
	var all []*token.Verified
	for n := range 200 {
		v := verified(fmt.Sprint("user", n), n, 5, n*37%8000)
		c.Put(v, now)
		all = append(all, v)
		count, bytes := 0, 0
		for _, v := range all {
			if c.Get(&v.Digest) != nil {
				count++
				bytes += 512 + 2*v.Size
			}
		}
		if count > 8 || bytes > 16<<10 {
			t.Fatalf("after %d: %d tokens, %d bytes", n, count, bytes)
		}
	}
}

func TestParallel(t *testing.T) {
	c := token.NewCache()
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for n := range 3000 {
				v := verified(fmt.Sprint("user", g), n%50, n%3, 300)
				if got := c.Get(&v.Digest); got != nil && got.Claims.Subject != v.Claims.Subject {
					t.Error("somebody else's")
				}
				c.Put(v, now)
			}
		})
	}
	all.Wait()
}

// So many at a time, so many that wait, nobody beyond.
func TestGate(t *testing.T) {
	g := token.NewGate(0) // one, at least
	if !g.Enter(func() { t.Error("waits for nobody") }) {
		t.Fatal("nobody gets in")
	}
	waits, in := make(chan struct{}, 100), make(chan bool, 100)
	for range 64 {
		go func() {
			ok := g.Enter(func() { waits <- struct{}{} })
			if ok {
				g.Leave()
			}
			in <- ok
		}()
	}
	for range 64 {
		<-waits
	}
	if g.Enter(func() { t.Error("one more waits") }) {
		t.Error("one more gets in")
	}
	g.Leave()
	for range 64 {
		if !<-in {
			t.Error("one of those who waited does not get in")
		}
	}
}
