package v1alpha1

import (
	"k8s.io/apimachinery/pkg/util/intstr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// Timeouts of an exchange. `0s` means no limit.
type Timeouts struct {
	// Request runs from the end of the request's header to the end of the
	// response; when it ends before a response has begun, the answer is 504.
	// Default: none.
	// +optional
	Request *gatewayv1.Duration `json:"request,omitempty"`
	// BackendRequest bounds each try, from the choice of an endpoint to the end
	// of the response's header, without the time that the client takes to send
	// its body. Default: none.
	// +optional
	BackendRequest *gatewayv1.Duration `json:"backendRequest,omitempty"`
	// Idle bounds the silence in both directions of a body or an upgraded
	// connection. Default: 5m.
	// +optional
	Idle *gatewayv1.Duration `json:"idle,omitempty"`
	// MaxStream bounds the life of upgraded connections and of responses that
	// never end. Default: none.
	// +optional
	MaxStream *gatewayv1.Duration `json:"maxStream,omitempty"`
	// Connect bounds the time to open a connection to an endpoint, TLS
	// included. Default: 5s.
	// +optional
	Connect *gatewayv1.Duration `json:"connect,omitempty"`
}

// RetryCondition is a reason to try again.
//
// +kubebuilder:validation:Enum=ConnectFailure;Reset;Timeout;GatewayError;ServerError;Cancelled;DeadlineExceeded;Internal;ResourceExhausted;Unavailable
type RetryCondition string

const (
	// RetryConnectFailure: no connection to the endpoint came about.
	RetryConnectFailure RetryCondition = "ConnectFailure"
	// RetryReset: the endpoint closed or reset before a response began.
	RetryReset RetryCondition = "Reset"
	// RetryTimeout: timeouts.backendRequest ended.
	RetryTimeout RetryCondition = "Timeout"
	// RetryGatewayError: the response is 502, 503 or 504.
	RetryGatewayError RetryCondition = "GatewayError"
	// RetryServerError: the response is any 5xx.
	RetryServerError RetryCondition = "ServerError"
	// RetryCancelled and the others below: a call of gRPC ends with this status
	// before anything of a response was passed on.
	RetryCancelled         RetryCondition = "Cancelled"
	RetryDeadlineExceeded  RetryCondition = "DeadlineExceeded"
	RetryInternal          RetryCondition = "Internal"
	RetryResourceExhausted RetryCondition = "ResourceExhausted"
	RetryUnavailable       RetryCondition = "Unavailable"
)

// Retry says when and how a request is tried again.
type Retry struct {
	// Attempts is how many tries may follow the first; 0 is none. Default: 1.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=20
	Attempts *int32 `json:"attempts,omitempty"`
	// RetryOn are the conditions for another try: `ConnectFailure` (no connection
	// came about), `Reset` (the endpoint closed or reset before a response
	// began), `Timeout` (timeouts.backendRequest ended), `GatewayError` (502,
	// 503, 504), `ServerError` (any 5xx), and for calls of gRPC the statuses
	// `Cancelled`, `DeadlineExceeded`, `Internal`, `ResourceExhausted` and
	// `Unavailable`, whatever `methods` says; a try without an answer counts as
	// Unavailable, or DeadlineExceeded. Default: ConnectFailure and Reset.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=10
	RetryOn []RetryCondition `json:"retryOn,omitempty"`
	// Statuses are response codes that are tried again, beside what `retryOn` says.
	// Default: none.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:Minimum=400
	// +kubebuilder:validation:items:Maximum=599
	Statuses []int32 `json:"statuses,omitempty"`
	// Methods that may be sent twice. A request that never reached an endpoint
	// may always be tried again. Default: the idempotent methods of RFC 9110
	// §9.2.2 (GET, HEAD, OPTIONS, TRACE, PUT, DELETE).
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	Methods []gatewayv1.HTTPMethod `json:"methods,omitempty"`
	// Backoff is the wait before another try.
	// +optional
	Backoff *Backoff `json:"backoff,omitempty"`
	// RetryAfter is the longest Retry-After of an endpoint that is waited for,
	// with the back-off on top; a longer one ends the retries. `0s` ignores the
	// header. Default: 0s.
	// +optional
	RetryAfter *gatewayv1.Duration `json:"retryAfter,omitempty"`
	// MaxReplayBytes is how much of a request body is kept, in bytes, so that
	// it can be sent again; a request with a longer body is not retried once
	// part of it was sent, unless buffer.requestBytes lets it be read whole
	// first. Default: 65536.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=16777216
	MaxReplayBytes *int64 `json:"maxReplayBytes,omitempty"`
	// Budget bounds the retries of all requests to a backend together, so that
	// retries cannot add to an overload.
	// +optional
	Budget *RetryBudget `json:"budget,omitempty"`
}

// Backoff is the wait before a try: drawn at random between zero and a bound
// that starts at base and doubles up to max.
type Backoff struct {
	// Base is the bound before the first retry. Default: 25ms.
	// +optional
	Base *gatewayv1.Duration `json:"base,omitempty"`
	// Max is the highest bound. Default: 250ms.
	// +optional
	Max *gatewayv1.Duration `json:"max,omitempty"`
}

// RetryBudget bounds the retries to a backend to a share of its requests.
type RetryBudget struct {
	// Percent of the requests in the window that may be retries. Default: 20.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Percent *int32 `json:"percent,omitempty"`
	// MinPerSecond is how many retries a second are always allowed. Default: 10.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000
	MinPerSecond *int32 `json:"minPerSecond,omitempty"`
	// Window is the time over which requests are counted. Default: 10s.
	// +optional
	Window *gatewayv1.Duration `json:"window,omitempty"`
}

// Hedge sends further tries while the first has not answered.
type Hedge struct {
	// Delay is the wait before each further try; about the p95 latency is a
	// good value. Needed for hedging.
	// +optional
	Delay *gatewayv1.Duration `json:"delay,omitempty"`
	// MaxExtra is how many tries may run beside the first. Default: 1.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4
	MaxExtra *int32 `json:"maxExtra,omitempty"`
}

// Fault delays or aborts a share of the requests.
type Fault struct {
	// Delay holds requests back before they are sent on.
	// +optional
	Delay *FaultDelay `json:"delay,omitempty"`
	// Abort answers requests with an error instead of sending them on.
	// +optional
	Abort *FaultAbort `json:"abort,omitempty"`
}

// FaultDelay holds a share of the requests back.
//
// +kubebuilder:validation:XValidation:fieldPath=".percent",message="must be a whole number from 0 to 100, or a percentage with up to two decimals such as 0.25%",rule="!has(self.percent) || (type(self.percent) == int ? (self.percent >= 0 && self.percent <= 100) : self.percent.matches('^(100([.]0{1,2})?|[0-9]{1,2}([.][0-9]{1,2})?)%$'))"
type FaultDelay struct {
	// Duration of the delay.
	// +optional
	Duration *gatewayv1.Duration `json:"duration,omitempty"`
	// Percent of the requests: a whole number, or with up to two decimals and
	// a percent sign, as in `0.25%`. Default: 100.
	// +optional
	Percent *intstr.IntOrString `json:"percent,omitempty"`
}

// FaultAbort answers a share of the requests with an error.
//
// +kubebuilder:validation:XValidation:fieldPath=".percent",message="must be a whole number from 0 to 100, or a percentage with up to two decimals such as 0.25%",rule="!has(self.percent) || (type(self.percent) == int ? (self.percent >= 0 && self.percent <= 100) : self.percent.matches('^(100([.]0{1,2})?|[0-9]{1,2}([.][0-9]{1,2})?)%$'))"
type FaultAbort struct {
	// Status of the answer. Default: 503.
	// +optional
	// +kubebuilder:validation:Minimum=200
	// +kubebuilder:validation:Maximum=599
	Status *int32 `json:"status,omitempty"`
	// Percent of the requests: a whole number, or with up to two decimals and
	// a percent sign, as in `0.25%`. Default: 100.
	// +optional
	Percent *intstr.IntOrString `json:"percent,omitempty"`
}

// SessionPersistence is Gateway API's, with an idle timeout beside it.
type SessionPersistence struct {
	gatewayv1.SessionPersistence `json:",inline"`

	// IdleTimeout ends a session that was not used for so long. Default: none.
	// +optional
	IdleTimeout *gatewayv1.Duration `json:"idleTimeout,omitempty"`
}

// CompressionAlgorithm is a content coding.
//
// +kubebuilder:validation:Enum=zstd;br;gzip
type CompressionAlgorithm string

const (
	// CompressionZstd is RFC 8878.
	CompressionZstd CompressionAlgorithm = "zstd"
	// CompressionBrotli is RFC 7932.
	CompressionBrotli CompressionAlgorithm = "br"
	// CompressionGzip is RFC 1952.
	CompressionGzip CompressionAlgorithm = "gzip"
)

// Compression of responses on the way to the client, and decompression.
type Compression struct {
	// Algorithms in order of preference among those that the client accepts
	// equally; an empty list turns compression off. Default when compression
	// is given: zstd, br, gzip.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=3
	Algorithms []CompressionAlgorithm `json:"algorithms,omitempty"`
	// MinBytes leaves shorter responses alone, in bytes. Default: 1024.
	// +optional
	// +kubebuilder:validation:Minimum=0
	MinBytes *int64 `json:"minBytes,omitempty"`
	// ContentTypes are the media types that are compressed; `text/*` is
	// allowed. Default: text/*, application/json, application/javascript,
	// application/xml, application/wasm, image/svg+xml and the +json and +xml
	// types.
	// +optional
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=3
	// +kubebuilder:validation:items:MaxLength=128
	ContentTypes []string `json:"contentTypes,omitempty"`
	// Level from 1 (fast) to 9 (small). Default: 4.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=9
	Level *int32 `json:"level,omitempty"`
	// Decompress undoes a content coding before the body is passed on.
	// +optional
	Decompress *Decompress `json:"decompress,omitempty"`
}

// Decompress undoes content codings, with bounds against decompression bombs.
type Decompress struct {
	// Requests are decompressed on the way to the endpoint. Default: false.
	// +optional
	Requests *bool `json:"requests,omitempty"`
	// Responses are decompressed on the way to the client. Default: false.
	// +optional
	Responses *bool `json:"responses,omitempty"`
	// MaxRatio between the sizes after and before; more ends the exchange.
	// Default: 100.
	// +optional
	// +kubebuilder:validation:Minimum=2
	// +kubebuilder:validation:Maximum=10000
	MaxRatio *int32 `json:"maxRatio,omitempty"`
	// MaxBytes after decompression. Default: 104857600.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MaxBytes *int64 `json:"maxBytes,omitempty"`
}

// Buffer reads whole bodies before they are passed on.
type Buffer struct {
	// RequestBytes is the longest request body that is buffered; a longer one
	// is answered 413. Default: none, bodies stream.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1073741824
	RequestBytes *int64 `json:"requestBytes,omitempty"`
	// ResponseBytes is the longest response body that is buffered; a longer
	// one is answered 502. Default: none, bodies stream.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1073741824
	ResponseBytes *int64 `json:"responseBytes,omitempty"`
}

// DirectResponse is an answer without an endpoint.
type DirectResponse struct {
	// Status of the answer. Default: 200.
	// +optional
	// +kubebuilder:validation:Minimum=200
	// +kubebuilder:validation:Maximum=599
	Status *int32 `json:"status,omitempty"`
	// Headers of the answer. Default: none.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Headers []gatewayv1.HTTPHeader `json:"headers,omitempty"`
	// ContentType of the body. Default: text/plain; charset=utf-8.
	// +optional
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=256
	ContentType *string `json:"contentType,omitempty"`
	// Body of the answer. Default: empty.
	// +optional
	// +kubebuilder:validation:MaxLength=65536
	Body *string `json:"body,omitempty"`
}
