package status

import (
	"encoding/json"
	"strings"
)

// Value is the status as an object of Kubernetes has it, by a controller of that name: of
// Gateways and ListenerSets with listeners, of routes with parents, of policies with
// ancestors.
func (o Object) Value(controller string) any {
	out := value{Conditions: o.Conditions, AttachedListenerSets: o.AttachedListenerSets}
	for _, a := range o.Addresses {
		out.Addresses = append(out.Addresses, address{a})
	}
	for _, l := range o.Listeners {
		out.Listeners = append(out.Listeners, listenerValue(l))
	}
	for _, p := range o.Parents {
		out.Parents = append(out.Parents, parent{p.Ref, controller, p.Conditions})
	}
	for _, a := range o.Ancestors {
		out.Ancestors = append(out.Ancestors, ancestor{a.Ref, controller, a.Conditions})
	}
	return out
}

type value struct {
	Addresses            []address       `json:"addresses,omitempty"`
	Conditions           []Condition     `json:"conditions,omitempty"`
	Listeners            []listenerValue `json:"listeners,omitempty"`
	AttachedListenerSets int             `json:"attachedListenerSets,omitempty"`
	Parents              []parent        `json:"parents,omitempty"`
	Ancestors            []ancestor      `json:"ancestors,omitempty"`
}

type address struct {
	Value string `json:"value"`
}

type parent struct {
	Ref        Reference   `json:"parentRef"`
	Controller string      `json:"controllerName"`
	Conditions []Condition `json:"conditions"`
}

type ancestor struct {
	Ref        Reference   `json:"ancestorRef"`
	Controller string      `json:"controllerName"`
	Conditions []Condition `json:"conditions"`
}

// listenerValue is a Listener whose kinds are objects.
type listenerValue Listener

// MarshalJSON implements json.Marshaler.
func (l listenerValue) MarshalJSON() ([]byte, error) {
	type kind struct {
		Group string `json:"group,omitempty"`
		Kind  string `json:"kind"`
	}
	kinds := []kind{}
	for _, k := range l.SupportedKinds {
		i := strings.LastIndexByte(k, '/')
		kinds = append(kinds, kind{k[:max(i, 0)], k[i+1:]})
	}
	return json.Marshal(struct {
		Name           string      `json:"name"`
		SupportedKinds []kind      `json:"supportedKinds"`
		AttachedRoutes int         `json:"attachedRoutes"`
		Conditions     []Condition `json:"conditions"`
	}{l.Name, kinds, l.AttachedRoutes, l.Conditions})
}
