// Package table keeps one word for each of many keys, in bounded memory, for
// counters that every request touches. A key is a 64-bit tag, which the caller
// has hashed under a secret; a word is whatever the caller makes of 64 bits.
//
// A key that is there is found and changed without a lock. A new key takes a
// lock of its shard alone. A word that says no more than no word would (a bucket
// that is full again, a window that is over) is idle, and gives its place to the
// next key that looks for one: nothing ever scans the table. A word that is not
// idle never loses its place, so that nobody can reset a counter by filling the
// table; keys that find no room share one word for each shard.
//
// The package owns no goroutines and imports the standard library only; package
// limit imports it.
package table

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

const (
	// ways is how many keys a bucket holds; each key has two buckets to choose from
	// at each level, which fills a level to four fifths before one finds both full.
	ways = 8
	// Levels grow by this factor, so that no key ever moves and what is allocated
	// stays near what is used.
	growth = 4
	// firstBuckets is the first level of a shard.
	firstBuckets = 2
	// A shard has so many keys at the least that chance fills all of them alike.
	leastShard = 4096
	maxShards  = 64
	// slack is the room beyond the keys that are promised, in percent.
	slack = 25
	// KeyBytes is what a key takes, in bytes, in a table that is full.
	KeyBytes = 16 + 16*slack/100
)

// busy is in a slot that changes hands. No caller's word has this value.
const busy = ^uint64(0)

// Options of a table.
type Options struct {
	// Keys is how many the table has room for; at least 1.
	Keys int
	// Idle tells whether a word says no more than its absence would. Now is what
	// was given to Put. An idle word must stay so until it is changed.
	Idle func(word uint64, now int64) bool
	// Renew makes the first word of a slot that had another's before; nil leaves
	// first as it is. The result must never equal a word that the slot has had,
	// or who still holds the old key's cell could take it for its own.
	Renew func(old, first uint64) uint64
}

// Table is the keys of one limit.
type Table struct {
	idle   func(uint64, int64) bool
	renew  func(old, first uint64) uint64
	shards []shard
	slots  int // for each shard
}

type shard struct {
	levels atomic.Pointer[[]level] // the largest last
	mu     sync.Mutex              // guards who gets a slot
	slots  int                     // allocated; guarded by mu
	spill  bucket                  // its first slot is for keys without room
	_      [64]byte
}

type level []bucket

type bucket struct {
	tags  [ways]atomic.Uint64
	words [ways]atomic.Uint64
}

// New makes an empty table, which takes little memory until there are keys.
func New(o Options) *Table {
	t := &Table{idle: o.Idle, renew: o.Renew}
	keys := max(o.Keys, 1)
	n := 1
	for n < maxShards && keys/(2*n) >= leastShard {
		n *= 2
	}
	t.shards = make([]shard, n)
	t.slots = (keys+keys*slack/100+n-1)/n + ways
	return t
}

// Cell is where a key's word is.
type Cell struct {
	tag  *atomic.Uint64
	Word *atomic.Uint64
	of   uint64
}

// Load returns the word; it is false if the slot is another key's by now, or is
// about to be, and the key must be looked for again.
func (c Cell) Load() (word uint64, ok bool) {
	word = c.Word.Load()
	return word, word != busy && (c.tag == nil || c.tag.Load() == c.of)
}

// Find returns the cell of a key that is there.
func (t *Table) Find(tag uint64) (Cell, bool) {
	tag = usable(tag)
	return t.shard(tag).find(tag)
}

// Put returns the cell of a key, which it gives the word first if it is not
// there; added tells which. If there is no room the cell is one that the key
// shares, which may have a word already.
func (t *Table) Put(tag, first uint64, now int64) (c Cell, added, shared bool) {
	tag = usable(tag)
	s := t.shard(tag)
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.find(tag); ok {
		return c, false, false
	}
	levels := s.load()
	for i := len(levels) - 1; i >= 0; i-- {
		if c, ok := t.place(levels[i], tag, first, now); ok {
			return c, true, false
		}
	}
	if s.slots < t.slots {
		if c, ok := t.place(s.grow(t.slots), tag, first, now); ok {
			return c, true, false
		}
	}
	return Cell{Word: &s.spill.words[0]}, false, true
}

// Settle waits until whoever changes the owner of a slot in the key's shard is done.
func (t *Table) Settle(tag uint64) {
	s := t.shard(usable(tag))
	s.mu.Lock()
	s.mu.Unlock() //nolint:staticcheck // nothing is to be done but to wait
}

// usable keeps the mark of an empty slot free.
func usable(tag uint64) uint64 {
	if tag == 0 {
		return 1
	}
	return tag
}

func (t *Table) shard(tag uint64) *shard { return &t.shards[tag&uint64(len(t.shards)-1)] }

func (s *shard) load() []level {
	if l := s.levels.Load(); l != nil {
		return *l
	}
	return nil
}

func (s *shard) find(tag uint64) (Cell, bool) {
	levels := s.load()
	for i := len(levels) - 1; i >= 0; i-- {
		one, two := levels[i].choices(tag)
		if c, ok := one.find(tag); ok {
			return c, true
		}
		if c, ok := two.find(tag); ok {
			return c, true
		}
	}
	return Cell{}, false
}

func (b *bucket) find(tag uint64) (Cell, bool) {
	for i := range b.tags {
		if b.tags[i].Load() == tag {
			return Cell{tag: &b.tags[i], Word: &b.words[i], of: tag}, true
		}
	}
	return Cell{}, false
}

// choices are the two buckets that a key may be in. The shard was chosen by the
// low bits, these by the high ones.
func (l level) choices(tag uint64) (one, two *bucket) {
	i, _ := bits.Mul64(tag, uint64(len(l)))
	j, _ := bits.Mul64(tag*0x9e3779b97f4a7c15, uint64(len(l)))
	return &l[i], &l[j]
}

// place takes an empty slot, or else an idle one, in the emptier of the key's
// buckets. The shard's lock is held.
func (t *Table) place(l level, tag, first uint64, now int64) (Cell, bool) {
	one, two := l.choices(tag)
	i, ni := one.empty()
	j, nj := two.empty()
	switch {
	case ni >= nj && ni > 0:
		return one.fill(i, tag, first), true
	case nj > 0:
		return two.fill(j, tag, first), true
	}
	if c, ok := t.takeOver(one, tag, first, now); ok {
		return c, true
	}
	return t.takeOver(two, tag, first, now)
}

// empty finds an empty slot and counts them.
func (b *bucket) empty() (at, n int) {
	for i := range b.tags {
		if b.tags[i].Load() == 0 {
			at, n = i, n+1
		}
	}
	return at, n
}

// fill gives an empty slot to a key. Who finds the tag finds the word.
func (b *bucket) fill(i int, tag, first uint64) Cell {
	b.words[i].Store(first)
	b.tags[i].Store(tag)
	return Cell{tag: &b.tags[i], Word: &b.words[i], of: tag}
}

// takeOver gives an idle slot to a key. Until the word is there, whoever finds
// either key sees that it is busy; who has read the old word fails to change it.
func (t *Table) takeOver(b *bucket, tag, first uint64, now int64) (Cell, bool) {
	for i := range b.words {
		old := b.words[i].Load()
		if !t.idle(old, now) || !b.words[i].CompareAndSwap(old, busy) {
			continue
		}
		if t.renew != nil {
			first = t.renew(old, first)
		}
		b.tags[i].Store(tag)
		b.words[i].Store(first)
		return Cell{tag: &b.tags[i], Word: &b.words[i], of: tag}, true
	}
	return Cell{}, false
}

// grow adds a level, within so many slots. The shard's lock is held.
func (s *shard) grow(most int) level {
	before := s.load()
	n, left := firstBuckets, (most-s.slots+ways-1)/ways
	if len(before) > 0 {
		n = len(before[len(before)-1]) * growth
	}
	// Some pairs of buckets are full before their level is: an eighth of the room
	// is for the keys that find theirs so.
	if n+n/2 > left {
		n = left - left/8
	}
	added := make(level, n)
	s.slots += n * ways
	after := make([]level, 0, len(before)+1)
	if len(before) > 0 && n < len(before[len(before)-1]) {
		after = append(append(after, added), before...)
	} else {
		after = append(append(after, before...), added)
	}
	s.levels.Store(&after)
	return added
}

// Stats describe a table for people and metrics.
type Stats struct {
	// Active keys have a word that is not idle; Slots are allocated.
	Active, Slots int
}

// Stats reads all words, without a lock.
func (t *Table) Stats(now int64) (out Stats) {
	for i := range t.shards {
		for _, l := range t.shards[i].load() {
			out.Slots += len(l) * ways
			for b := range l {
				for w := range l[b].words {
					if l[b].tags[w].Load() != 0 && !t.idle(l[b].words[w].Load(), now) {
						out.Active++
					}
				}
			}
		}
	}
	return out
}
