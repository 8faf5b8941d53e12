// Package collect keeps what proxies tell of traffic (see package report): in the state
// store, by the day and bounded, where all control planes add to the same. It is what
// policies are suggested from.
//
// A Collector's goroutine is the one of Run; a control plane owns it.
package collect

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gridway/gridway/internal/mesh/evidence"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/meshpb"
	"github.com/gridway/gridway/internal/statedb"
)

const (
	// maxReport is how many a report has at most.
	maxReport = 8192
	// maxFlows is how many rows an answer is made of.
	maxFlows = 200_000

	flushEvery  = 10 * time.Second
	flushWithin = 10 * time.Second
	dayLength   = 24 * time.Hour
)

// Options of a Collector.
type Options struct {
	DB *statedb.DB
	// May tells whether a proxy may speak for a service's workloads.
	May func(who identity.ID, namespace, service string) bool
	// Signals takes what a proxy has counted by edge; refused says how much of it was not
	// taken, and why. It may be nil.
	Signals func(who identity.ID, r *meshpb.SignalReport) (refused uint32, why string, err error)
	// Troubles takes what is not well on a proxy's way to others, of who sends. It may be nil.
	Troubles func(who identity.ID, r *meshpb.TroubleReport) error
	// Gone is told when the last stream of a process of such reports is over. It may be nil.
	Gone func(who identity.ID, incarnation uint64)
	// Identity is who sends.
	Identity func(context.Context) (string, error)
	// Every is how often what was heard goes to the state store; 0 is ten seconds.
	Every time.Duration
	// Now is the clock; nil is the process's.
	Now func() time.Time
	Log *slog.Logger
}

// Collector keeps what proxies have seen.
type Collector struct {
	meshpb.UnimplementedTelemetryServer
	opt Options

	mu sync.Mutex // guards what follows
	// heard is what the state store has not got yet, by its key.
	heard map[rowKey]*statedb.MeshTraffic
	// days are what is known of each day that reports are about.
	days map[int64]*day
	// streams are those of each process that reports signals.
	streams map[process]int

	flushing sync.Mutex // is held by who writes
}

// process is one of a proxy.
type process struct {
	who         identity.ID
	incarnation uint64
}

type rowKey struct {
	day int64
	key string
}

// New makes a Collector.
func New(o Options) *Collector {
	if o.Every == 0 {
		o.Every = flushEvery
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Collector{opt: o, heard: map[rowKey]*statedb.MeshTraffic{}, days: map[int64]*day{}, streams: map[process]int{}}
}

// Register serves proxies.
func (c *Collector) Register(r grpc.ServiceRegistrar) { meshpb.RegisterTelemetryServer(r, c) }

// Report implements meshpb.TelemetryServer.
func (c *Collector) Report(stream grpc.BidiStreamingServer[meshpb.TrafficReport, meshpb.TrafficReceived]) error {
	text, err := c.opt.Identity(stream.Context())
	if err != nil {
		return status.Error(codes.Unauthenticated, err.Error())
	}
	who, err := identity.Parse(text)
	if err != nil {
		return status.Error(codes.Unauthenticated, err.Error())
	}
	of := process{who: who} // that reports of signals are of
	defer func() { c.left(of) }()
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		begun := time.Now()
		answer := &meshpb.TrafficReceived{Sequence: r.GetSequence()}
		if len(r.GetFlows()) > maxReport {
			return status.Errorf(codes.InvalidArgument, "a report has %d kinds of traffic at most", maxReport)
		}
		for _, f := range r.GetFlows() {
			if why := c.take(who, f); why != "" {
				answer.Refused++
				answer.Why = why
			}
		}
		if g := r.GetSignals(); g != nil && c.opt.Signals != nil {
			if n := g.GetIncarnation(); of.incarnation == 0 && n != 0 {
				of.incarnation = n
				c.entered(of)
			} else if of.incarnation != n {
				return status.Error(codes.InvalidArgument, "a stream has reports of one process")
			}
			refused, why, err := c.opt.Signals(who, g)
			if err != nil {
				return status.Error(codes.InvalidArgument, err.Error())
			}
			if answer.Refused += refused; refused > 0 {
				answer.Why = why
			}
		}
		if t := r.GetTroubles(); t != nil && c.opt.Troubles != nil {
			if err := c.opt.Troubles(who, t); err != nil {
				return status.Error(codes.InvalidArgument, err.Error())
			}
		}
		if err := stream.Send(answer); err != nil {
			return err
		}
		if err := pause(stream.Context(), time.Since(begun)); err != nil {
			return err
		}
	}
}

func (c *Collector) entered(p process) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.streams[p]++
}

// left tells that a process is gone, unless it is on another stream already: that a
// connection is dead may be known late.
func (c *Collector) left(p process) {
	if p.incarnation == 0 {
		return
	}
	c.mu.Lock()
	c.streams[p]--
	last := c.streams[p] == 0
	if last {
		delete(c.streams, p)
	}
	c.mu.Unlock()
	if last && c.opt.Gone != nil {
		c.opt.Gone(p.who, p.incarnation)
	}
}

const (
	// restOf is how often as long as its last report took a stream is not read, and maxRest
	// how long at most: a proxy that tells without end takes a fifth of a processor.
	restOf  = 4
	maxRest = 10 * time.Second
)

// pause rests from a report that took so long. Proxies report every five seconds, and do
// not notice.
func pause(ctx context.Context, took time.Duration) error {
	rest := time.NewTimer(min(restOf*took, maxRest))
	defer rest.Stop()
	select {
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	case <-rest.C:
		return nil
	}
}

// take adds what a proxy says, or says why not.
func (c *Collector) take(who identity.ID, f *meshpb.TrafficFlow) (why string) {
	if why := judge(f); why != "" {
		return why
	}
	if !c.opt.May(who, f.GetNamespace(), f.GetService()) {
		return "a proxy speaks for its own workloads alone, and not for " + f.GetNamespace() + "/" + f.GetService()
	}
	now := c.opt.Now()
	last := min(f.GetLast(), now.UnixMilli()) // its clock may be another
	first := min(f.GetFirst(), last)
	if last < now.Add(-evidence.Keep).UnixMilli() {
		return "it is older than what is kept"
	}
	k := kindOf(f)
	row := &statedb.MeshTraffic{
		// What is older than yesterday, whose kinds are bounded no more, counts as of then.
		Day: max(last/dayLength.Milliseconds(), now.UnixMilli()/dayLength.Milliseconds()-1), Namespace: f.GetNamespace(), Service: f.GetService(), Seen: int64(f.GetCount()), Failed: int64(min(f.GetFailed(), f.GetCount())),
		Duration: int64(min(f.GetDuration(), 1<<50)), First: first, Last: last, Addresses: int64(f.GetAddresses() & (1<<63 - 1)),
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	k = c.bounded(row.Day, f.GetNamespace(), f.GetService(), k)
	row.Content, row.Key = k.encode(f.GetNamespace(), f.GetService())
	at := rowKey{row.Day, row.Key}
	had := c.heard[at]
	if had == nil {
		c.heard[at] = row
		return ""
	}
	add(had, row)
	return ""
}

// bounded is the kind, or one that stands for many. c.mu is held.
func (c *Collector) bounded(number int64, namespace, service string, k kind) kind {
	d := c.days[number]
	if d == nil {
		d = newDay()
		c.days[number] = d
	}
	return d.bounded(namespace, service, k)
}

// add adds what was seen of the same kind.
func add(to, more *statedb.MeshTraffic) {
	to.Seen, to.Failed, to.Duration = sum(to.Seen, more.Seen), sum(to.Failed, more.Failed), sum(to.Duration, more.Duration)
	to.First, to.Last = min(to.First, more.First), max(to.Last, more.Last)
	to.Addresses |= more.Addresses
}

// Run puts what was heard into the state store until ctx ends.
func (c *Collector) Run(ctx context.Context) error {
	c.recall(ctx)
	tick := time.NewTicker(c.opt.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushWithin)
			defer cancel()
			if err := c.Flush(last); err != nil {
				c.opt.Log.Warn("what was seen of traffic in the last seconds is lost", "error", err)
			}
			return nil
		case <-tick.C:
		}
		if err := c.Flush(ctx); err != nil && ctx.Err() == nil {
			c.opt.Log.Warn("what proxies have seen cannot be kept, and is tried again", "error", err)
		}
	}
}

// recall reads which kinds there are of the days that are bounded, so that a restart does
// not raise the bounds.
func (c *Collector) recall(ctx context.Context) {
	yesterday := c.today() - 1
	var rows []statedb.MeshTraffic
	err := c.opt.DB.Read(ctx, func(tx *statedb.Tx) (err error) {
		rows, err = tx.MeshTraffic(ctx, "", "", yesterday, 0, 2*MaxOfDay)
		return err
	})
	if err != nil {
		return // Flush says it
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range rows {
		if k, err := decodeKind(rows[i].Content); err == nil && k.Port != 0 {
			c.bounded(rows[i].Day, rows[i].Namespace, rows[i].Service, k)
		}
	}
}

func (c *Collector) today() int64 { return c.opt.Now().UnixMilli() / dayLength.Milliseconds() }

// batch is how many rows are written at once.
const batch = 500

// Flush puts what was heard into the state store. What could not be written is kept.
func (c *Collector) Flush(ctx context.Context) error {
	c.flushing.Lock()
	defer c.flushing.Unlock()
	c.mu.Lock()
	heard := c.heard
	c.heard = map[rowKey]*statedb.MeshTraffic{}
	oldest := c.today() - int64(evidence.Keep/dayLength)
	maps.DeleteFunc(c.days, func(number int64, _ *day) bool { return number < c.today()-1 })
	c.mu.Unlock()
	rows := slices.SortedFunc(maps.Values(heard), func(a, b *statedb.MeshTraffic) int { // in one order, so that replicas do not wait for each other in circles
		if a.Day != b.Day {
			return int(a.Day - b.Day)
		}
		if a.Key < b.Key {
			return -1
		}
		return 1
	})
	for len(rows) > 0 {
		n := min(len(rows), batch)
		err := c.opt.DB.Write(ctx, func(tx *statedb.Tx) error {
			for _, r := range rows[:n] {
				if err := tx.AddMeshTraffic(ctx, r); err != nil {
					return err
				}
			}
			return tx.DropMeshTraffic(ctx, oldest)
		})
		if err != nil {
			c.again(rows)
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// again keeps rows for the next Flush.
func (c *Collector) again(rows []*statedb.MeshTraffic) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range rows {
		at := rowKey{r.Day, r.Key}
		if had := c.heard[at]; had != nil {
			add(r, had)
		}
		c.heard[at] = r
	}
}
