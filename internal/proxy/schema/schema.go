// Package schema keeps the descriptors that rules transcode with: those that a
// configuration has, read once for all its rules. They outlive snapshots for as
// long as a rule names them. Package proxy owns the Set; the snapshot asks it.
package schema

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filters/transcode"
	"github.com/gridway/gridway/internal/transcoding"
)

// Options of a Set.
type Options struct {
	Log *slog.Logger
}

// Set is the schemas of a proxy.
type Set struct {
	opts Options

	mu   sync.Mutex // guards what follows
	sets map[string][]byte
	read map[key]*fixed
}

// key is one choice of services of one set.
type key struct{ name, services string }

// New makes a Set that has nothing.
func New(o Options) *Set {
	return &Set{opts: o, sets: map[string][]byte{}, read: map[key]*fixed{}}
}

// Begin takes the descriptors of a configuration that is about to be built.
func (s *Set) Begin(cfg *ir.Config) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range cfg.Schemas {
		s.sets[one.Name] = one.Set
	}
}

// End forgets those that the configuration, which serves now, does not name.
func (s *Set) End(cfg *ir.Config) {
	s.mu.Lock()
	defer s.mu.Unlock()
	named := func(name string) bool {
		return slices.ContainsFunc(cfg.Schemas, func(one *ir.Schema) bool { return one.Name == name })
	}
	for name := range s.sets {
		if !named(name) {
			delete(s.sets, name)
		}
	}
	for k := range s.read {
		if !named(k.name) {
			delete(s.read, k)
		}
	}
}

// fixed is a schema that does not change.
type fixed struct{ schema *transcoding.Schema }

func (f *fixed) Schema() *transcoding.Schema { return f.schema }

// For finds the schema of a rule.
func (s *Set) For(r *ir.Rule) transcode.Source {
	t := r.Policy.Transcoding
	s.mu.Lock()
	defer s.mu.Unlock()
	k := key{t.Schema, strings.Join(t.Services, " ")}
	if f := s.read[k]; f != nil {
		return f
	}
	f := &fixed{}
	if t.Schema != "" {
		var err error
		// Compile has read it already, so that this is a defect.
		if f.schema, err = transcoding.Parse(s.sets[t.Schema], transcoding.Options{Services: t.Services}); err != nil {
			s.opts.Log.Error("descriptors cannot be used", "rule", r.ID, "error", fmt.Errorf("schema: %w", err))
		}
	}
	s.read[k] = f
	return f
}
