package v1alpha1

import gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

// ProxyProtocolMode says whether clients speak the PROXY protocol.
//
// +kubebuilder:validation:Enum=Disabled;Optional;Required
type ProxyProtocolMode string

const (
	// ProxyProtocolDisabled takes the first bytes as the request or handshake.
	ProxyProtocolDisabled ProxyProtocolMode = "Disabled"
	// ProxyProtocolOptional accepts connections with and without it.
	ProxyProtocolOptional ProxyProtocolMode = "Optional"
	// ProxyProtocolRequired closes connections without it.
	ProxyProtocolRequired ProxyProtocolMode = "Required"
)

// CIDR is an IP address or a prefix.
//
// +kubebuilder:validation:MinLength=2
// +kubebuilder:validation:MaxLength=64
// +kubebuilder:validation:XValidation:message="must be an IP address or a prefix such as 10.0.0.0/8",rule="isIP(self) || isCIDR(self)"
type CIDR string

// Client is how a Gateway treats its clients' connections. Listeners on one
// port share a connection before its hostname is known, so they share these
// settings: those of the Gateway (or the listener) that opened the port first.
type Client struct {
	// ProxyProtocol says whether connections begin with a PROXY protocol header
	// (version 1 or 2): `Disabled`, `Optional` or `Required`. Default: Disabled.
	// +optional
	ProxyProtocol *ProxyProtocolMode `json:"proxyProtocol,omitempty"`
	// ProxyProtocolFrom are the addresses that may send one; others are treated
	// as with Disabled. Default: any.
	// +optional
	// +kubebuilder:validation:MaxItems=64
	ProxyProtocolFrom []CIDR `json:"proxyProtocolFrom,omitempty"`
	// Forwarded says which forwarding headers are believed and sent.
	// +optional
	Forwarded *Forwarded `json:"forwarded,omitempty"`
	// XForwardedClientCert says what endpoints are told of clients' certificates.
	// Default: nothing, and a client's own X-Forwarded-Client-Cert is removed.
	// +optional
	XForwardedClientCert *XForwardedClientCert `json:"xForwardedClientCert,omitempty"`
	// Via is the name put in the Via header (RFC 9110 §7.6.3) of requests and
	// responses. Default: none, no Via header is sent.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:message="must be a token or host:port without spaces",rule="self.matches('^[A-Za-z0-9!#$%&*+.^_|~:-]*$')"
	Via *string `json:"via,omitempty"`
	// RequestID is the header that carries the request's ID.
	// +optional
	RequestID *RequestID `json:"requestID,omitempty"`
	// Limits on what clients may send.
	// +optional
	Limits *ClientLimits `json:"limits,omitempty"`
	// Timeouts of clients' connections.
	// +optional
	Timeouts *ClientTimeouts `json:"timeouts,omitempty"`
	// TLS versions and cipher suites of listeners that terminate TLS, and what
	// they agree on by ALPN where no HTTP is inside.
	// +optional
	TLS *ClientTLS `json:"tls,omitempty"`
	// HTTP2 lets clients speak HTTP/2: by ALPN with TLS, and by prior knowledge
	// without. Default: true.
	// +optional
	HTTP2 *bool `json:"http2,omitempty"`
	// HTTP3 lets clients speak HTTP/3, on the UDP port of the same number as that
	// of an HTTPS listener. Default: none, UDP is not listened on.
	// +optional
	HTTP3 *HTTP3 `json:"http3,omitempty"`
	// MergeSlashes makes one of repeated slashes in a path, before matching and
	// forwarding. Default: false.
	// +optional
	MergeSlashes *bool `json:"mergeSlashes,omitempty"`
	// ProtocolDetection lets listeners of the protocols HTTP, HTTPS, TLS and TCP
	// share a port: the first bytes of a connection tell to which of them it
	// belongs. Default: none, listeners that share a port have one protocol.
	// +optional
	ProtocolDetection *ProtocolDetection `json:"protocolDetection,omitempty"`
}

// HTTP3 says how clients may speak HTTP/3.
type HTTP3 struct {
	// Enabled listens on UDP. Default: true where `http3` is given.
	// +optional
	Enabled *bool `json:"enabled,omitempty"`
	// EarlyData lets clients that come back send a request with their first
	// packets (0-RTT). An attacker can have such a request sent again, so that
	// only GET, HEAD and OPTIONS without content are served before the handshake
	// is complete, with `Early-Data: 1`; others wait for it. Listeners that ask
	// for client certificates take no early data. Default: false.
	// +optional
	EarlyData *bool `json:"earlyData,omitempty"`
	// AltSvc says how HTTP/1.1 and HTTP/2 responses announce HTTP/3 (RFC 7838).
	// +optional
	AltSvc *AltSvc `json:"altSvc,omitempty"`
}

// AltSvc is the announcement of HTTP/3. It is sent while the UDP socket is open.
type AltSvc struct {
	// MaxAge is how long clients may remember it; with 0s it is not announced.
	// Default: 24h.
	// +optional
	MaxAge *gatewayv1.Duration `json:"maxAge,omitempty"`
	// Port is the UDP port as clients see it, where something in front of Gridway
	// maps ports. Default: the listener's.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port *int32 `json:"port,omitempty"`
}

// ProtocolDetection looks at the first bytes of a connection: a TLS handshake, an
// HTTP/1 request, the preface of HTTP/2, or anything else, which is for the
// listener of protocol TCP.
type ProtocolDetection struct {
	// Timeout is how long a client may be silent. Then it counts as one that
	// waits for the server to speak first, and goes to the listener of protocol
	// TCP if there is one. Default: 50ms.
	// +optional
	Timeout *gatewayv1.Duration `json:"timeout,omitempty"`
}

// Forwarded says which forwarding headers are believed and which are sent.
//
// +kubebuilder:validation:XValidation:message="trustedHops and trustedProxies exclude each other",rule="!(has(self.trustedHops) && self.trustedHops > 0 && has(self.trustedProxies) && size(self.trustedProxies) > 0)"
type Forwarded struct {
	// TrustedHops is how many proxies in front of this one add to the
	// forwarding header that `from` names: the client's address is taken so
	// many places from its right. With 0 and no trustedProxies the client's own
	// headers are replaced. Default: 0.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=32
	TrustedHops *int32 `json:"trustedHops,omitempty"`
	// TrustedProxies are the addresses of proxies whose forwarding headers are
	// believed: the client is the last address that is not one of them.
	// Default: none.
	// +optional
	// +kubebuilder:validation:MaxItems=256
	TrustedProxies []CIDR `json:"trustedProxies,omitempty"`
	// From is the header that the trusted proxies add to: `XForwardedFor`, with
	// the other X-Forwarded headers, or `Forwarded` (RFC 7239). The other one is
	// never believed: a proxy that does not maintain it passes on what a client
	// has written there. Default: XForwardedFor.
	// +optional
	From *ForwardedFrom `json:"from,omitempty"`
	// XForwarded sends X-Forwarded-For, -Proto, -Host and -Port; when false they
	// are removed. Default: true.
	// +optional
	XForwarded *bool `json:"xForwarded,omitempty"`
	// Forwarded sends Forwarded (RFC 7239); when false it is removed. Default:
	// false.
	// +optional
	Forwarded *bool `json:"forwarded,omitempty"`
}

// ForwardedFrom is a header that tells where a request came from.
//
// +kubebuilder:validation:Enum=XForwardedFor;Forwarded
type ForwardedFrom string

const (
	// FromXForwardedFor is the X-Forwarded family.
	FromXForwardedFor ForwardedFrom = "XForwardedFor"
	// FromForwarded is the standard header, RFC 7239.
	FromForwarded ForwardedFrom = "Forwarded"
)

// RequestID is the header that carries the request's ID.
type RequestID struct {
	// Header is its name. Default: X-Request-Id.
	// +optional
	Header *gatewayv1.HeaderName `json:"header,omitempty"`
	// Keep takes the client's ID if it sent one; otherwise each request gets a
	// new one. Default: false.
	// +optional
	Keep *bool `json:"keep,omitempty"`
}

// ClientLimits bound what clients may send.
type ClientLimits struct {
	// Connections open at a time, per port; more are closed at once. Default:
	// none.
	// +optional
	// +kubebuilder:validation:Minimum=1
	Connections *int32 `json:"connections,omitempty"`
	// PerClient bounds what one client address may open. Default: no bound.
	// +optional
	PerClient *ClientShare `json:"perClient,omitempty"`
	// RequestsPerConnection, after which it is closed. Default: none.
	// +optional
	// +kubebuilder:validation:Minimum=1
	RequestsPerConnection *int32 `json:"requestsPerConnection,omitempty"`
	// ConcurrentStreams is how many requests an HTTP/2 connection may carry at a
	// time; a client that opens more has them refused. Default: 128.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	ConcurrentStreams *int32 `json:"concurrentStreams,omitempty"`
	// HeaderBytes of a request, its first line included; more is answered 431.
	// Default: 65536.
	// +optional
	// +kubebuilder:validation:Minimum=1024
	// +kubebuilder:validation:Maximum=1048576
	HeaderBytes *int32 `json:"headerBytes,omitempty"`
	// HeaderCount of a request; more is answered 431. Default: 100.
	// +optional
	// +kubebuilder:validation:Minimum=8
	// +kubebuilder:validation:Maximum=10000
	HeaderCount *int32 `json:"headerCount,omitempty"`
	// BodyBytes of a request; more is answered 413. Default: none.
	// +optional
	// +kubebuilder:validation:Minimum=1
	BodyBytes *int64 `json:"bodyBytes,omitempty"`
	// MinBodyRate is how fast a body has to come at least; a client that is slower
	// is answered 408. Default: none.
	// +optional
	MinBodyRate *MinBodyRate `json:"minBodyRate,omitempty"`
}

// MinBodyRate is how fast the body of a request has to come, on average and not
// counting grace. Only the time counts in which Gridway waits for the client: not
// that in which the endpoint, or a limit of bandwidth, keeps the body waiting.
// It is looked at as each part arrives; a client that sends nothing more at all is
// what `timeouts.bodyIdle` is for. WebSockets, and calls of gRPC to a GRPCRoute, may
// be as slow as they like.
type MinBodyRate struct {
	// Rate, for example `500B/s` or `1KB/s`: a number, a unit (`B`, `KB`, `MB`,
	// `GB` by 1000, `KiB`, `MiB`, `GiB` by 1024), and `/s`. From `1B/s` to `100GB/s`.
	// +required
	// +kubebuilder:validation:Pattern=`^[1-9][0-9]{0,11}([KMG]i?)?B/s$`
	Rate string `json:"rate"`
	// Grace is how long a body may take whatever its rate. Default: 10s.
	// +optional
	Grace *gatewayv1.Duration `json:"grace,omitempty"`
}

// ClientShare bounds what one client address may open at a port: connections, and
// sessions of UDP. What goes beyond is closed at once. The address is that of the
// connection, or the one that a PROXY header tells. Proxies in
// `forwarded.trustedProxies` are not bounded, since theirs are many clients'.
//
// +kubebuilder:validation:XValidation:message="at least one of connections and newConnections must be given",rule="has(self.connections) || has(self.newConnections)"
// +kubebuilder:validation:XValidation:message="burst goes with newConnections",rule="!has(self.burst) || has(self.newConnections)"
type ClientShare struct {
	// Connections open at a time, 1 to 1000000. Default: no bound.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	Connections *int32 `json:"connections,omitempty"`
	// NewConnections is how many may be opened in a time, for example `20/s` or
	// `600/m`, written as the rate of a RateLimitPolicy. Default: no bound.
	// +optional
	// +kubebuilder:validation:Pattern=`^[1-9][0-9]{0,9}/([1-9][0-9]{0,3})?[smhd]$`
	NewConnections *string `json:"newConnections,omitempty"`
	// Burst is how many may be opened at once after a pause, 1 to 1000000. Default:
	// the number of newConnections.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	Burst *int32 `json:"burst,omitempty"`
	// IPv4PrefixLength is how many bits of an IPv4 address count, 1 to 32.
	// Default: 32.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=32
	IPv4PrefixLength *int32 `json:"ipv4PrefixLength,omitempty"`
	// IPv6PrefixLength is how many bits of an IPv6 address count, 1 to 128.
	// Default: 64.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=128
	IPv6PrefixLength *int32 `json:"ipv6PrefixLength,omitempty"`
}

// ClientTimeouts of a connection. `0s` means no limit.
type ClientTimeouts struct {
	// Header runs from the first byte of a request to the end of its header; a
	// client that is slower is answered 408. Default: 10s.
	// +optional
	Header *gatewayv1.Duration `json:"header,omitempty"`
	// Idle is the wait for a next request. Default: 60s.
	// +optional
	Idle *gatewayv1.Duration `json:"idle,omitempty"`
	// Request is the time to receive a whole request, with its body. Default:
	// none.
	// +optional
	Request *gatewayv1.Duration `json:"request,omitempty"`
	// BodyIdle is the longest wait for the next part of a body, or for the
	// client to take the next part of a response. Calls of gRPC may wait for
	// the next message as long as `timeouts.idle` of their route says.
	// Default: 60s.
	// +optional
	BodyIdle *gatewayv1.Duration `json:"bodyIdle,omitempty"`
	// Handshake bounds TLS and the PROXY protocol. Default: 10s.
	// +optional
	Handshake *gatewayv1.Duration `json:"handshake,omitempty"`
	// MaxConnectionDuration closes a connection so long after it was opened,
	// when its exchange is over. Default: none.
	// +optional
	MaxConnectionDuration *gatewayv1.Duration `json:"maxConnectionDuration,omitempty"`
	// HTTP2KeepAlive is how long a client of HTTP/2 may be silent while it has
	// requests under way: it is asked by PING then, and has as long again to
	// answer, or the connection is closed. Default: none.
	// +optional
	HTTP2KeepAlive *gatewayv1.Duration `json:"http2KeepAlive,omitempty"`
}

// ClientTLS is what listeners that terminate TLS accept.
//
// +kubebuilder:validation:XValidation:message="minVersion is above maxVersion",rule="!has(self.minVersion) || !has(self.maxVersion) || self.minVersion <= self.maxVersion"
type ClientTLS struct {
	// MinVersion is the lowest version accepted. Default: 1.2.
	// +optional
	MinVersion *TLSVersion `json:"minVersion,omitempty"`
	// MaxVersion is the highest version offered. Default: 1.3.
	// +optional
	MaxVersion *TLSVersion `json:"maxVersion,omitempty"`
	// CipherSuites limit TLS 1.2 to these, by their IANA names; TLS 1.3 has no
	// choice. Default: all six.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	CipherSuites []CipherSuite `json:"cipherSuites,omitempty"`
	// ALPN are the protocols that listeners of protocol TLS with mode Terminate
	// agree on (RFC 7301), the preferred first, for example `postgresql`, `mqtt`
	// or `dot`. A client that offers protocols and none of these is refused
	// (no_application_protocol); one that offers none is let in. HTTPS listeners
	// have those of HTTP, whatever stands here. Default: none, nothing is agreed
	// on and no client refused.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	ALPN []ALPNProtocol `json:"alpn,omitempty"`
}

// ALPNProtocol is the name of a protocol in TLS handshakes, as IANA lists them.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=255
// +kubebuilder:validation:XValidation:message="must be visible ASCII characters",rule="self.matches('^[!-~]*$')"
type ALPNProtocol string

// CipherSuite is a suite of TLS 1.2 with forward secrecy and AEAD.
//
// +kubebuilder:validation:Enum=TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384;TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256;TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256;TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384;TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
type CipherSuite string
