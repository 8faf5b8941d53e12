package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const (
	// GroupName is the API group of every kind in this package.
	GroupName = "gridway.dev"
	// Version is the API version of every kind in this package.
	Version = "v1alpha1"

	// KindBackend is the kind of Backend objects.
	KindBackend = "Backend"
	// KindTrafficPolicy is the kind of TrafficPolicy objects.
	KindTrafficPolicy = "TrafficPolicy"
	// KindCertificateIssuer is the kind of CertificateIssuer objects.
	KindCertificateIssuer = "CertificateIssuer"
	// KindAuthenticationPolicy is the kind of AuthenticationPolicy objects.
	KindAuthenticationPolicy = "AuthenticationPolicy"
	// KindAuthorizationPolicy is the kind of AuthorizationPolicy objects.
	KindAuthorizationPolicy = "AuthorizationPolicy"
	// KindRateLimitPolicy is the kind of RateLimitPolicy objects.
	KindRateLimitPolicy = "RateLimitPolicy"
	// KindRateLimitStore is the kind of RateLimitStore objects.
	KindRateLimitStore = "RateLimitStore"
	// KindShieldPolicy is the kind of ShieldPolicy objects.
	KindShieldPolicy = "ShieldPolicy"
	// KindMeshPolicy is the kind of MeshPolicy objects.
	KindMeshPolicy = "MeshPolicy"
	// KindMeshPeer is the kind of MeshPeer objects.
	KindMeshPeer = "MeshPeer"
	// KindTelemetrySink is the kind of TelemetrySink objects.
	KindTelemetrySink = "TelemetrySink"
	// KindTelemetryPolicy is the kind of TelemetryPolicy objects.
	KindTelemetryPolicy = "TelemetryPolicy"
	// KindTokenIssuer is the kind of TokenIssuer objects.
	KindTokenIssuer = "TokenIssuer"
	// KindConsumer is the kind of Consumer objects.
	KindConsumer = "Consumer"
)

// GroupVersion returns the group and version of this package's kinds.
func GroupVersion() schema.GroupVersion {
	return schema.GroupVersion{Group: GroupName, Version: Version}
}

// AddToScheme registers the kinds of this package.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion(),
		&Backend{}, &BackendList{},
		&TrafficPolicy{}, &TrafficPolicyList{},
		&CertificateIssuer{}, &CertificateIssuerList{},
		&AuthenticationPolicy{}, &AuthenticationPolicyList{},
		&AuthorizationPolicy{}, &AuthorizationPolicyList{},
		&RateLimitPolicy{}, &RateLimitPolicyList{},
		&RateLimitStore{}, &RateLimitStoreList{},
		&ShieldPolicy{}, &ShieldPolicyList{},
		&MeshPolicy{}, &MeshPolicyList{},
		&MeshPeer{}, &MeshPeerList{},
		&Consumer{}, &ConsumerList{},
		&TokenIssuer{}, &TokenIssuerList{},
		&TelemetrySink{}, &TelemetrySinkList{},
		&TelemetryPolicy{}, &TelemetryPolicyList{},
	)
	metav1.AddToGroupVersion(s, GroupVersion())
	return nil
}

//go:generate sh -c "cd ../.. && go tool -modfile=tools/go.mod controller-gen object:headerFile=/dev/null paths=./api/... crd:crdVersions=v1,maxDescLen=4000 output:crd:dir=deploy/crds"
