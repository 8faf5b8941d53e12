package compile

import (
	"cmp"
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/issuance"
	"github.com/gridway/gridway/internal/config/status"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

const (
	gatewayGroup = "gateway.networking.k8s.io"
	ownGroup     = "gridway.dev"
)

// compiler holds the work of one run.
type compiler struct {
	in         Input
	set        *store.Set
	prev       *state
	prevConfig *ir.Config
	prevMesh   *ir.Mesh
	patched    bool // see patchRoutes; there is a mesh
	next       *state
	changes    changes

	statuses map[string][]status.Object // by kind, each in the order of keys
	problems []store.Problem

	grants   grants
	classes  map[string]bool // name → ours
	gateways []*gateway
	byKey    map[store.Key]*gateway
	sets     map[store.Key]*listenerSet
	issuers  map[store.Key]*issuer
	// tokenIssuers are those that can be used.
	tokenIssuers map[store.Key]*tokenIssuer
	// signingOrders are what they want from the state store.
	signingOrders []issuance.SigningOrder
	sections      []*section
	sockets       map[string]*socket

	traffic trafficIndex
	// authentication is taken as a whole from the most specific policy.
	authentication policyIndex[v1alpha1.AuthenticationPolicySpec]
	// authorization: all policies that reach a request count.
	authorization policyIndex[v1alpha1.AuthorizationPolicySpec]
	// rateLimit: all policies that reach a request hold.
	rateLimit policyIndex[v1alpha1.RateLimitPolicySpec]
	shield    policyIndex[v1alpha1.ShieldPolicySpec]
	// telemetry: each field is taken from the most specific policy.
	telemetry telemetryIndex
	// mesh: each field is taken from the most specific policy.
	mesh  policyIndex[v1alpha1.MeshPolicySpec]
	peers []*ir.MeshPeer
	// vouching is how edges tell workloads who calls; nil is not.
	vouching   *ir.Vouching
	backendTLS backendTLSIndex
	backends   map[backendKey]*backend
	slicesOf   map[store.Key][]*store.Object // Service → EndpointSlices, built when first needed
	used       map[*clusterState]bool
	fresh      map[string]*clusterState // clusters that were compiled in this run
	relations  map[relationKey][]status.Relation
	seen       map[string]bool         // problems already told, for those found from many places
	http3      map[*trafficPolicy]bool // policies with HTTP/3 → a listener can have it
	weighed    []weighed               // fields of policies on clients → a listener uses them
}

func newCompiler(in Input, prev *Output) *compiler {
	if in.Set == nil {
		in.Set = store.NewSet(nil)
	}
	c := &compiler{
		in:       in,
		set:      in.Set,
		byKey:    map[store.Key]*gateway{},
		sets:     map[store.Key]*listenerSet{},
		issuers:  map[store.Key]*issuer{},
		backends: map[backendKey]*backend{},
		statuses: map[string][]status.Object{},
		seen:     map[string]bool{}, relations: map[relationKey][]status.Relation{},
		next: newState(in),
	}
	size := 0
	if prev != nil && prev.state != nil {
		c.prev, c.prevConfig, c.prevMesh = prev.state, prev.Config, prev.Mesh
		size = len(prev.state.ordered)
		c.changes = compare(c.prev.set, in.Set)
		c.changes.structure = c.changes.structure || !maps.Equal(c.prev.refused, in.Refused) || c.prev.mesh != in.Mesh
	}
	c.used = make(map[*clusterState]bool, size)
	c.fresh = map[string]*clusterState{}
	c.grants = indexGrants(in.Set)
	return c
}

// meta returns an object's metadata.
func meta(o *store.Object) metav1.Object {
	if m, ok := o.Value.(metav1.Object); ok {
		return m
	}
	return &metav1.ObjectMeta{}
}

// ref points at a field of an object for explain, logs and errors.
func ref(o *store.Object, field string) ir.Ref {
	p := o.Locate(field)
	return ir.Ref{
		Kind: o.Key.Kind, Namespace: o.Key.Namespace, Name: o.Key.Name,
		File: p.File, Line: p.Line, Column: p.Column,
	}
}

// lastGood returns the version of an object that the previous run compiled,
// other than o itself. The caller judges whether that one is valid.
func (c *compiler) lastGood(o *store.Object) *store.Object {
	if c.prev == nil {
		return nil
	}
	if old := c.prev.fallback[o.Key]; old != nil {
		return old
	}
	if old := c.prev.set.Get(o.Key); old != nil && old != o && !old.Broken {
		return old
	}
	return nil
}

// say adds the status of an object.
func (c *compiler) say(o status.Object) {
	c.statuses[o.Key.Kind] = append(c.statuses[o.Key.Kind], o)
}

// finishStatuses keeps the statuses for whoever asks.
func (c *compiler) finishStatuses() {
	for _, list := range c.statuses {
		slices.SortStableFunc(list, func(a, b status.Object) int { return compareKeys(a.Key, b.Key) })
	}
	c.next.others = c.statuses
}

// statuses joins the statuses of all kinds, ordered by key. Those of routes and
// Backends, of which there can be many, are where they were made and are in
// order already.
func (s *state) statuses() []status.Object {
	kinds := map[string]int{v1alpha1.KindBackend: len(s.backends)}
	for _, kind := range requestKinds {
		kinds[kind] = len(s.routes)
	}
	kinds[v1alpha1.KindConsumer] = len(s.consumers)
	total := len(s.routes) + len(s.backends) + len(s.consumers)
	for kind, list := range s.others {
		kinds[kind] = len(list)
		total += len(list)
	}
	out := make([]status.Object, 0, total)
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		switch kind {
		case "GRPCRoute", "HTTPRoute":
			for _, rs := range s.routes {
				if rs.object.Key.Kind == kind {
					out = append(out, rs.status())
				}
			}
		case v1alpha1.KindConsumer:
			for _, x := range s.consumers {
				out = append(out, x.status())
			}
		case v1alpha1.KindBackend:
			for _, b := range s.backends {
				out = append(out, b.status)
			}
		default:
			out = append(out, s.others[kind]...)
		}
	}
	return out
}

// byAge orders objects as the Gateway API resolves conflicts: oldest first,
// then by "namespace/name".
func byAge(a, b *store.Object) int {
	ta, tb := meta(a).GetCreationTimestamp(), meta(b).GetCreationTimestamp()
	if order := ta.Time.Compare(tb.Time); order != 0 {
		return order
	}
	return compareKeys(a.Key, b.Key)
}

func compareKeys(a, b store.Key) int {
	// Written out, since cmp.Or would compare all four each time.
	if a.Kind != b.Kind {
		return cmp.Compare(a.Kind, b.Kind)
	}
	if a.Group != b.Group {
		return cmp.Compare(a.Group, b.Group)
	}
	if a.Namespace != b.Namespace {
		return cmp.Compare(a.Namespace, b.Namespace)
	}
	return cmp.Compare(a.Name, b.Name)
}

// aged returns the objects of a kind, oldest first.
func (c *compiler) aged(group, kind string) []*store.Object {
	list := c.set.Kind(group, kind)
	if !slices.IsSortedFunc(list, byAge) {
		list = slices.Clone(list)
		slices.SortStableFunc(list, byAge)
	}
	return list
}

// deref returns what p points to, or the given default.
func deref[T any](p *T, def T) T {
	if p == nil {
		return def
	}
	return *p
}
