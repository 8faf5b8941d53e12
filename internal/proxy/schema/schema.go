// Package schema keeps the descriptors that rules transcode with: those that a
// configuration has, read once for all its rules, and those that endpoints have,
// whom it asks. They outlive snapshots for as long as a rule needs them. A Set owns
// a goroutine for each cluster that it asks; Close ends them and waits. Package
// proxy owns the Set; the snapshot asks it.
package schema

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filters/transcode"
	"github.com/gridway/gridway/internal/proxy/upstream"
	"github.com/gridway/gridway/internal/transcoding"
)

// Options of a Set.
type Options struct {
	Log *slog.Logger
	// Upstreams has the clusters that are asked.
	Upstreams *upstream.Set
}

// Set is the schemas of a proxy.
type Set struct {
	opts Options
	ctx  context.Context
	stop context.CancelFunc
	work sync.WaitGroup

	mu   sync.Mutex // guards what follows
	sets map[string][]byte
	read map[key]*fixed
	// asked are the clusters that are asked.
	asked map[question]*reflected
}

// key is one choice of services of one set.
type key struct{ name, services string }

// New makes a Set that has nothing.
func New(o Options) *Set {
	s := &Set{opts: o, sets: map[string][]byte{}, read: map[key]*fixed{}, asked: map[question]*reflected{}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// Close asks nobody any more.
func (s *Set) Close() {
	s.stop()
	s.work.Wait()
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
	if len(s.asked) == 0 {
		return
	}
	used := map[question]bool{}
	for _, route := range cfg.Routes {
		for _, r := range route.Rules {
			if t := r.Policy.Transcoding; t != nil && t.Reflection != nil {
				used[questionOf(r)] = true
			}
		}
	}
	for q, r := range s.asked {
		if !used[q] {
			r.cancel()
			delete(s.asked, q)
		}
	}
}

// questionOf is what the endpoints of a rule's first backend are asked for.
func questionOf(r *ir.Rule) question {
	t := r.Policy.Transcoding
	q := question{host: t.Reflection.Host, services: strings.Join(t.Services, " "), refresh: t.Reflection.Refresh}
	for i := range r.Backends {
		if q.cluster = r.Backends[i].Cluster; q.cluster != "" {
			break
		}
	}
	return q
}

// reflectedFor begins to ask unless that is done already.
func (s *Set) reflectedFor(rule *ir.Rule) *reflected {
	q := questionOf(rule)
	r := s.asked[q]
	if r == nil {
		var ctx context.Context
		r = &reflected{set: s, question: q, services: rule.Policy.Transcoding.Services}
		ctx, r.cancel = context.WithCancel(s.ctx)
		s.asked[q] = r
		s.work.Go(func() { r.run(ctx) })
	}
	return r
}

// Reflected is the schema that the endpoints of a rule have told, as it is when
// somebody looks. It asks nobody.
func (s *Set) Reflected(r *ir.Rule) transcode.Source { return told{s, questionOf(r)} }

type told struct {
	set      *Set
	question question
}

func (t told) Schema() *transcoding.Schema {
	t.set.mu.Lock()
	r := t.set.asked[t.question]
	t.set.mu.Unlock()
	if r == nil {
		return nil
	}
	return r.Schema()
}

// fixed is a schema that does not change.
type fixed struct{ schema *transcoding.Schema }

func (f *fixed) Schema() *transcoding.Schema { return f.schema }

// For finds the schema of a rule.
func (s *Set) For(r *ir.Rule) transcode.Source {
	t := r.Policy.Transcoding
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.Reflection != nil {
		return s.reflectedFor(r)
	}
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
