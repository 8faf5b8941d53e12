package signal

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/telemetry/latency"
	"github.com/gridway/gridway/internal/telemetry/stripe"
)

// Bounds of a Recorder.
const (
	// MaxEdges is how many are told apart; what is beyond counts as one from TheOthers to
	// TheOthers, by side and protocol.
	MaxEdges = 2048
	// maxCells bounds what processors have of them together. A cell is of about 500 bytes.
	maxCells = 4 * MaxEdges
	// MaxHosts is how many External hosts are told apart.
	MaxHosts = 256
	// Keep is how long an edge is remembered that nothing passes over.
	Keep = 15 * time.Minute
	// idleRounds is after how many looks a processor forgets one.
	idleRounds = 12
)

// Recorder counts by edge. Make it with New; all its methods may be called at any time.
type Recorder struct {
	now     func() time.Time
	stripes *stripe.Chooser
	lanes   []lane
	cells   atomic.Int64
	// folded is how often an edge, or a host, was one too many.
	folded atomic.Uint64

	mu sync.Mutex // guards what follows
	// totals are what was moved out of the lanes.
	totals map[Key]*total
	hosts  map[string]*host
}

// lane has the edges that one processor meets.
type lane struct {
	mu    sync.Mutex // guards what follows
	cells map[Key]*cell
	near  near
	_     [64]byte // of its own cache line
}

// cell is what one processor has counted of an edge since the last look.
type cell struct {
	classes [Classes]uint32
	errors  uint32
	idle    uint32 // looks without anything
	nanos   uint64
	in, out uint64
	// datagrams are from the client, and to it.
	datagrams [2]uint64
	open      int64 // those that were opened, less those that were closed
	latency   [latency.Buckets]uint32
}

// total is what is known of an edge.
type total struct {
	all, fresh Counts
	open       int64
	reported   bool // Open was not 0 when it was taken last
	seen       time.Time
}

type host struct {
	who  Who
	seen time.Time
}

// New makes a Recorder; now is the clock, nil the process's.
func New(now func() time.Time) *Recorder {
	if now == nil {
		now = time.Now
	}
	r := &Recorder{now: now, stripes: stripe.New(), totals: map[Key]*total{}, hosts: map[string]*host{}}
	r.lanes = make([]lane, r.stripes.Len())
	for i := range r.lanes {
		r.lanes[i].cells = map[Key]*cell{}
	}
	return r
}

// Record counts what was seen. It allocates nothing for an edge that the processor knows.
func (r *Recorder) Record(k Key, s *Seen) {
	l := &r.lanes[r.stripes.Choose()]
	l.mu.Lock()
	r.cell(l, &k).count(s)
	l.mu.Unlock()
}

// RecordBoth is Record for the two edges of an exchange that came and went on, of which
// one without a Source is none.
func (r *Recorder) RecordBoth(in, out *Key, came, went *Seen) {
	l := &r.lanes[r.stripes.Choose()]
	l.mu.Lock()
	if in.Source != (Who{}) {
		r.cell(l, in).count(came)
	}
	if out.Source != (Who{}) {
		r.cell(l, out).count(went)
	}
	l.mu.Unlock()
}

func (c *cell) count(s *Seen) {
	class := s.class()
	c.classes[class]++
	if class == 5 || class == 0 && !s.Cancelled {
		c.errors++
	}
	c.nanos += uint64(max(s.Duration, 0))
	c.in += uint64(max(s.In, 0))
	c.out += uint64(max(s.Out, 0))
	c.datagrams[0] += uint64(max(s.InDatagrams, 0))
	c.datagrams[1] += uint64(max(s.OutDatagrams, 0))
	c.latency[latency.Bucket(s.Duration)]++
}

// Open counts a connection or a stream that lasts: n is 1 when it begins and -1 when it
// ends.
func (r *Recorder) Open(k Key, n int64) {
	l := &r.lanes[r.stripes.Choose()]
	l.mu.Lock()
	r.cell(l, &k).open += n
	l.mu.Unlock()
}

// cell is that of an edge. l.mu is held.
func (r *Recorder) cell(l *lane, k *Key) *cell {
	known := l.near.of(k)
	if known.cell != nil && known.key == *k {
		return known.cell
	}
	c := l.cells[*k]
	if c == nil {
		return r.add(l, *k)
	}
	known.key, known.cell = *k, c
	return c
}

// add makes the cell of an edge, or finds the one for all that are too many. l.mu is held.
func (r *Recorder) add(l *lane, k Key) *cell {
	if r.cells.Load() >= maxCells {
		if folded := k.Folded(); k != folded {
			r.folded.Add(1)
			k = folded
		}
		if c := l.cells[k]; c != nil {
			return c
		}
	}
	r.cells.Add(1)
	c := new(cell)
	l.cells[k] = c
	return c
}

// Folded is the edge that stands for all that are too many.
func (k Key) Folded() Key {
	return Key{Source: TheOthers, Destination: TheOthers, Side: k.Side, Protocol: k.Protocol}
}

// Host is the External host of a name; it is TheOthers if there are too many.
func (r *Recorder) Host(name string) Who {
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.hosts[name]
	if h == nil {
		if len(r.hosts) >= MaxHosts {
			r.dropHosts(now)
		}
		if len(r.hosts) >= MaxHosts {
			r.folded.Add(1)
			return TheOthers
		}
		h = &host{who: Of(Party{Kind: External, Name: name})}
		r.hosts[name] = h
	}
	h.seen = now
	return h.who
}

func (r *Recorder) dropHosts(now time.Time) {
	for name, h := range r.hosts {
		if now.Sub(h.seen) > Keep {
			delete(r.hosts, name)
		}
	}
}

// gather moves what lanes have into the totals. r.mu is held.
func (r *Recorder) gather() {
	now := r.now()
	for i := range r.lanes {
		r.drain(&r.lanes[i], now)
	}
	for k, t := range r.totals {
		if t.open == 0 && !t.reported && now.Sub(t.seen) > Keep && t.fresh.Count() == 0 {
			delete(r.totals, k)
		}
	}
}

func (r *Recorder) drain(l *lane, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for k, c := range l.cells {
		if !c.used() {
			if c.idle++; c.idle > idleRounds {
				delete(l.cells, k)
				l.near = near{}
				r.cells.Add(-1)
			}
			continue
		}
		t := r.total(k)
		t.seen = now
		t.open += c.open
		c.addTo(&t.fresh)
		c.addTo(&t.all)
		*c = cell{}
	}
}

// total finds or makes the total of an edge, or that of all that are too many.
func (r *Recorder) total(k Key) *total {
	t := r.totals[k]
	if t != nil {
		return t
	}
	if len(r.totals) >= MaxEdges {
		folded := k.Folded()
		if k != folded {
			r.folded.Add(1)
		}
		k = folded
		if t = r.totals[k]; t != nil {
			return t
		}
	}
	t = new(total)
	r.totals[k] = t
	return t
}

func (c *cell) used() bool {
	if c.open != 0 {
		return true
	}
	for _, n := range c.classes {
		if n > 0 {
			return true
		}
	}
	return false
}

func (c *cell) addTo(to *Counts) {
	for i, n := range c.classes {
		to.Classes[i] += uint64(n)
	}
	to.Errors += uint64(c.errors)
	to.Nanos += c.nanos
	to.In += c.in
	to.Out += c.out
	to.InDatagrams += c.datagrams[0]
	to.OutDatagrams += c.datagrams[1]
	for i, n := range c.latency {
		to.Latency[i] += uint64(n)
	}
}

// Take returns what was counted since the last call, in no order: edges that something
// has passed over, and those that have something open or had it at the last call.
func (r *Recorder) Take() []Edge {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gather()
	var out []Edge
	for k, t := range r.totals {
		if t.fresh.Count() == 0 && t.open == 0 && !t.reported {
			continue
		}
		out = append(out, Edge{Key: k, Counts: t.fresh, Open: t.open})
		t.fresh, t.reported = Counts{}, t.open != 0
	}
	return out
}

// Totals returns all that was counted of each edge since it was seen first, in no order,
// and how often one was folded because there were too many.
func (r *Recorder) Totals() (edges []Edge, folded uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gather()
	edges = make([]Edge, 0, len(r.totals))
	for k, t := range r.totals {
		edges = append(edges, Edge{Key: k, Counts: t.all, Open: t.open})
	}
	return edges, r.folded.Load()
}
