package app

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/gridway/gridway/internal/config/lint"
	"github.com/gridway/gridway/internal/config/source/file"
	"github.com/gridway/gridway/internal/config/status"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/surface/adminapi"
)

// state is what the admin API tells.
type state struct {
	phase adminapi.State
	set   *store.Set
	// files has what is in files alone.
	files  *store.Set
	config *ir.Config
	mesh   *ir.Mesh
	// statuses are as compile gave them; progress is what they do not know.
	statuses func() []status.Object
	progress status.Progress
	problems []store.Problem
	at       time.Time
	took     time.Duration
	failure  *adminapi.Failure
	// unopened are listeners without a socket, and why; reopening is when they
	// are tried again. defects is what else could not be put in service.
	unopened  map[string]string
	reopening reopening
	defects   error
	// versions are the accepted versions of objects.
	versions map[store.Key]version
	refused  map[store.Key]refusal
}

// version is a version of an object that serves, and the revision it came with.
type version struct {
	hash     uint64
	revision uint64
	// moment numbers the views of a mesh from which on it is in them; zero is none.
	moment uint64
}

type refusal struct {
	since time.Time
	at    store.Position
	why   []string
}

// apply compiles a snapshot and puts it in service. An error means that a part
// of it could not be; at a start that is fatal, later it is told and the rest
// serves.
func (g *Gateway) apply(ctx context.Context, snap file.Snapshot, first bool) error {
	g.applying.Lock()
	defer g.applying.Unlock()
	return g.applyLocked(ctx, snap, first)
}

// applyAgain puts in service what has changed elsewhere than in the source.
func (g *Gateway) applyAgain(ctx context.Context) error {
	g.applying.Lock()
	defer g.applying.Unlock()
	snap := g.base
	snap.Changed = nil
	return g.applyLocked(ctx, snap, false)
}

// applyLocked is apply for who holds g.applying.
func (g *Gateway) applyLocked(ctx context.Context, snap file.Snapshot, first bool) error {
	if err := ctx.Err(); err != nil {
		return err // it is the successor's
	}
	began := time.Now()
	before := g.out
	g.base = snap
	g.filesAre(snap.Set)
	if first {
		var hidden []*store.Object
		snap.Set, hidden = g.complete(snap.Set)
		snap.Problems = append(slices.Clone(snap.Problems), g.storeProblems(snap.Set, hidden)...)
	} else {
		snap = g.compile(ctx, snap)
	}
	cfg := g.out.Config
	var (
		err       error
		workloads []ir.EndpointUpdate
	)
	if g.control != nil {
		if workloads, err = g.control.compiled(cfg, g.out.Mesh); err != nil {
			return err
		}
	}
	if first || cfg != before.Config {
		mine := g.mine(cfg)
		found := append(g.discovery.Prepare(ctx, mine.Clusters), workloads...)
		if err := ctx.Err(); err != nil {
			return err // it is to stop
		}
		err = g.plane.Apply(ctx, mine, found...)
		g.discovery.Set(mine.Clusters)
	}
	if err != nil && first && !g.managedAlone(cfg, snap.Set, err) {
		return err
	}
	took := time.Since(began)
	problems := append(slices.Clone(snap.Problems), g.out.Problems...)
	problems = append(problems, g.lint(cfg, snap.Set)...)
	changed := first || cfg != before.Config
	known := map[string]bool{}
	for _, p := range g.Problems() {
		known[p.String()] = true
	}
	g.record(snap, problems, began, took, changed, err)
	g.report(snap, problems, known, took, changed, err)
	if first {
		return nil // what is left of err is tried again
	}
	return err
}

// mine is what the process's own proxy has of a configuration: nothing of it in a
// process that is a control plane alone.
func (g *Gateway) mine(cfg *ir.Config) *ir.Config {
	if g.opt.ControlOnly {
		return &ir.Config{Revision: cfg.Revision}
	}
	return cfg
}

// lint looks through a configuration that was applied, in the proxy's own tables.
func (g *Gateway) lint(cfg *ir.Config, set *store.Set) []store.Problem {
	built := g.plane.Snapshot()
	return lint.CheckTables(cfg, set, func(name string) lint.Table {
		if l := built.Listeners[name]; l != nil && l.Table != nil {
			return l.Table
		}
		return nil
	})
}

// record remembers what became of a snapshot.
func (g *Gateway) record(snap file.Snapshot, problems []store.Problem, began time.Time, took time.Duration, changed bool, err error) {
	cfg := g.out.Config
	open, moment := g.plane.Listening(), g.moment()
	g.mu.Lock()
	defer g.mu.Unlock()
	s := &g.state
	s.set, s.config, s.mesh, s.problems = snap.Set, cfg, g.out.Mesh, problems
	if changed {
		s.at, s.took = began.Add(took), took
		s.failure = nil
		if err != nil {
			s.failure = &adminapi.Failure{At: s.at, Error: err.Error()}
		}
		var closed map[string]string
		closed, s.defects = sortErrors(err)
		s.unopened = unopened(g.mine(cfg), open, closed, s.defects)
		s.reopening = reopening{}
		if len(closed) > 0 {
			g.pokeReopen()
		}
	}
	g.applied.Add(1)
	s.statuses = g.out.Statuses
	s.progress = progress(cfg, s.unopened)
	s.judgeVersions(snap, problems, version{revision: cfg.Revision, moment: moment}, began)
}

// progress is how far a configuration has come, with listeners that are not open.
func progress(cfg *ir.Config, unopened map[string]string) status.Progress {
	return status.Progress{Revision: cfg.Revision, Serving: 1, Total: 1, Failed: failedSections(cfg, unopened)}
}

// moment is the number of the newest views of the mesh; zero without one.
func (g *Gateway) moment() uint64 {
	if g.control == nil {
		return 0
	}
	return g.control.views.Since(math.MaxUint64).Moment
}

// accepted is since when an object is what it is in a set; zero if that is not known: it was
// refused, or it was not noticed that it has changed.
func (g *Gateway) accepted(set *store.Set, k store.Key) version {
	if set == nil {
		return version{}
	}
	o := set.Get(k)
	if o == nil {
		return version{}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if v := g.state.versions[k]; v.hash == o.Hash {
		return v
	}
	return version{}
}

func failedSections(cfg *ir.Config, unopened map[string]string) map[string]string {
	failed := map[string]string{}
	for _, l := range cfg.Listeners {
		if why, bad := unopened[l.Name]; bad {
			for _, s := range l.Sections {
				failed[s.Name] = why
			}
		}
	}
	return failed
}

// judgeVersions finds out which objects are refused, since when, and which
// revision brought the version that serves in their place.
func (s *state) judgeVersions(snap file.Snapshot, problems []store.Problem, as version, now time.Time) {
	set := snap.Set
	refused := map[store.Key]refusal{}
	for _, p := range problems {
		if p.Severity != store.Error || p.Object == (store.Key{}) {
			continue
		}
		r, ok := refused[p.Object]
		if !ok {
			r.since, r.at = now, p.Position
			if old, was := s.refused[p.Object]; was {
				r.since = old.since
			}
		}
		if !slices.Contains(r.why, p.Message) {
			r.why = append(r.why, p.Message)
		}
		refused[p.Object] = r
	}
	if s.versions != nil && len(refused)+len(s.refused) == 0 {
		// Only what changed needs a look.
		for _, k := range snap.Changed {
			if o := set.Get(k); o == nil {
				delete(s.versions, k)
			} else if s.versions[k].hash != o.Hash {
				as.hash = o.Hash
				s.versions[k] = as
			}
		}
		return
	}
	versions := make(map[store.Key]version, set.Len())
	for _, gk := range set.Kinds() {
		for _, o := range set.Kind(gk.Group, gk.Kind) {
			v, known := s.versions[o.Key]
			if _, bad := refused[o.Key]; !bad && (!known || v.hash != o.Hash) {
				as.hash = o.Hash
				v, known = as, true
			}
			if known {
				versions[o.Key] = v
			}
		}
	}
	s.versions, s.refused = versions, refused
}

// report tells the log and the metrics. Problems that are known are not logged
// again with each change of something else.
func (g *Gateway) report(snap file.Snapshot, problems []store.Problem, known map[string]bool, took time.Duration, changed bool, err error) {
	severities := map[string]int{string(store.Error): 0, string(store.Warning): 0, string(store.Note): 0}
	for _, p := range problems {
		severities[string(p.Severity)]++
		if known[p.String()] {
			continue
		}
		switch p.Severity {
		case store.Error:
			g.log.Error("configuration", "problem", p.String())
		case store.Warning:
			g.log.Warn("configuration", "problem", p.String())
		}
	}
	kinds := map[string]int{}
	for _, gk := range snap.Set.Kinds() {
		kinds[gk.Kind] += len(snap.Set.Kind(gk.Group, gk.Kind))
	}
	g.metrics.SetProblems(severities)
	g.metrics.SetObjects(kinds)
	cfg := g.out.Config
	switch {
	case err != nil:
		g.metrics.ReloadFailed()
		g.log.Error("a part of the configuration could not be put in service; the rest serves", "revision", cfg.Revision, "error", err)
	case changed:
		g.metrics.Reloaded(cfg.Revision, took)
		g.log.Info("configuration in service", "revision", cfg.Revision, "objects", snap.Set.Len(), "changed", len(snap.Changed), "took", took.Round(time.Microsecond))
	}
	if changed {
		g.metrics.Keep(cfg)
	}
}

func (g *Gateway) setPhase(p adminapi.State) {
	g.mu.Lock()
	g.state.phase = p
	g.mu.Unlock()
	g.metrics.SetReady(p == adminapi.Serving)
}
