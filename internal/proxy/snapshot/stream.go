package snapshot

import (
	"math/rand/v2"
	"strings"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filters/authorization"
	"github.com/gridway/gridway/internal/proxy/filters/shield"
	"github.com/gridway/gridway/internal/telemetry/metric"
	"github.com/gridway/gridway/internal/telemetry/signal"
)

// Stream is a route of streams with everything that it needs at run time.
type Stream struct {
	IR          *ir.StreamRoute
	Backends    []Backend
	TotalWeight uint32
	Metrics     *metric.Stream
	// SignalRoute is the route in the service graph.
	SignalRoute signal.Route
	// Shield may be nil.
	Shield *shield.Connections
	// Authorization may be nil: nothing is asked.
	Authorization *authorization.Authorization
}

// Choose picks a backend by weight. It is nil if there is none.
func (s *Stream) Choose() *Backend {
	switch {
	case s.TotalWeight == 0:
		return nil
	case len(s.Backends) == 1:
		return &s.Backends[0]
	}
	n := rand.Uint32N(s.TotalWeight)
	for i := range s.Backends {
		if n < s.Backends[i].IR.Weight {
			return &s.Backends[i]
		}
		n -= s.Backends[i].IR.Weight
	}
	return nil
}

// Door is a section of a listener as connections see it before their first request.
type Door struct {
	IR *ir.Section
	// HTTP: what comes in is HTTP, for the route table.
	HTTP        bool
	Passthrough bool
	routes      names[*Stream]
}

// Route is the stream route for a server name, nil if there is none.
func (d *Door) Route(name string) *Stream { return d.routes.find(name) }

// Stream is a route of streams by its name; nil is that there is none.
func (s *Snapshot) Stream(name string) *Stream { return s.streams[name] }

// Doors finds the section that a connection belongs to.
type Doors struct {
	// Plain is the section of protocol TCP or UDP, nil if there is none.
	Plain *Door
	// Web tells whether a section speaks HTTP without TLS.
	Web bool
	// Passthrough tells whether a section leaves TLS to the endpoints, so that
	// the hello has to be looked at first.
	Passthrough bool
	// Secure tells whether there are sections with TLS.
	Secure  bool
	secured names[*Door]
}

// Named is the section with TLS that has the most specific hostname for a server
// name, which is empty for clients that name none.
func (d *Doors) Named(name string) *Door { return d.secured.find(name) }

// names maps hostnames, of which a wildcard stands for one or more labels.
type names[T comparable] struct {
	exact, wildcard map[string]T // wildcards by what follows the "*"
	any             T
}

// put files v under a hostname; the first of equals stays.
func (n *names[T]) put(hostname string, v T) {
	var zero T
	suffix, wild := strings.CutPrefix(strings.ToLower(hostname), "*")
	switch {
	case suffix == "":
		if n.any == zero {
			n.any = v
		}
	case wild:
		putFirst(&n.wildcard, suffix, v)
	default:
		putFirst(&n.exact, suffix, v)
	}
}

func putFirst[T comparable](m *map[string]T, key string, v T) {
	if *m == nil {
		*m = map[string]T{}
	}
	if _, taken := (*m)[key]; !taken {
		(*m)[key] = v
	}
}

// find looks for the most specific hostname. The name is in lower case.
func (n *names[T]) find(name string) T {
	if v, ok := n.exact[name]; ok {
		return v
	}
	for i := strings.IndexByte(name, '.'); i >= 0 && n.wildcard != nil; {
		if v, ok := n.wildcard[name[i:]]; ok {
			return v
		}
		next := strings.IndexByte(name[i+1:], '.')
		if next < 0 {
			break
		}
		i += 1 + next
	}
	return n.any
}

// buildStreams builds the stream routes by name.
func (s *Snapshot) buildStreams(d Deps) {
	s.streams = make(map[string]*Stream, len(s.Config.Streams))
	for _, r := range s.Config.Streams {
		s.streams[r.Name] = buildStream(r, d)
	}
}

func buildStream(r *ir.StreamRoute, d Deps) *Stream {
	built := &Stream{
		IR: r, Metrics: d.Metrics.Stream(r.ID), SignalRoute: signal.RouteOf(r.ID), Shield: d.Filters.ShieldOf(r.Shield),
		Authorization: d.Filters.AuthorizationOf(r.Authorization), Backends: make([]Backend, len(r.Backends)),
	}
	for i := range r.Backends {
		ref := &r.Backends[i]
		built.TotalWeight += ref.Weight
		built.Backends[i].IR, built.Backends[i].Party = ref, destination(ref.Ref)
		if ref.Cluster != "" {
			built.Backends[i].Cluster = d.Upstreams.Cluster(ref.Cluster)
			built.Backends[i].Metrics = d.Metrics.Cluster(ref.Cluster)
		}
	}
	return built
}

// buildDoors builds the sections of a listener, apart from what is HTTP in them.
func (s *Snapshot) buildDoors(l *ir.Listener) *Doors {
	d := &Doors{}
	for _, section := range l.Sections {
		door := s.buildDoor(section)
		switch l.ProtocolOf(section) {
		case ir.HTTP:
			d.Web = true
		case ir.HTTPS:
			door.HTTP, d.Secure = true, true
			d.secured.put(section.Hostname, door)
		case ir.TLS:
			d.Passthrough, d.Secure = d.Passthrough || door.Passthrough, true
			d.secured.put(section.Hostname, door)
		default:
			if d.Plain == nil {
				d.Plain = door
			}
		}
	}
	return d
}

func (s *Snapshot) buildDoor(section *ir.Section) *Door {
	door := &Door{IR: section, Passthrough: section.Passthrough}
	for _, a := range section.Streams {
		stream := s.streams[a.Route]
		if stream == nil {
			continue
		}
		if len(a.Hostnames) == 0 {
			door.routes.put("", stream)
		}
		for _, h := range a.Hostnames {
			door.routes.put(h, stream)
		}
	}
	return door
}

// speaking lists the listener's sections of one of HTTP's protocols.
func speaking(l *ir.Listener, p ir.Protocol) []*ir.Section {
	if l.Protocol == p {
		return l.Sections
	}
	var out []*ir.Section
	for _, s := range l.Sections {
		if l.ProtocolOf(s) == p {
			out = append(out, s)
		}
	}
	return out
}
