// Package login has the proxy's side of OpenID Connect: it finds out where a
// provider's endpoints are, redeems codes and refresh tokens there, and keeps
// sessions in encrypted cookies, so that any proxy with the same keys goes on with
// them. What it knows of a provider outlives changes of the configuration that do
// not concern it, and a provider that is down.
//
// It owns no goroutines: who asks a provider does so on a task that is detached. At
// any time one of those who want the same asks, the others wait. Package proxy owns
// the Set, the filter authentication asks its Logins.
package login

import (
	"context"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/seal"
)

// Options of a Set.
type Options struct {
	Log *slog.Logger
	// Offline asks nobody: for decisions about imagined requests.
	Offline bool
}

// Set is the logins of a proxy.
type Set struct {
	opts Options
	ctx  context.Context
	stop context.CancelFunc

	mu    sync.Mutex // guards what follows
	named map[string]*Handle
}

// Handle is a login under the name that methods know it by.
type Handle struct{ now atomic.Pointer[Login] }

// Login is a client of a provider, as one configuration has it.
type Login struct {
	config   *ir.Login
	provider *provider
	seals    seal.Keys
	// sessions are those that were opened lately, renewed what became of refresh
	// tokens.
	sessions *memory[*Session]
	renewed  *memory[*renewal]
	counts   *Counts
}

// New makes a Set that has nothing.
func New(o Options) *Set {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Set{opts: o, named: map[string]*Handle{}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// Close asks nobody any more.
func (s *Set) Close() {
	s.stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.named {
		h.Current().provider.close()
	}
}

// Begin takes the logins of a configuration that is about to be built.
func (s *Set) Begin(cfg *ir.Config) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range cfg.Logins {
		h := s.named[one.Name]
		if h == nil {
			h = &Handle{}
			s.named[one.Name] = h
		}
		before := h.now.Load()
		if before != nil && (before.config == one || reflect.DeepEqual(before.config, one)) {
			continue
		}
		h.now.Store(s.login(one, before))
	}
}

// login makes one that goes on with what is still true of the one before.
func (s *Set) login(one *ir.Login, before *Login) *Login {
	l := &Login{config: one}
	if before != nil && sameProvider(before.config, one) {
		l.provider, l.renewed, l.counts = before.provider, before.renewed, before.counts
	} else {
		if before != nil {
			before.provider.close()
		}
		l.provider, l.renewed, l.counts = s.newProvider(one), newMemory[*renewal](maxRenewed), &Counts{}
	}
	if before != nil && reflect.DeepEqual(before.config.CookieKeys, one.CookieKeys) && before.config.Issuer == one.Issuer && before.config.ClientID == one.ClientID {
		l.seals, l.sessions = before.seals, before.sessions
		return l
	}
	l.seals, l.sessions = seal.New(one.CookieKeys, "gridway login v1\x00"+one.Issuer+"\x00"+one.ClientID), newMemory[*Session](maxSessions)
	return l
}

func sameProvider(a, b *ir.Login) bool {
	return a.Issuer == b.Issuer && a.URL == b.URL && a.ClientID == b.ClientID && a.Plain == b.Plain && string(a.CA) == string(b.CA)
}

// End forgets what the configuration, which serves now, does not have.
func (s *Set) End(cfg *ir.Config) {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make(map[string]bool, len(cfg.Logins))
	for _, one := range cfg.Logins {
		names[one.Name] = true
	}
	for name, h := range s.named {
		if !names[name] {
			h.Current().provider.close()
			delete(s.named, name)
		}
	}
}

// Login finds a login; nil if no configuration has it.
func (s *Set) Login(name string) *Handle {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.named[name]
}

// Current is the login as the configuration has it now, nil if there is none.
func (h *Handle) Current() *Login {
	if h == nil {
		return nil
	}
	return h.now.Load()
}

// Usable tells whether anybody can log in.
func (l *Login) Usable() bool { return l != nil && !l.config.Broken }

// Counts are of a provider's answers.
type Counts struct {
	// Logins and Refreshes by Result.
	Logins, Refreshes [results]atomic.Uint64
}

// Result is what became of a question to the provider.
type Result int

const (
	Good Result = iota
	// Refused: the provider does not want to, or its answer cannot be accepted.
	Refused
	// Unavailable: it does not answer.
	Unavailable
	results
)

func (r Result) String() string { return [results]string{"ok", "refused", "unavailable"}[r] }

// States tells of all logins: "namespace/policy", and what was counted.
func (s *Set) States(yield func(policy, issuer string, c *Counts)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, h := range s.named {
		parts := strings.SplitN(name, "/", 3)
		l := h.Current()
		yield(strings.Join(parts[:min(len(parts), 2)], "/"), l.config.Issuer, l.counts)
	}
}

// Troubles tells of all providers what is wrong with them; nil is nothing that anybody
// has seen.
func (s *Set) Troubles(yield func(policy, issuer string, t *Trouble)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(s.named)) {
		parts := strings.SplitN(name, "/", 3)
		l := s.named[name].Current()
		yield(strings.Join(parts[:min(len(parts), 2)], "/"), l.config.Issuer, l.provider.trouble.Load())
	}
}

// Counted counts a login that has ended, and tells operators why it was none.
func (l *Login) Counted(err error) {
	count(&l.counts.Logins, err)
	if err != nil {
		l.provider.log.Warn("a login was not completed", "error", err)
	}
}
