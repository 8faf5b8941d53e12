package filter

// Reason is a stable code for a reply that Gridway made itself, or for a way
// in which an exchange went wrong. Its String is what the X-Gridway-Reason
// header, the access log and metrics show.
type Reason uint8

const (
	ReasonNone Reason = iota
	BadRequest
	HeaderTooLarge
	BodyTooLarge
	URITooLong
	RequestTimeout // the client was too slow
	ClientGone
	RouteNotFound
	BackendInvalid // the rule names a backend that does not resolve
	NoHealthyEndpoint
	UpstreamConnectFailure
	UpstreamTLSFailure
	UpstreamReset
	UpstreamTimeout
	UpstreamProtocolError
	Overload // circuit breaker: connections, pending, requests
	BreakerOpen
	AdmissionDenied
	RetryLimit
	FaultInjected
	ConnectionLimit
	Draining
	MisdirectedRequest
	ExpectationFailed
	InternalError
	DecompressionLimit
	ResponseTooLarge // over the limit of response buffering
	IdleTimeout      // a stream on which nothing moved
	StreamTimeout    // a stream that lasted too long
	ProtocolNotServed
	InvalidClientHello
	SessionLimit // clients of UDP
	SchemaUnavailable
	Unauthenticated     // no credential where one is needed
	InvalidCredential   // whatever is wrong with it
	IdentityUnavailable // nobody can say who calls
	RateLimited
	QuotaExceeded
	RateLimitKeyMissing
	// RateLimitCost: the request costs more than a limit ever has.
	RateLimitCost
	AuthenticationOverload // too many passwords at once
	AddressDenied
	UserAgentDenied
	CrossOriginRequest // that a browser has sent for another site
	ShieldUnavailable  // nobody can say whether the request may come
	ContentTypeDenied  // of a body
	JSONLimit          // a body of JSON beyond what a shield lets through
	AccessDenied       // whoever calls may not
	AuthorizationUnavailable
	LoginFailed          // at an OpenID provider, or on the way back from it
	ExternalDenied       // by a server that is asked about requests
	RateLimitUnavailable // nobody can say what the caller has left
	MeshTLSFailure       // an endpoint of the mesh is not who it must be, or refuses this proxy
	IdentityDenied       // of a peer of the mesh, whose connection was cut
	EgressDenied         // to what is outside of the mesh
	LoopDetected         // it would come back to this proxy
	MeshTLSRequired      // of who comes to a workload without the mesh's TLS
	reasonCount
)

var reasonNames = [reasonCount]string{
	"", "BadRequest", "HeaderTooLarge", "BodyTooLarge", "URITooLong", "RequestTimeout", "ClientGone",
	"RouteNotFound", "BackendInvalid", "NoHealthyEndpoint", "UpstreamConnectFailure", "UpstreamTLSFailure",
	"UpstreamReset", "UpstreamTimeout", "UpstreamProtocolError", "Overload", "BreakerOpen", "AdmissionDenied",
	"RetryLimit", "FaultInjected", "ConnectionLimit", "Draining", "MisdirectedRequest", "ExpectationFailed",
	"InternalError", "DecompressionLimit", "ResponseTooLarge", "IdleTimeout", "StreamTimeout", "ProtocolNotServed",
	"InvalidClientHello", "SessionLimit", "SchemaUnavailable",
	"Unauthenticated", "InvalidCredential", "IdentityUnavailable",
	"RateLimited", "QuotaExceeded", "RateLimitKeyMissing", "RateLimitCost",
	"AuthenticationOverload",
	"AddressDenied", "UserAgentDenied", "CrossOriginRequest", "ShieldUnavailable",
	"ContentTypeDenied", "JSONLimit",
	"AccessDenied", "AuthorizationUnavailable",
	"LoginFailed",
	"ExternalDenied",
	"RateLimitUnavailable",
	"MeshTLSFailure", "IdentityDenied",
	"EgressDenied", "LoopDetected", "MeshTLSRequired",
}

// String returns the code, for example "NoHealthyEndpoint".
func (r Reason) String() string {
	if r < reasonCount {
		return reasonNames[r]
	}
	return "Unknown"
}

// Flags is a set of reasons.
type Flags uint64

var _ [64 - reasonCount]struct{} // they fit

// Flag returns the set that holds just r.
func (r Reason) Flag() Flags {
	if r == ReasonNone {
		return 0
	}
	return 1 << r
}

// Has tells whether r is in the set.
func (f Flags) Has(r Reason) bool { return f&r.Flag() != 0 }

// AppendTo appends the codes, separated by commas.
func (f Flags) AppendTo(dst []byte) []byte {
	first := true
	for r := ReasonNone + 1; r < reasonCount; r++ {
		if f.Has(r) {
			if !first {
				dst = append(dst, ',')
			}
			dst = append(dst, reasonNames[r]...)
			first = false
		}
	}
	return dst
}

// ReasonNames lists the codes by number; the first, for none, is empty.
func ReasonNames() []string { return reasonNames[:] }
