// Package outlet leads access logs to where policies want them: to the log that the process
// was started with, and to TelemetrySinks, which are files, the standard output and
// receivers of OTLP. It decides by status and rate what is logged at all.
//
// Set owns the loggers of its files and of the standard output, which Close ends. Package
// proxy imports it.
package outlet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/telemetry/accesslog"
	"github.com/gridway/gridway/internal/telemetry/export"
	"github.com/gridway/gridway/internal/telemetry/otlp"
)

// Options of a Set.
type Options struct {
	// Main is the log that the process was started with; nil is none.
	Main *accesslog.Logger
	// Omit are fields that leave the process nowhere.
	Omit accesslog.Omitted
	// Exporter has the receivers of OTLP, and Resource says who sends.
	Exporter *export.Exporter
	Resource *otlp.Resource
	// Stdout is the standard output.
	Stdout io.Writer
	Log    *slog.Logger
}

// Set has the outlets of a process, and what policies come to.
type Set struct {
	opt Options

	policies atomic.Pointer[map[uint64]*Policy] // by ir.Telemetry.Key; never changed

	mu      sync.Mutex // guards what follows
	loggers map[string]*output
	closed  bool
	closing sync.WaitGroup
}

// output is a logger by the name of its sink. The logger is nil while nothing of the name
// is configured.
type output struct {
	cfg    *ir.TelemetrySink
	file   *File
	logger atomic.Pointer[accesslog.Logger]
}

// New makes a Set without outlets.
func New(o Options) *Set {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Set{opt: o, loggers: map[string]*output{}}
	s.policies.Store(&map[uint64]*Policy{})
	return s
}

// Apply opens files that are new, and closes what is not configured any more.
func (s *Set) Apply(list []*ir.TelemetrySink) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	var errs []error
	there := map[string]bool{}
	for _, cfg := range list {
		if cfg.File == nil && !cfg.StandardOutput {
			continue
		}
		there[cfg.Name] = true
		o := s.named(cfg.Name)
		switch {
		case o.cfg != nil && o.file != nil && cfg.File != nil && o.cfg.File.Path == cfg.File.Path:
			o.file.Set(cfg.File)
		case o.cfg != nil && o.cfg.StandardOutput && cfg.StandardOutput:
		default:
			if err := s.open(o, cfg); err != nil {
				errs = append(errs, fmt.Errorf("telemetry sink %s: %w", cfg.Name, err))
				continue // what was there goes on
			}
		}
		o.cfg = cfg
	}
	for name, o := range s.loggers {
		if o.cfg != nil && !there[name] {
			s.close(o)
		}
	}
	return errors.Join(errs...)
}

func (s *Set) named(name string) *output {
	o := s.loggers[name]
	if o == nil {
		o = &output{}
		s.loggers[name] = o
	}
	return o
}

func (s *Set) open(o *output, cfg *ir.TelemetrySink) error {
	out := s.opt.Stdout
	var file *File
	log := s.opt.Log
	if cfg.File != nil {
		var err error
		if file, err = OpenFile(cfg.File, log); err != nil {
			return err
		}
		out = file
	}
	if out == nil {
		return errors.New("the process has no standard output")
	}
	s.close(o)
	o.file = file
	o.logger.Store(accesslog.New(out, accesslog.Options{Omit: s.opt.Omit, Log: log}))
	return nil
}

// close ends what an output has, in the background: the file may be slow.
func (s *Set) close(o *output) {
	logger, file := o.logger.Swap(nil), o.file
	o.cfg, o.file = nil, nil
	if logger == nil {
		return
	}
	s.closing.Go(func() {
		if err := finish(logger, file); err != nil {
			s.opt.Log.Warn("the end of an access log was lost", "error", err)
		}
	})
}

func finish(logger *accesslog.Logger, file *File) error {
	ctx, cancel := context.WithTimeout(context.Background(), accesslog.FlushTimeout)
	defer cancel()
	err := logger.Close(ctx)
	if file != nil {
		err = errors.Join(err, file.Close())
	}
	return err
}

// Reopen opens all files anew, after they were renamed.
func (s *Set) Reopen(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, o := range s.loggers {
		if l := o.logger.Load(); l != nil && o.file != nil {
			errs = append(errs, l.Reopen(ctx))
		}
	}
	return errors.Join(errs...)
}

// Close writes what is left, and ends.
func (s *Set) Close() {
	s.mu.Lock()
	s.closed = true
	for _, o := range s.loggers {
		s.close(o)
	}
	s.mu.Unlock()
	s.closing.Wait()
}

// State is how a sink of this Set is: a file or the standard output.
type State struct {
	// Name is "namespace/name"; Path is that of the file, or empty.
	Name, Path string
	accesslog.Stats
	accesslog.Health
}

// States are those of the sinks that are configured, in the order of their names.
func (s *Set) States() (out []State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(s.loggers)) {
		o := s.loggers[name]
		l := o.logger.Load()
		if l == nil {
			continue
		}
		st := State{Name: name, Stats: l.Stats(), Health: l.Health()}
		if o.file != nil {
			st.Path = o.file.path
		}
		out = append(out, st)
	}
	return out
}

// maxPolicies bounds what is remembered of policies; they are made anew where it is reached.
const maxPolicies = 4096

// Of is what a policy comes to; nil is that the process's own log has everything.
func (s *Set) Of(t *ir.Telemetry) *Policy {
	if s == nil || t == nil || t.AccessLog == nil {
		return nil
	}
	if p := (*s.policies.Load())[t.Key]; p != nil {
		return p
	}
	return s.remember(t)
}

func (s *Set) remember(t *ir.Telemetry) *Policy {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := *s.policies.Load()
	if p := was[t.Key]; p != nil {
		return p
	}
	now := make(map[uint64]*Policy, len(was)+1)
	if len(was) < maxPolicies {
		for k, p := range was {
			now[k] = p
		}
	}
	p := s.policy(t.AccessLog)
	now[t.Key] = p
	s.policies.Store(&now)
	return p
}

// policy makes one. mu is held.
func (s *Set) policy(a *ir.AccessLogPolicy) *Policy {
	p := &Policy{set: s, sampling: a.Sampling, format: accesslog.NewFormat(a)}
	switch {
	case a.Off:
		p.off = true
	case !a.OwnSinks:
		p.main = s.opt.Main
		p.off = p.main == nil
	default:
		p.off = len(a.Sinks) == 0
		for _, name := range a.Sinks {
			p.loggers = append(p.loggers, s.named(name))
			if s.opt.Exporter != nil {
				p.sinks = append(p.sinks, s.opt.Exporter.Sink(name))
			}
		}
	}
	return p
}

// Policy says what is logged of exchanges, and where. It is never changed.
type Policy struct {
	set      *Set
	off      bool
	sampling []ir.LogSampling
	format   *accesslog.Format
	main     *accesslog.Logger
	// A name is that of a logger or of a receiver; the other one of the two is idle.
	loggers []*output
	sinks   []*export.Sink
}

// Format is how its lines are written.
func (p *Policy) Format() *accesslog.Format { return p.format }

// Wants decides whether an exchange with this status is logged.
func (p *Policy) Wants(status int) bool {
	if p.off {
		return false
	}
	for i := range p.sampling {
		if x := &p.sampling[i]; x.Least <= status && status <= x.Most {
			return x.Rate >= ir.RateOfAll || rand.IntN(ir.RateOfAll) < x.Rate //nolint:gosec // it is a sample
		}
	}
	return true
}

// Log writes an entry, which the policy wants. It never waits.
func (p *Policy) Log(e *accesslog.Entry) {
	p.format.Redact(e)
	if p.main != nil {
		p.main.LogAs(e, p.format)
		return
	}
	p.set.opt.Omit.Apply(e)
	for _, o := range p.loggers {
		if l := o.logger.Load(); l != nil {
			l.LogAs(e, p.format)
		}
	}
	for _, s := range p.sinks {
		if s.Takes() {
			accesslog.Record(e, p.format, func(record []byte) { s.Send(export.Logs, p.set.opt.Resource, record) })
		}
	}
}
