package tlsx_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/wire/tlsx"
)

// era is a process with ticket keys, as far as clients can tell.
type era struct {
	t       *testing.T
	clock   *atomic.Int64 // nanoseconds since begin
	begin   time.Time
	ca      *authority
	tickets *tlsx.Tickets
	server  *tlsx.Server
}

func (e *era) now() time.Time { return e.begin.Add(time.Duration(e.clock.Load())) }

// next is a process that replaces e, and has the keys of e if it adopts them.
func (e *era) next(section *ir.Section, keys []byte) *era {
	e.t.Helper()
	n := &era{t: e.t, clock: e.clock, begin: e.begin, ca: e.ca}
	n.tickets = tlsx.NewTickets(n.now)
	if keys != nil {
		if err := n.tickets.Adopt(keys); err != nil {
			e.t.Fatal(err)
		}
	}
	var err error
	if n.server, err = tlsx.NewServerWith(tlsx.Options{Now: n.now, Tickets: n.tickets}, []*ir.Section{section}, nil); err != nil {
		e.t.Fatal(err)
	}
	return n
}

// resumes does a handshake with what the cache has, and leaves it the new ticket.
func (e *era) resumes(cache tls.ClientSessionCache, version uint16) bool {
	e.t.Helper()
	state, _, cerr, serr := shake(e.t, e.server.Config(), &tls.Config{
		ServerName: "a.test", RootCAs: e.ca.pool(), MaxVersion: version, ClientSessionCache: cache, Time: e.now,
	})
	if cerr != nil || serr != nil {
		e.t.Fatal(cerr, serr)
	}
	return state.DidResume
}

// Sessions go on in the processes that follow, as long as the keys are theirs.
func TestTicketsAreHandedOver(t *testing.T) {
	ca := newAuthority(t)
	sec := section("a", "a.test", ca.issue("a", names("a.test")))
	other := section("b", "a.test", ca.issue("a", names("a.test")))
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		root := &era{t: t, clock: new(atomic.Int64), begin: time.Now(), ca: ca}
		first := root.next(sec, nil)
		cache := tls.NewLRUClientSessionCache(1)
		if first.resumes(cache, version) {
			t.Error("resumed from nothing")
		}
		old, _ := cache.Get("a.test")
		keys := first.tickets.Export()
		second := first.next(sec, keys)
		if !second.resumes(cache, version) {
			t.Error("not resumed in the second process")
		}
		third := second.next(sec, second.tickets.Export())
		if !third.resumes(cache, version) {
			t.Error("not resumed in the third process")
		}
		cache.Put("a.test", old)
		if !third.resumes(cache, version) {
			t.Error("a ticket of the first process is not resumed in the third")
		}
		cache.Put("a.test", old)
		if third.next(sec, nil).resumes(cache, version) {
			t.Error("resumed by a process without the keys")
		}
		cache.Put("a.test", old)
		if third.next(other, keys).resumes(cache, version) {
			t.Error("resumed at another section")
		}

		// The rotation goes on from where it was, however long nobody came.
		root.clock.Store(int64(13 * time.Hour))
		cache.Put("a.test", old)
		if !third.resumes(cache, version) {
			t.Error("not resumed after one rotation")
		}
		rotated, _ := cache.Get("a.test")
		fourth := third.next(sec, third.tickets.Export())
		cache.Put("a.test", old)
		if !fourth.resumes(cache, version) {
			t.Error("not resumed in a process after one rotation")
		}
		root.clock.Store(int64(38 * time.Hour))
		fifth := fourth.next(sec, fourth.tickets.Export())
		cache.Put("a.test", old)
		if fifth.resumes(cache, version) {
			t.Error("resumed with a key that ought to be gone")
		}
		cache.Put("a.test", rotated)
		if !fifth.resumes(cache, version) {
			t.Error("not resumed with a key that is a day old")
		}
	}
}

func TestTicketsThatCannotBeAdopted(t *testing.T) {
	good := tlsx.NewTickets(nil).Export()
	for n := range len(good) {
		if err := tlsx.NewTickets(nil).Adopt(good[:n]); err == nil {
			t.Errorf("%d of %d bytes were adopted", n, len(good))
		}
	}
	strange := append([]byte(nil), good...)
	strange[0]++
	long := good
	for range 3 {
		long = append(long[:len(long):len(long)], good[9:]...)
	}
	for _, b := range [][]byte{strange, long, append(good[:len(good):len(good)], 0)} {
		if err := tlsx.NewTickets(nil).Adopt(b); err == nil {
			t.Errorf("%d bytes were adopted", len(b))
		}
	}
	// A time to rotate at that lies too far ahead does not keep a key for ever.
	for i := 1; i < 9; i++ {
		good[i] = 0x7f
	}
	tickets := tlsx.NewTickets(nil)
	if err := tickets.Adopt(good); err != nil {
		t.Fatal(err)
	}
	if at := tickets.Export()[1:9]; string(at) == string(good[1:9]) {
		t.Error("the key would be kept for ever")
	}
}

// FuzzTickets: what a predecessor has sent is taken as a whole or not at all, and no
// key of it is used for longer than one of our own.
func FuzzTickets(f *testing.F) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	f.Add(tlsx.NewTickets(clock).Export())
	f.Add(append([]byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, make([]byte, 96)...))
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		tickets := tlsx.NewTickets(clock)
		before := tickets.Export()
		err := tickets.Adopt(b)
		after := tickets.Export()
		if err != nil {
			if !bytes.Equal(before, after) {
				t.Fatalf("%x was refused and has changed something", b)
			}
			return
		}
		if len(after) > 1+8+3*32 || !bytes.Equal(after[9:], b[9:]) {
			t.Fatalf("%x became %x", b, after)
		}
		if at := int64(binary.BigEndian.Uint64(after[1:])); at > now.Add(12*time.Hour).UnixNano() {
			t.Fatalf("%x is replaced at %d", b, at)
		}
		if err := tickets.Adopt(after); err != nil || !bytes.Equal(tickets.Export(), after) {
			t.Fatalf("%x does not come back: %v", after, err)
		}
	})
}
