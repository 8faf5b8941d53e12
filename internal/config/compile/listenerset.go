package compile

import (
	"fmt"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/internal/config/status"
	"github.com/gridway/gridway/internal/config/store"
)

// listenerSet adds listeners to a Gateway that allows it.
type listenerSet struct {
	object   *store.Object
	used     *store.Object
	faults   []fault
	gateway  *gateway
	sections []*section
	accepted status.Condition
}

// compileListenerSets attaches ListenerSets to their Gateways, oldest first.
func (c *compiler) compileListenerSets() {
	for _, o := range c.aged(gatewayGroup, "ListenerSet") {
		v, ok := o.Value.(*gwv1.ListenerSet)
		if !ok {
			continue
		}
		parent := v.Spec.ParentRef
		key := store.Key{
			Group: string(deref(parent.Group, gatewayGroup)), Kind: string(deref(parent.Kind, "Gateway")),
			Namespace: string(deref(parent.Namespace, gwv1.Namespace(o.Key.Namespace))), Name: string(parent.Name),
		}
		gw, known := c.byKey[key]
		if gw == nil {
			if known {
				c.report(problemAt(o, "spec.parentRef", store.Note, "OtherClass",
					fmt.Sprintf("ignored: %s is not a Gateway that Gridway serves", key), ""))
			} else {
				message, remedy := c.notFound(key)
				c.report(problemAt(o, "spec.parentRef.name", store.Warning, "ParentNotFound", message, remedy))
			}
			continue
		}
		c.sets[o.Key] = c.newListenerSet(gw, o, v)
	}
}

func (c *compiler) newListenerSet(gw *gateway, o *store.Object, v *gwv1.ListenerSet) *listenerSet {
	set := &listenerSet{object: o, used: o, gateway: gw, faults: judgeListenerSet(v)}
	if len(set.faults) > 0 {
		for _, f := range set.faults {
			c.report(f.problem(o))
		}
		if old := c.lastGood(o); old != nil {
			if good, ok := old.Value.(*gwv1.ListenerSet); ok && len(judgeListenerSet(good)) == 0 {
				set.used, v = old, good
				c.next.fallback[o.Key] = old
				c.report(keepsServing(o))
			}
		}
	}
	set.accepted = status.Condition{
		Type: string(gwv1.ListenerSetConditionAccepted), Status: status.True,
		Reason: string(gwv1.ListenerSetReasonAccepted), Generation: meta(o).GetGeneration(),
	}
	if !c.allowsSet(gw, o) {
		set.accepted.Status, set.accepted.Reason = status.False, string(gwv1.ListenerSetReasonNotAllowed)
		set.accepted.Message = fmt.Sprintf("%s does not allow ListenerSets from namespace %q", gw.object.Key, o.Key.Namespace)
		c.report(problemAt(o, "spec.parentRef", store.Warning, string(gwv1.ListenerSetReasonNotAllowed),
			set.accepted.Message, "set spec.allowedListeners.namespaces.from of the Gateway"))
		return set
	}
	for i, e := range v.Spec.Listeners {
		s := c.newSection(gw, set.used, i, gwv1.Listener(e))
		if set.used == o && faulty(set.faults, s.field) {
			s.refused = true
			s.accepted.Status, s.accepted.Reason = status.False, string(gwv1.ListenerReasonInvalid)
			s.accepted.Message = firstFault(set.faults, s.field)
		}
		s.refused = s.refused || gw.accepted.Status == status.False
		set.sections = append(set.sections, s)
	}
	gw.sets = append(gw.sets, set)
	return set
}

func judgeListenerSet(v *gwv1.ListenerSet) []fault {
	list := make([]gwv1.Listener, len(v.Spec.Listeners))
	for i, e := range v.Spec.Listeners {
		list[i] = gwv1.Listener(e)
	}
	return judgeListeners(list)
}

func (c *compiler) allowsSet(gw *gateway, o *store.Object) bool {
	a := gw.spec.AllowedListeners
	if a == nil || a.Namespaces == nil {
		return false
	}
	n, err := selectNamespaces(a.Namespaces.From, gwv1.NamespacesFromNone, a.Namespaces.Selector, gw.object.Key.Namespace)
	return err == nil && c.inNamespaces(n, o.Key.Namespace)
}

// finishListenerSets writes the statuses, once routes have been attached.
func (c *compiler) finishListenerSets() {
	for _, o := range c.set.Kind(gatewayGroup, "ListenerSet") {
		set := c.sets[o.Key]
		if set == nil {
			continue
		}
		st := status.Object{Key: o.Key, Generation: meta(o).GetGeneration(), Position: o.Locate("")}
		served, invalid := 0, ""
		for _, s := range set.sections {
			st.Listeners = append(st.Listeners, s.status())
			if s.accepted.Status == status.False || s.withoutCertificate() {
				invalid += " " + string(s.spec.Name)
			} else {
				served++
			}
			c.warnIdle(s)
		}
		if invalid != "" {
			set.accepted.Reason, set.accepted.Message = string(gwv1.ListenerSetReasonListenersNotValid), "listeners that are not valid:"+invalid
			if served == 0 {
				set.accepted.Status = status.False
			}
		}
		programmed := status.Condition{
			Type: string(gwv1.ListenerSetConditionProgrammed), Status: status.Unknown,
			Reason: string(gwv1.ListenerSetReasonPending), Generation: set.accepted.Generation,
		}
		if set.accepted.Status == status.False {
			programmed.Status, programmed.Reason = status.False, string(gwv1.ListenerSetReasonInvalid)
			switch gwv1.ListenerSetConditionReason(set.accepted.Reason) {
			case gwv1.ListenerSetReasonNotAllowed, gwv1.ListenerSetReasonListenersNotValid:
				programmed.Reason = set.accepted.Reason
			}
		}
		accepted := set.accepted
		if set.used != set.object { // what is programmed then is the last good version
			accepted.Status, accepted.Reason = status.False, string(gwv1.ListenerSetReasonInvalid)
			accepted.Message = "the last good version serves, because this one is invalid: " + set.faults[0].message
		}
		st.Conditions = []status.Condition{accepted, programmed}
		c.say(st)
	}
}
