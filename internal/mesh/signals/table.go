package signals

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/gridway/gridway/internal/telemetry/signal"
)

// resolution is how finely a part of the past is kept.
type resolution struct {
	step time.Duration
	span time.Duration
}

// resolutions are the finest first.
var resolutions = [...]resolution{
	{10 * time.Second, 15 * time.Minute},
	{time.Minute, 3 * time.Hour},
	{10 * time.Minute, Most},
}

func (r resolution) slot(t time.Time) int64 { return t.UnixNano() / int64(r.step) }

func (r resolution) time(slot int64) time.Time { return time.Unix(0, slot*int64(r.step)).UTC() }

const (
	// DefaultMemory is the limit of a Table in bytes, and MinMemory the least.
	DefaultMemory = 64 << 20
	MinMemory     = 1 << 20
	// live is how long a proxy counts as one that reports.
	live = 30 * time.Second
	// remember is how long it is known which reports a proxy has sent.
	remember = time.Hour
	// tidyEvery is how often what is too old is dropped.
	tidyEvery = time.Minute
	// maxWho is how many nodes a proxy may be that of.
	maxWho = 256
	// maxAhead is how far a clock may be set back before what was in the time that it then has
	// before it is forgotten.
	maxAhead = Step
	// maxShort leaves an hour and a half of 24.
	maxShort = 4
	// edgeBytes is what an edge needs beside its rings, about, with names of usualNames bytes
	// together.
	edgeBytes  = 400
	usualNames = 128
	// maxOfOne is how many edges of one workload are told apart, whatever its proxies say,
	// and shareOfOne the part of memory that as many of them may need.
	maxOfOne   = 2 * signal.MaxEdges
	shareOfOne = 4
	// reportersShare is the part of memory that is known of proxies at most.
	reportersShare = 4
	// reporterBytes is what a proxy needs beside what it has open, and openBytes each of
	// that.
	reporterBytes = 250
	openBytes     = 80
)

// Options of a Table.
type Options struct {
	// Memory is the limit in bytes; 0 is DefaultMemory, and less than MinMemory that.
	Memory int64
	// Now is the clock; nil is the process's.
	Now func() time.Time
}

// Table has what proxies have reported. Any goroutine may use it.
type Table struct {
	opt Options

	mu    sync.RWMutex // guards what follows
	since time.Time
	// at is the latest that the clock was seen to show, in Unix nanoseconds, unless it was
	// set back since.
	at        int64
	edges     map[signal.Key]*edge
	reporters map[reporterKey]*reporter
	// of is how many edges there are of each workload: those that its own proxies tell.
	of     map[signal.Who]int
	memory int64
	// told is the part of memory that reporters have.
	told   int64
	folded uint64
	// restored is when the first row began that was restored; zero is none.
	restored time.Time
	// short halves how far back is kept, that many times, where memory is scarce.
	short   int
	tidied  time.Time
	scratch scratch
}

type edge struct {
	key signal.Key
	// names is how long the names in the key are.
	names int
	rings [len(resolutions)]ring
	seen  time.Time
}

func (e *edge) size() int64 {
	n := edgeBytes + max(0, e.names-usualNames)
	for i := range e.rings {
		n += cap(e.rings[i].log)
	}
	return int64(n)
}

type reporterKey struct {
	proxy       string
	incarnation uint64
}

// reporter is a proxy that reports.
type reporter struct {
	// gone: its connection has ended, and it has told nothing since.
	gone     bool
	sequence uint64
	// before has a bit for each of the 64 sequences before, from the one just before on, that
	// was heard: other control planes may tell of reports in another order.
	before uint64
	seen   time.Time
	// who are the nodes whose proxy it is.
	who []signal.Who
	// open is what it has open.
	open map[signal.Key]int64
}

func (r *reporter) size() int64 { return int64(reporterBytes + openBytes*len(r.open) + 8*cap(r.who)) }

// New makes a Table.
func New(o Options) *Table {
	o.Memory = max(cmp.Or(o.Memory, DefaultMemory), MinMemory)
	if o.Now == nil {
		o.Now = time.Now
	}
	now := o.Now()
	return &Table{opt: o, since: now, at: now.UnixNano(), tidied: now, edges: map[signal.Key]*edge{}, reporters: map[reporterKey]*reporter{}, of: map[signal.Who]int{}}
}

// Batch is what one proxy has seen in some time.
type Batch struct {
	// Proxy names it, and Incarnation its process. Each Sequence counts once; one that is 64
	// or more behind the highest counts as heard.
	Proxy                 string
	Incarnation, Sequence uint64
	// Who is the workload whose proxy it is; zero is that the edges tell.
	Who signal.Who
	// Age is how long ago it ended, and Length how long it was.
	Age, Length time.Duration
	Edges       []signal.Edge
}

// Add takes a batch up. It is false for one that was heard already.
func (t *Table) Add(b *Batch) bool {
	now := t.opt.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.look(now)
	if now.Sub(t.tidied) >= tidyEvery {
		if t.short > 0 && t.memory < t.opt.Memory/3 {
			t.short--
		}
		t.tidy(now)
	}
	if !t.heard(b, now) {
		return false
	}
	to := now.Add(-min(max(b.Age, 0), Most))
	over := partsOf(to.Add(-min(max(b.Length, 0), Most)), to)
	others := map[signal.Key]*signal.Edge{}
	for i := range b.Edges {
		e := &b.Edges[i]
		if e.Count() == 0 {
			continue
		}
		if t.full(&e.Key) {
			k := e.Folded()
			if others[k] == nil {
				others[k] = &signal.Edge{Key: k}
			}
			others[k].Add(&e.Counts)
			t.folded++
			continue
		}
		t.put(e, over, now)
	}
	for _, e := range others {
		t.put(e, over, now)
	}
	if t.told > t.opt.Memory/reportersShare {
		t.forget()
	}
	for t.memory > t.opt.Memory && t.short < maxShort {
		t.short++
		t.tidy(now)
	}
	if t.memory > t.opt.Memory {
		t.fold()
	}
	return true
}

// look has a clock that was set back take all of the future along: what is counted there
// would never be too old, would count again when the clock is there, and costs each report a
// look at all of the past. t.mu is held.
func (t *Table) look(now time.Time) {
	set := now.UnixNano() < t.at-int64(maxAhead)
	t.at = max(t.at, now.UnixNano())
	if !set {
		return
	}
	t.at = now.UnixNano()
	wall := time.Unix(0, t.at)
	if t.since.UnixNano() > t.at {
		t.since = wall
	}
	if t.restored.After(wall) {
		t.restored = time.Time{}
	}
	for _, r := range t.reporters {
		if r.seen.After(now) {
			r.seen = now
		}
	}
	for _, e := range t.edges {
		t.memory -= e.size()
		for i := range e.rings {
			e.rings[i].cut(resolutions[i].slot(wall))
		}
		if e.seen.After(now) {
			e.seen = now
		}
		t.memory += e.size()
	}
	t.tidy(now)
}

// heard takes up that a proxy has reported, unless it has already.
func (t *Table) heard(b *Batch, now time.Time) bool {
	k := reporterKey{b.Proxy, b.Incarnation}
	r := t.reporters[k]
	if r == nil {
		r = &reporter{}
		t.reporters[k] = r
		t.tell(r.size())
	} else if !r.fresh(b.Sequence) {
		return false
	} else if b.Sequence < r.sequence { // what is open now was told later
		r.hear(b.Sequence)
		return true
	}
	t.tell(-r.size())
	r.hear(b.Sequence)
	r.seen, r.open, r.gone = now, nil, false
	if b.Who != (signal.Who{}) {
		r.who = append(r.who[:0], b.Who)
	}
	for i := range b.Edges {
		e := &b.Edges[i]
		if e.Open > 0 {
			if r.open == nil {
				r.open = map[signal.Key]int64{}
			}
			r.open[e.Key] += e.Open
		}
		if b.Who == (signal.Who{}) {
			own := e.Source
			if e.Side == signal.Server {
				own = e.Destination
			}
			if len(r.who) < maxWho && !slices.Contains(r.who, own) {
				r.who = append(r.who, own)
			}
		}
	}
	t.tell(r.size())
	return true
}

// Gone tells that a proxy's process has ended, or lost its connection: until it reports
// again it has nothing open, and is none that reports.
func (t *Table) Gone(proxy string, incarnation uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r := t.reporters[reporterKey{proxy, incarnation}]; r != nil {
		t.tell(-r.size())
		r.gone, r.open = true, nil
		t.tell(r.size())
	}
}

// alive tells whether it reports now.
func (r *reporter) alive(now time.Time) bool { return !r.gone && now.Sub(r.seen) <= live }

// tell notes that reporters need so many bytes more.
func (t *Table) tell(n int64) {
	t.memory += n
	t.told += n
}

// fresh tells whether a sequence was not heard yet.
func (r *reporter) fresh(sequence uint64) bool {
	if sequence > r.sequence {
		return true
	}
	behind := r.sequence - sequence
	return behind > 0 && behind <= 64 && r.before&(1<<(behind-1)) == 0
}

// hear notes one.
func (r *reporter) hear(sequence uint64) {
	if sequence < r.sequence {
		r.before |= 1 << (r.sequence - sequence - 1)
		return
	}
	if ahead := sequence - r.sequence; ahead <= 64 {
		r.before = r.before<<ahead | 1<<(ahead-1)
	} else {
		r.before = 0
	}
	r.sequence = sequence
}

// parts are the slots that counts are spread over, of the finest resolution that reaches
// over all of their time, and coarser ones.
type parts struct {
	resolution  int
	first, last int64
}

// partsOf are those of a time. What is of one report is in the slot in which it ends:
// reports are shorter than slots.
func partsOf(from, to time.Time) parts {
	i := finest(to.Sub(from), 0)
	r := resolutions[i]
	p := parts{resolution: i, first: r.slot(to), last: r.slot(to)}
	if to.Sub(from) >= 2*resolutions[0].step {
		p.first = min(r.slot(from)+1, p.last)
	}
	return p
}

// put adds what was seen of an edge, in equal parts.
func (t *Table) put(in *signal.Edge, over parts, now time.Time) {
	e := t.edges[in.Key]
	if e == nil {
		e = t.add(in.Key)
	} else {
		t.memory -= e.size()
	}
	e.seen = now
	if over.first < over.last {
		t.spread(e, &in.Counts, over)
	} else {
		over.add(&e.rings, over.last, &in.Counts, &t.scratch)
	}
	t.memory += e.size()
}

// add adds to a slot of the finest resolution that is spread over, and to those of coarser
// ones that it is in.
func (p parts) add(rings *[len(resolutions)]ring, slot int64, c *signal.Counts, s *scratch) {
	at := resolutions[p.resolution].time(slot)
	for k := p.resolution; k < len(rings); k++ {
		rings[k].add(resolutions[k].slot(at), c, s)
	}
}

// spread adds counts to several slots. They are brought together in their order first, as
// each slot that is added before the last costs a look at all of the ring.
func (t *Table) spread(e *edge, c *signal.Counts, over parts) {
	var rings [len(resolutions)]ring
	n := uint64(over.last - over.first + 1)
	for i := range n {
		if part := share(c, i, n); part.Count() > 0 {
			over.add(&rings, over.first+int64(i), part, &t.scratch)
		}
	}
	for k := range rings {
		if !rings[k].empty() {
			e.rings[k].merge(&rings[k], &t.scratch)
		}
	}
}

// share is the i-th of n parts of counts, which together are all of them.
func share(c *signal.Counts, i, n uint64) *signal.Counts {
	part := func(v uint64) uint64 { return v/n*(i+1) + v%n*(i+1)/n - v/n*i - v%n*i/n }
	out := &signal.Counts{Errors: part(c.Errors), Nanos: part(c.Nanos), In: part(c.In), Out: part(c.Out), InDatagrams: part(c.InDatagrams), OutDatagrams: part(c.OutDatagrams)}
	for k, v := range c.Classes {
		out.Classes[k] = part(v)
	}
	for k, v := range c.Latency {
		out.Latency[k] = part(v)
	}
	return out
}

// tidy drops what is too old. t.mu is held.
func (t *Table) tidy(now time.Time) {
	t.tidied = now
	for k, r := range t.reporters {
		if now.Sub(r.seen) > remember {
			t.tell(-r.size())
			delete(t.reporters, k)
		} else if now.Sub(r.seen) > live && r.open != nil {
			t.tell(-r.size())
			r.open = nil
			t.tell(r.size())
		}
	}
	for k, e := range t.edges {
		t.memory -= e.size()
		left := false
		for i := range e.rings {
			e.rings[i].trim(resolutions[i].slot(now.Add(-t.span(i))))
			left = left || !e.rings[i].empty()
		}
		if !left {
			t.remove(k)
			continue
		}
		t.memory += e.size()
	}
}

// span is how far back a resolution is kept now.
func (t *Table) span(i int) time.Duration { return resolutions[i].span >> t.short }

// State tells how it stands.
func (t *Table) State() State {
	now := t.opt.Now()
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.state(now)
}

func (t *Table) state(now time.Time) State {
	s := State{Edges: len(t.edges), Memory: t.memory, Limit: t.opt.Memory, Folded: t.folded, History: t.span(len(resolutions) - 1).Seconds(), Since: t.since}
	for _, r := range t.reporters {
		if r.alive(now) {
			s.Proxies++
		}
	}
	return s
}
