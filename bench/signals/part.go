package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/bench/proc"
	"github.com/gridway/gridway/bench/stats"
)

// part is one of the three that are compared.
type part struct {
	Name string
	slow bool
	// CPU is that of the control plane per minute, in percent of a core, and PerReport its
	// share for one report, if reports were all that it has.
	CPU       float64
	PerReport time.Duration
	// Heap and Resident are bytes, Table what the table counts of its Limit.
	Heap, Resident int64
	Table, Limit   int64
	Folded         uint64
	// Push is how long a change of a route needs until all proxies have read it, from the
	// write of the file; First is the same of half of them, over all changes.
	PushHalf, PushLast, PushWorst time.Duration
	// Seen is how long a request needs until it is in the graph.
	SeenHalf, SeenWorst time.Duration
	// Asked are endpoints that the console asks.
	Asked []*asked
	// Told are events per second that the tap gave, LeftOut those that it says were beyond a
	// proxy's bound, and Lost those for which the reader was too slow, per second as well.
	Told, LeftOut, Lost float64
}

// asked is an endpoint of the admin API.
type asked struct {
	Path       string
	Half, Most time.Duration
	Bytes      int
}

// part measures one of the three, with a tap beside it if that is wanted.
func (c *control) part(ctx context.Context, s size, proxies *child, p *part, tapped bool) error {
	var t *tapping
	if tapped {
		var err error
		if t, err = c.tap(ctx, p.slow); err != nil {
			return err
		}
		defer t.stop()
	}
	before, began := c.cpu(), time.Now()
	if t != nil {
		t.begin()
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(s.lasts):
	}
	took, used := time.Since(began), c.cpu()-before
	p.CPU = 100 * used.Seconds() / took.Seconds()
	p.PerReport = used / time.Duration(max(1, float64(s.proxies)*took.Seconds()/reportEvery.Seconds()))
	if t != nil {
		p.Told, p.LeftOut, p.Lost = t.rates(took)
	}
	var err error
	if p.Heap, err = c.heap(ctx); err != nil {
		return err
	}
	if p.Resident, err = proc.RSS(c.pid()); err != nil {
		return err
	}
	if err := c.ask(ctx, p); err != nil {
		return err
	}
	if err := c.push(s, proxies, p); err != nil {
		return err
	}
	if err := c.marks(ctx, proxies, p); err != nil {
		return err
	}
	if t != nil {
		if err := t.alive(); err != nil {
			return err
		}
	}
	return nil
}

// ask measures what the console asks.
func (c *control) ask(ctx context.Context, p *part) error {
	const times = 7
	edge := "edge:" + namespace + "/" + service(1) + ">" + namespace + "/" + service(0)
	for _, path := range []string{
		"/v1/status", "/v1/graph?window=5m", "/v1/graph?window=5m&namespace=" + namespace, "/v1/signals?of=mesh&window=15m", "/v1/signals?window=15m&of=" + url.QueryEscape(edge),
		"/v1/signals?window=15m&of=" + url.QueryEscape("service:"+namespace+"/"+service(0)),
	} {
		a := &asked{Path: path}
		var h stats.Histogram
		for range times {
			start := time.Now()
			text, err := c.get(ctx, path)
			if err != nil {
				return err
			}
			h.Record(time.Since(start))
			a.Bytes = len(text)
		}
		a.Half, a.Most = h.Quantile(0.5), h.Max()
		p.Asked = append(p.Asked, a)
	}
	g, err := c.graph(ctx, "window=10s&namespace=none")
	if err == nil {
		p.Table, p.Limit, p.Folded = g.State.Memory, g.State.Limit, g.State.Folded
	}
	return err
}

// push changes a route that all proxies use, one change after the other.
func (c *control) push(s size, proxies *child, p *part) error {
	var half, last stats.Histogram
	need := s.users(0)
	for range s.changes {
		if _, err := proxies.say(&order{Expect: need}); err != nil {
			return err
		}
		if err := c.write(s, stamp(time.Now().UnixNano())); err != nil {
			return err
		}
		r, err := proxies.say(nil)
		if err != nil {
			return err
		}
		if r.Count != need {
			return fmt.Errorf("a change has reached %d of %d proxies within a minute", r.Count, need)
		}
		half.Record(r.P50)
		last.Record(r.Max)
	}
	p.PushHalf, p.PushLast, p.PushWorst = half.Quantile(0.5), last.Quantile(0.5), last.Max()
	return nil
}

// marks sends requests that nobody else sends, and looks for them in the graph.
func (c *control) marks(ctx context.Context, proxies *child, p *part) error {
	const times = 5
	var h stats.Histogram
	for i := range times {
		select { // reports are periodic, and what they tell of is not
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(rand.N(reportEvery)):
		}
		mark := fmt.Sprintf("marked-%s-%d", strings.ReplaceAll(p.Name, " ", "-"), i)
		r, err := proxies.say(&order{Mark: mark})
		if err != nil {
			return err
		}
		err = until(ctx, func() error {
			g, err := c.graph(ctx, "window=1m&namespace="+mark)
			if err == nil && len(g.Edges) == 0 {
				err = errors.New("a marked request does not come to the graph")
			}
			return err
		})
		if err != nil {
			return err
		}
		h.Record(time.Since(r.At))
	}
	p.SeenHalf, p.SeenWorst = h.Quantile(0.5), h.Max()
	return nil
}

// tapping is a tap of everything with its reader.
type tapping struct {
	cancel context.CancelFunc
	done   chan error
	// told, limited and lost are events.
	told, limited, lost atomic.Uint64
	from                [3]uint64
}

// tap begins to read one.
func (c *control) tap(ctx context.Context, slow bool) (*tapping, error) {
	ctx, cancel := context.WithCancel(ctx)
	resp, err := c.open(ctx, "/v1/tap?rate=5000&for=1h") //nolint:bodyclose // the reader closes it
	if err != nil {
		cancel()
		return nil, err
	}
	t := &tapping{cancel: cancel, done: make(chan error, 1)}
	go func() {
		defer resp.Body.Close()
		lines := bufio.NewReaderSize(resp.Body, 4096)
		for {
			line, err := lines.ReadBytes('\n')
			if err != nil {
				t.done <- err
				return
			}
			t.note(line)
			if slow { // a hundred lines in a second, of the thousands that there are
				select {
				case <-time.After(10 * time.Millisecond):
				case <-ctx.Done():
				}
			}
		}
	}()
	return t, nil
}

func (t *tapping) begin() { t.from = [3]uint64{t.told.Load(), t.limited.Load(), t.lost.Load()} }

// rates are per second since begin.
func (t *tapping) rates(took time.Duration) (told, limited, lost float64) {
	per := func(n *atomic.Uint64, from uint64) float64 { return float64(n.Load()-from) / took.Seconds() }
	return per(&t.told, t.from[0]), per(&t.limited, t.from[1]), per(&t.lost, t.from[2])
}

// alive tells what has ended the tap.
func (t *tapping) alive() error {
	select {
	case err := <-t.done:
		t.done <- err
		return fmt.Errorf("the tap has ended: %w", err)
	default:
		return nil
	}
}

func (t *tapping) stop() {
	t.cancel()
	<-t.done
}
