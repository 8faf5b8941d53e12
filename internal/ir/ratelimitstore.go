package ir

import "time"

// RateLimitStore is where several proxies count limits together. One of Redis,
// StateStore and Service is set.
type RateLimitStore struct {
	// Name is "namespace/name" of the RateLimitStore.
	Name  string      `json:"name"`
	Ref   Ref         `json:"ref"`
	Redis *RedisStore `json:"redis,omitempty"`
	// StateStore: leases of the state store, if the proxy has one.
	StateStore bool              `json:"stateStore,omitempty"`
	Service    *RateLimitService `json:"service,omitempty"`
}

// RateLimitService is a server of Envoy's protocol. Its clusters are those of rules:
// RoutePolicy.RateLimitServers.
type RateLimitService struct {
	Domain string `json:"domain"`
}

// RateLimitServer is whom a rule asks for a store that is a service.
type RateLimitServer struct {
	Store   string `json:"store"`
	Cluster string `json:"cluster"`
}

// RedisStore is one Redis, or several that act as one.
type RedisStore struct {
	Mode      RedisMode `json:"mode"`
	Addresses []string  `json:"addresses"` // HOST:PORT
	// Username may be empty for the default account; without a Password nothing of
	// both is sent.
	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"`
	// Master is what sentinels call it, who are told their own names.
	Master           string `json:"master,omitempty"`
	SentinelUsername string `json:"sentinelUsername,omitempty"`
	SentinelPassword string `json:"sentinelPassword,omitempty"`

	TLS            *UpstreamTLS  `json:"tls,omitempty"`
	Database       int           `json:"database,omitempty"`
	KeyPrefix      string        `json:"keyPrefix,omitempty"`
	Connections    int           `json:"connections"` // to each node; a power of two
	ConnectTimeout time.Duration `json:"connectTimeout"`
}

// RedisMode says what addresses are of.
type RedisMode string

const (
	RedisSingle   RedisMode = "Single"
	RedisSentinel RedisMode = "Sentinel"
	RedisCluster  RedisMode = "Cluster"
)

// GlobalLimit is where a limit is counted by several proxies together.
type GlobalLimit struct {
	// Store is the name of a RateLimitStore, which there may not be: it is then one
	// that does not answer. It is empty for the state store of the proxy.
	Store string `json:"store,omitempty"`
	// Group and Counter name what is counted, the same in all proxies: limits of a
	// Group are charged in one step wherever they are.
	Group   string `json:"group"`
	Counter string `json:"counter"`

	Timeout time.Duration `json:"timeout"`
	OnError OnStoreError  `json:"onError"`
}

// OnStoreError says what happens while a store does not answer.
type OnStoreError string

const (
	OnStoreErrorLocal OnStoreError = "Local"
	OnStoreErrorAllow OnStoreError = "Allow"
	OnStoreErrorDeny  OnStoreError = "Deny"
)

// redacted is without passwords and private keys.
func (s *RateLimitStore) redacted() *RateLimitStore {
	if s.Redis == nil {
		return s
	}
	n, r := *s, *s.Redis
	hide := func(password *string) {
		if *password != "" {
			*password = Hidden
		}
	}
	hide(&r.Password)
	hide(&r.SentinelPassword)
	if r.TLS != nil {
		tls := *r.TLS
		tls.Certificate = r.TLS.Certificate.redacted()
		r.TLS = &tls
	}
	n.Redis = &r
	return &n
}
