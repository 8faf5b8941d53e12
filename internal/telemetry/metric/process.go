package metric

import (
	"maps"
	"sync"
	"time"
)

// process is what is counted once for the whole process.
type process struct {
	mu        sync.Mutex // guards all
	revision  uint64
	successes uint64
	failures  uint64
	last      time.Time
	took      time.Duration
	lastOK    bool
	problems  map[string]int
	objects   map[string]int
	ready     bool
}

// Reloaded records that a revision was put in service after d of work.
func (r *Registry) Reloaded(revision uint64, d time.Duration) {
	p := &r.process
	p.mu.Lock()
	defer p.mu.Unlock()
	p.revision, p.took, p.last, p.lastOK = revision, d, r.opt.Now(), true
	p.successes++
}

// ReloadFailed records that a configuration could not be put in service.
func (r *Registry) ReloadFailed() {
	p := &r.process
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lastOK = false
	p.failures++
}

// SetProblems says how many problems of each severity the configuration has now.
func (r *Registry) SetProblems(bySeverity map[string]int) {
	p := &r.process
	p.mu.Lock()
	defer p.mu.Unlock()
	p.problems = maps.Clone(bySeverity)
}

// SetObjects says how many objects of each kind the configuration has now.
func (r *Registry) SetObjects(byKind map[string]int) {
	p := &r.process
	p.mu.Lock()
	defer p.mu.Unlock()
	p.objects = maps.Clone(byKind)
}

// SetReady says whether the process is ready for traffic.
func (r *Registry) SetReady(ready bool) {
	p := &r.process
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ready = ready
}
