package filter

import (
	"sync/atomic"
	"time"
)

// Counted is what a rate limit has said about the request. Only the filter that
// made it knows what to do with it.
type Counted struct {
	// Place is that of the limit among the rule's.
	Place int
	// Tag is the key as the limit's counters know it, and Key as stores do.
	Tag uint64
	Key [16]byte
	// Left is what the key had left then, and After when it will have more.
	Left  uint64
	After time.Duration
	// Cost is what the request costs when it comes, and Charged what it was charged;
	// Hold is its place among the requests in progress, to be given back, or nil.
	Cost    int64
	Charged int64
	Hold    *atomic.Uint64
	// Slot is its place among those of all proxies together, or nil.
	Slot interface{ Leave() }
	// Counted: the limit has let the request pass. Settled: the endpoint has said
	// what it has cost.
	Counted, Settled bool
	// Open: a store is to be asked. Shared: it has charged the request.
	Open, Shared bool
}

// Pacer says how many of the n bytes of a body that are there should pass at once,
// and how long they have to wait before.
type Pacer func(x *Exchange, n int) (piece int, wait time.Duration)
