package v1alpha1

import (
	"k8s.io/apimachinery/pkg/util/intstr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// LoadBalancerAlgorithm names a way to choose an endpoint.
//
// +kubebuilder:validation:Enum=RoundRobin;LeastRequest;PeakEWMA;Random;RingHash;Maglev
type LoadBalancerAlgorithm string

const (
	// RoundRobin takes endpoints in turn, by weight.
	RoundRobin LoadBalancerAlgorithm = "RoundRobin"
	// LeastRequest compares a few endpoints drawn at random and takes the one
	// with the fewest active requests.
	LeastRequest LoadBalancerAlgorithm = "LeastRequest"
	// PeakEWMA compares two endpoints drawn at random by their recent latency
	// and active requests.
	PeakEWMA LoadBalancerAlgorithm = "PeakEWMA"
	// Random draws an endpoint by weight.
	Random LoadBalancerAlgorithm = "Random"
	// RingHash hashes requests onto a ring of endpoints.
	RingHash LoadBalancerAlgorithm = "RingHash"
	// Maglev hashes requests onto a table of endpoints.
	Maglev LoadBalancerAlgorithm = "Maglev"
)

// LoadBalancer says how an endpoint is chosen.
//
// +kubebuilder:validation:XValidation:message="hashOn is used by RingHash and Maglev only",rule="!has(self.hashOn) || size(self.hashOn) == 0 || !has(self.algorithm) || self.algorithm in ['RingHash', 'Maglev']"
type LoadBalancer struct {
	// Algorithm: `RoundRobin` (in turn, by weight), `LeastRequest` (of a few
	// drawn at random the one with the fewest active requests), `PeakEWMA` (of
	// two drawn at random the one with the lower recent latency times active
	// requests), `Random`, `RingHash` and `Maglev` (the same hash goes to the
	// same endpoint). Default: LeastRequest.
	// +optional
	Algorithm *LoadBalancerAlgorithm `json:"algorithm,omitempty"`
	// HashOn are what RingHash and Maglev hash; the first that the request has
	// is used, and a request that has none goes to any endpoint. Default: the
	// client's address.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	HashOn []HashKey `json:"hashOn,omitempty"`
	// BoundedLoad is the highest load of an endpoint in percent of the mean,
	// for RingHash and Maglev: 125 lets one have at most 1.25 times the mean,
	// and sends the rest to the next. Default: none.
	// +optional
	// +kubebuilder:validation:Minimum=101
	// +kubebuilder:validation:Maximum=10000
	BoundedLoad *int32 `json:"boundedLoad,omitempty"`
	// TableSize is the least number of points of the ring, or the size of the
	// Maglev table, for which the next prime is taken. A ring of a given size
	// moves keys of all endpoints when their number passes a power of two.
	// Default: 256 points for each endpoint of a ring, 65537 for Maglev.
	// +optional
	// +kubebuilder:validation:Minimum=64
	// +kubebuilder:validation:Maximum=5000011
	TableSize *int32 `json:"tableSize,omitempty"`
	// Choices is how many endpoints LeastRequest compares. Default: 2.
	// +optional
	// +kubebuilder:validation:Minimum=2
	// +kubebuilder:validation:Maximum=16
	Choices *int32 `json:"choices,omitempty"`
	// Decay is how fast PeakEWMA forgets a latency. Default: 10s.
	// +optional
	Decay *gatewayv1.Duration `json:"decay,omitempty"`
	// ZoneAware keeps traffic in this proxy's zone while that has the capacity,
	// and spills over what it has not. Default: false.
	// +optional
	ZoneAware *bool `json:"zoneAware,omitempty"`
	// PanicThreshold in percent: when a smaller share of the endpoints is
	// healthy, all of them are used; 0 turns this off. Default: 50.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	PanicThreshold *int32 `json:"panicThreshold,omitempty"`
	// Overprovisioning in percent says when a priority or zone counts as full:
	// with 140, while at least 100/140 = 72 % of it is healthy. Default: 140.
	// It bounds the panic threshold too: what counts as full is never in panic.
	// +optional
	// +kubebuilder:validation:Minimum=100
	// +kubebuilder:validation:Maximum=1000
	Overprovisioning *int32 `json:"overprovisioning,omitempty"`
	// SlowStart raises the share of a new endpoint over this time. Default: none.
	// +optional
	SlowStart *gatewayv1.Duration `json:"slowStart,omitempty"`
}

// HashKey is one thing to hash. Exactly one field is set.
//
// +kubebuilder:validation:XValidation:message="exactly one of header, cookie, query and sourceIP must be given",rule="[has(self.header), has(self.cookie), has(self.query), has(self.sourceIP) && self.sourceIP].filter(x, x).size() == 1"
type HashKey struct {
	// Header is the name of a request header.
	// +optional
	Header *gatewayv1.HeaderName `json:"header,omitempty"`
	// Cookie is the name of a cookie.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Cookie *string `json:"cookie,omitempty"`
	// Query is the name of a query parameter.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Query *string `json:"query,omitempty"`
	// SourceIP is the client's address.
	// +optional
	SourceIP *bool `json:"sourceIP,omitempty"`
}

// ConnectionPool bounds the connections kept to each endpoint.
type ConnectionPool struct {
	// MaxIdle is how many unused connections are kept per endpoint. Default: 1024.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100000
	MaxIdle *int32 `json:"maxIdle,omitempty"`
	// IdleTimeout closes a connection unused for so long. Default: 60s.
	// +optional
	IdleTimeout *gatewayv1.Duration `json:"idleTimeout,omitempty"`
	// MaxLifetime closes a connection so long after it was opened, when its
	// exchange is over. Default: none.
	// +optional
	MaxLifetime *gatewayv1.Duration `json:"maxLifetime,omitempty"`
	// MaxRequests is how many requests a connection carries. Default: none.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MaxRequests *int32 `json:"maxRequests,omitempty"`
	// KeepAlive is the interval of TCP keep-alive probes. Default: 15s.
	// +optional
	KeepAlive *gatewayv1.Duration `json:"keepAlive,omitempty"`
	// HTTP2KeepAlive is how long an HTTP/2 connection may be silent while requests
	// are under way: the endpoint is asked by PING then, and has as long again to
	// answer, or the connection is closed. Servers may take frequent PINGs for an
	// attack; those of gRPC allow one in five minutes where nothing else is said.
	// Default: none; a request that times out without a word from the endpoint has
	// it asked, and the connection closed after 5 seconds without an answer.
	// +optional
	HTTP2KeepAlive *gatewayv1.Duration `json:"http2KeepAlive,omitempty"`
	// HeaderBytes bounds the header of a response, in bytes; a longer one is
	// answered 502. Default: 65536.
	// +optional
	// +kubebuilder:validation:Minimum=1024
	// +kubebuilder:validation:Maximum=1048576
	HeaderBytes *int32 `json:"headerBytes,omitempty"`
	// Disabled opens a connection for each request. Default: false.
	// +optional
	Disabled *bool `json:"disabled,omitempty"`
}

// CircuitBreaker refuses work that would overload a backend; what is refused
// is answered 503.
type CircuitBreaker struct {
	// MaxConnections to all endpoints together. Default: none.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MaxConnections *int32 `json:"maxConnections,omitempty"`
	// MaxPending is how many requests may wait for a connection. Default: none.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MaxPending *int32 `json:"maxPending,omitempty"`
	// MaxRequests is how many requests may be active. Default: none.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MaxRequests *int32 `json:"maxRequests,omitempty"`
	// MaxRetries is how many retries may be active. Default: none.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MaxRetries *int32 `json:"maxRetries,omitempty"`
	// FailureRate opens the breaker when too many requests fail.
	// +optional
	FailureRate *FailureRate `json:"failureRate,omitempty"`
}

// FailureRate opens a breaker by the share of failed requests: 5xx responses,
// timeouts, resets and failed connections.
type FailureRate struct {
	// Percent of the window's requests that must have failed. Default: 50.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	Percent *int32 `json:"percent,omitempty"`
	// MinRequests in the window, below which it never opens. Default: 20.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MinRequests *int32 `json:"minRequests,omitempty"`
	// Window over which requests are counted. Default: 10s.
	// +optional
	Window *gatewayv1.Duration `json:"window,omitempty"`
	// OpenFor is how long it stays open before it lets some requests through
	// to try. Default: 5s.
	// +optional
	OpenFor *gatewayv1.Duration `json:"openFor,omitempty"`
	// HalfOpenRequests are let through to try; when all succeed it closes, when
	// one fails it opens again. Default: 5.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	HalfOpenRequests *int32 `json:"halfOpenRequests,omitempty"`
}

// OutlierDetection takes endpoints out of use that fail real requests.
type OutlierDetection struct {
	// Consecutive5xx responses, or failures of the connection, that eject an
	// endpoint; 0 turns this off. Default: 5.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100000
	Consecutive5xx *int32 `json:"consecutive5xx,omitempty"`
	// ConsecutiveGatewayErrors (502, 503, 504, or failures of the connection)
	// that eject an endpoint; 0 turns this off. Default: 0.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100000
	ConsecutiveGatewayErrors *int32 `json:"consecutiveGatewayErrors,omitempty"`
	// Interval between two looks at success rates and ejected endpoints.
	// Default: 10s.
	// +optional
	Interval *gatewayv1.Duration `json:"interval,omitempty"`
	// BaseEjection is the time of a first ejection; each further one is longer
	// by as much. Default: 30s.
	// +optional
	BaseEjection *gatewayv1.Duration `json:"baseEjection,omitempty"`
	// MaxEjection is the longest ejection. Default: 5m.
	// +optional
	MaxEjection *gatewayv1.Duration `json:"maxEjection,omitempty"`
	// MaxPercent of the endpoints that may be ejected at a time; one always
	// may, when there are at least two. Default: 50.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	MaxPercent *int32 `json:"maxPercent,omitempty"`
	// SuccessRate ejects endpoints that do worse than the others.
	// +optional
	SuccessRate *SuccessRate `json:"successRate,omitempty"`
}

// SuccessRate compares the endpoints of a backend with each other.
type SuccessRate struct {
	// MinHosts with enough requests, below which nothing is ejected. Default: 5.
	// +optional
	// +kubebuilder:validation:Minimum=2
	MinHosts *int32 `json:"minHosts,omitempty"`
	// MinRequests of an endpoint in an interval for it to count. Default: 100.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MinRequests *int32 `json:"minRequests,omitempty"`
	// StdevFactor in hundredths: an endpoint is ejected when its success rate
	// is so many standard deviations below the mean; 190 is 1.9. Default: 190.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	StdevFactor *int32 `json:"stdevFactor,omitempty"`
}

// HealthCheck asks each endpoint at an interval whether it is well.
//
// +kubebuilder:validation:XValidation:message="http, grpc and tcp exclude each other",rule="(has(self.http) ? 1 : 0) + (has(self.grpc) ? 1 : 0) + (has(self.tcp) ? 1 : 0) <= 1"
type HealthCheck struct {
	// HTTP sends a request and looks at the status, over HTTP/2 where requests to
	// the backend use it.
	// +optional
	HTTP *HTTPHealthCheck `json:"http,omitempty"`
	// GRPC asks the service grpc.health.v1.Health, over HTTP/2.
	// +optional
	GRPC *GRPCHealthCheck `json:"grpc,omitempty"`
	// TCP opens a connection, with TLS if the backend has it.
	// +optional
	TCP *TCPHealthCheck `json:"tcp,omitempty"`
	// Interval between two checks; each wait is varied by up to a tenth.
	// Default: 10s.
	// +optional
	Interval *gatewayv1.Duration `json:"interval,omitempty"`
	// Timeout of a check. Default: 2s.
	// +optional
	Timeout *gatewayv1.Duration `json:"timeout,omitempty"`
	// HealthyThreshold is how many checks must pass in a row before an
	// unhealthy endpoint is used again. Default: 2.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	HealthyThreshold *int32 `json:"healthyThreshold,omitempty"`
	// UnhealthyThreshold is how many checks must fail in a row before an
	// endpoint is taken out. Default: 3.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	UnhealthyThreshold *int32 `json:"unhealthyThreshold,omitempty"`
	// Port to check. Default: the endpoint's own.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port *int32 `json:"port,omitempty"`
}

// HTTPHealthCheck is a request and what answers count as healthy.
//
// +kubebuilder:validation:XValidation:fieldPath=".statuses",message="must be status codes or ranges such as 200-299",rule="!has(self.statuses) || self.statuses.all(s, type(s) == int ? (s >= 100 && s <= 599) : s.matches('^[1-5][0-9]{2}(-[1-5][0-9]{2})?$'))"
type HTTPHealthCheck struct {
	// Method of the request. Default: GET.
	// +optional
	Method *gatewayv1.HTTPMethod `json:"method,omitempty"`
	// Path of the request, with its query. Default: /.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:message="must start with /",rule="self.startsWith('/')"
	Path *string `json:"path,omitempty"`
	// Host header of the request. Default: the endpoint's DNS name or address.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=260
	Host *string `json:"host,omitempty"`
	// Statuses that count as healthy: codes and ranges of them, as in `200` or
	// `200-299`. Default: 200-299.
	// +optional
	// +kubebuilder:validation:MaxItems=16
	Statuses []intstr.IntOrString `json:"statuses,omitempty"`
	// Headers added to the request. Default: none.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Headers []gatewayv1.HTTPHeader `json:"headers,omitempty"`
}

// GRPCHealthCheck calls grpc.health.v1.Health/Check; only the status SERVING is
// healthy.
type GRPCHealthCheck struct {
	// Service whose health is asked for, as in `shop.v1.Catalog`. Default: none,
	// which is the server as a whole.
	// +optional
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:message="must be letters, digits and the characters . _ - /",rule="self.matches('^[A-Za-z0-9._/-]*$')"
	Service *string `json:"service,omitempty"`
	// Host is the authority of the call. Default: the endpoint's DNS name or address.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=260
	Host *string `json:"host,omitempty"`
}

// TCPHealthCheck opens a connection and closes it.
type TCPHealthCheck struct{}

// Admission bounds concurrent requests. The limit grows while latency stays
// near its best and shrinks as it rises; what is above it waits in a short
// queue or is answered 503.
type Admission struct {
	// MinConcurrency is the lowest limit. Default: 4.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	MinConcurrency *int32 `json:"minConcurrency,omitempty"`
	// MaxConcurrency is the highest limit. Default: 1000.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	MaxConcurrency *int32 `json:"maxConcurrency,omitempty"`
	// InitialConcurrency is the limit at the start. Default: 32.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	InitialConcurrency *int32 `json:"initialConcurrency,omitempty"`
	// TargetLatency is a latency that is good enough: while requests are
	// faster, the limit is not lowered. Default: none.
	// +optional
	TargetLatency *gatewayv1.Duration `json:"targetLatency,omitempty"`
	// MaxQueue is how many requests may wait. Default: 64.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100000
	MaxQueue *int32 `json:"maxQueue,omitempty"`
	// QueueTimeout is how long a request may wait. Default: 100ms.
	// +optional
	QueueTimeout *gatewayv1.Duration `json:"queueTimeout,omitempty"`
	// PriorityHeader names a request header with the priority from 0 (refused
	// first) to 9 (refused last). Clients can set it too: remove it at the
	// edge where that matters. Default: none.
	// +optional
	PriorityHeader *gatewayv1.HeaderName `json:"priorityHeader,omitempty"`
	// DefaultPriority of requests without that header. Default: 5.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=9
	DefaultPriority *int32 `json:"defaultPriority,omitempty"`
}
