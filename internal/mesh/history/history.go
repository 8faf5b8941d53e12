// Package history keeps the service graph in the state store, ten minutes to a row, for
// longer than memory has it: for a process that starts again, and for windows of more than a
// day. Of control planes that share a store the elected one writes, of what all proxies have
// reported.
//
// The goroutine that writes is Run's. The package may be imported by what is of the control
// plane.
package history

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/gridway/gridway/internal/mesh/signals"
	"github.com/gridway/gridway/internal/statedb"
)

const (
	// Least and Most are how long a history may be.
	Least = time.Hour
	Most  = 90 * 24 * time.Hour
	// MaxEdges is how many edges a row tells apart, the busiest; others count together.
	MaxEdges = 2048
	// writeEvery is how often the row of this time is written: what a process that is killed
	// loses.
	writeEvery = time.Minute
	// late is how long after its end a row is still written: reports come late.
	late = 2 * time.Minute
	// lastWithin bounds the last write, and loadWithin the reading at the start.
	lastWithin = 2 * time.Second
	loadWithin = 30 * time.Second
	// atOnce is how many rows are in memory while many are read.
	atOnce = 16
	// questions is how many long windows are answered at a time.
	questions = 2
)

// Options are for New.
type Options struct {
	DB    *statedb.DB
	Table *signals.Table
	// Keep is how long rows are kept.
	Keep time.Duration
	// Elected tells whether this process is the one that writes; nil is that it is.
	Elected func() (statedb.Mandate, bool)
	// Now is the clock, and Every how often it is written; 0 is a minute.
	Now   func() time.Time
	Every time.Duration
	Log   *slog.Logger
}

// History is a Table with what the state store has of the time before.
type History struct {
	opt    Options
	asking chan struct{}

	// What follows is Run's.
	done    time.Time // rows up to here need no more writing
	dropped time.Time
	failed  string
}

// New makes a History.
func New(o Options) *History {
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Every = cmp.Or(o.Every, writeEvery)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &History{opt: o, asking: make(chan struct{}, questions), done: step(o.Now())}
}

// step is the beginning of the row that a time is in.
func step(t time.Time) time.Time { return time.Unix(0, t.UnixNano()).UTC().Truncate(signals.Step) }

// Load has the Table know what the store has of the last day. It is called before the first
// report. A row that cannot be read is left out.
func (h *History) Load(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, loadWithin)
	defer cancel()
	now, n, began := h.opt.Now(), 0, time.Now()
	err := h.rows(ctx, now.Add(-min(signals.Most, h.opt.Keep)), now.Add(signals.Step), func(row *signals.Row) error {
		h.opt.Table.Restore(row)
		n++
		return nil
	})
	if err != nil {
		return fmt.Errorf("the service graph's history: %w", err)
	}
	h.opt.Log.Info("the service graph's history was read", "rows", n, "took", time.Since(began).Round(time.Millisecond))
	return nil
}

// Run writes until ctx ends, and once more then.
func (h *History) Run(ctx context.Context) {
	tick := time.NewTicker(h.opt.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			// The mandate may have been given back by now; the fuller row stays in any case.
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWithin)
			defer cancel()
			h.report(last, h.write(last))
			return
		case <-tick.C:
		}
		if !h.elected() {
			h.done = maxTime(h.done, step(h.opt.Now()).Add(-2*signals.Step)) // another one has written these
			continue
		}
		h.report(ctx, h.write(ctx))
	}
}

func (h *History) elected() bool {
	if h.opt.Elected == nil {
		return true
	}
	_, ok := h.opt.Elected()
	return ok
}

// report tells of the first failure of a kind, and that it is over.
func (h *History) report(ctx context.Context, err error) {
	switch {
	case err == nil && h.failed != "":
		h.failed = ""
		h.opt.Log.Info("the service graph's history is written again")
	case err != nil && ctx.Err() == nil && err.Error() != h.failed:
		h.failed = err.Error()
		h.opt.Log.Warn("the service graph's history cannot be written: it will be when the state store is back", "error", err)
	}
}

// write puts the row of this time, and those before that are not done, into the store.
func (h *History) write(ctx context.Context) error {
	now := h.opt.Now()
	// A clock that was set back has rows to write, and some to drop, before it catches up.
	h.done, h.dropped = minTime(h.done, step(now)), minTime(h.dropped, step(now))
	for at := maxTime(h.done, step(now.Add(-signals.Most))); !at.After(now); at = at.Add(signals.Step) {
		row := h.opt.Table.Row(at, MaxEdges)
		if len(row.Edges) > 0 {
			x, err := encode(&row)
			if err != nil {
				return err
			}
			if err := h.opt.DB.Write(ctx, func(tx *statedb.Tx) error { return tx.PutSignalHistory(ctx, x) }); err != nil {
				return err
			}
		}
		if end := at.Add(signals.Step); now.After(end.Add(late)) {
			h.done = end
		}
	}
	before := step(now.Add(-h.opt.Keep))
	if !before.After(h.dropped) {
		return nil
	}
	err := h.opt.DB.Write(ctx, func(tx *statedb.Tx) error { return tx.DropSignalHistory(ctx, before.Unix()) })
	if err == nil {
		h.dropped = before
	}
	return err
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// rows reads rows, a few at a time, so that a transaction is short and may be run again.
func (h *History) rows(ctx context.Context, from, to time.Time, take func(*signals.Row) error) error {
	next, end := step(from).Unix(), to.Unix()
	for {
		var list []*statedb.SignalHistory
		err := h.opt.DB.Read(ctx, func(tx *statedb.Tx) error {
			list = list[:0]
			return tx.SignalHistory(ctx, next, end, atOnce, func(x *statedb.SignalHistory) error {
				list = append(list, x)
				return nil
			})
		})
		if err != nil {
			return err
		}
		for _, x := range list {
			row, err := decode(x)
			if err != nil {
				h.opt.Log.Warn("a part of the service graph's history is left out", "error", err)
				continue
			}
			if err := take(row); err != nil {
				return err
			}
		}
		if len(list) < atOnce {
			return nil
		}
		next = list[len(list)-1].Slot + 1
	}
}

// Longest is the longest window that is answered.
func (h *History) Longest() time.Duration { return max(h.opt.Keep, signals.Most) }

// busyError: as many long windows are asked for as are answered at a time.
type busyError struct{}

func (busyError) Error() string {
	return "others ask for windows of more than 24h at this moment: ask again, or for less"
}

// Unavailable has it answered as what may be tried again.
func (busyError) Unavailable() bool { return true }

// Graph is Table.Graph, for windows of up to Longest.
func (h *History) Graph(ctx context.Context, q signals.Query) (*signals.Graph, error) {
	if q.Window <= signals.Most {
		return h.opt.Table.Graph(q)
	}
	return long(ctx, h, func(rows signals.Rows) (*signals.Graph, error) { return h.opt.Table.LongGraph(q, rows) })
}

// Series is Table.Series, for windows of up to Longest.
func (h *History) Series(ctx context.Context, q signals.Query) (*signals.Series, error) {
	if q.Window <= signals.Most {
		return h.opt.Table.Series(q)
	}
	return long(ctx, h, func(rows signals.Rows) (*signals.Series, error) { return h.opt.Table.LongSeries(q, rows) })
}

// long answers one of a few questions at a time.
func long[T any](ctx context.Context, h *History, answer func(signals.Rows) (T, error)) (out T, err error) {
	select {
	case h.asking <- struct{}{}:
		defer func() { <-h.asking }()
	default:
		return out, busyError{}
	}
	return answer(func(from, to time.Time, take func(*signals.Row) error) error { return h.rows(ctx, from, to, take) })
}
