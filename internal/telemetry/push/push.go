// Package push sends the metrics of a process by interval to the TelemetrySinks that take
// metrics: as OTLP, by the queues of telemetry/export, and as datagrams of DogStatsD.
//
// A Pusher owns a goroutine for each such sink, which Apply starts and ends, and Close
// ends. Sinks never hold up who counts: each one gathers by itself, and what it cannot
// send it drops and counts. The package imports ir and telemetry only.
package push

import (
	"context"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/telemetry/export"
	"github.com/gridway/gridway/internal/telemetry/otlp"
)

// Options of a Pusher.
type Options struct {
	// Gatherer has the metrics.
	Gatherer prometheus.Gatherer
	// Exporter has the queues of sinks of OTLP, and Resource says whose metrics they are.
	Exporter *export.Exporter
	Resource *otlp.Resource
	// Log is told of sinks that fail; nil is silence.
	Log *slog.Logger
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Ticks is time.NewTicker but in tests.
	Ticks func(every time.Duration) (ticks <-chan time.Time, stop func())
}

// Pusher sends metrics.
type Pusher struct {
	opt Options

	// applying is held by Apply and Close, which wait for pushes; a push may ask for
	// States, which wants mu alone.
	applying sync.Mutex
	closed   bool // guarded by applying

	mu    sync.Mutex // guards sinks; taken after applying
	sinks map[string]*running
}

// sink sends what was gathered.
type sink interface {
	// send has the families at a time. The first call of a new sink is prime.
	send(families []*dto.MetricFamily, now time.Time)
	prime(families []*dto.MetricFamily, now time.Time)
	every() time.Duration
	state() State
	close()
}

type running struct {
	cfg  *ir.TelemetrySink
	sink sink
	stop context.CancelFunc
	done chan struct{}
}

// State is what became of what a sink of DogStatsD was to be sent: lines, of which one
// is a number of one series.
type State struct {
	// Name is "namespace/name", Address where it is.
	Name, Address string
	Sent, Dropped uint64
	Failed        uint64
	// TooLong are the part of Dropped that fits no datagram.
	TooLong uint64
	// LastSent and LastFailed are when a push has gone well, and when something of one has
	// failed; zero is never.
	LastSent, LastFailed time.Time
	// Asked says that something was sent, or tried to be; Up that nothing of the last push
	// has failed, and Since when that is so. Problem is why something has. Datagrams of UDP
	// that nobody takes are known to be lost only if the host says so.
	Asked, Up bool
	Since     time.Time
	Problem   string
}

// New makes a Pusher without sinks.
func New(o Options) *Pusher {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Ticks == nil {
		o.Ticks = func(every time.Duration) (<-chan time.Time, func()) {
			t := time.NewTicker(every)
			return t.C, t.Stop
		}
	}
	return &Pusher{opt: o, sinks: map[string]*running{}}
}

// Apply sends to these sinks from now on, as far as they take metrics. One that did not
// change goes on where it was.
func (p *Pusher) Apply(list []*ir.TelemetrySink) {
	p.applying.Lock()
	defer p.applying.Unlock()
	if p.closed {
		return
	}
	there := map[string]bool{}
	for _, cfg := range list {
		if !cfg.Metrics || cfg.OTLP == nil && cfg.DogStatsD == nil {
			continue
		}
		there[cfg.Name] = true
		was := p.sinks[cfg.Name] // only who holds applying writes
		if was != nil && same(was.cfg, cfg) {
			continue
		}
		if was != nil {
			was.end()
		}
		p.set(cfg.Name, p.start(cfg))
	}
	for name, r := range p.sinks {
		if !there[name] {
			r.end()
			p.set(name, nil)
		}
	}
}

func (p *Pusher) set(name string, r *running) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r == nil {
		delete(p.sinks, name)
		return
	}
	p.sinks[name] = r
}

// same tells whether metrics are sent to two sinks alike. How OTLP is spoken is the
// exporter's matter.
func same(a, b *ir.TelemetrySink) bool {
	if a.OTLP != nil && b.OTLP != nil {
		return a.OTLP.MetricsInterval == b.OTLP.MetricsInterval
	}
	return reflect.DeepEqual(a.DogStatsD, b.DogStatsD) && (a.OTLP == nil) == (b.OTLP == nil)
}

func (p *Pusher) start(cfg *ir.TelemetrySink) *running {
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{cfg: cfg, stop: cancel, done: make(chan struct{})}
	if cfg.OTLP != nil {
		r.sink = &otlpSink{sink: p.opt.Exporter.Sink(cfg.Name), resource: p.opt.Resource, interval: cfg.OTLP.MetricsInterval}
	} else {
		r.sink = newStatsd(cfg.DogStatsD)
	}
	ticks, stop := p.opt.Ticks(r.sink.every())
	go func() {
		defer close(r.done)
		defer stop()
		p.run(ctx, r, ticks)
	}()
	return r
}

// run pushes at each tick, and once more at the end.
func (p *Pusher) run(ctx context.Context, r *running, ticks <-chan time.Time) {
	defer r.sink.close()
	if families, ok := p.gather(); ok {
		r.sink.prime(families, p.opt.Now())
	}
	for {
		select {
		case <-ctx.Done():
			p.push(r)
			return
		case <-ticks:
			p.push(r)
		}
	}
}

func (p *Pusher) push(r *running) {
	if families, ok := p.gather(); ok {
		r.sink.send(families, p.opt.Now())
	}
}

func (p *Pusher) gather() ([]*dto.MetricFamily, bool) {
	families, err := p.opt.Gatherer.Gather()
	if err != nil {
		p.opt.Log.Warn("some metrics cannot be gathered", "error", err)
	}
	return families, len(families) > 0
}

// end sends what was counted last, and waits until that is over.
func (r *running) end() {
	r.stop()
	<-r.done
}

// Close pushes once more to all, and ends. The exporter must be closed afterwards.
func (p *Pusher) Close() {
	p.applying.Lock()
	defer p.applying.Unlock()
	p.closed = true
	for _, r := range p.sinks {
		r.stop()
	}
	for _, r := range p.sinks {
		<-r.done
	}
}

// States are those of the sinks of DogStatsD, by name; those of OTLP are the exporter's.
func (p *Pusher) States() (out []State) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, r := range p.sinks {
		if r.cfg.DogStatsD != nil {
			s := r.sink.state()
			s.Name, s.Address = name, r.cfg.DogStatsD.Address
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b State) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// counts are those of State.
type counts struct{ sent, dropped, failed, tooLong atomic.Uint64 }
