// Package ir is the compiled configuration: what a proxy needs and nothing
// else. It is plain data. It holds no pointers to live things, no Kubernetes
// types and no behaviour beyond small accessors, it can be serialised, and
// whoever holds a value treats it as read-only once it was published.
//
// Package ir imports the standard library only; any package may import it.
package ir

import (
	"net/netip"
	"slices"
	"time"
)

// Config is one complete configuration of a proxy.
type Config struct {
	// Revision numbers the configuration; it grows by one with each change.
	Revision  uint64      `json:"revision"`
	Listeners []*Listener `json:"listeners,omitempty"`
	Routes    []*Route    `json:"routes,omitempty"`
	// Streams are the routes of what is not HTTP.
	Streams  []*StreamRoute `json:"streams,omitempty"`
	Clusters []*Cluster     `json:"clusters,omitempty"`
	// Schemas are those that routes name, by name.
	Schemas []*Schema `json:"schemas,omitempty"`
	// Consumers are those who may call, ordered by namespace and name. One that did
	// not change is the same pointer as in the configuration before.
	Consumers []*Consumer `json:"consumers,omitempty"`
	// KeySets are those that methods of authentication name, ordered by name.
	KeySets []*KeySet `json:"keySets,omitempty"`
	// Logins are those that methods of authentication name, ordered by name.
	Logins []*Login `json:"logins,omitempty"`
	// TokenIssuers are those that rules serve, ordered by name.
	TokenIssuers []*TokenIssuer `json:"tokenIssuers,omitempty"`
	// Authorizations are all that rules may name, ordered by policy.
	Authorizations []*Authorization `json:"authorizations,omitempty"`
	// RateLimits are all that rules name, ordered by policy.
	RateLimits []*RateLimit `json:"rateLimits,omitempty"`
	// RateLimitStores are all that there are, ordered by name. One that did not
	// change is the same pointer as in the configuration before.
	RateLimitStores []*RateLimitStore `json:"rateLimitStores,omitempty"`
	// AddressLists and UserAgentLists are those that shields of rules name.
	AddressLists   []*AddressList   `json:"addressLists,omitempty"`
	UserAgentLists []*UserAgentList `json:"userAgentLists,omitempty"`
	// RevocationLists are those that methods of authentication name, ordered by name.
	RevocationLists []*RevocationLists `json:"revocationLists,omitempty"`
	// TelemetrySinks are those that there are, ordered by name. One that did not change
	// is the same pointer as in the configuration before.
	TelemetrySinks []*TelemetrySink `json:"telemetrySinks,omitempty"`
	// Policies are those whose decisions are counted: "Kind/namespace/name".
	Policies []string `json:"policies,omitempty"`
}

// Ref names the object and place that a compiled item came from, so that
// explain, logs and errors can point at what the user wrote.
type Ref struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// File, Line and Column are empty or zero for objects that are not from files.
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}

// String returns "Kind/namespace/name".
func (r Ref) String() string { return r.Kind + "/" + r.Namespace + "/" + r.Name }

// Protocol is what a listener section or a cluster speaks.
type Protocol string

const (
	HTTP  Protocol = "HTTP"
	HTTPS Protocol = "HTTPS"
	// TLS is a stream of any kind inside TLS.
	TLS Protocol = "TLS"
	TCP Protocol = "TCP"
	UDP Protocol = "UDP"
	// Detect is for listeners whose sections have several of the other protocols:
	// the first bytes of a connection tell.
	Detect Protocol = "Detect"
)

// Listener is one socket. Gateway listeners that share an address and a port
// are sections of the same Listener.
type Listener struct {
	// Name is unique: "ADDRESS:PORT", for example "0.0.0.0:8080" or "[::]:8443",
	// with "/udp" appended for sockets of UDP.
	Name string `json:"name"`
	// Address is an IP address; empty means every address of both families.
	Address string `json:"address,omitempty"`
	Port    uint16 `json:"port"`
	// Protocol is HTTP; HTTPS or TLS when connections start with a TLS handshake
	// (TLS if not all sections are HTTPS); TCP; UDP; or Detect.
	Protocol Protocol     `json:"protocol"`
	Client   ClientPolicy `json:"client"`
	Sections []*Section   `json:"sections"`
	// Mesh: other proxies of the mesh come here, with mutual TLS 1.3 inside of which
	// is HTTP/2. The server name that they ask for chooses the section (see
	// Section.ServerNames), whose Protocol is HTTP, or TCP for what comes in CONNECT
	// tunnels, and whose requests belong to it whatever their host. Protocol is HTTPS.
	Mesh bool `json:"mesh,omitempty"`
	// Captured: connections come here that were made to other addresses, and that the
	// kernel has redirected. The section is that whose Destinations have the original
	// one. See outbound.go.
	Captured bool `json:"captured,omitempty"`
	// Inbound: what is captured was opened by others to programs of this host. Sections
	// without Plaintext, and what is for no section, refuse it: requests get 403,
	// connections are reset. It needs Captured, and goes without Egress.
	Inbound bool `json:"inbound,omitempty"`
	// CapturedOnly refuses connections that were made to the listener itself: whose they
	// are is known by the kernel's redirection alone.
	CapturedOnly bool `json:"capturedOnly,omitempty"`
	// Egress makes the listener an outbound one, and says what becomes of what no
	// section takes.
	Egress Egress `json:"egress,omitempty"`
	// ClusterDomain ends the full names of services as programs ask for them at an
	// outbound listener; empty is "cluster.local".
	ClusterDomain string `json:"clusterDomain,omitempty"`
	// Local: applications beside the proxy come here, which pass on what they were told
	// of callers.
	Local bool `json:"local,omitempty"`
	// Workload is whose applications come to an outbound listener, "NAMESPACE/SERVICE";
	// empty is the proxy's own.
	Workload string `json:"workload,omitempty"`
	// Vouching has the proxy tell endpoints of the mesh who calls; nil is not to.
	Vouching *Vouching `json:"vouching,omitempty"`
}

// Section is one Gateway listener (or ListenerSet entry). A request belongs to
// the section with the most specific hostname that matches it, and to no other.
type Section struct {
	// Name is "Gateway/namespace/name/section" or "ListenerSet/namespace/name/section".
	Name string `json:"name"`
	// Hostname is empty (any), "host.example" or "*.host.example".
	Hostname string `json:"hostname,omitempty"`
	// Protocol is empty where it is the listener's, and always there if it is TLS.
	Protocol Protocol   `json:"protocol,omitempty"`
	TLS      *ServerTLS `json:"tls,omitempty"`
	// Passthrough leaves TLS to the endpoints.
	Passthrough bool         `json:"passthrough,omitempty"`
	Routes      []Attachment `json:"routes,omitempty"`
	// Streams are the attached routes of what is not HTTP, the oldest first.
	Streams []Attachment `json:"streams,omitempty"`
	// ServerNames choose the section on a listener of the mesh: in lower case, each
	// "PORT.SERVICE.NAMESPACE.mesh", or another name where several workloads share an
	// address. The first section that has a name gets it.
	ServerNames []string `json:"serverNames,omitempty"`
	// Identity is the SPIFFE ID whose SVID is shown there; empty is the process's own.
	Identity string `json:"identity,omitempty"`
	// ServicePort is the port of a Service that the section is for; 0 is that it is for
	// none.
	ServicePort uint16 `json:"servicePort,omitempty"`
	// Plaintext lets in who comes without the mesh's TLS, and so without an identity
	// (permissive). It is for listeners with Inbound.
	Plaintext bool `json:"plaintext,omitempty"`
	// Destinations choose the section on a listener with Captured, Authorities on an
	// outbound listener. The first section that has one gets it. See outbound.go.
	Destinations []netip.AddrPort `json:"destinations,omitempty"`
	Authorities  []string         `json:"authorities,omitempty"`
	// Telemetry is for what no route takes; nil where no TelemetryPolicy reaches.
	Telemetry *Telemetry `json:"telemetry,omitempty"`
	Ref       Ref        `json:"ref"`
}

// Inbound tells whether the section stands before a workload here.
func (s *Section) Inbound() bool {
	return s != nil && s.ServicePort != 0 && (s.Identity != "" || s.Plaintext)
}

// Attachment says that a route serves a section, under which hostnames: the
// intersection of the route's and the section's. An empty entry means any host.
type Attachment struct {
	Route     string   `json:"route"`
	Hostnames []string `json:"hostnames"`
}

// ServerTLS is how a section terminates TLS.
type ServerTLS struct {
	// Certificates are offered by server name and by what the client can verify;
	// the first is used when none fits better.
	Certificates []*Certificate `json:"certificates"`
	// Awaited are certificates that have not been issued yet, by the names that
	// they will have. Without another one handshakes are refused meanwhile.
	Awaited []string `json:"awaited,omitempty"`
	// MinVersion and MaxVersion are "1.2" or "1.3"; empty means 1.2 and 1.3.
	MinVersion string `json:"minVersion,omitempty"`
	MaxVersion string `json:"maxVersion,omitempty"`
	// CipherSuites limits TLS 1.2 suites by their IANA names; empty means those with
	// forward secrecy and AEAD.
	CipherSuites []string `json:"cipherSuites,omitempty"`
	// ALPN are the protocols that a section of streams agrees on, the preferred
	// first; sections of HTTP have those of their engines.
	ALPN []string `json:"alpn,omitempty"`
	// ClientAuth is how client certificates are asked for and verified.
	ClientAuth *ClientAuth `json:"clientAuth,omitempty"`
}

// Certificate is a certificate chain with its key. Keys never appear in dumps:
// use Redacted before a Config leaves the process.
type Certificate struct {
	// Name is "Secret/namespace/name".
	Name string `json:"name"`
	// Chain and Key are PEM.
	Chain []byte `json:"chain"`
	Key   []byte `json:"key,omitempty"`
	// Staple is a DER OCSP response to staple; empty means that the proxy
	// fetches one if the certificate carries a must-staple extension.
	Staple []byte `json:"staple,omitempty"`
}

// ClientAuthMode follows Gateway API frontend validation.
type ClientAuthMode string

const (
	// ClientAuthRequire refuses the handshake without a valid certificate (AllowValidOnly).
	ClientAuthRequire ClientAuthMode = "require"
	// ClientAuthRequestInsecure asks for a certificate and goes on with none
	// or an invalid one (AllowInsecureFallback).
	ClientAuthRequestInsecure ClientAuthMode = "request-insecure"
	// ClientAuthOptional goes on with none, but refuses an invalid one.
	ClientAuthOptional ClientAuthMode = "optional"
)

// ClientAuth asks clients for certificates.
type ClientAuth struct {
	Mode ClientAuthMode `json:"mode"`
	// CA is the PEM bundle that client certificates must chain to.
	CA []byte `json:"ca"`
}

// ClientPolicy is how a listener treats the client's side of its connections.
// Zero durations and counts mean no limit; compile fills in the defaults.
type ClientPolicy struct {
	ProxyProtocol ProxyProtocolMode `json:"proxyProtocol,omitempty"`
	// ProxyProtocolFrom limits who may speak the PROXY protocol; empty means anyone.
	ProxyProtocolFrom []netip.Prefix `json:"proxyProtocolFrom,omitempty"`

	// TrustedHops is how many proxies in front of this one append to
	// X-Forwarded-For; TrustedProxies names them by address instead. With
	// neither, forwarding headers from the client are replaced.
	TrustedHops    int            `json:"trustedHops,omitempty"`
	TrustedProxies []netip.Prefix `json:"trustedProxies,omitempty"`
	// FromForwarded: those proxies maintain Forwarded (RFC 7239), which is
	// believed instead of X-Forwarded-For.
	FromForwarded bool `json:"fromForwarded,omitempty"`
	// Forwarded says which headers are sent upstream.
	XForwarded bool `json:"xForwarded"`
	Forwarded  bool `json:"forwarded,omitempty"`
	// ClientCert is about X-Forwarded-Client-Cert.
	ClientCert ForwardedClientCert `json:"clientCert,omitzero"`
	// Via is the pseudonym for the Via header (RFC 9110 §7.6.3); empty sends none.
	Via string `json:"via,omitempty"`
	// RequestIDHeader is made when missing; KeepRequestID keeps the client's own.
	RequestIDHeader string `json:"requestIDHeader,omitempty"`
	KeepRequestID   bool   `json:"keepRequestID,omitempty"`
	// ServerHeader: true keeps the upstream's Server header (the default).
	MergeSlashes bool `json:"mergeSlashes,omitempty"`

	MaxConnections           int `json:"maxConnections,omitempty"`
	MaxRequestsPerConnection int `json:"maxRequestsPerConnection,omitempty"`
	// NoHTTP2 leaves clients HTTP/1.1 alone. MaxConcurrentStreams is how many
	// requests an HTTP/2 connection may carry at a time; 0 is 128.
	NoHTTP2              bool `json:"noHTTP2,omitempty"`
	MaxConcurrentStreams int  `json:"maxConcurrentStreams,omitempty"`
	// PerClient is nil where clients may open what the socket has room for.
	PerClient *ClientShare `json:"perClient,omitempty"`
	// HTTP3 is nil for clients that may not speak it.
	HTTP3          *HTTP3 `json:"http3,omitempty"`
	MaxHeaderBytes int    `json:"maxHeaderBytes"`
	MaxHeaderCount int    `json:"maxHeaderCount"`
	MaxBodyBytes   int64  `json:"maxBodyBytes,omitempty"`
	// MinBodyRate is in bytes per second, after BodyGrace; 0 is none.
	MinBodyRate int64         `json:"minBodyRate,omitempty"`
	BodyGrace   time.Duration `json:"bodyGrace,omitempty"`

	// HeaderTimeout bounds the time from the first byte of a request to the end
	// of its header; IdleTimeout the wait for a next request; RequestTimeout
	// the time to receive the whole request; BodyIdleTimeout the wait between
	// two reads or writes of a body; HandshakeTimeout TLS and PROXY protocol.
	HeaderTimeout         time.Duration `json:"headerTimeout"`
	IdleTimeout           time.Duration `json:"idleTimeout"`
	RequestTimeout        time.Duration `json:"requestTimeout,omitempty"`
	BodyIdleTimeout       time.Duration `json:"bodyIdleTimeout,omitempty"`
	HandshakeTimeout      time.Duration `json:"handshakeTimeout"`
	MaxConnectionDuration time.Duration `json:"maxConnectionDuration,omitempty"`
	// HTTP2KeepAlive is how long a client of HTTP/2 may be silent, while it has
	// requests under way, before it is asked whether it is there; 0 is for ever.
	HTTP2KeepAlive time.Duration `json:"http2KeepAlive,omitempty"`
	// DetectTimeout is how long a client may be silent before it counts as one
	// that waits for the server to speak, on listeners that detect protocols.
	DetectTimeout time.Duration `json:"detectTimeout,omitempty"`
}

// ClientShare bounds what one client address may open.
type ClientShare struct {
	// Connections at a time; 0 is no bound. New is how many in a time, or nil.
	Connections int   `json:"connections,omitempty"`
	New         *Rate `json:"new,omitempty"`
	// IPv4Bits and IPv6Bits of an address count.
	IPv4Bits int `json:"ipv4Bits"`
	IPv6Bits int `json:"ipv6Bits"`
}

// HTTP3 lets clients speak HTTP/3.
type HTTP3 struct {
	EarlyData bool `json:"earlyData,omitempty"`
	// AltSvcMaxAge is how long clients may remember that it is spoken; 0 is not
	// announced. AltSvcPort is the port as they see it, 0 is the listener's.
	AltSvcMaxAge time.Duration `json:"altSvcMaxAge,omitempty"`
	AltSvcPort   uint16        `json:"altSvcPort,omitempty"`
}

// ServesHTTP3 tells whether its clients may speak HTTP/3: one that takes PROXY
// headers has none, since UDP carries none, nor has one without TLS.
func (l *Listener) ServesHTTP3() bool {
	if l.Client.HTTP3 == nil || l.Client.ProxyProtocol != ProxyProtocolOff {
		return false
	}
	return slices.ContainsFunc(l.Sections, func(s *Section) bool { return l.ProtocolOf(s) == HTTPS })
}

// ProtocolOf is the protocol of one of the listener's sections.
func (l *Listener) ProtocolOf(s *Section) Protocol {
	if s.Protocol != "" {
		return s.Protocol
	}
	return l.Protocol
}

// ProxyProtocolMode says whether a listener expects the PROXY protocol.
type ProxyProtocolMode string

const (
	ProxyProtocolOff      ProxyProtocolMode = ""
	ProxyProtocolOptional ProxyProtocolMode = "optional"
	ProxyProtocolRequired ProxyProtocolMode = "required"
)
