package issuing

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// Failures that are let through at once, and how long each counts. A client is
// bounded by where it asks from, so that nobody can lock out a client whose ID he
// knows; an address as a whole has room for many clients behind it.
var (
	perClient  = rate{burst: 10, each: 6 * time.Second}
	perAddress = rate{burst: 100, each: time.Second}
)

type rate struct {
	burst int64
	each  time.Duration
}

const (
	failureSets = 4096
	failureWays = 4
)

// failures counts wrong secrets by GCRA, in 256 KiB however many there are: of keys
// that meet in a set, the one whose failures are forgotten soonest gives its place.
type failures struct {
	seed maphash.Seed
	mu   sync.Mutex // guards sets
	sets [failureSets][failureWays]failure
}

type failure struct {
	tag uint64
	at  int64 // theoretical arrival time, in nanoseconds
}

func newFailures() *failures { return &failures{seed: maphash.MakeSeed()} }

// place is what failures are counted by.
type place struct {
	issuer, client string
	address        netip.Addr
}

func (f *failures) tag(p place) uint64 { return maphash.Comparable(f.seed, p) }

// find returns the place of a tag, or the one that it may have.
func (f *failures) find(tag uint64) *failure {
	set := &f.sets[tag%failureSets]
	best := &set[0]
	for i := range set {
		switch e := &set[i]; {
		case e.tag == tag:
			return e
		case e.at < best.at:
			best = e
		}
	}
	return best
}

// wait is how long there have been too many failures; zero is that there are not.
func (f *failures) wait(tag uint64, r rate, now int64) time.Duration {
	e := f.find(tag)
	if e.tag != tag {
		return 0
	}
	return max(0, time.Duration(e.at-now)-time.Duration(r.burst-1)*r.each)
}

func (f *failures) add(tag uint64, r rate, now int64) {
	e := f.find(tag)
	if e.tag != tag {
		*e = failure{tag: tag}
	}
	e.at = max(e.at, now) + int64(r.each)
}

// network is what counts of an address: of IPv6 the first 64 bits, within which a
// client may choose.
func network(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		p, _ := a.Prefix(64)
		return p.Addr()
	}
	return a
}

// Wait is how long a client at an address must wait because of failures; zero is not
// at all.
func (is *Issuer) Wait(client string, address netip.Addr, now time.Time) time.Duration {
	f, at := is.failures, network(address)
	own, all := f.tag(place{is.Config.Name, client, at}), f.tag(place{issuer: is.Config.Name, address: at})
	f.mu.Lock()
	defer f.mu.Unlock()
	return max(f.wait(own, perClient, now.UnixNano()), f.wait(all, perAddress, now.UnixNano()))
}

// Failed counts a wrong secret.
func (is *Issuer) Failed(client string, address netip.Addr, now time.Time) {
	f, at := is.failures, network(address)
	own, all := f.tag(place{is.Config.Name, client, at}), f.tag(place{issuer: is.Config.Name, address: at})
	f.mu.Lock()
	defer f.mu.Unlock()
	f.add(own, perClient, now.UnixNano())
	f.add(all, perAddress, now.UnixNano())
}
