// Package consumer keeps those who may call: it finds the consumer of a
// credential, and remembers when a credential was used last. A Directory is apart
// from snapshots: a change of one among a hundred thousand consumers rebuilds
// nothing else. Readers take no lock. It owns no goroutines; package proxy owns
// the Directory, the authentication filters and the dry run read it.
package consumer

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/httpsig"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/password"
)

// shards is how many parts the keys are in: a change copies one part, which of a
// hundred thousand keys has about 25.
const shards = 4096

// Digest is the SHA-256 of a key.
type Digest = [sha256.Size]byte

// Entry is a credential and whose it is. It is never changed, but for the time of
// its last use.
type Entry struct {
	// digest, and whether it is of an API key, stand first: most requests want no more
	// than that and what follows.
	digest Digest
	isKey  bool
	// namespace is the consumer's.
	namespace string

	Consumer   *ir.Consumer
	Credential *ir.ConsumerCredential
	password   *password.Hash
	key        *httpsig.Key
	used       *atomic.Int64
	// next has the same key in another namespace.
	next *Entry
}

// Used notes that the credential was accepted. Most calls write nothing: the time
// is kept in whole seconds.
func (e *Entry) Used(at time.Time) {
	if now := at.Unix(); e.used.Load() < now {
		e.used.Store(now)
	}
}

// LastUsed is when the credential was accepted last by this process, in whole
// seconds; zero is never.
func (e *Entry) LastUsed() time.Time {
	if at := e.used.Load(); at > 0 {
		return time.Unix(at, 0).UTC()
	}
	return time.Time{}
}

// Password is the hash of a credential that is a password; nil for others.
func (e *Entry) Password() *password.Hash { return e.password }

// Key verifies signatures; it is nil for a credential that is not for them.
func (e *Entry) Key() *httpsig.Key { return e.key }

// HasKey tells, in constant time, whether the credential is the API key of that
// digest.
func (e *Entry) HasKey(digest *Digest) bool {
	return e.isKey && subtle.ConstantTimeCompare(e.digest[:], digest[:]) == 1
}

// part is entries ordered by a piece of their digests, which are as good as random:
// a search takes one step or a few, and looks at little memory.
type part []slot

type slot struct {
	piece uint64
	entry *Entry
}

func pieceOf(key *Digest) uint64 { return binary.LittleEndian.Uint64(key[8:]) }

// find is the place of a key, or the one that it would have.
func (p part) find(key *Digest) (at int, found bool) {
	piece := pieceOf(key)
	from, to := 0, len(p)
	for from < to {
		if middle := (from + to) / 2; p[middle].piece < piece {
			from = middle + 1
		} else {
			to = middle
		}
	}
	for at = from; at < len(p) && p[at].piece == piece; at++ {
		if p[at].entry.digest == *key {
			return at, true
		}
	}
	return at, false
}

// first is the first of those who have a key.
func (p part) first(key *Digest) *Entry {
	if at, found := p.find(key); found {
		return p[at].entry
	}
	return nil
}

// Directory finds consumers by their credentials.
type Directory struct {
	parts [shards]atomic.Pointer[part]
	// user is somebody with a password.
	user atomic.Pointer[Entry]
	// names are all of them, ordered by namespace and name.
	names atomic.Pointer[[]*ir.Consumer]

	mu   sync.Mutex     // for who changes it
	list []*ir.Consumer // guarded by mu
}

// New makes a Directory of nobody.
func New() *Directory {
	d := &Directory{}
	none := part{}
	for i := range d.parts {
		d.parts[i].Store(&none)
	}
	return d
}

func shardOf(key *Digest) uint32 { return binary.LittleEndian.Uint32(key[:]) % shards }

// Key finds who has the key with that digest: in the namespace, or else, if every
// namespace counts, in the first one by name. Nil is nobody.
func (d *Directory) Key(digest Digest, namespace string, every bool) *Entry {
	first := d.parts[shardOf(&digest)].Load().first(&digest)
	for e := first; e != nil; e = e.next {
		if e.namespace == namespace {
			return e
		}
	}
	if every {
		return first
	}
	return nil
}

// AnyUser is somebody with a password, whose hash takes as long to compare as
// those of others if all are made alike. Nil is that nobody has one.
func (d *Directory) AnyUser() *Entry { return d.user.Load() }

// Apply makes the consumers those of the list, which is ordered by namespace and
// name. It takes time for those that are not what they were; of the others it
// compares a pointer.
func (d *Directory) Apply(list []*ir.Consumer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(list) == len(d.list) && (len(list) == 0 || &list[0] == &d.list[0]) {
		return
	}
	ch := changes{d: d, parts: map[uint32]*part{}, before: map[ownKey]*Entry{}}
	// All that goes has gone before anything comes: a key may go from one to another.
	for was, is := range differences(d.list, list) {
		if was != nil {
			ch.retire(was, is)
		}
	}
	for _, is := range differences(d.list, list) {
		if is != nil {
			ch.introduce(is)
		}
	}
	for i, p := range ch.parts {
		d.parts[i].Store(p)
	}
	if ch.user != nil {
		d.user.Store(ch.user)
	}
	d.list = list
	d.names.Store(&list)
}

// differences are the consumers that are not what they were, nil for nobody.
func differences(was, is []*ir.Consumer) iter.Seq2[*ir.Consumer, *ir.Consumer] {
	return func(yield func(was, is *ir.Consumer) bool) {
		for was, is := was, is; len(was) > 0 || len(is) > 0; {
			order, more := compareHeads(was, is), true
			switch {
			case order < 0:
				more = yield(was[0], nil)
			case order > 0:
				more = yield(nil, is[0])
			case was[0] != is[0]:
				more = yield(was[0], is[0])
			}
			if !more {
				return
			}
			if order <= 0 {
				was = was[1:]
			}
			if order >= 0 {
				is = is[1:]
			}
		}
	}
}

func compareHeads(a, b []*ir.Consumer) int {
	switch {
	case len(a) == 0:
		return 1
	case len(b) == 0:
		return -1
	case a[0] == b[0]:
		return 0
	}
	return cmp.Or(cmp.Compare(a[0].Namespace, b[0].Namespace), cmp.Compare(a[0].Name, b[0].Name))
}

// changes are parts that are about to take the places of others.
type changes struct {
	d     *Directory
	parts map[uint32]*part
	// before are the entries of keys that a consumer keeps.
	before map[ownKey]*Entry
	user   *Entry
}

type ownKey struct {
	consumer *ir.Consumer
	key      Digest
}

func (ch *changes) part(key *Digest) *part {
	i := shardOf(key)
	p := ch.parts[i]
	if p == nil {
		own := slices.Clone(*ch.d.parts[i].Load())
		p = &own
		ch.parts[i] = p
	}
	return p
}

// retire takes the credentials of a consumer out. Those that it still has, nil for
// nobody, will keep what is remembered of them.
func (ch *changes) retire(was, is *ir.Consumer) {
	for i := range was.Credentials {
		if id := was.Credentials[i].ClientID; id != "" {
			client := ir.ClientDigest(id)
			ch.remove(&client, was.Namespace)
		}
		key, ok := was.Credentials[i].Digest()
		if !ok {
			continue
		}
		e := ch.remove(&key, was.Namespace)
		if e != nil && is != nil {
			ch.before[ownKey{is, key}] = e
		}
	}
}

// introduce puts the credentials of a consumer in.
func (ch *changes) introduce(is *ir.Consumer) {
	for i := range is.Credentials {
		c := &is.Credentials[i]
		key, ok := c.Digest()
		if !ok {
			continue
		}
		if c.ClientID != "" {
			client := ir.ClientDigest(c.ClientID)
			ch.add(&client, &Entry{digest: client, namespace: is.Namespace, Consumer: is, Credential: c, used: &atomic.Int64{}})
		}
		e := &Entry{digest: key, isKey: c.KeyDigest != nil, namespace: is.Namespace, Consumer: is, Credential: c}
		if old := ch.before[ownKey{is, key}]; old != nil {
			e.used = old.used
			if old.Credential.PasswordHash == c.PasswordHash {
				e.password = old.password
			}
		} else {
			e.used = &atomic.Int64{}
		}
		if c.PasswordHash != "" && e.password == nil {
			var err error
			if e.password, err = password.Parse(c.PasswordHash); err != nil {
				continue // compile lets none through
			}
		}
		switch {
		case c.PublicKey != nil:
			var err error
			if e.key, err = httpsig.ParsePublicKey(c.PublicKey, c.Algorithm); err != nil {
				continue // compile lets none through
			}
		case c.KeyID != "":
			e.key = httpsig.NewSecret(c.Secret)
		}
		if e.password != nil {
			ch.user = e
		}
		ch.add(&key, e)
	}
}

// remove takes an entry out of its chain, of which it copies what was before it:
// somebody may be reading that.
func (ch *changes) remove(key *Digest, namespace string) (gone *Entry) {
	p := ch.part(key)
	var kept []*Entry
	for e := p.first(key); e != nil; e = e.next {
		if e.namespace == namespace {
			gone = e
		} else {
			kept = append(kept, e)
		}
	}
	ch.link(p, key, kept)
	return gone
}

// add puts an entry into its chain, which is ordered by namespace. Of one
// namespace the last one holds.
func (ch *changes) add(key *Digest, add *Entry) {
	p := ch.part(key)
	first := p.first(key)
	if first == nil {
		ch.link(p, key, []*Entry{add})
		return
	}
	var list []*Entry
	placed := false
	for e := first; e != nil; e = e.next {
		if !placed && add.namespace <= e.namespace {
			list, placed = append(list, add), true
		}
		if e.namespace != add.namespace {
			list = append(list, e)
		}
	}
	if !placed {
		list = append(list, add)
	}
	ch.link(p, key, list)
}

// link puts a chain in the place of a key's.
func (ch *changes) link(p *part, key *Digest, list []*Entry) {
	var first *Entry
	for i := len(list) - 1; i >= 0; i-- {
		e := *list[i]
		e.next = first
		first = &e
	}
	at, found := p.find(key)
	switch {
	case found && first != nil:
		(*p)[at].entry = first
	case found:
		*p = slices.Delete(*p, at, at+1)
	case first != nil:
		*p = slices.Insert(*p, at, slot{pieceOf(key), first})
	}
}

// All lists the consumers, ordered by namespace and name.
func (d *Directory) All() []*ir.Consumer {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.list
}

// LastUsed is when a credential of a consumer was accepted last by this process;
// zero is never, or not known.
func (d *Directory) LastUsed(c *ir.Consumer, credential *ir.ConsumerCredential) time.Time {
	if key, ok := credential.Digest(); ok {
		if e := d.Key(key, c.Namespace, false); e != nil {
			return e.LastUsed()
		}
	}
	return time.Time{}
}

// Use is when a credential was accepted last.
type Use struct {
	Namespace string
	Digest    Digest
	At        time.Time
}

// Uses lists credentials that were accepted since a time, in whole seconds.
func (d *Directory) Uses(since time.Time) (out []Use) {
	for _, c := range d.All() {
		for i := range c.Credentials {
			key, ok := c.Credentials[i].Digest()
			if !ok {
				continue
			}
			if e := d.Key(key, c.Namespace, false); e != nil && e.used.Load() >= max(1, since.Unix()) {
				out = append(out, Use{Namespace: c.Namespace, Digest: key, At: e.LastUsed()})
			}
		}
	}
	return out
}

// Seen notes that a credential was accepted by another process, or by an earlier
// one.
func (d *Directory) Seen(u Use) {
	if e := d.Key(u.Digest, u.Namespace, false); e != nil {
		e.Used(u.At)
	}
}
