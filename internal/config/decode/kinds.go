package decode

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/runtime"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/schema"
	"github.com/gridway/gridway/internal/config/spelling"
	"github.com/gridway/gridway/internal/config/store"
)

// kinds is what can be decoded, by group and kind.
type kinds struct {
	byKind map[store.GroupKind]*kindEntry
	groups []string
}

type kindEntry struct {
	group, kind string
	namespaced  bool
	// versions in the order of preference; each has a schema of its own.
	versions []*schema.Kind
	// retired versions have the shape of the first, but are no longer served.
	retired []string
	// make returns a new object of the Go type that every version is decoded to.
	make func() runtime.Object
}

// goType returns the constructor of a kind's Go type. Versions of a kind in
// the Gateway API differ in name only, so all become v1.
func goType(group, kind string) func() runtime.Object {
	switch group + "/" + kind {
	case "gateway.networking.k8s.io/GatewayClass":
		return func() runtime.Object { return &gatewayv1.GatewayClass{} }
	case "gateway.networking.k8s.io/Gateway":
		return func() runtime.Object { return &gatewayv1.Gateway{} }
	case "gateway.networking.k8s.io/ListenerSet":
		return func() runtime.Object { return &gatewayv1.ListenerSet{} }
	case "gateway.networking.k8s.io/HTTPRoute":
		return func() runtime.Object { return &gatewayv1.HTTPRoute{} }
	case "gateway.networking.k8s.io/GRPCRoute":
		return func() runtime.Object { return &gatewayv1.GRPCRoute{} }
	case "gateway.networking.k8s.io/TLSRoute":
		return func() runtime.Object { return &gatewayv1.TLSRoute{} }
	case "gateway.networking.k8s.io/TCPRoute":
		return func() runtime.Object { return &gatewayv1.TCPRoute{} }
	case "gateway.networking.k8s.io/UDPRoute":
		return func() runtime.Object { return &gatewayv1.UDPRoute{} }
	case "gateway.networking.k8s.io/ReferenceGrant":
		return func() runtime.Object { return &gatewayv1.ReferenceGrant{} }
	case "gateway.networking.k8s.io/BackendTLSPolicy":
		return func() runtime.Object { return &gatewayv1.BackendTLSPolicy{} }
	case "gridway.dev/Backend":
		return func() runtime.Object { return &v1alpha1.Backend{} }
	case "gridway.dev/TrafficPolicy":
		return func() runtime.Object { return &v1alpha1.TrafficPolicy{} }
	case "gridway.dev/CertificateIssuer":
		return func() runtime.Object { return &v1alpha1.CertificateIssuer{} }
	case "gridway.dev/AuthenticationPolicy":
		return func() runtime.Object { return &v1alpha1.AuthenticationPolicy{} }
	case "gridway.dev/AuthorizationPolicy":
		return func() runtime.Object { return &v1alpha1.AuthorizationPolicy{} }
	case "gridway.dev/RateLimitPolicy":
		return func() runtime.Object { return &v1alpha1.RateLimitPolicy{} }
	case "gridway.dev/RateLimitStore":
		return func() runtime.Object { return &v1alpha1.RateLimitStore{} }
	case "gridway.dev/ShieldPolicy":
		return func() runtime.Object { return &v1alpha1.ShieldPolicy{} }
	case "gridway.dev/MeshPolicy":
		return func() runtime.Object { return &v1alpha1.MeshPolicy{} }
	case "gridway.dev/MeshPeer":
		return func() runtime.Object { return &v1alpha1.MeshPeer{} }
	case "gridway.dev/Consumer":
		return func() runtime.Object { return &v1alpha1.Consumer{} }
	case "gridway.dev/TokenIssuer":
		return func() runtime.Object { return &v1alpha1.TokenIssuer{} }
	case "gridway.dev/TelemetrySink":
		return func() runtime.Object { return &v1alpha1.TelemetrySink{} }
	case "gridway.dev/TelemetryPolicy":
		return func() runtime.Object { return &v1alpha1.TelemetryPolicy{} }
	case "/Service":
		return func() runtime.Object { return &corev1.Service{} }
	case "/Secret":
		return func() runtime.Object { return &corev1.Secret{} }
	case "/ConfigMap":
		return func() runtime.Object { return &corev1.ConfigMap{} }
	case "/Namespace":
		return func() runtime.Object { return &corev1.Namespace{} }
	case "discovery.k8s.io/EndpointSlice":
		return func() runtime.Object { return &discoveryv1.EndpointSlice{} }
	}
	return nil
}

// retiredVersions were served by earlier releases of the Gateway API with the
// shape that v1 has today.
func retiredVersions(kind string) []string {
	switch kind {
	case "GatewayClass", "Gateway", "HTTPRoute", "GRPCRoute", "ReferenceGrant":
		return []string{"v1alpha2"}
	}
	return nil
}

var allKinds = sync.OnceValue(func() *kinds {
	k := &kinds{byKind: map[store.GroupKind]*kindEntry{}}
	for _, s := range schema.Embedded().Kinds {
		gk := store.GroupKind{Group: s.Group, Kind: s.Kind}
		e := k.byKind[gk]
		if e == nil {
			e = &kindEntry{group: s.Group, kind: s.Kind, namespaced: s.Namespaced, make: goType(s.Group, s.Kind)}
			if e.make == nil {
				continue
			}
			if s.Group == gatewayv1.GroupName {
				e.retired = retiredVersions(s.Kind)
			}
			k.byKind[gk] = e
		}
		e.versions = append(e.versions, s)
		if !slices.Contains(k.groups, s.Group) {
			k.groups = append(k.groups, s.Group)
		}
	}
	return k
})

func (k *kinds) names(group string) []string {
	var out []string
	for gk := range k.byKind {
		if gk.Group == group {
			out = append(out, gk.Kind)
		}
	}
	slices.Sort(out)
	return out
}

// find returns the schema for a version; retired says that it is one that is
// no longer served.
func (e *kindEntry) find(version string) (s *schema.Kind, retired bool) {
	for _, v := range e.versions {
		if v.Version == version {
			return v, false
		}
	}
	if slices.Contains(e.retired, version) {
		return e.versions[0], true
	}
	return nil, false
}

// lookup finds the kind that a document names, or a problem that says why
// there is none. A note means that the object is not for Gridway.
func (k *kinds) lookup(apiVersion, kind string) (*kindEntry, *schema.Kind, *store.Problem) {
	group, version, ok := strings.Cut(apiVersion, "/")
	if !ok {
		group, version = "", apiVersion
	}
	if e := k.byKind[store.GroupKind{Group: group, Kind: kind}]; e != nil {
		s, retired := e.find(version)
		if s == nil {
			p := &store.Problem{
				Severity: store.Error, Code: "UnknownVersion", Field: "apiVersion",
				Message: fmt.Sprintf("%s has no version %q", kind, version),
			}
			p.Remedy = "write " + strings.Join(apiVersions(e), " or ")
			return nil, nil, p
		}
		if retired || s.Deprecated {
			return e, s, &store.Problem{
				Severity: store.Warning, Code: "OldVersion", Field: "apiVersion",
				Message: fmt.Sprintf("version %s of %s is no longer served by the Gateway API", version, kind),
				Remedy:  "write " + e.versions[0].APIVersion(),
			}
		}
		return e, s, nil
	}
	return nil, nil, k.unknown(apiVersion, group, kind)
}

func apiVersions(e *kindEntry) []string {
	var out []string
	for _, v := range e.versions {
		out = append(out, v.APIVersion())
	}
	return out
}

func (k *kinds) unknown(apiVersion, group, kind string) *store.Problem {
	p := &store.Problem{Severity: store.Error, Code: "UnknownKind", Field: "kind"}
	if group == "gateway.networking.x-k8s.io" { // experiments of the Gateway API, no misspelling
		return ignored(apiVersion, kind)
	}
	if !slices.Contains(k.groups, group) {
		// The right kind under a wrong group, or a group that is nearly one of ours.
		near := spelling.Nearest(group, k.groups)
		if near == "" || group == "" || !strings.Contains(group, ".") {
			for gk, e := range k.byKind {
				if gk.Kind == kind && gk.Group != "" && !strings.Contains(group, ".") {
					p.Field, p.Code = "apiVersion", "UnknownVersion"
					p.Message = fmt.Sprintf("there is no kind %s in %q", kind, apiVersion)
					p.Remedy = "write " + e.versions[0].APIVersion()
					return p
				}
			}
			return ignored(apiVersion, kind)
		}
		p.Field, p.Code = "apiVersion", "UnknownVersion"
		p.Message = fmt.Sprintf("unknown API group %q", group)
		p.Remedy = fmt.Sprintf("did you mean %q?", near)
		return p
	}
	for _, g := range k.groups {
		if e := k.byKind[store.GroupKind{Group: g, Kind: kind}]; e != nil {
			p.Field, p.Code = "apiVersion", "UnknownVersion"
			p.Message = fmt.Sprintf("kind %s is not in %q", kind, apiVersion)
			p.Remedy = "write " + e.versions[0].APIVersion()
			return p
		}
	}
	if isForeign(kind) {
		return ignored(apiVersion, kind)
	}
	p.Message = fmt.Sprintf("there is no kind %q in %q", kind, apiVersion)
	if near := spelling.Nearest(kind, k.names(group)); near != "" {
		p.Remedy = fmt.Sprintf("did you mean %q?", near)
		return p
	}
	if group == "" || group == "discovery.k8s.io" {
		return ignored(apiVersion, kind)
	}
	p.Remedy = "the kinds there are " + strings.Join(k.names(group), ", ")
	return p
}

func ignored(apiVersion, kind string) *store.Problem {
	return &store.Problem{
		Severity: store.Note, Code: "IgnoredKind", Field: "kind",
		Message: fmt.Sprintf("%s %s is not a kind that Gridway reads; it is ignored", apiVersion, kind),
	}
}

// isForeign lists kinds of groups we read that are real, and not for us; they
// are no misspellings of ours.
func isForeign(kind string) bool {
	switch kind {
	case "Pod", "PodList", "Node", "Event", "Endpoints", "ServiceAccount", "ReplicationController", "PersistentVolume",
		"PersistentVolumeClaim", "LimitRange", "ResourceQuota", "PodTemplate", "Binding", "ComponentStatus",
		"ConformanceReport":
		return true
	}
	return false
}
