package observe

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net/url"
	"strconv"
	"time"

	"github.com/gridway/gridway/internal/mesh/question"
	"github.com/gridway/gridway/internal/telemetry/tap"
)

// Taps answer questions of question.KindTap with what passes a data plane: each item is a
// tap.Event in JSON. An answer without any tells that the look has begun.
type Taps struct{ Set *tap.Set }

// Answer implements question.Answerer.
func (t Taps) Answer(ctx context.Context, query string, give func(items ...[]byte) error) error {
	q, err := tap.Parse(query)
	if err != nil {
		return question.Refuse("%v", err)
	}
	look, err := t.Set.Start(q)
	if err != nil {
		return question.Refuse("%v", err)
	}
	defer look.End()
	if err := give(); err != nil {
		return err
	}
	return look.Read(ctx, func(events []*tap.Event) error {
		items := make([][]byte, len(events))
		for i, e := range events {
			items[i] = e.JSON()
		}
		return give(items...)
	})
}

// Bounds of a tap of many proxies: together they are to give no more than maxTold events
// per second, but fewest each.
const (
	maxTold = 5000
	fewest  = 2
)

// Tap asks all proxies that are wanted what passes from now on, and gives events, each as
// one JSON object, with the name of the proxy, until ctx ends or take fails. What cannot be
// seen comes as events, too: tap.LeftOut and tap.Unreached. Take is called with none when it
// has begun: the process's own data plane, if it is asked, looks by then.
func (o *Observer) Tap(ctx context.Context, query url.Values, only question.Only, take func(events [][]byte) error) error {
	q, err := tap.FromValues(query)
	if err != nil {
		return question.Refuse("%v", err)
	}
	if share := max(fewest, maxTold/max(1, o.count(only))); share < q.Rate {
		query = maps.Clone(query)
		query.Set("rate", strconv.Itoa(share))
	}
	if !o.asksOwn(question.KindTap, only) {
		if err := take(nil); err != nil {
			return err
		}
	}
	var events [][]byte
	return o.Ask(ctx, question.Ask{Kind: question.KindTap, Query: query.Encode(), Only: only, Follow: true, Take: func(p *question.Part) error {
		events = events[:0]
		for _, item := range p.Items {
			if event := signed(item, p.Name); event != nil {
				events = append(events, event)
			}
		}
		if p.Lost > 0 {
			events = append(events, (&tap.Event{Type: tap.LeftOut, Time: time.Now(), Lost: p.Lost}).JSON())
		}
		if p.Problem != "" {
			events = append(events, (&tap.Event{Type: tap.Unreached, Time: time.Now(), Proxy: p.Name, Why: p.Problem}).JSON())
		}
		if len(events) == 0 && p.Proxy != o.OwnProxy {
			return nil
		}
		return take(events)
	}})
}

// count is how many proxies are there that are wanted.
func (o *Observer) count(only question.Only) (n int) {
	if o.Own != nil && only.Wants(o.OwnProxy) {
		n++
	}
	if o.Hub != nil {
		n += o.Hub.Count(only)
	}
	if o.Others != nil {
		for _, r := range o.Others() {
			for _, p := range r.Proxies {
				if only.Wants(p) {
					n++
				}
			}
		}
	}
	return n
}

// signed is an event with the name of the proxy that has sent it, whatever that says of
// itself; nil for what is no event.
func signed(item []byte, proxy string) []byte {
	var e tap.Event
	d := json.NewDecoder(bytes.NewReader(item))
	if d.Decode(&e) != nil || e.Type == "" || d.More() {
		return nil
	}
	e.Proxy = proxy
	return e.JSON()
}
