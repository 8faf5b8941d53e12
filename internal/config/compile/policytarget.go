package compile

import (
	"fmt"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/status"
	"github.com/gridway/gridway/internal/config/store"
)

// target is what a policy attaches to: an object, or a section of one.
type target struct {
	key     store.Key
	section string
}

func (t target) String() string {
	if t.section == "" {
		return t.key.String()
	}
	return t.key.String() + "/" + t.section
}

// reference is the target in a status.
func (t target) reference() status.Reference {
	return status.Reference{
		Group: t.key.Group, Kind: t.key.Kind, Namespace: t.key.Namespace, Name: t.key.Name, SectionName: t.section,
	}
}

// targetsOf reads targetRefs, which name objects in the policy's own namespace.
func targetsOf(o *store.Object, refs []gwv1.LocalPolicyTargetReferenceWithSectionName) []target {
	out := make([]target, len(refs))
	for i, r := range refs {
		out[i] = target{
			key: store.Key{
				Group: coreGroup(string(r.Group)), Kind: string(r.Kind), Namespace: o.Key.Namespace, Name: string(r.Name),
			},
			section: string(deref(r.SectionName, "")),
		}
	}
	return out
}

// policyTargets lists the targets of a policy of any kind.
func policyTargets(o *store.Object) []target {
	switch v := o.Value.(type) {
	case *v1alpha1.TrafficPolicy:
		return targetsOf(o, v.Spec.TargetRefs)
	case *v1alpha1.AuthenticationPolicy:
		return targetsOf(o, v.Spec.TargetRefs)
	case *v1alpha1.AuthorizationPolicy:
		return targetsOf(o, v.Spec.TargetRefs)
	case *v1alpha1.RateLimitPolicy:
		return targetsOf(o, v.Spec.TargetRefs)
	case *v1alpha1.ShieldPolicy:
		return targetsOf(o, v.Spec.TargetRefs)
	case *v1alpha1.TelemetryPolicy:
		return targetsOf(o, v.Spec.TargetRefs)
	case *v1alpha1.MeshPolicy:
		return targetsOf(o, v.Spec.TargetRefs)
	default:
		if spec, ok := backendTLSSpec(o); ok {
			return targetsOf(o, spec.TargetRefs)
		}
	}
	return nil
}

// findTarget says why a policy cannot attach to a target, or nothing.
func (c *compiler) findTarget(t target) (message, remedy string) {
	o := c.set.Get(t.key)
	if o == nil {
		return c.notFound(t.key)
	}
	if t.section == "" {
		return "", ""
	}
	sections, what := sectionNames(o)
	for _, s := range sections {
		if s == t.section {
			return "", ""
		}
	}
	remedy = didYouMean(t.section, sections)
	if remedy == "" {
		remedy = fmt.Sprintf("its %ss are %q", what, sections)
	}
	return fmt.Sprintf("%s has no %s %q", t.key, what, t.section), remedy
}

// sectionNames lists the sections of an object that a policy may name.
func sectionNames(o *store.Object) (names []string, what string) {
	if spec, ok := gatewaySpec(o); ok {
		for _, l := range spec.Listeners {
			names = append(names, string(l.Name))
		}
		return names, "listener"
	}
	if set, ok := o.Value.(*gwv1.ListenerSet); ok {
		for _, l := range set.Spec.Listeners {
			names = append(names, string(l.Name))
		}
		return names, "listener"
	}
	if spec, ok := routeSpec(o); ok {
		for _, r := range spec.Rules {
			if r.Name != nil {
				names = append(names, string(*r.Name))
			}
		}
		return names, "rule"
	}
	if svc, ok := serviceOf(o); ok {
		for _, p := range svc.Spec.Ports {
			names = append(names, p.Name)
		}
	}
	return names, "port"
}
