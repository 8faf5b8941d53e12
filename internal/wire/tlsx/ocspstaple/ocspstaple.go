// Package ocspstaple fetches OCSP responses (RFC 6960) for the certificates
// that a tlsx.Server must staple one to, and keeps them fresh: a response is
// asked for again when half of its time is over, a failure is tried again after
// seconds, then less and less often up to an hour, and the last good response is
// served until it ends, or until the responder says that the certificate is
// revoked.
//
// A Stapler owns one goroutine, and a few more while it asks, which Close ends
// and waits for. This package is
// apart from tlsx because it needs golang.org/x/crypto/ocsp; only app imports it.
package ocspstaple

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

const (
	// parallel bounds the certificates that are asked about at a time, so that
	// one responder that hangs does not hold up the others.
	parallel     = 8
	fetchTimeout = 10 * time.Second
	retryFirst   = 2 * time.Second
	retryMax     = time.Hour
	// shortest is the least wait after a good response: of one that ends sooner
	// there would be no end of asking.
	shortest = time.Second
	// openEnded is how long a response without nextUpdate is served.
	openEnded = 24 * time.Hour
	// forget ends the refreshing of certificates that nobody asked for.
	forget = 7 * 24 * time.Hour
)

// Options of a Stapler; the zero value works.
type Options struct {
	// Client does the requests; nil is one of http.DefaultTransport.
	Client *http.Client
	// Log is told about failures; nil discards.
	Log *slog.Logger
}

// Stapler implements tlsx.Stapler.
type Stapler struct {
	client *http.Client
	log    *slog.Logger
	wake   chan struct{}
	cancel context.CancelFunc
	done   chan struct{}
	// slots are held by fetches under way.
	slots chan struct{}

	mu      sync.Mutex // guards entries and what is in them
	entries map[[sha256.Size]byte]*entry
	adopted map[[sha256.Size]byte][]byte // guarded by mu: not asked for yet
}

type entry struct {
	leaf, issuer *x509.Certificate
	response     []byte // nil until the first good one
	until        time.Time
	next         time.Time // of the next attempt
	failures     int
	fetching     bool
	asked        time.Time
}

// New starts a Stapler.
func New(o Options) *Stapler {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Stapler{
		client: o.Client, log: o.Log,
		wake: make(chan struct{}, 1), cancel: cancel, done: make(chan struct{}), slots: make(chan struct{}, parallel),
		entries: map[[sha256.Size]byte]*entry{},
	}
	if s.client == nil {
		s.client = &http.Client{}
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	go s.run(ctx)
	return s
}

// Close ends the refreshing. Staple goes on answering with what there is.
func (s *Stapler) Close() {
	s.cancel()
	<-s.done
}

// Staple returns the last good response for leaf while it is valid, or nil. The
// first call makes the Stapler fetch one.
func (s *Stapler) Staple(leaf, issuer *x509.Certificate) []byte {
	now := time.Now()
	key := sha256.Sum256(leaf.Raw)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[key]
	if e == nil {
		e = &entry{leaf: leaf, issuer: issuer, next: now}
		s.entries[key] = e
		s.inherit(key, e)
		s.look()
	}
	e.asked = now
	if now.After(e.until) {
		return nil
	}
	return e.response
}

// look lets run see what is due now.
func (s *Stapler) look() {
	select {
	case s.wake <- struct{}{}:
	default: // it will look anyway
	}
}

func (s *Stapler) run(ctx context.Context) {
	defer close(s.done)
	var fetches sync.WaitGroup
	defer fetches.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-timer.C:
		}
		timer.Reset(s.refresh(ctx, &fetches))
	}
}

// refresh begins to fetch what is due and returns the wait until there is more
// to do. A fetch that ends makes run look again.
func (s *Stapler) refresh(ctx context.Context, fetches *sync.WaitGroup) time.Duration {
	for {
		select {
		case s.slots <- struct{}{}:
		default:
			return forget
		}
		e, wait := s.due()
		if e == nil {
			<-s.slots
			return wait
		}
		fetches.Go(func() {
			r, err := s.fetch(ctx, e.leaf, e.issuer)
			if ctx.Err() == nil {
				s.settle(e, r, err)
			}
			<-s.slots
			s.look()
		})
	}
}

// due returns an entry whose time has come, marked as being fetched, or the wait
// for the next one.
func (s *Stapler) due() (*entry, time.Duration) {
	now := time.Now()
	wait := forget
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, e := range s.entries {
		if e.fetching {
			continue
		}
		if now.Sub(e.asked) > forget || now.After(e.leaf.NotAfter) {
			delete(s.entries, key)
			continue
		}
		d := e.next.Sub(now)
		if d <= 0 {
			e.fetching = true
			return e, 0
		}
		wait = min(wait, d)
	}
	return nil, wait
}

// settle notes the outcome of an attempt and when the next one is.
func (s *Stapler) settle(e *entry, r *response, err error) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	e.fetching = false
	if err != nil {
		if errors.Is(err, errRevoked) {
			e.response = nil
		}
		wait := min(retryMax, retryFirst<<min(e.failures, 20))
		e.failures++
		e.next = now.Add(wait - time.Duration(rand.Int64N(int64(wait)/5)))
		s.log.Warn("no OCSP response to staple", "serial", e.leaf.SerialNumber, "names", e.leaf.DNSNames,
			"error", err, "retry", e.next, "lastGoodUntil", e.until)
		return
	}
	e.failures = 0
	e.take(r, now)
}

// take makes r what is served.
func (e *entry) take(r *response, now time.Time) {
	e.response, e.until = r.der, r.nextUpdate
	half := r.thisUpdate.Add(r.nextUpdate.Sub(r.thisUpdate) / 2)
	if half.Before(now) { // the responder hands out old ones
		half = now.Add(r.nextUpdate.Sub(now) / 2)
	}
	e.next = now.Add(max(shortest, half.Sub(now)))
}
