// Package export sends records of telemetry out of the process: spans, metrics and log
// records, encoded as OTLP has them, to the TelemetrySinks that are configured. Whoever
// sends never waits: each sink has a bounded queue for each signal, and what finds no room
// is dropped and counted. A sink that changes keeps its queues.
//
// An Exporter owns a goroutine for each signal of each sink, which Close ends. The package
// imports telemetry/otlp, ir and wire/tlsx; it knows no control plane.
package export

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gridway/gridway/internal/ir"
)

// endTimeout bounds how long a sink that is not configured any more is sent what waits.
const endTimeout = 5 * time.Second

// Options of an Exporter. The zero value is useful.
type Options struct {
	// Log is told of sinks that fail; nil is silence.
	Log *slog.Logger
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Exporter has the sinks of a process.
type Exporter struct {
	opt Options

	mu      sync.Mutex // guards what follows
	sinks   map[string]*entry
	closed  bool
	closing sync.WaitGroup // sinks that were taken out
}

type entry struct {
	sink *Sink
	cfg  *ir.TelemetrySink // nil while nothing of that name is configured
}

// New makes an Exporter without sinks.
func New(o Options) *Exporter {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Exporter{opt: o, sinks: map[string]*entry{}}
}

// Sink returns the sink of a name, "namespace/name", whether it is configured or not. It
// is the same as long as the Exporter is there.
func (x *Exporter) Sink(name string) *Sink {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.named(name).sink
}

func (x *Exporter) named(name string) *entry {
	e := x.sinks[name]
	if e == nil {
		e = &entry{sink: &Sink{name: name, log: x.opt.Log, now: x.opt.Now}}
		x.sinks[name] = e
	}
	return e
}

// Apply makes the sinks of a configuration run. One that cannot be, because of its
// certificates, stays as it is. Sinks of other kinds than OTLP are not its matter.
func (x *Exporter) Apply(list []*ir.TelemetrySink) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return nil
	}
	var errs []error
	there := map[string]bool{}
	for _, cfg := range list {
		if cfg.OTLP == nil {
			continue
		}
		there[cfg.Name] = true
		e := x.named(cfg.Name)
		if e.cfg != nil && same(e.cfg, cfg) {
			e.cfg = cfg
			continue
		}
		t, err := newTransport(cfg.OTLP)
		if err != nil {
			errs = append(errs, fmt.Errorf("telemetry sink %s: %w", cfg.Name, err))
			continue
		}
		if running := e.sink.running.Load(); running != nil {
			running.change(cfg, t)
		} else {
			e.sink.start(cfg, t)
		}
		e.cfg = cfg
	}
	for name, e := range x.sinks {
		if e.cfg == nil || there[name] {
			continue
		}
		e.cfg = nil
		running := e.sink.running.Swap(nil)
		x.closing.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), endTimeout)
			defer cancel()
			running.end(ctx)
		})
	}
	return errors.Join(errs...)
}

// same tells whether two configurations of a sink are spoken to alike.
func same(a, b *ir.TelemetrySink) bool {
	return a == b || a.QueueItems == b.QueueItems && a.QueueBytes == b.QueueBytes && reflect.DeepEqual(a.OTLP, b.OTLP)
}

// Close takes nothing more, sends what waits until ctx ends, and ends all goroutines.
func (x *Exporter) Close(ctx context.Context) {
	x.mu.Lock()
	x.closed = true
	var all sync.WaitGroup
	for _, e := range x.sinks {
		if r := e.sink.running.Swap(nil); r != nil {
			all.Go(func() { r.end(ctx) })
		}
	}
	x.mu.Unlock()
	all.Wait()
	x.closing.Wait()
}

// State is how a sink is.
type State struct {
	// Name is "namespace/name", Address where it is.
	Name, Address string
	// Asked says that something was sent, or tried to be; Up that the last was taken, and
	// Since when that is so. Problem is why it was not.
	Asked, Up bool
	Since     time.Time
	Problem   string
	Signals   []SignalState
}

// SignalState counts records since the sink was configured.
type SignalState struct {
	Signal Signal
	// Sent were taken; Rejected were not, of requests that were; Failed were given up;
	// Dropped found no room. Retries count requests that were tried again.
	Sent, Rejected, Failed, Dropped, Retries uint64
	// Refused, Expired and Ended are parts of Failed: the receiver will not have them, it
	// could not take them for too long, or the sink or the process has ended.
	Refused, Expired, Ended uint64
	// Items and Bytes wait, or are being sent; there may be as many as the limits.
	Items, ItemsLimit int
	Bytes, BytesLimit int64
	// LastSent and LastFailed are when a request was taken, and when one was not, tried
	// again or not; zero is never.
	LastSent, LastFailed time.Time
}

// States are those of the sinks that are configured, in the order of their names.
func (x *Exporter) States() []State {
	x.mu.Lock()
	defer x.mu.Unlock()
	var out []State
	for name, e := range x.sinks {
		r := e.sink.running.Load()
		if e.cfg == nil || r == nil {
			continue
		}
		s := State{Name: name, Address: e.cfg.OTLP.Address}
		r.mu.Lock()
		s.Asked, s.Up, s.Since, s.Problem = r.asked, r.up, r.since, r.problem
		r.mu.Unlock()
		for signal, q := range r.queues {
			s.Signals = append(s.Signals, q.state(Signal(signal)))
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b State) int { return strings.Compare(a.Name, b.Name) })
	return out
}
