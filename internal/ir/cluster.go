package ir

import "time"

// Cluster is one backend as the runtime sees it: endpoints and how to use them.
type Cluster struct {
	// Name is "Service/namespace/name:PORT" or "Backend/namespace/name", with
	// "~HASH" appended when a route's policy asks for settings of its own.
	Name string `json:"name"`
	Ref  Ref    `json:"ref"`
	// Endpoints may be empty at first when Discovery is set.
	Endpoints []Endpoint `json:"endpoints,omitempty"`
	Discovery *Discovery `json:"discovery,omitempty"`

	// Name ends in "/tcp", "/tls" (TLS is passed through) or "/udp" if streams use it.
	// Protocol is HTTP, HTTPS, TCP or UDP; TLS is set with HTTPS, and with TCP inside TLS.
	Protocol Protocol     `json:"protocol"`
	TLS      *UpstreamTLS `json:"tls,omitempty"`
	// HTTP2: the endpoints speak HTTP/2, with prior knowledge or by ALPN.
	HTTP2 bool `json:"http2,omitempty"`
	// HTTP3: they speak HTTP/3, on UDP.
	HTTP3 bool `json:"http3,omitempty"`
	// ProxyProtocol is 0, 1 or 2: the version sent to endpoints.
	ProxyProtocol int `json:"proxyProtocol,omitempty"`
	// Host replaces the Host header when set ("" keeps the client's).
	Host string `json:"host,omitempty"`
	// Identity is the SPIFFE ID that this proxy has towards endpoints of the mesh;
	// empty is the process's own. Endpoints without an identity never learn it.
	Identity string `json:"identity,omitempty"`

	ConnectTimeout time.Duration `json:"connectTimeout"`
	Balance        Balance       `json:"balance"`
	Pool           Pool          `json:"pool"`
	Breaker        *Breaker      `json:"breaker,omitempty"`
	RetryBudget    *RetryBudget  `json:"retryBudget,omitempty"`
	Outlier        *Outlier      `json:"outlier,omitempty"`
	Health         *Health       `json:"health,omitempty"`

	// Hash is a digest of everything but Endpoints. A cluster with the same
	// name and hash keeps its pools, health and learned state across snapshots.
	Hash uint64 `json:"hash"`
}

// EndpointUpdate replaces the endpoints of one cluster without a new Config.
type EndpointUpdate struct {
	Cluster   string     `json:"cluster"`
	Endpoints []Endpoint `json:"endpoints"`
}

// Endpoint is one address of a cluster.
type Endpoint struct {
	// Address is "IP:PORT", "[IPv6]:PORT" or "unix:PATH".
	Address string `json:"address"`
	Weight  uint32 `json:"weight"`
	Zone    string `json:"zone,omitempty"`
	// Priority 0 is used first; higher ones as lower ones fail.
	Priority int `json:"priority,omitempty"`
	// Draining endpoints keep their sessions and get no new ones.
	Draining bool `json:"draining,omitempty"`
	// Hostname is the DNS name that the address came from, used for TLS and Host.
	Hostname string `json:"hostname,omitempty"`
	// Origin says for people what found it, if something else did.
	Origin string `json:"origin,omitempty"`
	// Identity is the SPIFFE ID that the endpoint must prove. It makes it one of the
	// mesh: the address is that of its proxy, which is spoken to with mutual TLS 1.3
	// and HTTP/2 whatever the cluster says of TLS and HTTP, and ServerName is what is
	// asked of it ("PORT.SERVICE.NAMESPACE.mesh"). Endpoints may share an address if
	// their server names differ.
	Identity   string `json:"identity,omitempty"`
	ServerName string `json:"serverName,omitempty"`
}

// UpstreamTLS is how endpoints are verified.
type UpstreamTLS struct {
	// ServerName is sent as SNI and verified, unless SANs are given, which are
	// then verified instead.
	ServerName string `json:"serverName,omitempty"`
	SANs       []SAN  `json:"sans,omitempty"`
	// CA is a PEM bundle; System uses the system's roots.
	CA     []byte `json:"ca,omitempty"`
	System bool   `json:"system,omitempty"`
	// Certificate is presented to endpoints that ask for one.
	Certificate *Certificate `json:"certificate,omitempty"`
	MinVersion  string       `json:"minVersion,omitempty"`
	MaxVersion  string       `json:"maxVersion,omitempty"`
	// ALPN are the protocols that streams offer; requests offer those of HTTP.
	ALPN []string `json:"alpn,omitempty"`
	// Insecure skips verification; only a Backend that says so outright gets it.
	Insecure bool `json:"insecure,omitempty"`
}

// SAN is a subject alternative name that a certificate must carry.
type SAN struct {
	// Exactly one is set. DNS may start with "*." and then is compared as is.
	DNS string `json:"dns,omitempty"`
	URI string `json:"uri,omitempty"`
}

// BalanceAlgorithm names a load balancer.
type BalanceAlgorithm string

const (
	RoundRobin   BalanceAlgorithm = "RoundRobin" // weighted, smooth
	LeastRequest BalanceAlgorithm = "LeastRequest"
	PeakEWMA     BalanceAlgorithm = "PeakEWMA"
	Random       BalanceAlgorithm = "Random"
	RingHash     BalanceAlgorithm = "RingHash"
	Maglev       BalanceAlgorithm = "Maglev"
)

// Balance is how an endpoint is chosen.
type Balance struct {
	Algorithm BalanceAlgorithm `json:"algorithm"`
	// HashOn are tried in order until one has a value; used by RingHash and Maglev.
	HashOn []HashKey `json:"hashOn,omitempty"`
	// BoundedLoad in percent of the mean (125 = at most 1.25 × the mean); zero is unbounded.
	BoundedLoad int `json:"boundedLoad,omitempty"`
	// RingSize is the number of points of a ring, or the table size of Maglev (a prime).
	RingSize int `json:"ringSize,omitempty"`
	// Choices is how many endpoints LeastRequest compares.
	Choices int `json:"choices,omitempty"`
	// Decay is the time constant of PeakEWMA.
	Decay time.Duration `json:"decay,omitempty"`
	// Zone is this proxy's own; traffic stays in it while it has capacity.
	ZoneAware bool `json:"zoneAware,omitempty"`
	// PanicThreshold in percent: below that share of healthy endpoints all are used.
	PanicThreshold int `json:"panicThreshold,omitempty"`
	// Overprovisioning in percent (140 = a priority is full while ≥ 72 % is healthy).
	Overprovisioning int `json:"overprovisioning,omitempty"`
	// SlowStart raises a new endpoint's share over this window.
	SlowStart time.Duration `json:"slowStart,omitempty"`
}

// HashKey is one source of a hash. Exactly one field is set.
type HashKey struct {
	Header   string `json:"header,omitempty"`
	Cookie   string `json:"cookie,omitempty"`
	Query    string `json:"query,omitempty"`
	SourceIP bool   `json:"sourceIP,omitempty"`
}

// Pool bounds the connections kept to each endpoint.
type Pool struct {
	MaxIdle        int           `json:"maxIdle,omitempty"`
	IdleTimeout    time.Duration `json:"idleTimeout,omitempty"`
	MaxLifetime    time.Duration `json:"maxLifetime,omitempty"`
	MaxRequests    int           `json:"maxRequests,omitempty"`
	KeepAlive      time.Duration `json:"keepAlive,omitempty"`
	HTTP2KeepAlive time.Duration `json:"http2KeepAlive,omitempty"`
	HeaderBytes    int           `json:"headerBytes,omitempty"`
	DisablePooling bool          `json:"disablePooling,omitempty"`
}

// Breaker refuses work that would overload a cluster. Zero means no limit.
type Breaker struct {
	MaxConnections int `json:"maxConnections,omitempty"`
	MaxPending     int `json:"maxPending,omitempty"`
	MaxRequests    int `json:"maxRequests,omitempty"`
	MaxRetries     int `json:"maxRetries,omitempty"`
	// Failure opens the breaker by failure rate; nil leaves it closed.
	Failure *FailureRate `json:"failure,omitempty"`
}

// FailureRate opens a breaker when Percent of at least MinRequests in Window
// failed; after OpenFor it lets HalfOpen requests through to try.
type FailureRate struct {
	Percent     int           `json:"percent"`
	MinRequests int           `json:"minRequests"`
	Window      time.Duration `json:"window"`
	OpenFor     time.Duration `json:"openFor"`
	HalfOpen    int           `json:"halfOpen"`
}

// RetryBudget bounds retries to Percent of the requests of the last Window,
// with MinPerSecond always allowed.
type RetryBudget struct {
	Percent      int           `json:"percent"`
	MinPerSecond int           `json:"minPerSecond"`
	Window       time.Duration `json:"window"`
}

// Outlier ejects endpoints that fail.
type Outlier struct {
	Consecutive5xx     int           `json:"consecutive5xx,omitempty"`
	ConsecutiveGateway int           `json:"consecutiveGateway,omitempty"`
	Interval           time.Duration `json:"interval"`
	BaseEjection       time.Duration `json:"baseEjection"`
	MaxEjection        time.Duration `json:"maxEjection"`
	MaxPercent         int           `json:"maxPercent"`
	// SuccessRate compares endpoints: one that is StdevFactor (in hundredths)
	// standard deviations below the mean is ejected.
	SuccessRateMinHosts    int `json:"successRateMinHosts,omitempty"`
	SuccessRateMinRequests int `json:"successRateMinRequests,omitempty"`
	SuccessRateStdev       int `json:"successRateStdev,omitempty"`
}

// Health is an active health check.
type Health struct {
	// HTTP and GRPC are nil for a TCP check; at most one is not.
	HTTP               *HTTPHealth   `json:"http,omitempty"`
	GRPC               *GRPCHealth   `json:"grpc,omitempty"`
	Interval           time.Duration `json:"interval"`
	Timeout            time.Duration `json:"timeout"`
	HealthyThreshold   int           `json:"healthyThreshold"`
	UnhealthyThreshold int           `json:"unhealthyThreshold"`
	// Port replaces the endpoint's port when set.
	Port uint16 `json:"port,omitempty"`
}

// HTTPHealth asks for a path and expects a status.
type HTTPHealth struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	Host   string `json:"host,omitempty"`
	// Statuses are ranges "200" or "200-299".
	Statuses []StatusRange `json:"statuses"`
	Headers  []Header      `json:"headers,omitempty"`
}

// GRPCHealth asks grpc.health.v1.Health and expects SERVING.
type GRPCHealth struct {
	// Service is empty for the server as a whole.
	Service string `json:"service,omitempty"`
	Host    string `json:"host,omitempty"`
}

// StatusRange is inclusive at both ends.
type StatusRange struct {
	From int `json:"from"`
	To   int `json:"to"`
}
