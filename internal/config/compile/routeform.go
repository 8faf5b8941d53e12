package compile

import (
	"fmt"
	"slices"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/internal/config/status"
	"github.com/gridway/gridway/internal/ir"
)

// compile attaches the route and compiles a form of it for each policy context.
func (s *routeScope) compile(faults []fault) {
	s.unresolved = status.Condition{
		Type: string(gwv1.RouteConditionResolvedRefs), Status: status.True,
		Reason: string(gwv1.RouteReasonResolvedRefs), Generation: meta(s.object).GetGeneration(),
	}
	parents := s.attach()
	served := len(s.spec.Rules) == 0 || len(s.dropped) < len(s.spec.Rules)
	forms := map[string]string{} // by the key of the context
	order := []*policyContext{}
	for _, p := range parents {
		for _, at := range p.sections {
			if _, known := forms[at.section.context.key]; !known && served && !at.section.refused {
				forms[at.section.context.key] = ""
				order = append(order, at.section.context)
			}
		}
		for _, at := range p.ports {
			if _, known := forms[at.context.key]; !known && served {
				forms[at.context.key] = ""
				order = append(order, at.context)
			}
		}
	}
	for i, ctx := range order {
		r := s.form(ctx)
		if i > 0 {
			r.Name = fmt.Sprintf("%s~%08x", r.Name, uint32(hashOf(ctx.key)))
		}
		forms[ctx.key] = r.Name
		s.state.forms = append(s.state.forms, r)
	}
	if len(order) == 0 && served && len(parents) > 0 {
		s.unserved = true
		s.form(&policyContext{}) // for what it refers to, and its problems
	}
	for _, p := range parents {
		for _, at := range p.sections {
			if name := forms[at.section.context.key]; name != "" && !s.attachedTo(at) {
				s.state.attachments = append(s.state.attachments, attachment{at.section.index, ir.Attachment{Route: name, Hostnames: at.hostnames}})
			}
			if served && !slices.Contains(s.state.accepted, at.section.index) {
				s.state.accepted = append(s.state.accepted, at.section.index)
			}
		}
		for _, at := range p.ports {
			if name := forms[at.context.key]; name != "" && !slices.ContainsFunc(s.state.mesh, func(a meshAttachment) bool { return a.place == at.place }) {
				s.state.mesh = append(s.state.mesh, meshAttachment{at.place, name, p.ref})
			}
		}
	}
	for cs := range s.count {
		s.state.clusters = append(s.state.clusters, cs)
	}
	s.writeStatus(parents, faults, served)
}

// attachedTo adds the hostnames to an attachment that another parentRef brought.
func (s *routeScope) attachedTo(at attachedSection) bool {
	for i := range s.state.attachments {
		if a := &s.state.attachments[i]; a.section == at.section.index {
			for _, h := range at.hostnames {
				if !slices.Contains(a.ir.Hostnames, h) {
					a.ir.Hostnames = append(a.ir.Hostnames, h)
				}
			}
			return true
		}
	}
	return false
}

// form compiles the route as listeners with these policies serve it.
func (s *routeScope) form(ctx *policyContext) *ir.Route {
	r := &ir.Route{
		Name: s.object.Key.String(), Ref: ref(s.object, ""),
		Created: meta(s.object).GetCreationTimestamp().UTC(), // as it comes back from JSON
		GRPC:    s.grpc(),
	}
	rules := s.spec.Rules
	if len(rules) == 0 {
		rules = []gwv1.HTTPRouteRule{{}}
	}
	s.stream, s.mesh = useOf(s.object.Key.Kind, ctx), ctx.mesh
	for i := range rules {
		if _, out := s.dropped[i]; !out {
			r.Rules = append(r.Rules, s.rule(ctx, i, &rules[i]))
		}
	}
	return r
}

// collectRoutes gathers what the routes came to.
func (c *compiler) collectRoutes() []*ir.Route {
	out := make([]*ir.Route, 0, len(c.next.routes))
	var last *settings
	c.collectStreams()
	for _, ss := range c.next.services {
		c.settleService(ss)
	}
	for i, x := range c.sections {
		if c.prev != nil && i < len(c.prev.attachments) {
			x.attachments = make([]ir.Attachment, 0, len(c.prev.attachments[i])+1)
		}
	}
	for _, rs := range c.next.routes {
		out = append(out, rs.forms...)
		for _, at := range rs.attachments {
			x := c.sections[at.section]
			x.attachments = append(x.attachments, at.ir)
		}
		last = c.collectRoute(rs, last)
	}
	for _, x := range c.sections {
		c.next.attachments = append(c.next.attachments, x.attachments)
		c.next.accepted = append(c.next.accepted, x.attached)
	}
	return out
}

// collectRoute gathers what a route of any kind has to say. Last are the
// settings of the one before, which are often the same.
func (c *compiler) collectRoute(rs *routeState, last *settings) *settings {
	c.next.plain = c.next.plain && rs.plain()
	for _, i := range rs.accepted {
		c.sections[i].attached++
	}
	for _, m := range rs.settings {
		if m != last && !c.traffic.settled[m] {
			c.settle(m)
			c.next.settled = append(c.next.settled, m)
		}
		last = m
	}
	for _, l := range rs.losses {
		c.loseTo(l)
	}
	c.problems = append(c.problems, rs.problems...)
	for _, p := range rs.shared {
		c.reportOnce(p)
	}
	return last
}
