package status

import (
	"fmt"
	"slices"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/internal/config/store"
)

// Progress is how far a revision has got on its way into the proxies.
type Progress struct {
	Revision uint64
	// Serving of Total proxies serve Revision: of a process that is no control plane,
	// its own.
	Serving, Total int
	// Failed has an entry for each section that the process's own proxy could not
	// open, by the section's name in the IR ("Gateway/namespace/name/section"), with
	// the cause.
	Failed map[string]string
	// Mesh says of each object, "Kind/namespace/name", what the proxies of a mesh
	// do, the process's own among them; nil without a mesh. An object that is not
	// in it is needed by none.
	Mesh map[string]Reach
	// Changed says which revision has made an object what it is; zero, and nil, is that
	// nobody knows. Messages name it: who serves that one serves the object, also if Revision
	// is a later one.
	Changed func(store.Key) uint64
}

// Program returns a copy of the objects with the Programmed condition of each
// Gateway, ListenerSet and listener set for that progress and, in a mesh, the
// Distributed condition of each object. Listeners that compile refused stay
// Programmed=False with reason Invalid.
func Program(objects []Object, p Progress) []Object {
	out := slices.Clone(objects)
	for i := range out {
		if k := out[i].Key.Kind; k == "Gateway" || k == "ListenerSet" {
			out[i] = program(out[i], p)
		}
		if p.Mesh != nil && out[i].Accepted() {
			out[i] = distribute(out[i], p)
		}
	}
	return out
}

func program(o Object, p Progress) Object {
	o.Conditions = slices.Clone(o.Conditions)
	o.Listeners = slices.Clone(o.Listeners)
	serving := 0
	failed := ""
	for i := range o.Listeners {
		l := &o.Listeners[i]
		l.Conditions = slices.Clone(l.Conditions)
		if refused(l.Conditions) {
			continue
		}
		c := p.condition(o)
		if why := p.Failed[o.Key.String()+"/"+l.Name]; why != "" {
			failed = fmt.Sprintf("listener %s: %s", l.Name, why)
			c.Status, c.Reason, c.Message = False, string(gwv1.ListenerReasonPortUnavailable), why
		} else {
			serving++
		}
		l.Conditions = Set(l.Conditions, c)
	}
	if refused(o.Conditions) {
		return o
	}
	c := p.condition(o)
	switch {
	case failed != "" && serving == 0:
		c.Status, c.Reason, c.Message = False, string(gwv1.GatewayReasonAddressNotUsable), failed
	case failed != "":
		c.Message += "; " + failed
	}
	o.Conditions = Set(o.Conditions, c)
	return o
}

// refused tells whether compile has already decided that nothing will be programmed.
func refused(list []Condition) bool {
	c, ok := Find(list, string(gwv1.GatewayConditionProgrammed))
	return ok && c.Status == False && c.Reason != string(gwv1.ListenerReasonPortUnavailable) &&
		c.Reason != string(gwv1.GatewayReasonAddressNotUsable) && c.Reason != ReasonRefused
}

// condition is the Programmed condition of an object of which nothing failed here.
func (p Progress) condition(o Object) Condition {
	c := Condition{
		Type: string(gwv1.GatewayConditionProgrammed), Status: True, Reason: string(gwv1.GatewayReasonProgrammed), Generation: o.Generation,
	}
	r := p.reach(o.Key)
	c.Message = r.message(p.changed(o.Key))
	switch {
	case r.Total == 0:
		c.Status, c.Reason, c.Message = Unknown, string(gwv1.GatewayReasonPending), "no proxy serves it: there is no edge"
	case r.Refused:
		c.Status, c.Reason = False, ReasonRefused
	case r.Serving < r.Total:
		c.Status, c.Reason = Unknown, string(gwv1.GatewayReasonPending)
	}
	return c
}

func (p Progress) changed(k store.Key) uint64 {
	if p.Changed != nil {
		if n := p.Changed(k); n > 0 {
			return n
		}
	}
	return p.Revision
}

func (p Progress) reach(k store.Key) Reach {
	if p.Mesh == nil {
		return Reach{Serving: p.Serving, Total: p.Total}
	}
	return p.Mesh[k.String()]
}
