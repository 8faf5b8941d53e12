package lint

import (
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// backendName is the namespace and name of a Backend.
type backendName struct{ namespace, name string }

// meshBackends calls use for the Backends that routes of Services lead to. Those routes are
// in no listener: proxies of the mesh are sent them.
func (l *linter) meshBackends(use func(backendName)) {
	for _, kind := range []string{"HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute"} {
		for _, o := range l.set.Kind(gwv1.GroupName, kind) {
			parents, refs := routeRefs(o.Value)
			if !ofService(parents) {
				continue
			}
			for _, ref := range refs {
				if ref.Kind == nil || *ref.Kind != "Backend" {
					continue
				}
				n := backendName{o.Key.Namespace, string(ref.Name)}
				if ref.Namespace != nil {
					n.namespace = string(*ref.Namespace)
				}
				use(n)
			}
		}
	}
}

func ofService(parents []gwv1.ParentReference) bool {
	for _, p := range parents {
		if p.Kind != nil && *p.Kind == "Service" {
			return true
		}
	}
	return false
}

// routeRefs are a route's parents, and where it and its mirrors lead.
func routeRefs(object any) (parents []gwv1.ParentReference, refs []gwv1.BackendObjectReference) {
	add := func(list []gwv1.BackendRef) {
		for i := range list {
			refs = append(refs, list[i].BackendObjectReference)
		}
	}
	switch r := object.(type) {
	case *gwv1.HTTPRoute:
		for _, rule := range r.Spec.Rules {
			for _, b := range rule.BackendRefs {
				refs = append(refs, b.BackendObjectReference)
			}
			for _, f := range rule.Filters {
				if f.RequestMirror != nil {
					refs = append(refs, f.RequestMirror.BackendRef)
				}
			}
		}
		return r.Spec.ParentRefs, refs
	case *gwv1.GRPCRoute:
		for _, rule := range r.Spec.Rules {
			for _, b := range rule.BackendRefs {
				refs = append(refs, b.BackendObjectReference)
			}
			for _, f := range rule.Filters {
				if f.RequestMirror != nil {
					refs = append(refs, f.RequestMirror.BackendRef)
				}
			}
		}
		return r.Spec.ParentRefs, refs
	case *gwv1.TLSRoute:
		for _, rule := range r.Spec.Rules {
			add(rule.BackendRefs)
		}
		return r.Spec.ParentRefs, refs
	case *gwv1.TCPRoute:
		for _, rule := range r.Spec.Rules {
			add(rule.BackendRefs)
		}
		return r.Spec.ParentRefs, refs
	}
	return nil, nil
}
