package compile

import (
	"net/netip"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/status"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

// state is what a run leaves to the next one. It is never changed afterwards.
type state struct {
	set     *store.Set
	refused map[store.Key]bool
	// fallback holds the last good version of objects that are now invalid.
	fallback map[store.Key]*store.Object
	// routes are those of requests, ordered by key.
	routes []*routeState
	// streams are the routes of what is not HTTP, by kind and then by key.
	streams  []*routeState
	backends []*backendState
	clusters map[string]*clusterState
	ordered  []*clusterState // by name
	// certs and bundles remember what was read from Secrets and ConfigMaps.
	certs   map[*store.Object]*certificate
	bundles map[*store.Object]*bundle
	// schemas remembers what was read of descriptors.
	schemas map[schemaKey]*schema
	// judged remembers the faults of policies.
	judged map[*store.Object][]fault
	// texts are what was read of lists in ConfigMaps, and lists what was made of
	// them, by name: those of shields, and of revoked certificates.
	texts map[textKey]*text
	lists map[string]*list
	// authorizations are what versions of AuthorizationPolicies were compiled to.
	authorizations map[*store.Object]*ir.Authorization
	// limits are what versions of RateLimitPolicies were compiled to.
	limits map[*store.Object][]*ir.RateLimit
	// signers are what was read of private keys for tokens.
	signers map[signerKey]*signer
	// consumers are ordered by key.
	consumers []*consumer
	// attachments of each section, and how many routes count as attached to it.
	attachments [][]ir.Attachment
	accepted    []int
	// streamed are the attachments of streams to each section.
	streamed [][]ir.Attachment
	// settled are the settings that routes have.
	settled []*settings
	// others are the statuses of kinds other than GRPCRoute, HTTPRoute and Backend.
	others map[string][]status.Object
	// plain: every route is its one form and nothing else, and no cluster has
	// problems. See patchRoutes.
	plain bool
	// forms are those of all routes, and clusters those of everything, in order:
	// Config and Mesh have what is theirs.
	forms []*ir.Route
	every []*ir.Cluster
	// mesh: Services were compiled, too; meshRoutes: some route is attached to one.
	mesh, meshRoutes bool
	services         []*serviceState // by key
	// addresses are those of services, once they are addressed.
	addresses [][]netip.Addr
	addressed bool
	// contexts say what routes can see of each section, in order: whether it is
	// served, and the key of its policy context.
	contexts []string
}

func newState(in Input) *state {
	return &state{
		set:            in.Set,
		mesh:           in.Mesh,
		refused:        in.Refused,
		fallback:       map[store.Key]*store.Object{},
		certs:          map[*store.Object]*certificate{},
		bundles:        map[*store.Object]*bundle{},
		schemas:        map[schemaKey]*schema{},
		judged:         map[*store.Object][]fault{},
		texts:          map[textKey]*text{},
		lists:          map[string]*list{},
		authorizations: map[*store.Object]*ir.Authorization{},
		limits:         map[*store.Object][]*ir.RateLimit{},
		signers:        map[signerKey]*signer{},
	}
}

// changes says how one Set differs from the one before.
type changes struct {
	// stale are objects of the old set that were replaced or removed, or whose
	// policies changed. What was compiled from one must be compiled again.
	stale map[*store.Object]bool
	// endpoints are Services of the old set whose EndpointSlices changed.
	endpoints map[*store.Object]bool
	// structure: something changed that any route may depend on.
	structure bool
	// added: an object other than a route appeared, which may resolve a
	// reference that was open.
	added bool
	any   bool
	// inPlace: nothing happened but that routes were replaced by those of the
	// same keys; these are the new ones.
	inPlace bool
	routes  []*store.Object
}

// compare walks both sets, which are ordered alike, side by side.
func compare(before, after *store.Set) changes {
	ch := changes{stale: map[*store.Object]bool{}, endpoints: map[*store.Object]bool{}, inPlace: true}
	kinds := after.Kinds()
	for _, gk := range before.Kinds() {
		if len(after.Kind(gk.Group, gk.Kind)) == 0 {
			kinds = append(kinds, gk)
		}
	}
	for _, gk := range kinds {
		a, b := before.Kind(gk.Group, gk.Kind), after.Kind(gk.Group, gk.Kind)
		if len(a) > 0 && len(a) == len(b) && &a[0] == &b[0] {
			continue
		}
		for len(a) > 0 || len(b) > 0 {
			if len(a) > 0 && len(b) > 0 && a[0] == b[0] {
				a, b = a[1:], b[1:]
				continue
			}
			switch order := compareHeads(a, b); {
			case order < 0:
				ch.note(before, after, a[0], nil)
				a = a[1:]
			case order > 0:
				ch.note(before, after, nil, b[0])
				b = b[1:]
			default:
				ch.note(before, after, a[0], b[0])
				a, b = a[1:], b[1:]
			}
		}
	}
	return ch
}

func compareHeads(a, b []*store.Object) int {
	switch {
	case len(a) == 0:
		return 1
	case len(b) == 0:
		return -1
	}
	return compareKeys(a[0].Key, b[0].Key)
}

// note records that an object was removed (is nil), added (was nil) or replaced.
func (ch *changes) note(before, after *store.Set, was, is *store.Object) {
	ch.any = true
	if was != nil {
		ch.stale[was] = true
	}
	o := is
	if o == nil {
		o = was
	}
	if o.Key.Group == ownGroup && o.Key.Kind == v1alpha1.KindConsumer {
		return // no route depends on one
	}
	if was == nil || is == nil || !requestKind(is.Key) {
		ch.inPlace = false
	} else {
		ch.routes = append(ch.routes, is)
	}
	if was == nil && !requestKind(o.Key) {
		ch.added = true
	}
	switch o.Key.Group + "/" + o.Key.Kind {
	case gatewayGroup + "/Gateway", gatewayGroup + "/GatewayClass", gatewayGroup + "/ListenerSet",
		gatewayGroup + "/ReferenceGrant", "/Namespace", ownGroup + "/" + v1alpha1.KindTokenIssuer:
		ch.structure = true
	case "discovery.k8s.io/EndpointSlice":
		for _, v := range []*store.Object{was, is} {
			if svc := before.Get(serviceOfSlice(v)); svc != nil {
				ch.endpoints[svc] = true
			}
		}
	case "/ConfigMap":
		ch.noteDescriptors(before, after, o.Key)
	case ownGroup + "/" + v1alpha1.KindTrafficPolicy, ownGroup + "/" + v1alpha1.KindAuthenticationPolicy, ownGroup + "/" + v1alpha1.KindAuthorizationPolicy, ownGroup + "/" + v1alpha1.KindRateLimitPolicy,
		ownGroup + "/" + v1alpha1.KindShieldPolicy, ownGroup + "/" + v1alpha1.KindTelemetryPolicy, gatewayGroup + "/BackendTLSPolicy":
		ch.notePolicy(before, was)
		ch.notePolicy(before, is)
		ch.noteTelemetry(before, after, o.Key.Kind)
	case ownGroup + "/" + v1alpha1.KindTelemetrySink:
		ch.noteTelemetry(before, after, o.Key.Kind)
	case ownGroup + "/" + v1alpha1.KindMeshPolicy:
		ch.noteMesh(before, o.Key.Namespace)
	}
}

// noteMesh marks the Services that a MeshPolicy of a namespace may be for.
func (ch *changes) noteMesh(before *store.Set, namespace string) {
	for _, o := range before.Kind("", "Service") {
		if o.Key.Namespace == namespace || namespace == v1alpha1.MeshNamespace {
			ch.stale[o] = true
		}
	}
}

// noteTelemetry has everything compiled anew where what TelemetryPolicies come to may have
// changed in many places: by one without targets, by a sink that they name, and by the
// credentials that the access log hides.
func (ch *changes) noteTelemetry(before, after *store.Set, kind string) {
	switch kind {
	case v1alpha1.KindTelemetryPolicy, v1alpha1.KindTelemetrySink, v1alpha1.KindAuthenticationPolicy:
		ch.structure = ch.structure || len(before.Kind(ownGroup, v1alpha1.KindTelemetryPolicy))+len(after.Kind(ownGroup, v1alpha1.KindTelemetryPolicy)) > 0
	}
}

// notePolicy marks the targets of a policy as stale.
func (ch *changes) notePolicy(before *store.Set, o *store.Object) {
	if o == nil {
		return
	}
	for _, t := range policyTargets(o) {
		if t.key.Kind == "Gateway" || t.key.Kind == "ListenerSet" {
			ch.structure = true
		}
		if target := before.Get(t.key); target != nil {
			ch.stale[target] = true
		}
	}
}

// fresh tells whether nothing that something was compiled from has changed.
func (ch *changes) fresh(deps []*store.Object) bool {
	for _, d := range deps {
		if ch.stale[d] {
			return false
		}
	}
	return true
}
