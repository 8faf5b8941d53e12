package compile

import (
	"cmp"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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
	next       *state
	changes    changes

	statuses []status.Object
	problems []store.Problem

	grants   grants
	classes  map[string]bool // name → ours
	gateways []*gateway
	byKey    map[store.Key]*gateway
	sets     map[store.Key]*listenerSet
	sections []*section
	sockets  map[string]*socket

	traffic    trafficIndex
	backendTLS backendTLSIndex
	backends   map[backendKey]*backend
	slicesOf   map[store.Key][]*store.Object // Service → EndpointSlices, built when first needed
	used       map[*clusterState]bool
	seen       map[string]bool // problems already told, for those found from many places
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
		backends: map[backendKey]*backend{},
		used:     map[*clusterState]bool{},
		seen:     map[string]bool{},
		next:     newState(in.Set),
	}
	if prev != nil && prev.state != nil {
		c.prev, c.prevConfig = prev.state, prev.Config
		c.changes = compare(c.prev.set, in.Set)
	}
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
	if old := c.prev.set.Get(o.Key); old != nil && old != o {
		return old
	}
	return nil
}

// byAge orders objects as the Gateway API resolves conflicts: oldest first,
// then by "namespace/name".
func byAge(a, b *store.Object) int {
	ta, tb := meta(a).GetCreationTimestamp(), meta(b).GetCreationTimestamp()
	return cmp.Or(ta.Time.Compare(tb.Time), compareKeys(a.Key, b.Key))
}

func compareKeys(a, b store.Key) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Group, b.Group),
		cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// aged returns the objects of a kind, oldest first.
func (c *compiler) aged(group, kind string) []*store.Object {
	list := slices.Clone(c.set.Kind(group, kind))
	slices.SortStableFunc(list, byAge)
	return list
}

// deref returns what p points to, or the given default.
func deref[T any](p *T, def T) T {
	if p == nil {
		return def
	}
	return *p
}
