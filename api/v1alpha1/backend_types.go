package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// Backend is a set of endpoints that a route can send traffic to: addresses
// written down, names looked up in DNS, or services that Consul knows. A route names it with
// `backendRefs: [{group: gridway.dev, kind: Backend, name: NAME}]`; a port is
// not needed there, since each endpoint has its own.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=gridway,shortName=be
// +kubebuilder:printcolumn:name="Protocol",type=string,JSONPath=`.spec.protocol`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Backend struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what the user wants.
	// +required
	Spec BackendSpec `json:"spec"`
	// Status is what Gridway found.
	// +optional
	Status BackendStatus `json:"status,omitempty"`
}

// BackendList is a list of Backends.
//
// +kubebuilder:object:root=true
type BackendList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Backend `json:"items"`
}

// BackendSpec is the desired state of a Backend.
//
// +kubebuilder:validation:XValidation:message="at least one of endpoints, dns and consul must be given",rule="(has(self.endpoints) && size(self.endpoints) > 0) || (has(self.dns) && size(self.dns) > 0) || (has(self.consul) && size(self.consul) > 0)"
// +kubebuilder:validation:XValidation:message="tls needs protocol https, h2 or h3",rule="!has(self.tls) || self.protocol == 'https' || self.protocol == 'h2' || self.protocol == 'h3'"
type BackendSpec struct {
	// Endpoints are addresses. One whose host is a DNS name is looked up, as
	// if it stood under dns with default settings.
	// +optional
	// +kubebuilder:validation:MaxItems=4096
	Endpoints []BackendEndpoint `json:"endpoints,omitempty"`

	// DNS are names whose records become endpoints. They are looked up before
	// they serve, which may delay a change by up to two seconds, and again when
	// their time to live ends; while the resolver fails, the last answer stays in
	// use.
	// +optional
	// +kubebuilder:validation:MaxItems=64
	DNS []BackendDNS `json:"dns,omitempty"`

	// Consul are services whose healthy instances become endpoints. They are asked
	// for before they serve, which may delay a change by up to two seconds, and
	// watched from then on; while an agent fails, the last answer stays in use.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Consul []BackendConsul `json:"consul,omitempty"`

	// Protocol is what the endpoints speak: `http` (HTTP/1.1 in clear text),
	// `https` (the same over TLS), `h2c` (HTTP/2 in clear text, with prior
	// knowledge), `h2` (HTTP/2 over TLS, by ALPN; an endpoint that does not
	// agree to it gets no requests) or `h3` (HTTP/3, on UDP).
	// +optional
	// +kubebuilder:default=http
	Protocol BackendProtocol `json:"protocol,omitempty"`

	// TLS is how endpoints are verified. With protocol https or h2 and no tls,
	// the system's roots must have signed a certificate for the endpoint's DNS
	// name; an endpoint given by IP address then needs tls.serverName.
	// +optional
	TLS *BackendTLS `json:"tls,omitempty"`

	// Host replaces the Host header of requests sent here. A URLRewrite filter
	// of the route that sets a hostname wins over it. Default: the client's Host.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=260
	Host *string `json:"host,omitempty"`
}

// BackendProtocol is what endpoints speak.
//
// +kubebuilder:validation:Enum=http;https;h2c;h2;h3
type BackendProtocol string

const (
	// BackendHTTP is HTTP/1.1 in clear text.
	BackendHTTP BackendProtocol = "http"
	// BackendHTTPS is HTTP/1.1 over TLS.
	BackendHTTPS BackendProtocol = "https"
	// BackendH2C is HTTP/2 in clear text.
	BackendH2C BackendProtocol = "h2c"
	// BackendH2 is HTTP/2 over TLS.
	BackendH2 BackendProtocol = "h2"
	// BackendH3 is HTTP/3, which is over QUIC and so over TLS.
	BackendH3 BackendProtocol = "h3"
)

// BackendEndpoint is one address.
type BackendEndpoint struct {
	// Address is `IP:PORT`, `[IPv6]:PORT`, `NAME:PORT` or `unix:PATH`.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=320
	// +kubebuilder:validation:XValidation:message="must be IP:PORT, [IPv6]:PORT, NAME:PORT or unix:PATH, with a port from 1 to 65535",rule="self.matches('^(unix:.+|([^:/@ \\\\[\\\\]]+|\\\\[[0-9A-Fa-f:.]+\\\\]):([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))$')"
	Address string `json:"address"`

	// Weight is the endpoint's share of traffic, in proportion to the others'.
	// Zero takes it out of new traffic.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000
	Weight *int32 `json:"weight,omitempty"`

	// Zone is where the endpoint is; see loadBalancer.zoneAware of
	// TrafficPolicy. Default: none.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Zone *string `json:"zone,omitempty"`

	// Priority 0 is used first; a higher number takes over as the lower ones
	// fail.
	// +optional
	// +kubebuilder:default=0
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=127
	Priority *int32 `json:"priority,omitempty"`
}

// BackendDNSType is the kind of records that are looked up.
//
// +kubebuilder:validation:Enum=A;SRV
type BackendDNSType string

const (
	// BackendDNSAddress looks up A and AAAA records.
	BackendDNSAddress BackendDNSType = "A"
	// BackendDNSService looks up SRV records (RFC 2782).
	BackendDNSService BackendDNSType = "SRV"
)

// BackendDNS is one name to look up.
//
// +kubebuilder:validation:XValidation:message="port is needed for records of type A",rule="self.type == 'SRV' || has(self.port)"
// +kubebuilder:validation:XValidation:message="SRV records bring their own port, weight and priority: leave these out",rule="self.type != 'SRV' || (!has(self.port) && !has(self.weight) && !has(self.priority))"
type BackendDNS struct {
	// Name is the DNS name, for example `api.example.com` or, with type SRV,
	// `_http._tcp.example.com`.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=254
	// +kubebuilder:validation:XValidation:message="must be a DNS name without a port",rule="self.matches('^[A-Za-z0-9_]([-A-Za-z0-9_]*[A-Za-z0-9_])?([.][A-Za-z0-9_]([-A-Za-z0-9_]*[A-Za-z0-9_])?)*[.]?$')"
	Name string `json:"name"`

	// Type is `A` for A and AAAA records, `SRV` for SRV records, which bring
	// port, weight and priority.
	// +optional
	// +kubebuilder:default=A
	Type BackendDNSType `json:"type,omitempty"`

	// Port of the endpoints; needed for type A.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port *int32 `json:"port,omitempty"`

	// Weight given to each endpoint found. Default: 1.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000
	Weight *int32 `json:"weight,omitempty"`

	// Zone given to each endpoint found. Default: none.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Zone *string `json:"zone,omitempty"`

	// Priority given to each endpoint found. Default: 0.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=127
	Priority *int32 `json:"priority,omitempty"`

	// MinTTL is the shortest time between two lookups, whatever the records
	// say.
	// +optional
	// +kubebuilder:default="1s"
	MinTTL *gatewayv1.Duration `json:"minTTL,omitempty"`

	// MaxTTL is the longest time between two lookups, whatever the records say.
	// +optional
	// +kubebuilder:default="5m"
	MaxTTL *gatewayv1.Duration `json:"maxTTL,omitempty"`

	// Resolver is the DNS server to ask, as `IP:PORT`. Default: the system's.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:message="must be IP:PORT or [IPv6]:PORT",rule="self.matches('^([0-9.]+|\\\\[[0-9A-Fa-f:.]+\\\\]):[0-9]{1,5}$')"
	Resolver *string `json:"resolver,omitempty"`
}

// TLSVersion is a version of TLS.
//
// +kubebuilder:validation:Enum="1.2";"1.3"
type TLSVersion string

const (
	// TLS12 is TLS 1.2 (RFC 5246).
	TLS12 TLSVersion = "1.2"
	// TLS13 is TLS 1.3 (RFC 8446).
	TLS13 TLSVersion = "1.3"
)

// BackendTLS is how the certificates of endpoints are verified. A
// BackendTLSPolicy is the way to say the same of a Service.
//
// +kubebuilder:validation:XValidation:message="caCertificateRefs and wellKnownCACertificates exclude each other",rule="!(has(self.caCertificateRefs) && size(self.caCertificateRefs) > 0 && has(self.wellKnownCACertificates))"
// +kubebuilder:validation:XValidation:message="insecureSkipVerify leaves nothing to verify: take out caCertificateRefs, wellKnownCACertificates and subjectAltNames",rule="!has(self.insecureSkipVerify) || !self.insecureSkipVerify || !((has(self.caCertificateRefs) && size(self.caCertificateRefs) > 0) || has(self.wellKnownCACertificates) || (has(self.subjectAltNames) && size(self.subjectAltNames) > 0))"
// +kubebuilder:validation:XValidation:message="minVersion is above maxVersion",rule="!has(self.minVersion) || !has(self.maxVersion) || self.minVersion <= self.maxVersion"
type BackendTLS struct {
	// ServerName is sent as SNI, and the certificate must be valid for it
	// unless subjectAltNames are given. Default: the endpoint's DNS name.
	// +optional
	ServerName *gatewayv1.PreciseHostname `json:"serverName,omitempty"`

	// SubjectAltNames are names of which the certificate must carry at least
	// one; they are verified instead of serverName. Default: none.
	// +optional
	// +kubebuilder:validation:MaxItems=16
	SubjectAltNames []gatewayv1.SubjectAltName `json:"subjectAltNames,omitempty"`

	// CACertificateRefs name ConfigMaps or Secrets in this namespace whose key
	// `ca.crt` holds the trusted certificates in PEM. Default: none.
	// +optional
	// +kubebuilder:validation:MaxItems=16
	CACertificateRefs []gatewayv1.LocalObjectReference `json:"caCertificateRefs,omitempty"`

	// WellKnownCACertificates `System` trusts the system's roots. Default:
	// `System` unless caCertificateRefs are given.
	// +optional
	// +kubebuilder:validation:Enum=System
	WellKnownCACertificates *gatewayv1.WellKnownCACertificatesType `json:"wellKnownCACertificates,omitempty"`

	// ClientCertificateRef names a Secret of type kubernetes.io/tls whose
	// certificate is shown to endpoints that ask for one. In another namespace
	// it needs a ReferenceGrant. Default: none.
	// +optional
	ClientCertificateRef *gatewayv1.SecretObjectReference `json:"clientCertificateRef,omitempty"`

	// MinVersion is the lowest version accepted. Default: 1.2.
	// +optional
	MinVersion *TLSVersion `json:"minVersion,omitempty"`

	// MaxVersion is the highest version offered. Default: 1.3.
	// +optional
	MaxVersion *TLSVersion `json:"maxVersion,omitempty"`

	// ALPN are the protocols that streams of TCPRoutes and TLSRoutes offer to
	// endpoints (RFC 7301), for example `postgresql`. An endpoint that agrees on
	// none of them may refuse the handshake or let it be. Requests offer what
	// `protocol` says. Default: none.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	ALPN []ALPNProtocol `json:"alpn,omitempty"`

	// InsecureSkipVerify accepts any certificate. Whoever is on the path can
	// then read and change the traffic. Default: false.
	// +optional
	InsecureSkipVerify *bool `json:"insecureSkipVerify,omitempty"`
}

// BackendStatus is what Gridway found out about a Backend.
type BackendStatus struct {
	// Conditions: `Accepted` (the object is valid), `ResolvedRefs` (what it
	// names exists).
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// TLS tells whether connections begin with a TLS handshake.
func (p BackendProtocol) TLS() bool { return p == BackendHTTPS || p == BackendH2 || p == BackendH3 }

// HTTP3 tells whether they carry HTTP/3.
func (p BackendProtocol) HTTP3() bool { return p == BackendH3 }

// HTTP2 tells whether they carry HTTP/2.
func (p BackendProtocol) HTTP2() bool { return p == BackendH2C || p == BackendH2 }
