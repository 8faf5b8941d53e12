package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// RateLimitStore is where several proxies count limits together: a limit of a
// RateLimitPolicy in the same namespace names it with `global.storeRef`. It may be
// changed at any time; proxies that count elsewhere from then on begin anew there.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=ratelimitstores,categories=gridway,shortName=rls
// +kubebuilder:printcolumn:name="Redis",type=string,JSONPath=`.spec.redis.addresses[0]`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type RateLimitStore struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what the user wants.
	// +required
	Spec RateLimitStoreSpec `json:"spec"`
	// Status is what Gridway found.
	// +optional
	Status RateLimitStoreStatus `json:"status,omitempty"`
}

// RateLimitStoreList is a list of RateLimitStores.
//
// +kubebuilder:object:root=true
type RateLimitStoreList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []RateLimitStore `json:"items"`
}

// RateLimitStoreSpec is the desired state of a RateLimitStore. Exactly one kind of
// store must be given.
//
// +kubebuilder:validation:XValidation:message="exactly one of redis, stateStore and service must be given",rule="(has(self.redis) ? 1 : 0) + (has(self.stateStore) ? 1 : 0) + (has(self.service) ? 1 : 0) == 1"
type RateLimitStoreSpec struct {
	// Redis counts in Redis 6 or later, Valkey, or what speaks as they do and runs
	// scripts of Lua.
	// +optional
	Redis *RedisStore `json:"redis,omitempty"`

	// StateStore counts in the state store that the gateway was started with
	// (`--state`). Gateways that share it lease slices of what each caller has left
	// and spend them without asking for each request. All of them together never let
	// pass more than the limit. In a gateway without a state store, onError holds all
	// the time.
	// +optional
	StateStore *StateStoreLeases `json:"stateStore,omitempty"`

	// Service is a server of envoy.service.ratelimit.v3, which is asked over gRPC.
	// +optional
	Service *RateLimitService `json:"service,omitempty"`
}

// RateLimitService is a server of Envoy's rate limit service protocol. It counts by
// windows of its own, so that a rate must be one of a second, a minute, an hour or a
// day (`5/10s` cannot be said), without a burst of its own, and a quota one of an
// hour, a day or a month, in UTC. What a request has cost by its response
// (`fromResponseHeader`) cannot be corrected, and what one limit refuses may have
// been charged to others.
//
// Each limit is a descriptor: an entry `generic_key` with
// `NAMESPACE/POLICY/LIMIT`, then one for each part of its key that the request has:
// `consumer` (`NAMESPACE/NAME`), `plan`, `credential`, `remote_address`, or
// `masked_remote_address` where not all bits count, the header's name in lower case,
// `host`, `path`, `method`, `route`, `claim`, or `expression`. The limit itself goes
// along as an override, and the cost as hits_addend.
type RateLimitService struct {
	// BackendRef is the server: a Service with a port, or a Backend of group
	// gridway.dev. One in another namespace needs a ReferenceGrant there from kind
	// RateLimitStore. Balancing, TLS, health checks and circuit breakers are those of
	// the policies on it.
	// +required
	BackendRef gatewayv1.BackendObjectReference `json:"backendRef"`

	// Domain that the limits belong to; the server has to know it. Default:
	// `gridway`.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Domain *string `json:"domain,omitempty"`
}

// StateStoreLeases has nothing to choose: write `{}`.
type StateStoreLeases struct{}

// RedisStore is one Redis, or several that act as one. All limits that a request
// is charged to are charged in one round trip, and the clock is Redis's own: that
// of the proxies does not matter.
//
// +kubebuilder:validation:XValidation:message="mode Single takes one address",rule="(has(self.mode) && self.mode != 'Single') || size(self.addresses) == 1"
// +kubebuilder:validation:XValidation:message="sentinel must be given with mode Sentinel, and with no other",rule="(has(self.mode) && self.mode == 'Sentinel') == has(self.sentinel)"
// +kubebuilder:validation:XValidation:message="a cluster of Redis has database 0 only",rule="!has(self.mode) || self.mode != 'Cluster' || !has(self.database) || self.database == 0"
// +kubebuilder:validation:XValidation:message="username goes with passwordSecretRef only",rule="!has(self.username) || has(self.passwordSecretRef)"
type RedisStore struct {
	// Mode says what the addresses are of. `Single`: one Redis, or a service that
	// hides several behind one address. `Sentinel`: sentinels, which know the
	// master. `Cluster`: some nodes of a cluster, which know the others; the limits
	// of one policy count in one slot of it, and policies spread over the nodes.
	// Default: `Single`.
	// +optional
	Mode *RedisMode `json:"mode,omitempty"`

	// Addresses as `HOST:PORT`, for example `redis.internal:6379` or `[::1]:6379`.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=3
	// +kubebuilder:validation:items:MaxLength=260
	Addresses []string `json:"addresses"`

	// Sentinel is what sentinels are asked for.
	// +optional
	Sentinel *RedisSentinel `json:"sentinel,omitempty"`

	// Username of an account (ACL). Default: the account `default`.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Username *string `json:"username,omitempty"`

	// PasswordSecretRef is where the password is. Default: none is sent.
	// +optional
	PasswordSecretRef *SecretKeyReference `json:"passwordSecretRef,omitempty"`

	// TLS encrypts connections. Default: none, and everything is sent as it is.
	// +optional
	TLS *RedisTLS `json:"tls,omitempty"`

	// Database by number, 0 to 1023. Default: 0.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1023
	Database *int32 `json:"database,omitempty"`

	// KeyPrefix is what all names of keys begin with. Gateways count together if
	// they have the same prefix, and their policies the same names. Default:
	// `gridway:`.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9:_./-]*$`
	KeyPrefix *string `json:"keyPrefix,omitempty"`

	// Connections to each Redis, 1 to 64: a power of two. Requests share them and
	// do not wait for each other's answers. Default: 4.
	// +optional
	// +kubebuilder:validation:Enum=1;2;4;8;16;32;64
	Connections *int32 `json:"connections,omitempty"`

	// ConnectTimeout is how long a connection may take to be made, TLS and login
	// included, `100ms` to `30s`. Default: `2s`.
	// +optional
	ConnectTimeout *gatewayv1.Duration `json:"connectTimeout,omitempty"`
}

// RedisMode says what addresses are of.
//
// +kubebuilder:validation:Enum=Single;Sentinel;Cluster
type RedisMode string

const (
	// RedisSingle is one Redis.
	RedisSingle RedisMode = "Single"
	// RedisSentinelMode is a master that sentinels know.
	RedisSentinelMode RedisMode = "Sentinel"
	// RedisCluster is a cluster.
	RedisCluster RedisMode = "Cluster"
)

// RedisSentinel is what sentinels are asked for, and how.
//
// +kubebuilder:validation:XValidation:message="username goes with passwordSecretRef only",rule="!has(self.username) || has(self.passwordSecretRef)"
type RedisSentinel struct {
	// MasterName is the name of the master.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	MasterName string `json:"masterName"`

	// Username of an account of the sentinels. Default: the account `default`.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Username *string `json:"username,omitempty"`

	// PasswordSecretRef is where the password of the sentinels is. Default: none
	// is sent to them.
	// +optional
	PasswordSecretRef *SecretKeyReference `json:"passwordSecretRef,omitempty"`
}

// RedisTLS is how connections are encrypted: TLS 1.2 or later.
type RedisTLS struct {
	// ServerName is the name in the certificate of Redis. Default: the host of the
	// address.
	// +optional
	ServerName *gatewayv1.PreciseHostname `json:"serverName,omitempty"`

	// CACertificateRefs name ConfigMaps or Secrets in this namespace whose key
	// `ca.crt` holds the certificates that the one of Redis is verified with.
	// Default: the system's.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	CACertificateRefs []gatewayv1.LocalObjectReference `json:"caCertificateRefs,omitempty"`

	// ClientCertificateRef names a Secret of type kubernetes.io/tls in this
	// namespace, whose certificate is presented to Redis. Default: none.
	// +optional
	ClientCertificateRef *gatewayv1.LocalObjectReference `json:"clientCertificateRef,omitempty"`
}

// RateLimitStoreStatus is what Gridway found out about a RateLimitStore.
type RateLimitStoreStatus struct {
	// Conditions: `Accepted` (the object is valid), `ResolvedRefs` (what it names
	// exists).
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}
