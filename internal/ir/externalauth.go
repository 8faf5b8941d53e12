package ir

import "time"

// ExternalAuth has a server say who sends a request, and whether it may go on.
type ExternalAuth struct {
	// Backend is who is asked, for people: "Service/default/opa".
	Backend string `json:"backend"`
	// Cluster has its endpoints; without one nobody gets through, and Problem says
	// why there is none.
	Cluster string `json:"cluster,omitempty"`
	Problem string `json:"problem,omitempty"`
	// GRPC: it has the service envoy.service.auth.v3.Authorization.
	GRPC    bool          `json:"grpc,omitempty"`
	Timeout time.Duration `json:"timeout"`
	// FailOpen lets requests through while it cannot be asked.
	FailOpen bool `json:"failOpen,omitempty"`
	// Send are the headers of the request that it is sent.
	Send HeaderSet `json:"send,omitzero"`
	// Take are those of its answer that endpoints get. Replace: what the client has
	// sent under their names is removed in any case.
	Take    HeaderSet `json:"take,omitzero"`
	Replace bool      `json:"replace,omitempty"`
	// Context is sent along, ordered by name.
	Context []Header `json:"context,omitempty"`
	// MaxBody is how many bytes of the request's body it is sent; 0 is none of it. A
	// longer one is refused, or with PartialBody cut.
	MaxBody     int  `json:"maxBody,omitempty"`
	PartialBody bool `json:"partialBody,omitempty"`
	// Cache remembers answers; nil remembers none.
	Cache *ExternalCache `json:"cache,omitempty"`

	// Prefix stands before the path of a question by HTTP; Get asks by GET.
	Prefix string `json:"prefix,omitempty"`
	Get    bool   `json:"get,omitempty"`
	// OnlyOK: no status but 200 lets a request through.
	OnlyOK bool `json:"onlyOK,omitempty"`
	// Denied and Allowed are the headers of its answer that the client gets.
	Denied  HeaderSet `json:"denied,omitzero"`
	Allowed HeaderSet `json:"allowed,omitzero"`

	// Consumer is the claim with the name of a Consumer; ConsumerRequired refuses
	// answers that name none.
	Consumer         []string `json:"consumer,omitempty"`
	ConsumerRequired bool     `json:"consumerRequired,omitempty"`
}

// HeaderSet is a set of names of headers, in lower case.
type HeaderSet struct {
	All   bool     `json:"all,omitempty"`
	Names []string `json:"names,omitempty"`
}

// ExternalCache remembers, for TTL, that a request was let through, for others with
// an equal Key.
type ExternalCache struct {
	TTL time.Duration  `json:"ttl"`
	Key []CacheKeyPart `json:"key"`
}

// CacheKeyPart is a part of a key; Name is that of a header.
type CacheKeyPart struct {
	Type CacheKeyType `json:"type"`
	Name string       `json:"name,omitempty"`
}

// CacheKeyType says what a part of a key is.
type CacheKeyType string

const (
	CacheByHeader   CacheKeyType = "Header"
	CacheByMethod   CacheKeyType = "Method"
	CacheByHost     CacheKeyType = "Host"
	CacheByPath     CacheKeyType = "Path"
	CacheByQuery    CacheKeyType = "Query"
	CacheByClientIP CacheKeyType = "ClientIP"
)
