package extauthz

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash"
	"runtime"
	"sync"
	"time"
	"weak"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

const (
	shards = 64
	// shardBytes is how much of answers a shard holds, as they are reckoned.
	shardBytes = 256 << 10
	// maxRemembered is how much one answer may take of that.
	maxRemembered = shardBytes / 8
)

// Caches has those of all servers. They live as long as somebody uses them, so
// that a new snapshot finds what the one before it has learned.
type Caches struct {
	mu  sync.Mutex // guards all
	all map[string]weak.Pointer[Cache]
}

// of finds the cache of an owner for this very configuration.
func (c *Caches) of(owner string, cfg *ir.ExternalAuth) *Cache {
	text, err := json.Marshal(cfg)
	if err != nil {
		return newCache()
	}
	name := owner + "\n" + string(text)
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := c.all[name].Value(); known != nil {
		return known
	}
	if c.all == nil {
		c.all = map[string]weak.Pointer[Cache]{}
	}
	made := newCache()
	c.all[name] = weak.Make(made)
	runtime.AddCleanup(made, c.forget, name)
	return made
}

func (c *Caches) forget(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all[name].Value() == nil {
		delete(c.all, name)
	}
}

// digest is what alike requests have in common.
type digest [sha256.Size]byte

// Cache remembers answers that have let requests through, for those that are alike,
// and has one of several such ask at a time. Refusals are not remembered, nor are
// answers that are for one client, with a cookie for example. It holds 16 MiB at
// most; what was not used lately goes first.
type Cache struct{ shards [shards]shard }

type shard struct {
	mu      sync.Mutex // guards what follows
	entries map[digest]*entry
	ring    []*entry
	hand    int
	bytes   int
	flights map[digest]*flight
}

type entry struct {
	key     digest
	answer  *Answer
	expires time.Time
	used    bool
	at      int // in the ring
}

// flight is a question that others wait for the answer of.
type flight struct {
	done   chan struct{}
	answer *Answer
	err    error
}

func newCache() *Cache {
	c := &Cache{}
	for i := range c.shards {
		c.shards[i] = shard{entries: map[digest]*entry{}, flights: map[digest]*flight{}}
	}
	return c
}

var errNotAnswered = errors.New("the question was broken off")

// answer is one that is remembered, or ask's.
func (c *Cache) answer(x *filter.Exchange, key digest, ttl time.Duration, recalled func(hit bool), ask func(shared bool) (*Answer, error)) (*Answer, error) {
	s := &c.shards[key[0]%shards]
	s.mu.Lock()
	if e := s.entries[key]; e != nil && x.Start.Before(e.expires) {
		e.used = true
		s.mu.Unlock()
		if recalled != nil {
			recalled(true)
		}
		return e.answer, nil
	}
	if recalled != nil {
		defer recalled(false)
	}
	if f := s.flights[key]; f != nil {
		s.mu.Unlock()
		x.Detach()
		<-f.done // no longer than a question may take
		if f.err != nil || f.answer.shared {
			return f.answer, f.err
		}
		return ask(false)
	}
	f := &flight{done: make(chan struct{}), err: errNotAnswered}
	s.flights[key] = f
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.flights, key)
		if f.err == nil && f.answer.shared {
			s.put(&entry{key: key, answer: f.answer, expires: x.Start.Add(ttl)}, x.Start)
		}
		s.mu.Unlock()
		close(f.done)
	}()
	f.answer, f.err = ask(true)
	return f.answer, f.err
}

// put is under the lock.
func (s *shard) put(e *entry, now time.Time) {
	if e.answer.size > maxRemembered {
		return
	}
	if old := s.entries[e.key]; old != nil {
		s.remove(old)
	}
	for s.bytes+e.answer.size > shardBytes {
		s.hand %= len(s.ring)
		if one := s.ring[s.hand]; one.used && now.Before(one.expires) {
			one.used = false
			s.hand++
			continue
		}
		s.remove(s.ring[s.hand])
	}
	e.at = len(s.ring)
	s.ring = append(s.ring, e)
	s.entries[e.key] = e
	s.bytes += e.answer.size
}

func (s *shard) remove(e *entry) {
	last := len(s.ring) - 1
	s.ring[e.at] = s.ring[last]
	s.ring[e.at].at = e.at
	s.ring[last] = nil
	s.ring = s.ring[:last]
	delete(s.entries, e.key)
	s.bytes -= e.answer.size
}

// key digests what the configuration says that alike requests have in common.
func (s *Server) key(x *filter.Exchange) (key digest) {
	h := sha256.New()
	for i := range s.cfg.Cache.Key {
		switch part := &s.cfg.Cache.Key[i]; part.Type {
		case ir.CacheByHeader:
			n := 0
			for k := range x.Req.Header.Len() {
				if f := x.Req.Header.At(k); httpmsg.EqualFold(f.Name, part.Name) {
					add(h, f.Value)
					n++
				}
			}
			add(h, binary.AppendUvarint(nil, uint64(n)))
		case ir.CacheByMethod:
			add(h, x.Req.Method)
		case ir.CacheByHost:
			add(h, x.Req.Host)
		case ir.CacheByPath:
			add(h, x.Req.Path)
		case ir.CacheByQuery:
			add(h, x.Req.Query)
		case ir.CacheByClientIP:
			a := x.Client.Unmap().WithZone("").As16()
			add(h, a[:])
		}
	}
	h.Sum(key[:0])
	return key
}

// add writes a part so that no other parts look alike.
func add(h hash.Hash, part []byte) {
	var length [binary.MaxVarintLen64]byte
	h.Write(length[:binary.PutUvarint(length[:], uint64(len(part)))])
	h.Write(part)
}
