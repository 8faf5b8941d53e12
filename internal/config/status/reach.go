package status

import (
	"fmt"
	"slices"
	"strings"
)

// Distributed is the condition that says how many of the proxies of a mesh that need an
// object serve it, and which do not and why.
const Distributed = "gridway.dev/Distributed"

// Reasons of Distributed; Refused is one of Programmed, too.
const (
	// ReasonServed: all that need it serve it.
	ReasonServed = "Served"
	// ReasonNotNeeded: no proxy needs it now.
	ReasonNotNeeded = "NotNeeded"
	// ReasonPending: some have not answered yet, or are not connected.
	ReasonPending = "Pending"
	// ReasonRefused: some cannot serve it.
	ReasonRefused = "Refused"
)

// Reach is how many of the proxies that need an object serve it as it is.
type Reach struct {
	Serving, Total int
	// Others say of those that do not, or of the first of them, who and why.
	Others []string
	// Refused: one of them cannot.
	Refused bool
}

// maxTold bounds the proxies that a message names.
const maxTold = 4

// message is "2 of 3 proxies serve revision 7; NAME: WHY".
func (r Reach) message(revision uint64) string {
	text := fmt.Sprintf("%d of %d proxies serve revision %d", r.Serving, r.Total, revision)
	told := r.Others[:min(len(r.Others), maxTold)]
	if len(told) > 0 {
		text += "; " + strings.Join(told, "; ")
	}
	if more := r.Total - r.Serving - len(told); more > 0 && len(told) > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	return text
}

// distribute sets the Distributed condition: of a route for each parent, of a policy for
// each ancestor, as their kinds have conditions nowhere else.
func distribute(o Object, p Progress) Object {
	r := p.reach(o.Key)
	c := Condition{Type: Distributed, Status: True, Reason: ReasonServed, Message: r.message(p.changed(o.Key)), Generation: o.Generation}
	switch {
	case r.Total == 0:
		c.Reason, c.Message = ReasonNotNeeded, "no proxy needs it now"
	case r.Refused:
		c.Status, c.Reason = False, ReasonRefused
	case r.Serving < r.Total:
		c.Status, c.Reason = Unknown, ReasonPending
	}
	set := func(list []Relation) []Relation {
		list = slices.Clone(list)
		for i := range list {
			list[i].Conditions = Set(slices.Clone(list[i].Conditions), c)
		}
		return list
	}
	switch {
	case len(o.Parents) > 0:
		o.Parents = set(o.Parents)
	case len(o.Ancestors) > 0:
		o.Ancestors = set(o.Ancestors)
	default:
		o.Conditions = Set(slices.Clone(o.Conditions), c)
	}
	return o
}
