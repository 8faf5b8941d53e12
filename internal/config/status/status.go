// Package status says what became of each object: Gateway API conditions with
// the types and reasons of the specification, per parent for routes, per
// ancestor for policies and per listener for Gateways and ListenerSets.
//
// Compile fills in everything but Programmed, which depends on the proxies and
// is set by Program. The package owns no goroutines. Compile, the sources that
// write statuses back, the CLI and app may import it; the data plane may not.
package status

import (
	"strconv"

	"github.com/gridway/gridway/internal/config/store"
)

// Object is the status of one object.
type Object struct {
	Key store.Key `json:"key"`
	// Generation is metadata.generation of the version that was judged.
	Generation int64          `json:"generation,omitempty"`
	Position   store.Position `json:"position,omitzero"`
	// Conditions of the object itself: GatewayClass, Gateway, ListenerSet, Backend.
	Conditions []Condition `json:"conditions,omitempty"`
	// Listeners of a Gateway or a ListenerSet, in the order of the spec.
	Listeners []Listener `json:"listeners,omitempty"`
	// Parents of a route, one for each parentRef that is ours.
	Parents []Relation `json:"parents,omitempty"`
	// Ancestors of a policy.
	Ancestors []Relation `json:"ancestors,omitempty"`
	// Addresses that a Gateway is bound to.
	Addresses []string `json:"addresses,omitempty"`
	// AttachedListenerSets counts the accepted ListenerSets of a Gateway.
	AttachedListenerSets int `json:"attachedListenerSets,omitempty"`
}

// Truth is the status of a condition.
type Truth string

const (
	True    Truth = "True"
	False   Truth = "False"
	Unknown Truth = "Unknown"
)

// Condition is one aspect of an object's state.
type Condition struct {
	Type    string `json:"type"`
	Status  Truth  `json:"status"`
	Reason  string `json:"reason"`
	Message string `json:"message,omitempty"`
	// Generation is the generation of the object that the condition speaks of.
	Generation int64 `json:"observedGeneration,omitempty"`
}

// Listener is the status of one listener.
type Listener struct {
	Name string `json:"name"`
	// SupportedKinds are "group/Kind".
	SupportedKinds []string    `json:"supportedKinds,omitempty"`
	AttachedRoutes int         `json:"attachedRoutes"`
	Conditions     []Condition `json:"conditions"`
}

// Reference names a parent or an ancestor.
type Reference struct {
	Group       string `json:"group,omitempty"`
	Kind        string `json:"kind"`
	Namespace   string `json:"namespace,omitempty"`
	Name        string `json:"name"`
	SectionName string `json:"sectionName,omitempty"`
	Port        int32  `json:"port,omitempty"`
}

// String returns "Kind/namespace/name", with "/section" and ":port" where the
// reference has them.
func (r Reference) String() string {
	s := r.Kind + "/"
	if r.Namespace != "" {
		s += r.Namespace + "/"
	}
	s += r.Name
	if r.SectionName != "" {
		s += "/" + r.SectionName
	}
	if r.Port != 0 {
		s += ":" + strconv.Itoa(int(r.Port))
	}
	return s
}

// Relation is how an object stands with one parent or ancestor.
type Relation struct {
	Ref        Reference   `json:"ref"`
	Conditions []Condition `json:"conditions"`
}

// Set puts c into list, replacing one of the same type.
func Set(list []Condition, c Condition) []Condition {
	for i := range list {
		if list[i].Type == c.Type {
			list[i] = c
			return list
		}
	}
	return append(list, c)
}

// Find returns the condition of that type.
func Find(list []Condition, kind string) (Condition, bool) {
	for _, c := range list {
		if c.Type == kind {
			return c, true
		}
	}
	return Condition{}, false
}

// Holds tells whether the condition of that type is True.
func Holds(list []Condition, kind string) bool {
	c, ok := Find(list, kind)
	return ok && c.Status == True
}

// Accepted tells whether the object is in force somewhere: its own Accepted
// condition, or that of at least one parent or ancestor, is True. An object
// that nobody judged (no conditions at all) counts as accepted.
func (o Object) Accepted() bool {
	if len(o.Conditions) == 0 && len(o.Parents) == 0 && len(o.Ancestors) == 0 {
		return true
	}
	if c, ok := Find(o.Conditions, "Accepted"); ok {
		return c.Status == True
	}
	for _, list := range [][]Relation{o.Parents, o.Ancestors} {
		for _, r := range list {
			if Holds(r.Conditions, "Accepted") {
				return true
			}
		}
	}
	return false
}
