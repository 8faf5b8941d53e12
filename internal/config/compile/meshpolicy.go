package compile

import (
	"fmt"
	"slices"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

type meshPolicy = policy[v1alpha1.MeshPolicySpec]

var meshKind = policyKind[v1alpha1.MeshPolicySpec]{
	name: v1alpha1.KindMeshPolicy,
	read: specOf(func(p *v1alpha1.MeshPolicy) *v1alpha1.MeshPolicySpec { return &p.Spec }),
	targets: func(s *v1alpha1.MeshPolicySpec) []gwv1.LocalPolicyTargetReferenceWithSectionName {
		return s.TargetRefs
	},
	judge: judgeMesh,
}

// judgeMesh finds what the schema says, too, for objects that no schema has seen.
func judgeMesh(s *v1alpha1.MeshPolicySpec) []fault {
	var out []fault
	add := func(field, message, remedy string) {
		out = append(out, fault{field: "spec." + field, code: "InvalidValue", message: message, remedy: remedy})
	}
	for i, t := range s.TargetRefs {
		if t.Kind != "Service" || t.Group != "" {
			add(fmt.Sprintf("targetRefs[%d].kind", i), fmt.Sprintf("a MeshPolicy cannot attach to kind %s of group %q", t.Kind, t.Group),
				`use Service with group "", or leave out targetRefs`)
		}
	}
	if len(s.TargetRefs) > 0 && (s.Egress != nil || s.ClusterDomain != nil || s.Callers != nil) {
		add("targetRefs", "egress, clusterDomain and callers are not for single Services", "leave out targetRefs")
	}
	if s.Callers != nil {
		judgeCallers(s.Callers, add)
	}
	if m := deref(s.MTLS, v1alpha1.MTLSStrict); m != v1alpha1.MTLSStrict && m != v1alpha1.MTLSPermissive {
		add("mtls", fmt.Sprintf("%q is not known", m), "use Strict or Permissive")
	}
	for field, d := range map[string]*v1alpha1.MeshDefault{"authorization": s.Authorization, "egress": s.Egress} {
		if v := deref(d, v1alpha1.MeshAllow); v != v1alpha1.MeshAllow && v != v1alpha1.MeshDeny {
			add(field, fmt.Sprintf("%q is not known", v), "use Allow or Deny")
		}
	}
	if d := s.ClusterDomain; d != nil {
		if why := checkHostname(*d, false); why != "" {
			add("clusterDomain", fmt.Sprintf("%q %s", *d, why), "write it like cluster.local")
		}
	}
	slices.SortFunc(out, func(a, b fault) int {
		if a.field < b.field {
			return -1
		}
		return 1
	})
	return out
}

// ofNamespace is the target of policies without targetRefs: their namespace, or the
// whole mesh.
func ofNamespace(namespace string) target {
	return target{key: store.Key{Kind: "Namespace", Name: namespace}}
}

// indexMesh attaches MeshPolicies. Those without targetRefs are on their namespace.
func (c *compiler) indexMesh() {
	c.mesh = indexPolicies(c, &meshKind)
	for _, p := range c.mesh.all {
		whole := len(p.targets) == 0
		if p.spec != nil {
			whole = len(p.spec.TargetRefs) == 0
		}
		if !whole {
			continue
		}
		t := ofNamespace(p.object.Key.Namespace)
		if len(p.targets) == 0 {
			p.targets = []target{t}
		}
		c.mesh.byTarget[t] = append(c.mesh.byTarget[t], p)
		if s := p.spec; s != nil && s.ClusterDomain != nil && p.object.Key.Namespace != v1alpha1.MeshNamespace {
			c.report(problemAt(p.used, "spec.clusterDomain", store.Warning, "NoEffect",
				"the domain is the whole mesh's, and is said in the namespace "+v1alpha1.MeshNamespace+" alone", "move it there"))
		}
		c.warnCallers(p)
	}
	if len(c.mesh.all) > 0 && !c.in.Mesh {
		for _, p := range c.mesh.all {
			c.report(problemAt(p.object, "", store.Warning, "NoEffect", "there is no mesh here that the policy could hold in", ""))
		}
	}
}

// meshChain lists the policies for a port of a Service, or for the clients of a
// namespace if port and service are empty, the most specific first.
func (c *compiler) meshChain(namespace, service, port string) []*meshPolicy {
	var out []*meshPolicy
	at := func(t target) { out = append(out, c.mesh.byTarget[t]...) }
	if service != "" {
		key := store.Key{Kind: "Service", Namespace: namespace, Name: service}
		if port != "" {
			at(target{key, port})
		}
		at(target{key: key})
	}
	at(ofNamespace(namespace))
	if namespace != v1alpha1.MeshNamespace {
		at(ofNamespace(v1alpha1.MeshNamespace))
	}
	return out
}

// chosen is what the most specific policy says that has a field; by is that policy.
// closed is what one says that cannot be used.
func chosen[T any](chain []*meshPolicy, field func(*v1alpha1.MeshPolicySpec) *T, closed, otherwise T) (value T, by *meshPolicy) {
	for _, p := range chain {
		if p.spec == nil {
			return closed, p
		}
		if v := field(p.spec); v != nil {
			return *v, p
		}
	}
	return otherwise, nil
}

// egressOf is what becomes of what clients of a namespace send elsewhere.
func (c *compiler) egressOf(namespace string) ir.Egress {
	d, _ := chosen(c.meshChain(namespace, "", ""), func(s *v1alpha1.MeshPolicySpec) *v1alpha1.MeshDefault { return s.Egress }, v1alpha1.MeshAllow, v1alpha1.MeshAllow)
	return ir.Egress(d)
}

// egress is that of the namespaces that have one of their own, in order.
func (c *compiler) egress() (all ir.Egress, own []ir.NamespaceEgress) {
	all = c.egressOf(v1alpha1.MeshNamespace)
	for _, p := range c.mesh.all {
		n := p.object.Key.Namespace
		e := ir.NamespaceEgress{Namespace: n, Egress: c.egressOf(n)}
		if e.Egress != all && !slices.Contains(own, e) {
			own = append(own, e)
		}
	}
	slices.SortFunc(own, func(a, b ir.NamespaceEgress) int {
		if a.Namespace < b.Namespace {
			return -1
		}
		return 1
	})
	return all, own
}

// clusterDomain is the whole mesh's.
func (c *compiler) clusterDomain() string {
	d, _ := chosen(c.meshChain(v1alpha1.MeshNamespace, "", ""), func(s *v1alpha1.MeshPolicySpec) *string { return s.ClusterDomain }, defaultClusterDomain, defaultClusterDomain)
	return d
}

// plaintext tells whether clients outside of the mesh are let in to a port.
func plaintext(chain []*meshPolicy) bool {
	m, _ := chosen(chain, func(s *v1alpha1.MeshPolicySpec) *v1alpha1.MTLSMode { return s.MTLS }, v1alpha1.MTLSStrict, v1alpha1.MTLSStrict)
	return m == v1alpha1.MTLSPermissive
}

// denying is the policy that refuses what none of the others lets in; nil if there is
// none, or if one of them lets something in.
func (c *compiler) denying(chain []*meshPolicy, others []*ir.Authorization) *ir.Authorization {
	d, by := chosen(chain, func(s *v1alpha1.MeshPolicySpec) *v1alpha1.MeshDefault { return s.Authorization }, v1alpha1.MeshDeny, v1alpha1.MeshAllow)
	if d != v1alpha1.MeshDeny || slices.ContainsFunc(others, func(a *ir.Authorization) bool {
		return a.Broken || a.Action == ir.AuthorizationAllow && !a.DryRun
	}) {
		return nil
	}
	return c.denyingFrom(by)
}

// denyingFrom is an Allow policy without rules, which lets nothing through.
func (c *compiler) denyingFrom(p *meshPolicy) *ir.Authorization {
	o := p.source()
	if a := c.next.authorizations[o]; a != nil {
		return a
	}
	var a *ir.Authorization
	if c.prev != nil {
		a = c.prev.authorizations[o]
	}
	if a == nil {
		a = &ir.Authorization{Policy: "mesh:" + o.Key.Namespace + "/" + o.Key.Name, Ref: ref(o, "spec.authorization"), Action: ir.AuthorizationAllow}
		a.Hash = hashOf(a)
	}
	c.next.authorizations[o] = a
	return a
}

// allDenying are those of all MeshPolicies that rules may have.
func (c *compiler) allDenying() (out []*ir.Authorization) {
	for _, p := range c.mesh.all {
		if c.in.Mesh && (p.spec == nil || deref(p.spec.Authorization, v1alpha1.MeshAllow) == v1alpha1.MeshDeny) {
			out = append(out, c.denyingFrom(p))
		}
	}
	return out
}

// finishMesh writes the statuses of MeshPolicies.
func (c *compiler) finishMesh() {
	for _, path := range []struct {
		name string
		has  func(*v1alpha1.MeshPolicySpec) bool
	}{
		{"mtls", func(s *v1alpha1.MeshPolicySpec) bool { return s.MTLS != nil }},
		{"authorization", func(s *v1alpha1.MeshPolicySpec) bool { return s.Authorization != nil }},
		{"egress", func(s *v1alpha1.MeshPolicySpec) bool { return s.Egress != nil }},
		{"clusterDomain", func(s *v1alpha1.MeshPolicySpec) bool { return s.ClusterDomain != nil }},
		{"callers", func(s *v1alpha1.MeshPolicySpec) bool { return s.Callers != nil }},
	} {
		overruleMesh(c.mesh.having(path.has), path.name)
	}
	finishKind(c, &c.mesh)
}

// overruleMesh notes which policies on the same target do not hold.
func overruleMesh(x *policyIndex[v1alpha1.MeshPolicySpec], path string) {
	for t, list := range x.byTarget {
		list[0].matters = append(list[0].matters, t)
		for _, p := range list[1:] {
			p.lose(t, loss{path: path, winner: list[0].object.Key.String() + " on " + t.String(), equal: true})
		}
	}
}
