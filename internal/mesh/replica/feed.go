package replica

import (
	"context"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/gridway/gridway/internal/mesh/meshpb"
	"github.com/gridway/gridway/internal/mesh/report"
	"github.com/gridway/gridway/internal/mesh/signals"
	"github.com/gridway/gridway/internal/telemetry/signal"
)

const (
	// Reports are kept for those that follow: so many bytes, and so long. Somebody whose
	// connection is lost for a shorter time misses nothing.
	maxKept = 16 << 20
	keepFor = 5 * time.Minute
	// onlyNew is the query that leaves away what is kept.
	onlyNew = "new"
	// atOnce is how many travel together.
	atOnce = 64
)

// Feed has what the proxies of this control plane have reported lately, for others. It
// implements question.Answerer for the kind question.KindSignals. While nobody has asked for
// a while it keeps nothing. Any goroutine may use it.
type Feed struct {
	now func() time.Time

	mu sync.Mutex // guards what follows
	// kept are the reports from number first on.
	kept  []*kept
	first uint64
	bytes int
	// followers ask now; asked is when one of them did last.
	followers int
	asked     time.Time
	// more is closed when there is another report.
	more chan struct{}
	over chan struct{} // is closed by End
}

type kept struct {
	m     *meshpb.SharedSignals
	size  int
	ended time.Time // that of which it tells
	heard time.Time
}

// NewFeed makes a Feed; now is the clock, nil the process's.
func NewFeed(now func() time.Time) *Feed {
	if now == nil {
		now = time.Now
	}
	return &Feed{now: now, more: make(chan struct{}), over: make(chan struct{})}
}

// Put takes a report of a proxy of this control plane, which was not heard before.
func (f *Feed) Put(b *signals.Batch) {
	now := f.now()
	f.mu.Lock()
	wanted := f.followers > 0 || now.Sub(f.asked) < keepFor
	if !wanted && len(f.kept) > 0 {
		f.first += uint64(len(f.kept))
		f.kept, f.bytes = nil, 0
	}
	f.mu.Unlock()
	if !wanted {
		return
	}
	r := report.Signals(b.Edges)
	r.Incarnation, r.Sequence, r.Length = b.Incarnation, b.Sequence, uint64(max(b.Length, 0)/time.Millisecond)
	k := &kept{m: &meshpb.SharedSignals{Proxy: b.Proxy, Report: r}, ended: now.Add(-b.Age), heard: now}
	if b.Who != (signal.Who{}) {
		k.m.Who = report.Party(b.Who)
	}
	k.size = proto.Size(k.m)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kept = append(f.kept, k)
	f.bytes += k.size
	f.trim(now)
	close(f.more)
	f.more = make(chan struct{})
}

// End ends all answers, once they have given what there is. It is called once.
func (f *Feed) End() { close(f.over) }

// Held is what a Feed keeps, and how many follow.
type Held struct{ Reports, Bytes, Followers int }

// Kept tells what it keeps now.
func (f *Feed) Kept() Held {
	f.mu.Lock()
	defer f.mu.Unlock()
	return Held{len(f.kept), f.bytes, f.followers}
}

// trim drops the oldest. f.mu is held.
func (f *Feed) trim(now time.Time) {
	n := 0
	for n < len(f.kept) && (f.bytes > maxKept || now.Sub(f.kept[n].heard) > keepFor) {
		f.bytes -= f.kept[n].size
		f.kept[n] = nil
		n++
	}
	f.kept = f.kept[n:] // append makes it anew when there is no room behind
	f.first += uint64(n)
}

// next are reports from a number on, and how many before them are not there any more. With
// none there is a channel that is closed when there are.
func (f *Feed) next(from uint64) (list []*kept, lost uint64, more <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = f.now()
	if from < f.first {
		lost, from = f.first-from, f.first
	}
	list = f.kept[min(int(from-f.first), len(f.kept)):]
	return append([]*kept(nil), list[:min(len(list), atOnce)]...), lost, f.more
}

// Answer implements question.Answerer: it gives what is kept, then what comes, until ctx
// ends.
//
// The query "new" leaves away what is kept.
func (f *Feed) Answer(ctx context.Context, query string, give func(items ...[]byte) error) error {
	f.mu.Lock()
	f.followers++
	from := f.first
	if query == onlyNew {
		from += uint64(len(f.kept))
	}
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.followers--
		f.asked = f.now()
		f.mu.Unlock()
	}()
	if err := give(nil); err != nil { // an empty message, that it has begun
		return err
	}
	for {
		list, lost, more := f.next(from)
		if len(list) == 0 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-f.over:
				return nil
			case <-more:
				continue
			}
		}
		from += lost + uint64(len(list))
		items := make([][]byte, 0, len(list))
		for _, k := range list {
			m := &meshpb.SharedSignals{Proxy: k.m.Proxy, Who: k.m.Who, Report: k.m.Report, Lost: lost, Age: uint64(max(f.now().Sub(k.ended), 0) / time.Millisecond)}
			lost = 0
			item, err := proto.Marshal(m)
			if err != nil {
				return err
			}
			items = append(items, item)
		}
		if err := give(items...); err != nil {
			return err
		}
	}
}
