package keyset

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/jwt"
	"github.com/gridway/gridway/internal/proxy/fetch"
)

const (
	// leastRefresh is the least time between two fetches that nobody has asked for.
	leastRefresh = 10 * time.Second
	// Requests with tokens of unknown keys may cause burst fetches at once, and one
	// more for each refill.
	burst  = 4
	refill = 10 * time.Second
	// After a failure it is tried again, later each time.
	retryFirst, retryMax = time.Second, time.Minute
	// patience is how long a request waits for keys, of which maxWaiting may at a time.
	patience   = 3 * time.Second
	maxWaiting = 1024

	maxRedirects = 3
	fetchTimeout = 5 * time.Second
)

// remote are keys of a server. Its goroutine alone fetches.
type remote struct {
	config ir.KeySet
	log    *slog.Logger
	client *fetch.Client
	cancel context.CancelFunc
	keys   atomic.Pointer[fetched]
	wake   chan struct{}
	// trouble is why fetches fail; nil while they do not.
	trouble atomic.Pointer[trouble]
	// good and failed count fetches.
	good, failed atomic.Uint64

	mu sync.Mutex // guards what follows
	// fetching is closed when the fetch that is under way has ended; nil if none is.
	fetching chan struct{}
	waiting  int
	// left is how many fetches requests may still cause, as of counted.
	left    int
	counted time.Time
}

// trouble is since when fetches fail, and what is wrong with the last one.
type trouble struct {
	since time.Time
	err   string
}

// fetched is what a server has answered, and when; that is zero for what another
// process was answered.
type fetched struct {
	set  *jwt.Set
	body []byte
	at   time.Time
}

// remote begins to fetch; the caller holds mu.
func (s *Set) remote(one *ir.KeySet, id string) source {
	r := &remote{
		config: *one, log: s.opts.Log.With("keys", place(one.URL)), wake: make(chan struct{}, 1),
		fetching: make(chan struct{}), left: burst, counted: time.Now(),
	}
	o := fetch.Options{Plain: one.Plain, MaxBody: jwt.MaxSet, Redirects: maxRedirects, Timeout: fetchTimeout, Connections: 1}
	if len(one.CA) > 0 {
		o.TLS = &ir.UpstreamTLS{CA: one.CA}
	}
	var err error
	if r.client, err = fetch.New(o); err != nil { // compile has read the CA
		s.opts.Log.Error("keys cannot be fetched", "keys", one.Name, "error", err)
		return &fixed{}
	}
	var ctx context.Context
	ctx, r.cancel = context.WithCancel(s.ctx)
	s.inherit(id, r)
	s.work.Go(func() { r.run(ctx) })
	return r
}

// place is a URL without its query.
func place(text string) string {
	before, _, _ := strings.Cut(text, "?")
	return before
}

func (r *remote) close() { r.cancel() }

func (r *remote) current() *jwt.Set {
	if f := r.keys.Load(); f != nil {
		return f.set
	}
	return nil
}

// body is the JWK Set as it has come, nil if none has.
func (r *remote) body() []byte {
	if f := r.keys.Load(); f != nil {
		return f.body
	}
	return nil
}

// run fetches until ctx ends.
func (r *remote) run(ctx context.Context) {
	defer r.client.Close()
	failures := 0
	for {
		got, after, err := r.fetch(ctx)
		if ctx.Err() != nil {
			r.ended()
			return
		}
		if err != nil {
			r.failed.Add(1)
			since := time.Now()
			if t := r.trouble.Load(); t != nil {
				since = t.since
			}
			r.trouble.Store(&trouble{since, err.Error()})
			after = min(retryFirst<<min(failures, 10), retryMax)
			if failures++; failures == 1 || failures&(failures-1) == 0 {
				r.log.Warn("keys cannot be fetched", "error", err, "failures", failures, "kept", r.current() != nil)
			}
		} else {
			if failures > 0 {
				r.log.Info("keys are fetched again", "failures", failures)
			}
			failures = 0
			r.trouble.Store(nil)
			r.good.Add(1)
			r.take(got)
		}
		r.ended()
		r.sleep(ctx, after)
	}
}

// take makes a set the one that tokens are verified with.
func (r *remote) take(now *fetched) {
	was := r.keys.Swap(now)
	if was == nil {
		r.log.Info("keys fetched", "keys", now.set.Len())
		return
	}
	come, gone := missing(now.set, was.set), missing(was.set, now.set)
	if come+gone > 0 {
		r.log.Info("keys changed", "keys", now.set.Len(), "new", come, "gone", gone)
	}
}

// missing counts the keys of a that b does not have.
func missing(a, b *jwt.Set) (n int) {
	for _, k := range a.Keys() {
		if !b.Has(k) {
			n++
		}
	}
	return n
}

// ended lets those go on who wait for the fetch.
func (r *remote) ended() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.fetching)
	r.fetching = nil
}

// sleep waits for the time of the next fetch, or for somebody who asks for one. The
// next fetch is under way when it returns.
func (r *remote) sleep(ctx context.Context, d time.Duration) {
	// A little earlier than necessary, and not all proxies at once.
	t := time.NewTimer(d - time.Duration(rand.Int64N(int64(d)/5+1)))
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-r.wake:
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fetching == nil {
		r.fetching = make(chan struct{})
		return
	}
	// Somebody has asked at the same moment.
	select {
	case <-r.wake:
	default:
	}
}

func (r *remote) renew(known *jwt.Set, wait func()) *jwt.Set {
	done := r.ask(known)
	if done == nil {
		return r.current()
	}
	wait()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-done:
	case <-late.C:
	}
	r.mu.Lock()
	r.waiting--
	r.mu.Unlock()
	return r.current()
}

// ask returns what to wait for, if there is a fetch under way or may be one now.
func (r *remote) ask(known *jwt.Set) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.current() != known || r.waiting >= maxWaiting {
		return nil
	}
	if r.fetching == nil {
		if !r.allowed(time.Now()) {
			return nil
		}
		r.fetching = make(chan struct{})
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
	r.waiting++
	return r.fetching
}

// allowed counts the fetches that requests cause.
func (r *remote) allowed(now time.Time) bool {
	if more := int(now.Sub(r.counted) / refill); more > 0 {
		r.counted = r.counted.Add(time.Duration(more) * refill)
		r.left = min(burst, r.left+more)
	}
	if r.left == 0 {
		return false
	}
	r.left--
	return true
}

// fetch gets the keys, and says how long they are good.
func (r *remote) fetch(ctx context.Context) (*fetched, time.Duration, error) {
	address := r.config.URL
	if r.config.Discovery {
		var err error
		if address, err = r.discover(ctx); err != nil {
			return nil, 0, err
		}
	}
	answer, err := r.client.Get(ctx, address, "application/jwk-set+json, application/json")
	if err != nil {
		return nil, 0, err
	}
	set, skipped, err := jwt.ParseSet(answer.Body)
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", place(address), err)
	}
	for _, s := range skipped {
		r.log.Debug("a key is not used", "key", s.String())
	}
	now := time.Now()
	return &fetched{set, answer.Body, now}, r.after(answer.Header, now), nil
}

// after is how long keys are good that have come with such a header.
func (r *remote) after(h http.Header, now time.Time) time.Duration {
	after := r.config.Refresh
	if fresh, ok := (&fetch.Response{Header: h}).Freshness(now); ok {
		after = min(after, fresh)
	}
	return max(after, leastRefresh)
}

// discover asks where the keys are (OpenID Connect Discovery 1.0 §4).
func (r *remote) discover(ctx context.Context) (string, error) {
	answer, err := r.client.Get(ctx, r.config.URL, "application/json")
	if err != nil {
		return "", err
	}
	var d struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if json.Unmarshal(answer.Body, &d) != nil {
		return "", fmt.Errorf("%s: the document is not JSON", place(r.config.URL))
	}
	// §4.3: without that somebody else's keys could be had.
	if d.Issuer != r.config.Issuer {
		return "", fmt.Errorf("%s: the document is for issuer %.200q, and not for %q", place(r.config.URL), d.Issuer, r.config.Issuer)
	}
	u, err := url.Parse(d.Keys)
	switch {
	case err != nil || d.Keys == "":
		return "", fmt.Errorf("%s: the document has no jwks_uri", place(r.config.URL))
	case strings.HasPrefix(r.config.URL, "https:") && u.Scheme != "https":
		return "", errors.New("jwks_uri is not https, as the document itself is")
	}
	return d.Keys, nil
}
