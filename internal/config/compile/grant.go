package compile

import (
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/internal/config/store"
)

// grants holds ReferenceGrants by the namespace that gives them.
type grants map[string][]gwv1.ReferenceGrantSpec

func indexGrants(set *store.Set) grants {
	g := grants{}
	for _, o := range set.Kind(gatewayGroup, "ReferenceGrant") {
		if v, ok := o.Value.(*gwv1.ReferenceGrant); ok {
			g[o.Key.Namespace] = append(g[o.Key.Namespace], v.Spec)
		}
	}
	return g
}

// permits tells whether from may refer to to. References within a namespace
// need no grant.
func (g grants) permits(from, to store.Key) bool {
	if from.Namespace == to.Namespace {
		return true
	}
	for _, spec := range g[to.Namespace] {
		if grantsFrom(spec, from) && grantsTo(spec, to) {
			return true
		}
	}
	return false
}

func grantsFrom(spec gwv1.ReferenceGrantSpec, from store.Key) bool {
	for _, f := range spec.From {
		if string(f.Group) == from.Group && string(f.Kind) == from.Kind && string(f.Namespace) == from.Namespace {
			return true
		}
	}
	return false
}

func grantsTo(spec gwv1.ReferenceGrantSpec, to store.Key) bool {
	for _, t := range spec.To {
		if coreGroup(string(t.Group)) == to.Group && string(t.Kind) == to.Kind &&
			(t.Name == nil || *t.Name == "" || string(*t.Name) == to.Name) {
			return true
		}
	}
	return false
}

// coreGroup accepts "core" for the core group, whose name is empty.
func coreGroup(g string) string {
	if g == "core" {
		return ""
	}
	return g
}

// grantRemedy tells the user what to write so that a reference is allowed.
func grantRemedy(from, to store.Key) string {
	return "add a ReferenceGrant in namespace " + to.Namespace + " from " + from.Kind + " in " + from.Namespace + " to " + to.Kind
}
