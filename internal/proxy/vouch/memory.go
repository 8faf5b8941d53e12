package vouch

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"sync/atomic"

	"github.com/gridway/gridway/internal/proxy/filter"
)

const (
	// places are how many tokens are remembered at most.
	places = 4096
	// room is what they may take together, in bytes as they are reckoned.
	room = 4 << 20
	// swept is how many places are looked at for what has expired when a token comes.
	swept = 4
)

// digest of a token is what it is known by: the token itself, which is a credential, is
// not kept.
type digest = [sha256.Size]byte

// known is a token whose signature was good. It is immutable.
type known struct {
	digest  digest
	payload *payload
	caller  filter.Caller
	cost    int
}

// memory has tokens that were verified, until they expire: an application that asks
// several others about one request, or one of them several times, passes the same token
// on. Only what was signed by an edge gets in, so that nobody else displaces anything.
//
// A token has one place, by its digest, and whoever comes later takes it. What is found
// must be judged as if it were new: the time, the request, and whether the edge's
// certificates are still trusted. Only its signature stays as good as it was.
type memory struct {
	// places are made with the first token: most proxies never see one. Readers take no lock.
	places atomic.Pointer[[places]atomic.Pointer[known]]

	mu    sync.Mutex // held by who changes places; guards what follows
	total int
	hand  int
}

func placeOf(d *digest) int { return int(binary.LittleEndian.Uint64(d[:]) % places) }

func (m *memory) get(d *digest) *known {
	all := m.places.Load()
	if all == nil {
		return nil
	}
	if k := all[placeOf(d)].Load(); k != nil && k.digest == *d {
		return k
	}
	return nil
}

// put remembers a token, whose payload has so many bytes, at a time in seconds.
func (m *memory) put(k *known, size int, now int64) {
	k.cost = 512 + 4*size
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.places.Load()
	if all == nil {
		all = new([places]atomic.Pointer[known])
		m.places.Store(all)
	}
	at := placeOf(&k.digest)
	m.clear(&all[at])
	for n := 0; n < swept || m.total+k.cost > room; n++ {
		m.hand = (m.hand + 1) % places
		one := &all[m.hand]
		if old := one.Load(); old != nil && (m.total+k.cost > room || old.payload.over(now)) {
			m.clear(one)
		}
	}
	m.total += k.cost
	all[at].Store(k)
}

// clear is under the lock.
func (m *memory) clear(place *atomic.Pointer[known]) {
	if old := place.Swap(nil); old != nil {
		m.total -= old.cost
	}
}
