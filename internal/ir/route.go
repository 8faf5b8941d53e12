package ir

import (
	"strings"
	"time"
)

// Route is one compiled HTTPRoute or GRPCRoute.
type Route struct {
	// Name is "HTTPRoute/namespace/name", with "~HASH" appended where listeners
	// with other policies, or another certificate for backends, get a form of
	// the route of their own.
	Name string `json:"name"`
	Ref  Ref    `json:"ref"`
	// Created breaks ties between matches of equal precedence: the older route wins.
	Created time.Time `json:"created,omitzero"`
	// GRPC: the route is a GRPCRoute, whose requests are calls: "/service/method".
	GRPC  bool    `json:"grpc,omitempty"`
	Rules []*Rule `json:"rules"`
	// Hash is a digest of everything in the route but the places in files. Two
	// routes with equal names and hashes serve alike, so a snapshot keeps what it
	// built for one.
	Hash uint64 `json:"hash"`
}

// Rule is one rule of a route. Its matches are alternatives; a rule without
// matches was given one that matches every path by compile.
type Rule struct {
	// ID is "HTTPRoute/namespace/name/rules/INDEX", or "GRPCRoute/…".
	ID string `json:"id"`
	// Name is the rule's own name, if it has one.
	Name     string       `json:"name,omitempty"`
	Matches  []Match      `json:"matches"`
	Filters  Filters      `json:"filters,omitzero"`
	Backends []BackendRef `json:"backends,omitempty"`
	Policy   RoutePolicy  `json:"policy,omitzero"`
	Ref      Ref          `json:"ref"`
	// Policies are the policy objects whose fields are in force here, most specific first.
	Policies []Ref `json:"policies,omitempty"`
}

// Label is the rule's name, or its place in the route: "rules[2]".
func (r *Rule) Label() string { return RuleLabel(r.ID, r.Name) }

// RuleLabel is Rule.Label for who has but the ID and the name, of which either
// may be empty, or the ID in the name's place.
func RuleLabel(id, name string) string {
	if name != "" && !strings.Contains(name, "/rules/") {
		return name
	}
	if name != "" {
		id = name
	}
	if i := strings.LastIndex(id, "/rules/"); i >= 0 {
		return "rules[" + id[i+len("/rules/"):] + "]"
	}
	return id
}

// MatchType is how a value is compared.
type MatchType string

const (
	Exact  MatchType = "Exact"
	Prefix MatchType = "Prefix" // paths only: whole segments, so /a matches /a and /a/b, not /ab
	Regex  MatchType = "Regex"  // RE2, anchored at both ends
)

// Match is a conjunction: every part must hold.
type Match struct {
	Path    PathMatch    `json:"path"`
	Method  string       `json:"method,omitempty"`
	Headers []ValueMatch `json:"headers,omitempty"`
	Query   []ValueMatch `json:"query,omitempty"`
	// GRPC is what Path was made from, if that was a service or a method. Among
	// regular expressions, those for longer services, then methods, go first.
	GRPC *GRPCMatch `json:"grpc,omitempty"`
}

// GRPCMatch names a service and a method of gRPC, or regular expressions for
// them (Type is Exact or Regex). One of the two may be empty, for any.
type GRPCMatch struct {
	Type    MatchType `json:"type"`
	Service string    `json:"service,omitempty"`
	Method  string    `json:"method,omitempty"`
}

// PathMatch compares the normalised path.
type PathMatch struct {
	Type  MatchType `json:"type"`
	Value string    `json:"value"`
}

// ValueMatch compares a header (by case-insensitive name) or a query parameter.
type ValueMatch struct {
	Name  string    `json:"name"`
	Type  MatchType `json:"type"`
	Value string    `json:"value"`
}

// Filters are what a rule or one of its backend refs does to an exchange. The
// order in which they act is the pipeline's, never the user's.
type Filters struct {
	RequestHeaders  *HeaderMods `json:"requestHeaders,omitempty"`
	ResponseHeaders *HeaderMods `json:"responseHeaders,omitempty"`
	Redirect        *Redirect   `json:"redirect,omitempty"`
	Rewrite         *Rewrite    `json:"rewrite,omitempty"`
	Mirrors         []Mirror    `json:"mirrors,omitempty"`
	CORS            *CORS       `json:"cors,omitempty"`
	// ExternalAuth are servers that must all let the request through.
	ExternalAuth []*ExternalAuth `json:"externalAuth,omitempty"`
	// TokenIssuer is the name of one that answers all requests of the rule.
	TokenIssuer string `json:"tokenIssuer,omitempty"`
}

// HeaderMods are applied in the order set, add, remove.
type HeaderMods struct {
	Set    []Header `json:"set,omitempty"`
	Add    []Header `json:"add,omitempty"`
	Remove []string `json:"remove,omitempty"`
}

// Header is a name and a value.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// PathModifier replaces the full path or the prefix that the match named.
type PathModifier struct {
	// Type is Exact to replace the full path, Prefix to replace the matched prefix.
	Type  MatchType `json:"type"`
	Value string    `json:"value"`
}

// Redirect answers with a Location header. Empty fields keep the request's own.
type Redirect struct {
	Scheme   string        `json:"scheme,omitempty"`
	Hostname string        `json:"hostname,omitempty"`
	Path     *PathModifier `json:"path,omitempty"`
	Port     uint16        `json:"port,omitempty"`
	Status   int           `json:"status"`
}

// Rewrite changes the request before it is sent upstream.
type Rewrite struct {
	Hostname string        `json:"hostname,omitempty"`
	Path     *PathModifier `json:"path,omitempty"`
}

// Mirror sends a copy of the request to another cluster and ignores the answer.
// Numerator of Denominator requests are copied.
type Mirror struct {
	Cluster     string `json:"cluster"`
	Numerator   int    `json:"numerator"`
	Denominator int    `json:"denominator"`
}

// CORS answers preflight requests and marks responses (Fetch standard).
type CORS struct {
	// AllowOrigins are "*", "https://host", or with a wildcard label "https://*.host".
	AllowOrigins     []string      `json:"allowOrigins,omitempty"`
	AllowCredentials bool          `json:"allowCredentials,omitempty"`
	AllowMethods     []string      `json:"allowMethods,omitempty"`
	AllowHeaders     []string      `json:"allowHeaders,omitempty"`
	ExposeHeaders    []string      `json:"exposeHeaders,omitempty"`
	MaxAge           time.Duration `json:"maxAge,omitempty"`
}

// BackendRef is a share of a rule's traffic. A ref that could not be resolved
// has an empty Cluster, keeps its share, and answers it with status 500.
type BackendRef struct {
	Cluster string  `json:"cluster,omitempty"`
	Weight  uint32  `json:"weight"`
	Filters Filters `json:"filters,omitzero"`
	// Ref is the Service or Backend that was named.
	Ref Ref `json:"ref"`
	// Problem says why Cluster is empty.
	Problem string `json:"problem,omitempty"`
}

// RoutePolicy is what the effective TrafficPolicy and the rule's own fields say
// about an exchange, apart from what belongs to the cluster.
type RoutePolicy struct {
	Timeouts    Timeouts            `json:"timeouts,omitzero"`
	Retry       *Retry              `json:"retry,omitempty"`
	Hedge       *Hedge              `json:"hedge,omitempty"`
	Session     *SessionPersistence `json:"session,omitempty"`
	Fault       *Fault              `json:"fault,omitempty"`
	Compression *Compression        `json:"compression,omitempty"`
	Buffer      *Buffer             `json:"buffer,omitempty"`
	Admission   *Admission          `json:"admission,omitempty"`
	Direct      *DirectResponse     `json:"direct,omitempty"`
	Bridge      *Bridge             `json:"bridge,omitempty"`
	Transcoding *Transcoding        `json:"transcoding,omitempty"`
	// Authentication is nil where no AuthenticationPolicy reaches.
	Authentication *Authentication `json:"authentication,omitempty"`
	// Shield is nil where no ShieldPolicy reaches.
	Shield *Shield `json:"shield,omitempty"`
	// Authorization has the AuthorizationPolicies that reach the rule. Rules share
	// them.
	Authorization []*Authorization `json:"authorization,omitempty"`
	// RateLimits are those of all RateLimitPolicies that reach the rule. Rules share
	// what is the same policy's.
	RateLimits []*RateLimit `json:"rateLimits,omitempty"`
	// RateLimitServers are the clusters of those stores of RateLimits that are services.
	RateLimitServers []RateLimitServer `json:"rateLimitServers,omitempty"`
	// Telemetry is nil where no TelemetryPolicy reaches. Rules share it.
	Telemetry *Telemetry `json:"telemetry,omitempty"`
	// MaxBodyBytes bounds request bodies; zero leaves it to the listener.
	MaxBodyBytes int64 `json:"maxBodyBytes,omitempty"`
}

// Timeouts of an exchange; zero means none.
type Timeouts struct {
	// Request runs from the end of the request's header to the end of the response.
	Request time.Duration `json:"request,omitempty"`
	// PerTry runs from the choice of an endpoint to the response's header.
	PerTry time.Duration `json:"perTry,omitempty"`
	// Idle bounds the silence on a stream in both directions.
	Idle time.Duration `json:"idle,omitempty"`
	// MaxStream bounds upgraded connections and streams of any kind.
	MaxStream time.Duration `json:"maxStream,omitempty"`
}

// Retry says when and how an exchange is tried again.
type Retry struct {
	// Attempts is how many tries may follow the first.
	Attempts int `json:"attempts"`
	// Statuses are response codes that are retried.
	Statuses []int `json:"statuses,omitempty"`
	// On names conditions: connect-failure, reset, timeout, gateway-error, 5xx, refused.
	ConnectFailure bool `json:"connectFailure,omitempty"`
	Reset          bool `json:"reset,omitempty"`
	Timeout        bool `json:"timeout,omitempty"`
	// GRPCCodes are those of gRPC's statuses that are retried, a bit each.
	GRPCCodes uint32 `json:"grpcCodes,omitempty"`
	// Methods that may be retried after the request was sent; empty means the
	// idempotent ones of RFC 9110 §9.2.2. A request that was never sent may
	// always be tried again.
	Methods []string `json:"methods,omitempty"`
	// BackoffBase doubles with each try up to BackoffMax; each wait is drawn
	// between zero and that ("full jitter").
	BackoffBase time.Duration `json:"backoffBase,omitempty"`
	// BackoffMin is the least wait before any further try; the draw is added to it.
	BackoffMin time.Duration `json:"backoffMin,omitempty"`
	BackoffMax time.Duration `json:"backoffMax,omitempty"`
	// RetryAfter honours the upstream's Retry-After up to RetryAfterMax.
	RetryAfter    bool          `json:"retryAfter,omitempty"`
	RetryAfterMax time.Duration `json:"retryAfterMax,omitempty"`
	// MaxReplayBytes bounds the request body kept for a replay.
	MaxReplayBytes int64 `json:"maxReplayBytes,omitempty"`
}

// Hedge sends a second try when the first is slow, and takes the first answer.
type Hedge struct {
	// Delay is the wait before each further try.
	Delay time.Duration `json:"delay"`
	// MaxExtra is how many further tries may run beside the first.
	MaxExtra int `json:"maxExtra"`
}

// SessionPersistence keeps a client on one endpoint (GEP-1619).
type SessionPersistence struct {
	// Header is true for a header, false for a cookie.
	Header bool   `json:"header,omitempty"`
	Name   string `json:"name"`
	// AbsoluteTimeout and IdleTimeout end a session; zero means never.
	AbsoluteTimeout time.Duration `json:"absoluteTimeout,omitempty"`
	IdleTimeout     time.Duration `json:"idleTimeout,omitempty"`
	// Permanent sets Max-Age on the cookie from AbsoluteTimeout.
	Permanent bool   `json:"permanent,omitempty"`
	Path      string `json:"path,omitempty"`
	// Key authenticates the token (HMAC), so that clients cannot choose endpoints.
	Key []byte `json:"key,omitempty"`
}

// Fault delays or aborts a share of the requests. Percentages are in
// hundredths of a percent: 10000 is every request.
type Fault struct {
	Delay        time.Duration `json:"delay,omitempty"`
	DelayPercent int           `json:"delayPercent,omitempty"`
	AbortStatus  int           `json:"abortStatus,omitempty"`
	AbortPercent int           `json:"abortPercent,omitempty"`
}

// Bridge takes clients of other protocols to endpoints that speak gRPC.
type Bridge struct {
	GRPCWeb bool `json:"grpcWeb,omitempty"`
	Connect bool `json:"connect,omitempty"`
	// MaxMessageBytes bounds messages that are held.
	MaxMessageBytes int64 `json:"maxMessageBytes"`
}

// Transcoding takes clients that speak JSON over HTTP to endpoints that speak gRPC.
type Transcoding struct {
	// Schema names one of the configuration's; empty if there is none, and none
	// that was good before. With Reflection the endpoints are asked instead.
	Schema     string      `json:"schema,omitempty"`
	Reflection *Reflection `json:"reflection,omitempty"`
	// Services are those that can be called; none is all.
	Services []string `json:"services,omitempty"`
	// Defaults, EnumNumbers, ProtoNames and IgnoreUnknown are about JSON.
	Defaults      bool `json:"defaults,omitempty"`
	EnumNumbers   bool `json:"enumNumbers,omitempty"`
	ProtoNames    bool `json:"protoNames,omitempty"`
	IgnoreUnknown bool `json:"ignoreUnknown,omitempty"`
	// Lines: streams are lines of JSON by default, not an array.
	Lines bool `json:"lines,omitempty"`
	// AnnotatedOnly: methods without an annotation cannot be called.
	AnnotatedOnly bool `json:"annotatedOnly,omitempty"`
	// PassUnmatched: requests that are for no method pass as they are.
	PassUnmatched   bool  `json:"passUnmatched,omitempty"`
	MaxMessageBytes int64 `json:"maxMessageBytes"`
}

// Reflection asks endpoints for their schema.
type Reflection struct {
	// Host is the authority to ask for; empty is that of other requests.
	Host    string        `json:"host,omitempty"`
	Refresh time.Duration `json:"refresh"`
}

// Schema is a set of descriptors of Protocol Buffers.
type Schema struct {
	// Name changes with the content.
	Name string `json:"name"`
	// Set is a google.protobuf.FileDescriptorSet.
	Set []byte `json:"set,omitempty"`
}

// Compression of responses on the way to the client.
type Compression struct {
	// Algorithms in order of preference: "zstd", "br", "gzip".
	Algorithms []string `json:"algorithms,omitempty"`
	// MinBytes leaves shorter responses alone.
	MinBytes int64 `json:"minBytes,omitempty"`
	// ContentTypes are media types, with "text/*" allowed.
	ContentTypes []string `json:"contentTypes,omitempty"`
	Level        int      `json:"level,omitempty"`
	// DecompressRequests and DecompressResponses undo a content coding before
	// the body is passed on. MaxRatio and MaxBytes stop decompression bombs.
	DecompressRequests  bool  `json:"decompressRequests,omitempty"`
	DecompressResponses bool  `json:"decompressResponses,omitempty"`
	MaxRatio            int   `json:"maxRatio,omitempty"`
	MaxBytes            int64 `json:"maxBytes,omitempty"`
}

// Buffer reads a whole body, up to a bound, before it is passed on.
type Buffer struct {
	RequestBytes  int64 `json:"requestBytes,omitempty"`
	ResponseBytes int64 `json:"responseBytes,omitempty"`
}

// Admission limits concurrent exchanges by an adaptive (gradient) limit.
type Admission struct {
	// Scope names the limiter: exchanges with equal scopes share one.
	Scope          string        `json:"scope"`
	MinConcurrency int           `json:"minConcurrency"`
	MaxConcurrency int           `json:"maxConcurrency"`
	Initial        int           `json:"initial"`
	TargetLatency  time.Duration `json:"targetLatency,omitempty"`
	MaxQueue       int           `json:"maxQueue,omitempty"`
	QueueTimeout   time.Duration `json:"queueTimeout,omitempty"`
	// PriorityHeader carries 0 (first to be refused) to 9 (last).
	PriorityHeader  string `json:"priorityHeader,omitempty"`
	DefaultPriority int    `json:"defaultPriority,omitempty"`
}

// DirectResponse answers without an upstream.
type DirectResponse struct {
	Status  int      `json:"status"`
	Headers []Header `json:"headers,omitempty"`
	Body    []byte   `json:"body,omitempty"`
}
