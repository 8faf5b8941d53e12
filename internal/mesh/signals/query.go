package signals

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/telemetry/latency"
	"github.com/gridway/gridway/internal/telemetry/signal"
)

// lag is how old what proxies report is on average: they report every five seconds.
const lag = 2500 * time.Millisecond

// maxRoutes is how many routes of an edge are told.
const maxRoutes = 10

// fewSteps is of how many steps a graph is made at least.
const fewSteps = 5

// finest is the finest resolution that reaches back that far, where spans were halved
// short times.
func finest(window time.Duration, short int) int {
	for i, r := range resolutions {
		if window <= r.span>>short {
			return i
		}
	}
	return len(resolutions) - 1
}

// span is a time that is asked about.
type span struct {
	resolution  int
	first, last int64 // slots
	from, to    time.Time
}

// spanOf is the time until now, which begins with a slot. Coarse steps are added up
// sooner than fine ones.
func spanOf(window time.Duration, now time.Time) span {
	i := len(resolutions) - 1
	for i > 0 && window < fewSteps*resolutions[i].step {
		i--
	}
	r := resolutions[i]
	last := r.slot(now)
	s := span{resolution: i, last: last, first: last - int64(window/r.step), to: now.Add(-lag).UTC()}
	s.from = r.time(s.first)
	return s
}

func (s span) seconds() float64 { return max(s.to.Sub(s.from).Seconds(), 1) }

// side is what one side has told of an edge.
type side struct {
	signal.Counts
	mutual uint64
	routes map[string]*routeCount
	seen   time.Time
	told   bool
}

type routeCount struct{ count, errors uint64 }

func (s *side) add(key *signal.Key, c *signal.Counts, seen time.Time) {
	s.told = true
	s.seen = latest(s.seen, seen)
	n := c.Count()
	s.Counts.Add(c)
	if key.MutualTLS {
		s.mutual += n
	}
	if name := key.Route.String(); name != "" {
		if s.routes == nil {
			s.routes = map[string]*routeCount{}
		}
		r := s.routes[name]
		if r == nil {
			r = &routeCount{}
			s.routes[name] = r
		}
		r.count += n
		r.errors += c.Errors
	}
}

// line is an edge of the graph.
type line struct{ source, destination, protocol string }

// both are the two sides of an edge.
type both struct {
	line
	client, server side
	// open by side, and how many of these are over mutual TLS.
	open, openMutual [2]int64
}

func (b *both) side(s signal.Side) *side {
	if s == signal.Client {
		return &b.client
	}
	return &b.server
}

// counts is the side that counts, see Edge.ReportedBy.
func (b *both) counts() *side {
	if b.client.told && b.client.Count() >= b.server.Count() {
		return &b.client
	}
	return &b.server
}

func (b *both) opened() int64 { return max(b.open[0], b.open[1]) }

// Graph answers who has spoken to whom.
func (t *Table) Graph(q Query) (*Graph, error) {
	now := t.opt.Now()
	in := spanOf(q.Window, now)
	if known := t.known(in.resolution); known.After(in.from) { // what was before is not known
		in.from = earlier(known.UTC(), in.to)
	}
	return t.graph(&q, in, now, nil), nil
}

// graph is what memory has of a time, and what is older.
func (t *Table) graph(q *Query, in span, now time.Time, older map[signal.Key]*aged) *Graph {
	lines, nodes, state := t.gather(q, in, now, older)
	g := &Graph{From: in.from, To: in.to, Resolution: resolutions[in.resolution].step.Seconds(), Nodes: []Node{}, Edges: []Edge{}, State: state}
	type flows struct{ in, out signal.Counts }
	of := map[string]*flows{}
	node := func(id string) *flows {
		f := of[id]
		if f == nil {
			f = &flows{}
			of[id] = f
		}
		return f
	}
	seconds := in.seconds()
	for _, b := range lines {
		s := b.counts()
		if s.Count() == 0 && b.opened() == 0 {
			continue
		}
		node(b.source).out.Add(&s.Counts)
		node(b.destination).in.Add(&s.Counts)
		nodes[b.destination].Open += b.opened()
		g.Edges = append(g.Edges, b.edge(s, seconds))
	}
	slices.SortFunc(g.Edges, func(a, b Edge) int { return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Protocol, b.Protocol)) })
	for _, id := range slices.Sorted(maps.Keys(of)) {
		n := nodes[id]
		n.In, n.Out = traffic(&of[id].in, seconds), traffic(&of[id].out, seconds)
		g.Nodes = append(g.Nodes, *n)
	}
	return g
}

// gather adds up what there is of each edge in a time.
func (t *Table) gather(q *Query, in span, now time.Time, older map[signal.Key]*aged) (lines map[line]*both, nodes map[string]*Node, state State) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	lines, nodes = map[line]*both{}, map[string]*Node{}
	names := map[signal.Who]string{}
	name := func(w signal.Who) string {
		id, ok := names[w]
		if !ok {
			n := nodeOf(w.Party())
			id = n.ID
			names[w] = id
			if had := nodes[id]; had == nil || n.Kind == KindEdge { // servers know edges as services
				nodes[id] = n
			}
		}
		return id
	}
	find := func(k *signal.Key) *both {
		l := line{name(k.Source), name(k.Destination), k.Protocol.String()}
		b := lines[l]
		if b == nil {
			b = &both{line: l}
			lines[l] = b
		}
		return b
	}
	for _, e := range t.edges {
		if !q.wants(&e.key, name) {
			continue
		}
		var c signal.Counts
		e.rings[in.resolution].sum(in.first, in.last, &c)
		if c.Count() == 0 {
			continue
		}
		find(&e.key).side(e.key.Side).add(&e.key, &c, e.seen)
	}
	for k, a := range older {
		if q.wants(&k, name) {
			find(&k).side(k.Side).add(&k, &a.Counts, a.seen)
		}
	}
	for _, r := range t.reporters {
		if !r.alive(now) {
			continue
		}
		for k, n := range r.open {
			if q.wants(&k, name) {
				b := find(&k)
				b.open[k.Side-signal.Client] += n
				if k.MutualTLS {
					b.openMutual[k.Side-signal.Client] += n
				}
				s := b.side(k.Side)
				s.told = true
				if r.seen.After(s.seen) {
					s.seen = r.seen
				}
			}
		}
		for _, w := range r.who {
			name(w)
			nodes[names[w]].Proxies++
		}
	}
	return lines, nodes, t.state(now)
}

// wants tells whether an edge was asked for.
func (q *Query) wants(k *signal.Key, name func(signal.Who) string) bool {
	if q.Namespace != "" && k.Source.Party().Namespace != q.Namespace && k.Destination.Party().Namespace != q.Namespace {
		return false
	}
	of := &q.Of
	return (of.Route == "" || k.Route.String() == of.Route) && (of.Source == "" || name(k.Source) == of.Source) && (of.Destination == "" || name(k.Destination) == of.Destination)
}

func nodeOf(p signal.Party) *Node {
	n := &Node{ID: p.ID(), Kind: p.Kind.String(), Namespace: p.Namespace, Name: p.Name, TrustDomain: p.Domain}
	return n
}

func (b *both) edge(s *side, seconds float64) Edge {
	e := Edge{
		ID: b.source + ">" + b.destination, Source: b.source, Destination: b.destination, Protocol: b.protocol,
		Traffic: traffic(&s.Counts, seconds), Open: b.opened(), ReportedBy: []string{}, LastSeen: latest(b.client.seen, b.server.seen).UTC(),
	}
	if n := s.Count(); n > 0 {
		e.MutualTLS = float64(s.mutual) / float64(n)
	} else if b.opened() > 0 {
		e.MutualTLS = float64(b.openMutual[0]+b.openMutual[1]) / float64(b.open[0]+b.open[1])
	}
	if b.client.told {
		e.ReportedBy = append(e.ReportedBy, signal.Client.String())
	}
	if b.server.told {
		e.ReportedBy = append(e.ReportedBy, signal.Server.String())
	}
	for route, r := range s.routes {
		x := RouteTraffic{Route: route, Requests: float64(r.count) / seconds}
		if r.count > 0 {
			x.Errors = float64(r.errors) / float64(r.count)
		}
		e.Routes = append(e.Routes, x)
	}
	slices.SortFunc(e.Routes, func(a, b RouteTraffic) int {
		return cmp.Or(cmp.Compare(b.Requests, a.Requests), strings.Compare(a.Route, b.Route))
	})
	e.Routes = e.Routes[:min(len(e.Routes), maxRoutes)]
	return e
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func traffic(c *signal.Counts, seconds float64) Traffic {
	n := c.Count()
	out := Traffic{Count: n, Requests: float64(n) / seconds, RequestBytes: float64(c.In) / seconds, ResponseBytes: float64(c.Out) / seconds}
	if n == 0 {
		return out
	}
	out.RequestDatagrams, out.ResponseDatagrams = float64(c.InDatagrams)/seconds, float64(c.OutDatagrams)/seconds
	out.Errors = float64(c.Errors) / float64(n)
	out.P50, out.P95, out.P99 = latency.Quantile(&c.Latency, 0.5), latency.Quantile(&c.Latency, 0.95), latency.Quantile(&c.Latency, 0.99)
	for i, k := range c.Classes {
		out.Classes[i] = float64(k) / seconds
	}
	return out
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
