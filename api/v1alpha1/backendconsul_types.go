package v1alpha1

import (
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// BackendConsul is a service that Consul knows. Its instances become endpoints as
// soon as Consul says that they are healthy, and go as soon as it does not, within
// a fraction of a second.
type BackendConsul struct {
	// Service is the name of the service.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Service string `json:"service"`

	// Tags that an instance must have, all of them. Default: none.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	Tags []string `json:"tags,omitempty"`

	// Datacenter to ask. Default: the agent's.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_-]+$`
	Datacenter *string `json:"datacenter,omitempty"`

	// Namespace of the service, where agents know namespaces (Consul Enterprise).
	// Default: that of the token.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_-]+$`
	Namespace *string `json:"namespace,omitempty"`

	// Partition of the service, where agents know partitions (Consul Enterprise).
	// Default: the agent's.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_-]+$`
	Partition *string `json:"partition,omitempty"`

	// Filter is an expression of Consul's filtering language, which the agent
	// evaluates, for example `Service.Meta.version == "2"`. Default: none.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Filter *string `json:"filter,omitempty"`

	// Health says how well instances must be. `Passing`: all checks of the instance
	// and its node pass. `Warning`: none is critical; an instance with a warning has
	// the weight that it registered for that. Instances in maintenance are critical.
	// Default: `Passing`.
	// +optional
	Health *ConsulHealth `json:"health,omitempty"`

	// Near is a node, or `_agent` for the agent's own, by the distance from which
	// the agent sorts instances; with limit it says which are taken. Default: none.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Near *string `json:"near,omitempty"`

	// Limit is how many instances are taken at most, 1 to 4096: the first of the
	// answer. Default: 4096.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=4096
	Limit *int32 `json:"limit,omitempty"`

	// Consistency is how new an answer must be. `Default`: from the leader, which
	// can be wrong for moments after it lost its role. `Consistent`: from a leader
	// that has asked the others whether it is one. `Stale`: from any server, which
	// spares the leader, and goes on without one. Default: `Default`.
	// +optional
	Consistency *ConsulConsistency `json:"consistency,omitempty"`

	// WhenEmpty says what becomes of the endpoints when Consul knows no healthy
	// instance any more. `Empty`: there are none. `Keep`: the last ones stay, for
	// services whose checks fail more often than they do. Default: `Empty`.
	// +optional
	WhenEmpty *ConsulWhenEmpty `json:"whenEmpty,omitempty"`

	// TaggedAddress is the one that instances are reached at, for example `wan`: an
	// instance's own or, if it registered no address, its node's. Instances without
	// it are reached at their address. Default: none.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	TaggedAddress *string `json:"taggedAddress,omitempty"`

	// Port replaces the one that instances registered.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port *int32 `json:"port,omitempty"`

	// ZoneMeta is the key of the metadata of the instance or, without it there, of
	// its node that has the zone; see loadBalancer.zoneAware of TrafficPolicy.
	// Default: the zone of the locality that instance or node registered.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	ZoneMeta *string `json:"zoneMeta,omitempty"`

	// Priority given to each endpoint found, 0 to 127: 0 is used first. With a
	// second entry for another datacenter and a higher priority, that takes over
	// while this one has too few healthy endpoints. Default: 0.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=127
	Priority *int32 `json:"priority,omitempty"`

	// Agent is whom to ask. Default: the one at http://127.0.0.1:8500.
	// +optional
	Agent *ConsulAgent `json:"agent,omitempty"`
}

// ConsulHealth says how well instances must be.
//
// +kubebuilder:validation:Enum=Passing;Warning
type ConsulHealth string

const (
	// ConsulPassing: all checks pass.
	ConsulPassing ConsulHealth = "Passing"
	// ConsulWarning: no check is critical.
	ConsulWarning ConsulHealth = "Warning"
)

// ConsulConsistency is how new an answer must be.
//
// +kubebuilder:validation:Enum=Default;Consistent;Stale
type ConsulConsistency string

const (
	// ConsulDefault: from the leader.
	ConsulDefault ConsulConsistency = "Default"
	// ConsulConsistent: from a leader that made sure that it is one.
	ConsulConsistent ConsulConsistency = "Consistent"
	// ConsulStale: from any server.
	ConsulStale ConsulConsistency = "Stale"
)

// ConsulWhenEmpty says what becomes of endpoints when there are none any more.
//
// +kubebuilder:validation:Enum=Empty;Keep
type ConsulWhenEmpty string

const (
	// ConsulEmpty: they go.
	ConsulEmpty ConsulWhenEmpty = "Empty"
	// ConsulKeep: they stay.
	ConsulKeep ConsulWhenEmpty = "Keep"
)

// ConsulAgent is an agent of Consul, and how it is asked.
//
// +kubebuilder:validation:XValidation:message="tls needs an address that begins with https://",rule="!has(self.tls) || (has(self.address) && self.address.startsWith('https://'))"
type ConsulAgent struct {
	// Address is `http://HOST:PORT`, `https://HOST:PORT`, either with a path below
	// which the API is, or `unix:PATH`. Default: `http://127.0.0.1:8500`.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=320
	// +kubebuilder:validation:XValidation:message="must be http://HOST[:PORT][/PATH], https://HOST[:PORT][/PATH] or unix:PATH",rule="self.matches('^(https?://[^/?#@ ]+(/[^?# ]*)?|unix:.+)$')"
	Address *string `json:"address,omitempty"`

	// TokenSecretRef is where the ACL token is, which needs `service:read` and
	// `node:read`. Default: none is sent.
	// +optional
	TokenSecretRef *SecretKeyReference `json:"tokenSecretRef,omitempty"`

	// TLS is how an agent at https:// is verified: TLS 1.2 or later. Default: by the
	// system's roots and the host of the address.
	// +optional
	TLS *ConsulTLS `json:"tls,omitempty"`

	// MaxQueries is how many services are waited for at a time, 1 to 4096; each takes
	// a connection to the agent, over TLS a stream of one. Where more are watched they
	// take turns, so that a change is known within 10 seconds instead of at once. An
	// agent takes 200 connections of one address by itself
	// (`limits.http_max_conns_per_client`). Default: 128.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=4096
	MaxQueries *int32 `json:"maxQueries,omitempty"`
}

// ConsulTLS is how an agent is verified.
type ConsulTLS struct {
	// ServerName is the name in the certificate of the agent. Default: the host of
	// the address.
	// +optional
	ServerName *gatewayv1.PreciseHostname `json:"serverName,omitempty"`

	// CACertificateRefs name ConfigMaps or Secrets in this namespace whose key
	// `ca.crt` holds the certificates that the one of the agent is verified with.
	// Default: the system's.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	CACertificateRefs []gatewayv1.LocalObjectReference `json:"caCertificateRefs,omitempty"`

	// ClientCertificateRef names a Secret of type kubernetes.io/tls in this
	// namespace, whose certificate is shown to the agent. Default: none.
	// +optional
	ClientCertificateRef *gatewayv1.LocalObjectReference `json:"clientCertificateRef,omitempty"`
}
