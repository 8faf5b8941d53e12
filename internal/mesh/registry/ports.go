package registry

import (
	"cmp"
	"slices"
	"time"

	"github.com/gridway/gridway/internal/mesh/distrib"
)

// settle is how long what a port is called and speaks is kept that nobody says any more,
// where others say otherwise: who said it may be starting anew.
const settle = time.Minute

// chosen is a port of a Service that workloads made. Callers go by its number, which is
// that of the workload that had it first, until no workload has had it for
// Options.Remember.
type chosen struct {
	distrib.Port
	// Alone is that a workload with one port, which has no name, means this one.
	Alone bool
	// unhad is since when no workload has the port, and unsaid since when none says its
	// name and protocol; zero is that one does.
	unhad, unsaid time.Time
}

// leadsTo is the port of a workload that a port of its Service leads to, as views take it;
// nil is none.
func leadsTo(w *distrib.Workload, ports []chosen, c *chosen) *distrib.Port {
	for i := range w.Ports {
		if w.Ports[i].Number == c.Number {
			return &w.Ports[i]
		}
	}
	for i := range w.Ports {
		if p := &w.Ports[i]; p.Name != "" && p.Name == c.Name {
			return p
		}
	}
	if len(w.Ports) == 1 && (len(ports) == 1 || w.Ports[0].Name == "" && c.Name == "" && nameless(ports) == 1) {
		return &w.Ports[0]
	}
	return nil
}

func nameless(ports []chosen) (n int) {
	for i := range ports {
		if ports[i].Name == "" {
			n++
		}
	}
	return n
}

// aged orders instances by how long they have been there.
func aged(list []*Instance) []*Instance {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b *Instance) int { return a.Since.Compare(b.Since) })
	return list
}

// joinPorts adds the ports of workloads, the first of whom is believed: those of one name
// are one port, whatever their numbers, and so are those of workloads that have one port
// alone, without a name. The result is ordered by number.
func joinPorts(have []chosen, list []*Instance) []chosen {
	out := slices.Clone(have)
	single := slices.ContainsFunc(out, func(c chosen) bool { return c.Alone })
	for _, i := range list {
		for _, p := range i.Ports {
			alone := p.Name == "" && len(i.Ports) == 1
			known := slices.IndexFunc(out, func(c chosen) bool { return c.Number == p.Number })
			named := p.Name != "" && slices.ContainsFunc(out, func(c chosen) bool { return c.Name == p.Name })
			switch {
			case known >= 0:
				if alone {
					out[known].Alone, single = true, true
				}
				continue
			case named, alone && single:
				continue
			}
			if len(out) == maxPorts {
				if out = dropUnhad(out); len(out) == maxPorts {
					continue
				}
			}
			single = single || alone
			out = append(out, chosen{Port: p, Alone: alone})
		}
	}
	slices.SortFunc(out, func(a, b chosen) int { return cmp.Compare(a.Number, b.Number) })
	return out
}

// dropUnhad leaves out the port that no workload has had for the longest.
func dropUnhad(list []chosen) []chosen {
	oldest := -1
	for i := range list {
		if at := list[i].unhad; !at.IsZero() && (oldest < 0 || at.Before(list[oldest].unhad)) {
			oldest = i
		}
	}
	if oldest < 0 {
		return list
	}
	return slices.Delete(list, oldest, oldest+1)
}

// choose is what becomes of the ports that were chosen with the workloads that there are
// now. alone is that there were none before, so that nobody who is starting anew says
// otherwise.
func (r *Registry) choose(s *service, own []*Instance, alone bool) []chosen {
	now, own := r.opt.Now(), aged(own)
	out := joinPorts(s.ports, own)
	for i := range out {
		r.heed(out, i, own, alone, now)
	}
	return slices.DeleteFunc(out, func(c chosen) bool {
		return !c.unhad.IsZero() && now.Sub(c.unhad) >= r.opt.Remember
	})
}

// heed has a port follow what its workloads say of it, when none says what was said first.
func (r *Registry) heed(ports []chosen, n int, own []*Instance, alone bool, now time.Time) {
	c := &ports[n]
	var first *distrib.Port
	for _, i := range own {
		p := leadsTo(&i.Workload, ports, c)
		if p == nil {
			continue
		}
		if p.Name == c.Name && p.Protocol == c.Protocol {
			c.unhad, c.unsaid = time.Time{}, time.Time{}
			return
		}
		if first == nil {
			first = p
		}
	}
	if first == nil {
		if c.unhad.IsZero() {
			c.unhad = now
		}
		return
	}
	c.unhad = time.Time{}
	if c.unsaid.IsZero() {
		c.unsaid = now
	}
	if now.Sub(c.unsaid) < settle && !alone {
		return
	}
	c.Protocol, c.unsaid = first.Protocol, time.Time{}
	if first.Name == "" || !slices.ContainsFunc(ports, func(o chosen) bool { return o.Name == first.Name }) {
		c.Name = first.Name
	}
}

// due is when to look at ports again though no workload changes; zero is never.
func (r *Registry) due(ports []chosen) (at time.Time) {
	for i := range ports {
		for _, t := range []time.Time{later(ports[i].unhad, r.opt.Remember), later(ports[i].unsaid, settle)} {
			if !t.IsZero() && (at.IsZero() || t.Before(at)) {
				at = t
			}
		}
	}
	return at
}

func later(t time.Time, d time.Duration) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Add(d)
}
