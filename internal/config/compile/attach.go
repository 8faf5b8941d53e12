package compile

import (
	"fmt"
	"slices"
	"strings"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/internal/config/status"
	"github.com/gridway/gridway/internal/config/store"
)

// parent is one parentRef of a route.
type parent struct {
	ref      status.Reference
	field    string
	sections []attachedSection
	ports    []attachedPort // of a Service
	accepted status.Condition
	remedy   string
	severity store.Severity
}

type attachedSection struct {
	section   *section
	hostnames []string
}

// attach resolves the parentRefs. Parents that are not ours are left out.
func (s *routeScope) attach() []*parent {
	var out []*parent
	for i, r := range s.spec.ParentRefs {
		p := s.parent(i, r)
		if p == nil {
			continue
		}
		out = append(out, p)
		if p.accepted.Status != status.True {
			s.state.problems = append(s.state.problems,
				problemAt(s.object, p.field, p.severity, p.accepted.Reason, p.accepted.Message, p.remedy))
		}
	}
	if scope := s.spec.UseDefaultGateways; scope != "" && scope != gwv1.GatewayDefaultScopeNone {
		s.state.problems = append(s.state.problems, problemAt(s.object, "spec.useDefaultGateways", store.Warning, "NotBuiltYet",
			"default Gateways are not built yet: useDefaultGateways has no effect", "name the Gateway by a parentRef"))
	}
	if len(s.spec.ParentRefs) == 0 {
		s.state.problems = append(s.state.problems, problemAt(s.object, "spec", store.Warning, "NoParent",
			"the route has no parentRefs, so nothing serves it", "add a parentRef to a Gateway, or to a Service of the mesh"))
	}
	return out
}

func (s *routeScope) parent(i int, r gwv1.ParentReference) *parent {
	key := resolveKey(s.object, r.Group, gatewayGroup, r.Kind, "Gateway", r.Namespace, r.Name)
	p := &parent{
		field: fmt.Sprintf("spec.parentRefs[%d]", i), severity: store.Warning,
		ref: status.Reference{
			Group: key.Group, Kind: key.Kind, Namespace: key.Namespace, Name: key.Name,
			SectionName: string(deref(r.SectionName, "")), Port: deref(r.Port, 0),
		},
		accepted: status.Condition{
			Type: string(gwv1.RouteConditionAccepted), Status: status.True,
			Reason: string(gwv1.RouteReasonAccepted), Generation: meta(s.object).GetGeneration(),
		},
	}
	var candidates []*section
	switch {
	case key.Group == gatewayGroup && key.Kind == "Gateway":
		gw, known := s.byKey[key]
		if known && gw == nil {
			return nil // another controller's
		}
		if gw == nil {
			s.state.missing = true
			message, remedy := s.notFound(key)
			s.refuseParent(p, gwv1.RouteReasonNoMatchingParent, message, remedy)
			return p
		}
		candidates = gw.sections
	case key.Group == gatewayGroup && key.Kind == "ListenerSet":
		set := s.sets[key]
		if set == nil {
			s.state.missing = true
			message, remedy := s.notFound(key)
			if s.set.Get(key) != nil {
				message, remedy = key.String()+" is not attached to a Gateway of ours", "see its parentRef"
			}
			s.refuseParent(p, gwv1.RouteReasonNoMatchingParent, message, remedy)
			return p
		}
		candidates = set.sections
	case key.Group == "" && key.Kind == "Service":
		s.attachService(p, key)
		return p
	default:
		s.refuseParent(p, gwv1.RouteReasonNoMatchingParent, fmt.Sprintf("kind %s of group %q cannot be a parent", key.Kind, key.Group),
			"use a Gateway, a ListenerSet or a Service")
		return p
	}
	s.choose(p, candidates)
	return p
}

func (s *routeScope) refuseParent(p *parent, reason gwv1.RouteConditionReason, message, remedy string) {
	p.accepted.Status, p.accepted.Reason, p.accepted.Message = status.False, string(reason), message
	p.remedy = remedy
}

// remedyForSection says which listeners a parentRef could have meant.
func remedyForSection(r status.Reference, candidates []*section) string {
	var names, all []string
	for _, x := range candidates {
		name := string(x.spec.Name)
		if name == r.SectionName {
			return fmt.Sprintf("%q is on port %d", name, x.spec.Port)
		}
		if r.Port == 0 || x.spec.Port == r.Port {
			names = append(names, name)
		}
		all = append(all, fmt.Sprintf("%s (%d)", name, x.spec.Port))
	}
	if r.SectionName != "" {
		if remedy := didYouMean(r.SectionName, names); remedy != "" {
			return remedy
		}
	}
	if len(all) == 0 {
		return ""
	}
	return "its listeners are " + strings.Join(all, ", ")
}

// choose narrows the parent's listeners down to those that the route attaches to.
func (s *routeScope) choose(p *parent, candidates []*section) {
	named := slices.DeleteFunc(slices.Clone(candidates), func(x *section) bool {
		return p.ref.SectionName != "" && string(x.spec.Name) != p.ref.SectionName ||
			p.ref.Port != 0 && x.spec.Port != p.ref.Port
	})
	if len(named) == 0 {
		what, remedy := fmt.Sprintf("no listener %q", p.ref.SectionName), remedyForSection(p.ref, candidates)
		if p.ref.SectionName == "" {
			what = "no listener"
		}
		if p.ref.Port != 0 {
			what = fmt.Sprintf("no listener on port %d", p.ref.Port)
			if p.ref.SectionName != "" {
				what = fmt.Sprintf("no listener %q on port %d", p.ref.SectionName, p.ref.Port)
			}
		}
		s.refuseParent(p, gwv1.RouteReasonNoMatchingParent, fmt.Sprintf("%s/%s/%s has %s", p.ref.Kind, p.ref.Namespace, p.ref.Name, what), remedy)
		return
	}
	if !slices.ContainsFunc(named, func(x *section) bool { return x.takes(s.object.Key) }) {
		remedy := "attach it to a listener of protocol " + listenersFor[s.object.Key.Kind]
		if slices.ContainsFunc(named, func(x *section) bool { return x.spec.AllowedRoutes != nil && len(x.spec.AllowedRoutes.Kinds) > 0 }) {
			remedy = "see allowedRoutes.kinds of its listeners"
		}
		s.refuseParent(p, gwv1.RouteReasonNotAllowedByListeners,
			fmt.Sprintf("no listener of %s takes %ss: %s", p.ref, s.object.Key.Kind, protocolsOf(named)), remedy)
		return
	}
	allowed := slices.DeleteFunc(named, func(x *section) bool { return !s.admits(x, s.object.Key) })
	if len(allowed) == 0 {
		s.refuseParent(p, gwv1.RouteReasonNotAllowedByListeners,
			fmt.Sprintf("no listener of %s allows %ss from namespace %q", p.ref, s.object.Key.Kind, s.object.Key.Namespace),
			"see allowedRoutes of its listeners")
		return
	}
	hostnames := make([]string, len(s.spec.Hostnames))
	for i, h := range s.spec.Hostnames {
		hostnames[i] = string(h)
	}
	for _, x := range allowed {
		if common, ok := intersect(x.hostname, hostnames); ok {
			p.sections = append(p.sections, attachedSection{x, common})
		}
	}
	if len(p.sections) == 0 {
		var have []string
		for _, x := range allowed {
			have = append(have, x.hostname)
		}
		s.refuseParent(p, gwv1.RouteReasonNoMatchingListenerHostname,
			fmt.Sprintf("hostnames %q have nothing in common with the listeners' %q", hostnames, have), "")
		return
	}
	s.warnIdleHostnames(p, hostnames)
}

// listenersFor are the protocols of listeners that routes of a kind attach to.
var listenersFor = map[string]string{
	"HTTPRoute": "HTTP or HTTPS", "GRPCRoute": "HTTP or HTTPS", "TLSRoute": "TLS", "TCPRoute": "TCP, or TLS with mode Terminate", "UDPRoute": "UDP",
}

// protocolsOf says of listeners what they are for.
func protocolsOf(list []*section) string {
	var out []string
	for _, x := range list {
		out = append(out, fmt.Sprintf("%s is for %s", x.spec.Name, x.spec.Protocol))
	}
	return strings.Join(out, ", ")
}

// warnIdleHostnames names hostnames that no listener of the parent serves.
func (s *routeScope) warnIdleHostnames(p *parent, hostnames []string) {
	for i, h := range hostnames {
		used := slices.ContainsFunc(p.sections, func(at attachedSection) bool {
			_, ok := intersect(at.section.hostname, []string{h})
			return ok
		})
		if !used {
			s.state.problems = append(s.state.problems, problemAt(s.object, fmt.Sprintf("spec.hostnames[%d]", i), store.Warning,
				"HostnameWithoutListener", fmt.Sprintf("no listener of %s serves hostname %q", p.ref, h), ""))
		}
	}
}

// writeStatus writes the route's status.
func (s *routeScope) writeStatus(parents []*parent, faults []fault, served bool) {
	generation := meta(s.state.object).GetGeneration()
	if len(parents) == 1 && len(faults) == 0 && parents[0].accepted.Status == status.True && s.unresolved.Status == status.True {
		s.state.parents = s.acceptedBy(parents[0], s.unresolved)
		return
	}
	for _, p := range parents {
		conditions := []status.Condition{p.accepted, s.unresolved}
		if p.accepted.Status == status.True && len(faults) > 0 {
			partial := status.Condition{
				Type: string(gwv1.RouteConditionPartiallyInvalid), Status: status.True,
				Reason: faultReason(faults[0]), Generation: generation,
			}
			switch {
			case s.state.fallback != nil:
				partial.Message = "Fall Back to the last good version: " + faults[0].field + ": " + faults[0].message
				conditions = append(conditions, partial)
			case served:
				partial.Message = s.dropMessage()
				conditions = append(conditions, partial)
			default:
				conditions[0].Status, conditions[0].Reason = status.False, faultReason(faults[0])
				conditions[0].Message = faults[0].field + ": " + faults[0].message
			}
		}
		s.state.parents = append(s.state.parents, status.Relation{Ref: p.ref, Conditions: conditions})
	}
}

// acceptedBy shares the status of routes that are as they should be.
func (c *compiler) acceptedBy(p *parent, resolved status.Condition) []status.Relation {
	key := relationKey{p.ref, p.accepted, resolved}
	list, ok := c.relations[key]
	if !ok {
		list = []status.Relation{{Ref: p.ref, Conditions: []status.Condition{p.accepted, resolved}}}
		c.relations[key] = list
	}
	return list
}

// relationKey is what the status of an accepted route depends on.
type relationKey struct {
	ref                status.Reference
	accepted, resolved status.Condition
}

// status is the route's, for whoever asks.
func (rs *routeState) status() status.Object {
	o := rs.object
	return status.Object{Key: o.Key, Generation: meta(o).GetGeneration(), Position: o.Locate(""), Parents: rs.parents}
}

func faultReason(f fault) string {
	if f.reason != "" {
		return f.reason
	}
	return string(gwv1.RouteReasonUnsupportedValue)
}
