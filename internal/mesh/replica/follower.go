package replica

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/gridway/gridway/internal/mesh/meshpb"
	"github.com/gridway/gridway/internal/mesh/question"
	"github.com/gridway/gridway/internal/mesh/report"
	"github.com/gridway/gridway/internal/mesh/signals"
	"github.com/gridway/gridway/internal/telemetry/signal"
)

const (
	// lookEvery is how often it is looked for others, and againAfter how soon one is asked
	// anew that did not answer.
	lookEvery  = 2 * time.Second
	againAfter = 2 * time.Second
	// maxProxyName bounds the name of who has reported, in bytes.
	maxProxyName = 2048
	// settled is after what time one that is found was not there at the start.
	settled = 10 * time.Second
)

// FollowerOptions are for NewFollower.
type FollowerOptions struct {
	Dialer *Dialer
	// Take gets what proxies of others have reported.
	Take func(*signals.Batch)
	Log  *slog.Logger
	// Restored: what was reported before the start is known already, by the state store.
	Restored bool
	// Every is how often it is looked for others; 0 is two seconds.
	Every time.Duration
}

// Follower takes in what the proxies of other control planes report.
type Follower struct {
	opt FollowerOptions

	began time.Time // set by Run

	mu    sync.Mutex
	peers map[string]*followed // guarded by mu, by ID
}

// followed is one control plane.
type followed struct {
	stop    context.CancelFunc
	control string
	// why is why it is not heard, empty if it is; since is when that began. Both are guarded
	// by the Follower's mu.
	why   string
	since time.Time
	// query is empty if what the peer keeps is to be told, too. It is follow's.
	query string
}

// NewFollower makes a Follower. Nothing happens before Run.
func NewFollower(o FollowerOptions) *Follower {
	o.Every = cmp.Or(o.Every, lookEvery)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Follower{opt: o, peers: map[string]*followed{}}
}

// Run follows all that are there until ctx ends.
func (f *Follower) Run(ctx context.Context) {
	f.began = time.Now()
	var wg sync.WaitGroup
	defer wg.Wait()
	tick := time.NewTicker(f.opt.Every)
	defer tick.Stop()
	for {
		f.look(ctx, &wg)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look follows those that have come, and leaves those that are gone.
func (f *Follower) look(ctx context.Context, wg *sync.WaitGroup) {
	there := map[string]bool{}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.opt.Dialer.Peers() {
		there[p.ID] = true
		if x := f.peers[p.ID]; x != nil {
			x.control = p.Control
			continue
		}
		one, stop := context.WithCancel(ctx)
		x := &followed{stop: stop, control: p.Control, why: "it was not asked yet", since: time.Now().UTC()}
		if f.opt.Restored && time.Since(f.began) < settled {
			x.query = onlyNew // a part of it is in what was restored
		}
		f.peers[p.ID] = x
		wg.Go(func() { f.follow(one, p.ID, x) })
	}
	for id, x := range f.peers {
		if !there[id] {
			x.stop()
			delete(f.peers, id)
		}
	}
}

// follow takes in what one tells until ctx ends.
func (f *Follower) follow(ctx context.Context, id string, x *followed) {
	for ctx.Err() == nil {
		err := f.hear(ctx, id, x)
		if ctx.Err() != nil {
			return
		}
		f.mu.Lock()
		if x.why == "" {
			x.since = time.Now().UTC()
			f.opt.Log.Warn("what proxies of another control plane report of the service graph is missing", "control", x.control, "error", err)
		}
		x.why = err.Error()
		f.mu.Unlock()
		timer := time.NewTimer(againAfter)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

var errGone = errors.New("it is gone")

func (f *Follower) hear(ctx context.Context, id string, x *followed) error {
	peers := f.opt.Dialer.Peers()
	at := slices.IndexFunc(peers, func(p Peer) bool { return p.ID == id })
	if at < 0 {
		return errGone
	}
	err := f.opt.Dialer.Ask(ctx, peers[at], question.Ask{Kind: question.KindSignals, Query: x.query, Take: func(p *question.Part) error {
		f.mu.Lock()
		x.why = ""
		f.mu.Unlock()
		x.query = "" // what comes while it is not heard is wanted
		for _, item := range p.Items {
			b, lost, err := readShared(item)
			if err != nil {
				return err
			}
			if lost > 0 {
				f.opt.Log.Warn("reports of the service graph were lost on the way from another control plane, which has too many", "control", x.control, "reports", lost)
			}
			if b != nil {
				f.opt.Take(b)
			}
		}
		return nil
	}})
	if err == nil {
		err = errors.New("it has ended its answer")
	}
	return err
}

// readShared reads what a control plane gives; b is nil if there is no report in it.
func readShared(item []byte) (b *signals.Batch, lost uint64, err error) {
	m := &meshpb.SharedSignals{}
	if err := proto.Unmarshal(item, m); err != nil {
		return nil, 0, fmt.Errorf("what it tells of reports cannot be read: %w", err)
	}
	if m.GetReport() == nil {
		return nil, m.GetLost(), nil
	}
	if m.GetProxy() == "" || len(m.GetProxy()) > maxProxyName {
		return nil, 0, errors.New("a report is of nobody, or has too long a name")
	}
	r := m.GetReport()
	edges, _, _, err := report.ReadSignals(r, func(signal.Party) bool { return true }) // its control plane has judged that
	if err != nil {
		return nil, 0, fmt.Errorf("a report of %.80q: %w", m.GetProxy(), err)
	}
	b = &signals.Batch{
		Proxy: m.GetProxy(), Incarnation: r.GetIncarnation(), Sequence: r.GetSequence(), Age: report.Milliseconds(m.GetAge()), Length: report.Milliseconds(r.GetLength()), Edges: edges,
	}
	if m.GetWho() != nil {
		p, err := report.ReadParty(m.GetWho())
		if err != nil {
			return nil, 0, err
		}
		b.Who = signal.Of(p)
	}
	return b, m.GetLost(), nil
}

// Unreached are the control planes whose proxies' reports do not come, by name.
func (f *Follower) Unreached() (out []signals.Unreached) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, x := range f.peers {
		if x.why != "" {
			out = append(out, signals.Unreached{Control: x.control, Why: x.why, Since: x.since})
		}
	}
	slices.SortFunc(out, func(a, b signals.Unreached) int { return cmp.Compare(a.Control, b.Control) })
	return out
}
