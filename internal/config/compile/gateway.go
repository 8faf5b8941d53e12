package compile

import (
	"fmt"
	"net/netip"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/internal/config/status"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

// gateway is a Gateway of ours while it is compiled.
type gateway struct {
	object *store.Object // as the user wrote it now
	used   *store.Object // what is compiled: object, or its last good version
	spec   gwv1.GatewaySpec
	faults []fault

	addresses []string // IP addresses; "" is every address
	sections  []*section
	sets      []*listenerSet
	backend   *ir.Certificate

	accepted, resolved status.Condition
	insecureFrontend   bool
}

func gatewaySpec(o *store.Object) (gwv1.GatewaySpec, bool) {
	v, ok := o.Value.(*gwv1.Gateway)
	if !ok {
		return gwv1.GatewaySpec{}, false
	}
	return v.Spec, true
}

// compileGateways compiles Gateways and ListenerSets, oldest first, so that
// what is older keeps its port.
func (c *compiler) compileGateways() {
	for _, o := range c.aged(gatewayGroup, "Gateway") {
		spec, ok := gatewaySpec(o)
		if !ok {
			continue
		}
		if ours, why, remedy := c.ourClass(string(spec.GatewayClassName)); !ours {
			c.byKey[o.Key] = nil
			c.report(problemAt(o, "spec.gatewayClassName", store.Note, "OtherClass", why, remedy))
			continue
		}
		gw := c.newGateway(o, spec)
		c.gateways = append(c.gateways, gw)
		c.byKey[o.Key] = gw
	}
	c.compileListenerSets()
	for _, gw := range c.gateways {
		for _, s := range gw.everySection() {
			s.index = len(c.sections)
			c.sections = append(c.sections, s)
		}
		c.compileTLS(gw)
		c.findDetection(gw)
		c.findConflicts(gw)
	}
	c.shareSockets()
	c.bindContexts()
}

// newGateway judges a Gateway and falls back to its last good version if it is invalid.
func (c *compiler) newGateway(o *store.Object, spec gwv1.GatewaySpec) *gateway {
	gw := &gateway{object: o, used: o, spec: spec, faults: judgeGateway(spec)}
	if len(gw.faults) > 0 {
		for _, f := range gw.faults {
			c.report(f.problem(o))
		}
		if old := c.lastGood(o); old != nil {
			if oldSpec, ok := gatewaySpec(old); ok && len(judgeGateway(oldSpec)) == 0 {
				gw.used, gw.spec = old, oldSpec
				c.next.fallback[o.Key] = old
				c.report(keepsServing(o))
			}
		}
	}
	generation := meta(gw.used).GetGeneration()
	gw.accepted = status.Condition{
		Type: string(gwv1.GatewayConditionAccepted), Status: status.True,
		Reason: string(gwv1.GatewayReasonAccepted), Generation: generation,
	}
	gw.resolved = status.Condition{
		Type: string(gwv1.GatewayConditionResolvedRefs), Status: status.True,
		Reason: string(gwv1.GatewayReasonResolvedRefs), Generation: generation,
	}
	c.bindAddresses(gw)
	c.judgeInfrastructure(gw)
	if scope := gw.spec.DefaultScope; scope != "" && scope != gwv1.GatewayDefaultScopeNone {
		c.report(problemAt(gw.used, "spec.defaultScope", store.Warning, "NotBuiltYet",
			"default Gateways are not built yet: defaultScope has no effect", "name the Gateway by a parentRef of each route"))
	}
	names := map[gwv1.SectionName]bool{}
	for i, l := range gw.spec.Listeners {
		s := c.newSection(gw, gw.used, i, l)
		if gw.used == o && (faulty(gw.faults, s.field) || names[l.Name]) {
			s.refused = true
			s.accepted.Status, s.accepted.Reason = status.False, string(gwv1.ListenerReasonInvalid)
			s.accepted.Message = firstFault(gw.faults, s.field)
		}
		names[l.Name] = true
		s.refused = s.refused || gw.accepted.Status == status.False
		gw.sections = append(gw.sections, s)
	}
	return gw
}

// bindAddresses finds the addresses that the Gateway's sockets are bound to.
func (c *compiler) bindAddresses(gw *gateway) {
	for i, a := range gw.spec.Addresses {
		field := fmt.Sprintf("spec.addresses[%d]", i)
		kind := deref(a.Type, gwv1.IPAddressType)
		if kind == gwv1.IPAddressType {
			if a.Value == "" {
				gw.addresses = append(gw.addresses, "")
				continue
			}
			if ip, err := netip.ParseAddr(a.Value); err == nil {
				gw.addresses = append(gw.addresses, ip.String())
				continue
			}
		}
		message := fmt.Sprintf("address %q of type %s cannot be bound", a.Value, kind)
		gw.accepted.Status, gw.accepted.Reason, gw.accepted.Message = status.False, string(gwv1.GatewayReasonUnsupportedAddress), message
		c.report(problemAt(gw.used, field, store.Warning, string(gwv1.GatewayReasonUnsupportedAddress), message,
			"use type IPAddress with an address of this machine, or leave addresses out"))
	}
	if len(gw.spec.Addresses) == 0 {
		gw.addresses = []string{""}
	}
	if gw.used == gw.object && faulty(gw.faults, "spec.listeners") && len(gw.spec.Listeners) == 0 {
		gw.accepted.Status, gw.accepted.Reason, gw.accepted.Message = status.False, string(gwv1.GatewayReasonInvalid), gw.faults[0].message
	}
}

// judgeInfrastructure names what would be for resources made for the Gateway,
// of which there are none. Parameters that nobody can read are a reason not to
// serve: who wrote them counts on them.
func (c *compiler) judgeInfrastructure(gw *gateway) {
	in := gw.spec.Infrastructure
	if in == nil {
		return
	}
	if len(in.Labels)+len(in.Annotations) > 0 {
		c.report(problemAt(gw.used, "spec.infrastructure", store.Note, "NoInfrastructure",
			"labels and annotations have no effect: nothing is created for a Gateway here", ""))
	}
	if r := in.ParametersRef; r != nil {
		message := fmt.Sprintf("parameters of kind %s in group %q are not known", r.Kind, r.Group)
		gw.accepted.Status, gw.accepted.Reason, gw.accepted.Message = status.False, string(gwv1.GatewayReasonInvalidParameters), message
		c.report(problemAt(gw.used, "spec.infrastructure.parametersRef", store.Warning, string(gwv1.GatewayReasonInvalidParameters),
			message+"; the Gateway is not served", "attach a TrafficPolicy to the Gateway instead"))
	}
}

// everySection lists the Gateway's own listeners, then those of its ListenerSets.
func (gw *gateway) everySection() []*section {
	all := gw.sections
	for _, set := range gw.sets {
		all = append(all[:len(all):len(all)], set.sections...)
	}
	return all
}

// finishGateways writes the statuses, once routes have been attached.
func (c *compiler) finishGateways() {
	c.finishListenerSets()
	for _, gw := range c.gateways {
		o := status.Object{
			Key: gw.object.Key, Generation: meta(gw.object).GetGeneration(), Position: gw.object.Locate(""),
		}
		served, invalid := 0, ""
		for _, s := range gw.sections {
			o.Listeners = append(o.Listeners, s.status())
			if s.resolved.Status == status.False && gw.resolved.Status == status.True {
				gw.resolved.Status, gw.resolved.Reason = status.False, string(gwv1.GatewayReasonListenersNotResolved)
				gw.resolved.Message = "see listener " + string(s.spec.Name)
			}
			if s.accepted.Status == status.False {
				if invalid != "" {
					invalid += ", "
				}
				invalid += string(s.spec.Name)
			} else {
				served++
			}
			c.warnIdle(s)
		}
		for _, set := range gw.sets {
			if set.accepted.Status == status.True {
				o.AttachedListenerSets++
			}
		}
		if invalid != "" && gw.accepted.Status == status.True {
			gw.accepted.Reason = string(gwv1.GatewayReasonListenersNotValid)
			gw.accepted.Message = "listeners not accepted: " + invalid
			if served == 0 {
				gw.accepted.Status = status.False
			}
		}
		if gw.accepted.Status == status.True {
			o.Addresses = gw.addresses
		}
		o.Conditions = gw.conditions()
		c.say(o)
	}
}

func (gw *gateway) conditions() []status.Condition {
	programmed := status.Condition{
		Type: string(gwv1.GatewayConditionProgrammed), Status: status.Unknown,
		Reason: string(gwv1.GatewayReasonPending), Generation: gw.accepted.Generation,
	}
	if gw.accepted.Status == status.False {
		programmed.Status, programmed.Reason = status.False, string(gwv1.GatewayReasonInvalid)
	}
	if gw.used != gw.object { // what is programmed then is the last good version
		gw.accepted.Status, gw.accepted.Reason = status.False, string(gwv1.GatewayReasonInvalid)
		gw.accepted.Message = "the last good version serves, because this one is invalid: " + gw.faults[0].message
	}
	list := []status.Condition{gw.accepted, gw.resolved, programmed}
	if gw.insecureFrontend {
		list = append(list, status.Condition{
			Type: string(gwv1.GatewayConditionInsecureFrontendValidationMode), Status: status.True,
			Reason:     string(gwv1.GatewayReasonConfigurationChanged),
			Message:    "clients without a valid certificate are let in (AllowInsecureFallback)",
			Generation: gw.accepted.Generation,
		})
	}
	return list
}

// warnIdle names listeners that no route is attached to.
func (c *compiler) warnIdle(s *section) {
	if !s.refused && s.attached == 0 {
		what, article := "every request is answered 404", "an "
		if k := s.spec.Protocol; k != gwv1.HTTPProtocolType && k != gwv1.HTTPSProtocolType {
			what, article = "everything is refused", "a "
		}
		c.report(problemAt(s.owner, s.field, store.Warning, "ListenerWithoutRoutes",
			fmt.Sprintf("no route is attached to listener %q; %s", s.spec.Name, what),
			"add "+article+kindList(s.supportedKinds())+" with a parentRef to it, or remove it"))
	}
}
