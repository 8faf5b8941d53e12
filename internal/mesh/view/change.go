package view

import (
	"slices"

	"github.com/gridway/gridway/internal/ir"
)

// edgeService is what views of edges depend on besides services: no service has the name.
const edgeService = "*edge"

// maxChanges is how many changes are remembered.
const maxChanges = 1024

// delta is what one change concerns.
type delta struct {
	all      bool
	services []string
	// clusters whose endpoints alone changed.
	clusters []string
}

// changeLog remembers changes, the last of which is of moment.
type changeLog struct {
	moment uint64
	list   []delta
}

// note remembers a change, and tells who waits. v.mu is held.
func (v *Views) note(d delta) {
	v.changes.moment++
	if v.changes.list = append(v.changes.list, d); len(v.changes.list) > 2*maxChanges {
		v.changes.list = slices.Clone(v.changes.list[maxChanges:])
	}
	close(v.changed)
	v.changed = make(chan struct{})
}

// differs says what is another in the content after this one.
func (c *content) differs(now *content) delta {
	var d delta
	if a, b := c.mesh, now.mesh; a.Egress != b.Egress || !slices.Equal(a.Egresses, b.Egresses) || a.ClusterDomain != b.ClusterDomain {
		return delta{all: true}
	}
	if !slices.Equal(c.metricSinks(), now.metricSinks()) {
		return delta{all: true}
	}
	if !slices.Equal(c.mesh.Passages, now.mesh.Passages) {
		d.services = append(d.services, edgeService)
	}
	if c.config != now.config && (!slices.Equal(c.config.Listeners, now.config.Listeners) || !sameItems(c.edgeItems(), now.edgeItems())) {
		d.services = append(d.services, edgeService)
	}
	for name, s := range now.services {
		if old := c.services[name]; old != s || !sameItems(c.serviceItems(old), now.serviceItems(s)) {
			d.services = append(d.services, name)
		}
	}
	for name := range c.services {
		if now.services[name] == nil {
			d.services = append(d.services, name)
		}
	}
	slices.Sort(d.services)
	return d
}

// edgeItems are all items that views of edges have.
func (c *content) edgeItems() []*bag {
	var out []*bag
	for _, l := range c.config.Listeners {
		for _, s := range l.Sections {
			out = append(out, c.sectionBag(s))
		}
	}
	return out
}

func (c *content) sectionBag(s *ir.Section) *bag {
	b := c.bagOf("section "+s.Name, s.Routes, s.Streams)
	c.addTelemetry(b, s.Telemetry)
	c.addMetricSinks(b, s.Ref.Namespace)
	return b
}

// serviceItems are all items that a view may have because of a service.
func (c *content) serviceItems(s *ir.MeshService) []*bag {
	var out []*bag
	for _, p := range s.Ports {
		for i := range p.Outbound {
			out = append(out, c.outboundBag(s, p, &p.Outbound[i]))
		}
		out = append(out, c.inboundBag(s, p))
	}
	return out
}

func sameItems(a, b []*bag) bool {
	return slices.EqualFunc(a, b, func(x, y *bag) bool {
		if len(x.seen) != len(y.seen) {
			return false
		}
		for item := range x.seen {
			if !y.seen[item] {
				return false
			}
		}
		return true
	})
}
