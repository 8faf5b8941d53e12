// Package issuing has the proxy's side of TokenIssuers: the keys that tokens are
// signed with, what is published of them, and the bounds of guessing at secrets. What
// is counted outlives changes of the configuration.
//
// It owns no goroutines. Package proxy owns the Set, the filter tokenissuer asks its
// Issuers.
package issuing

import (
	"log/slog"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/token"
	"github.com/gridway/gridway/internal/telemetry/metric"
)

// Options of a Set.
type Options struct {
	Log *slog.Logger
}

// Set is the TokenIssuers of a proxy.
type Set struct {
	log      *slog.Logger
	gate     *token.Gate
	failures *failures

	mu    sync.Mutex // guards what follows
	named map[string]*Handle
}

// Handle is an issuer under the name that rules know it by.
type Handle struct{ now atomic.Pointer[Issuer] }

// New makes a Set that has nothing.
func New(o Options) *Set {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Set{
		log: o.Log, named: map[string]*Handle{}, failures: newFailures(),
		gate: token.NewGate(runtime.GOMAXPROCS(0) / 2),
	}
}

// Begin takes the issuers of a configuration that is about to be built.
func (s *Set) Begin(cfg *ir.Config) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range cfg.TokenIssuers {
		h := s.named[one.Name]
		if h == nil {
			h = &Handle{}
			s.named[one.Name] = h
		}
		before := h.now.Load()
		if before != nil && (before.Config == one || reflect.DeepEqual(before.Config, one)) {
			continue
		}
		counts := &Counts{}
		if before != nil {
			counts = before.counts
		}
		is := newIssuer(one, s, counts)
		h.now.Store(is)
		if before != nil && is.KeyID() != before.KeyID() {
			s.log.Info("tokens are signed with another key", "tokenIssuer", one.Name, "kid", is.KeyID())
		}
	}
}

// End forgets what the configuration, which serves now, does not have.
func (s *Set) End(cfg *ir.Config) {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make(map[string]bool, len(cfg.TokenIssuers))
	for _, one := range cfg.TokenIssuers {
		names[one.Name] = true
	}
	for name := range s.named {
		if !names[name] {
			delete(s.named, name)
		}
	}
}

// Issuer finds an issuer; nil if no configuration has it.
func (s *Set) Issuer(name string) *Handle {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.named[name]
}

// Current is the issuer as the configuration has it now, nil if there is none.
func (h *Handle) Current() *Issuer {
	if h == nil {
		return nil
	}
	return h.now.Load()
}

// Outcome is what became of a request for a token.
type Outcome int

// The first is a token; of the others each is an error of RFC 6749 §5.2 or RFC 8707
// §2, but for the last two.
const (
	Issued Outcome = iota
	InvalidRequest
	InvalidClient
	UnsupportedGrant
	InvalidScope
	InvalidTarget
	// TooMany failures of this client or from its address.
	TooMany
	// Unavailable: there is no key, or too many tokens are being signed.
	Unavailable
	outcomes
)

func (o Outcome) String() string { return metric.TokenOutcomes[o] }

var _ = [1]struct{}{}[len(metric.TokenOutcomes)-int(outcomes)] // they are the same

// Counts are of what became of requests for tokens.
type Counts [outcomes]atomic.Uint64

// State is what became of an issuer.
type State struct {
	// Name is "namespace/name"; Keys is how many are published.
	Name   string
	Keys   int
	Counts [outcomes]uint64
}

// States tells of all issuers.
func (s *Set) States(yield func(State)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, h := range s.named {
		is := h.Current()
		st := State{Name: name, Keys: len(is.signers)}
		for i := range is.counts {
			st.Counts[i] = is.counts[i].Load()
		}
		yield(st)
	}
}
