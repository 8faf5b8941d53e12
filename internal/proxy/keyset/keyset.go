// Package keyset has the public keys that tokens are verified with: those that the
// configuration has, and those of servers, which it fetches and keeps fresh. Keys
// that were fetched are kept for as long as the server does not give newer ones,
// whatever becomes of it, and over changes of the configuration that do not change
// where they come from.
//
// A Set owns a goroutine for each place that it fetches from; Close ends them and
// waits. Package proxy owns the Set, the filters ask its Keys.
package keyset

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/jwt"
)

// Options of a Set.
type Options struct {
	Log *slog.Logger
}

// Set is the key sets of a proxy.
type Set struct {
	opts Options
	ctx  context.Context
	stop context.CancelFunc
	work sync.WaitGroup

	mu sync.Mutex // guards what follows
	// named are the key sets of configurations, by name.
	named map[string]*Keys
	// sources are where keys come from, by all that says so.
	sources map[string]source
	// adopted are keys that another process had fetched, by the digest of all that
	// says where they come from.
	adopted map[[digestLen]byte][]byte
}

// Keys is one key set, under the name that methods know it by.
type Keys struct {
	config atomic.Pointer[ir.KeySet]
	from   atomic.Pointer[source]
}

// source is where keys come from.
type source interface {
	// current are the keys that there are, nil if there are none.
	current() *jwt.Set
	// renew waits for others than known, if there may be some soon, and returns
	// what there is then. Wait is called before it waits.
	renew(known *jwt.Set, wait func()) *jwt.Set
	close()
}

// New makes a Set that has nothing.
func New(o Options) *Set {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Set{opts: o, named: map[string]*Keys{}, sources: map[string]source{}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// Close fetches nothing any more.
func (s *Set) Close() {
	s.stop()
	s.work.Wait()
}

// Begin takes the key sets of a configuration that is about to be built, and
// begins to fetch those that are new.
func (s *Set) Begin(cfg *ir.Config) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range cfg.KeySets {
		k := s.named[one.Name]
		if k == nil {
			k = &Keys{}
			s.named[one.Name] = k
		}
		from := s.source(one)
		k.config.Store(one)
		k.from.Store(&from)
	}
}

// source finds or makes where a key set comes from.
func (s *Set) source(one *ir.KeySet) source {
	id := identity(one)
	if from := s.sources[id]; from != nil {
		return from
	}
	var from source
	if one.URL == "" {
		f := &fixed{}
		if len(one.Inline) > 0 {
			var err error
			// Compile has read it already, so that this is a defect.
			if f.set, _, err = jwt.ParseSet(one.Inline); err != nil {
				s.opts.Log.Error("keys cannot be used", "keys", one.Name, "error", err)
			}
		}
		from = f
	} else {
		from = s.remote(one, id)
	}
	s.sources[id] = from
	return from
}

// identity is all that says where keys come from.
func identity(one *ir.KeySet) string {
	own := *one
	own.Name, own.Source = "", ""
	text, _ := json.Marshal(&own) // plain data
	return string(text)
}

// End forgets what the configuration, which serves now, does not have.
func (s *Set) End(cfg *ir.Config) {
	s.mu.Lock()
	defer s.mu.Unlock()
	names, sources := make(map[string]bool, len(cfg.KeySets)), make(map[string]bool, len(cfg.KeySets))
	for _, one := range cfg.KeySets {
		names[one.Name], sources[identity(one)] = true, true
	}
	for name := range s.named {
		if !names[name] {
			delete(s.named, name)
		}
	}
	for id, from := range s.sources {
		if !sources[id] {
			from.close()
			delete(s.sources, id)
		}
	}
}

// Keys finds a key set; nil if no configuration has it.
func (s *Set) Keys(name string) *Keys {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.named[name]
}

// Current are the keys that there are, nil if there are none yet.
func (k *Keys) Current() *jwt.Set {
	if k == nil {
		return nil
	}
	if from := k.from.Load(); from != nil {
		return (*from).current()
	}
	return nil
}

// Renew is for a token that known has no key for, known being nil where there were
// none. It waits for newer keys if there may be some soon, and returns what there
// is then. Wait is called before it waits.
func (k *Keys) Renew(known *jwt.Set, wait func()) *jwt.Set {
	if k == nil {
		return nil
	}
	if from := k.from.Load(); from != nil {
		return (*from).renew(known, wait)
	}
	return nil
}

// fixed are keys that the configuration has.
type fixed struct{ set *jwt.Set }

func (f *fixed) current() *jwt.Set               { return f.set }
func (f *fixed) renew(*jwt.Set, func()) *jwt.Set { return f.set }
func (f *fixed) close()                          {}
