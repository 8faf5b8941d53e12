// Package accesslog writes one line of JSON per exchange without ever making
// an exchange wait. Callers encode into preallocated buffers, one set per
// processor; one goroutine, owned by the Logger, writes full buffers out. When
// the output is too slow the entries that do not fit are dropped and counted.
// It imports ir and telemetry/otlp; any package may import it.
package accesslog

import (
	"net/netip"
	"time"
)

// Entry is one exchange. Its slices are read before Log returns. Empty fields
// are left out of the line, except for those said to be always there.
type Entry struct {
	// Start is when the request's head was complete. Always there, as "time".
	Start time.Time
	// Duration runs from Start to the end of the response. Always there, as "duration_ms".
	Duration time.Duration
	// Upstream is how long the last try took until the response's head.
	Upstream time.Duration

	RequestID []byte
	Method    []byte
	Scheme    string
	Host      []byte
	// Path is as matched and forwarded; Query is what followed '?', without it.
	Path, Query []byte
	// Protocol is "HTTP/1.1" and so on.
	Protocol string
	// Stream is set for what is not HTTP: no status is logged.
	Stream bool
	// Status is what was sent to the client, 0 if nothing was. Always there
	// unless it is a stream.
	Status int
	// GRPCService, GRPCMethod and GRPCStatus ("UNAVAILABLE") are of calls of gRPC.
	GRPCService, GRPCMethod []byte
	GRPCStatus              string
	// Flags are reasons, comma separated ("UpstreamTimeout,RetryLimit").
	Flags []byte
	// Reason is that of the reply if Gridway made it itself.
	Reason string

	// Rule is the rule's index, or its ID, of which the index is logged.
	Listener, Route, Rule, Cluster, Endpoint string
	// Attempts is the number of tries; 0 if there was no upstream.
	Attempts int
	// RequestBytes and ResponseBytes are body bytes as they travelled. Always there.
	RequestBytes, ResponseBytes int64
	// WebSocket says that the exchange has opened one. RequestMessages and
	// ResponseMessages are what the client and the endpoint have sent then,
	// CloseCode is of the first Close frame, 1005 if it had none, 1006 if there was
	// no such frame, and ClosedBy who has sent it: "client", "endpoint", "gridway".
	WebSocket                         bool
	RequestMessages, ResponseMessages uint64
	CloseCode                         uint16
	ClosedBy                          string

	// Consumer is who calls, with its namespace, Credential which of its credentials
	// was accepted, and AuthMethod by which method. Subject, Issuer and ClientID are
	// what the credential says of the caller. Policy is the one that refused
	// the request, "namespace/name", and PolicyRule the part of it that decided.
	ConsumerNamespace, Consumer, Credential, AuthMethod string
	Subject, Issuer, ClientID                           string
	Policy, PolicyRule                                  string
	// AuthFaults are what was wrong with the credentials of a request that was refused:
	// "method:fault", with commas between them.
	AuthFaults []byte
	// Audited and WouldDeny are policies that only record the request, and dry ones
	// that would have refused it: "namespace/name/rule", with commas between them.
	// FailOpen are those that have let it through since what they need is not there.
	Audited, WouldDeny, FailOpen []byte

	// Client is the caller after trusted hops; Peer the connection's other end,
	// logged when its address differs from Client.
	Client netip.Addr
	Peer   netip.AddrPort
	// PeerIdentity and EndpointIdentity are the SPIFFE IDs that both neighbours have
	// proved, where they are of the mesh.
	PeerIdentity, EndpointIdentity string

	UserAgent, Referer []byte
	// TraceID is 32 hexadecimal digits.
	TraceID []byte
	// TLSVersion and TLSCipher are crypto/tls's numbers; zero on plain connections
	// and where TLS is passed through.
	TLSVersion, TLSCipher uint16
	TLSServerName         string
	// Destination is where a stream of an outbound listener was going, an address or
	// "HOST:PORT".
	Destination string
	// TLSALPN is what a stream has agreed on; of HTTP, Protocol says that.
	TLSALPN string
	// Revision is the configuration that served the exchange.
	Revision uint64
	// Own are header fields that a Format asks for: first those of requests, then those of
	// responses. Without a Format nothing is done with them.
	Own [][]byte
}

// QueryMode says how much of a query string is logged. Queries carry tokens
// and personal data, so the default is the least.
type QueryMode uint8

const (
	// QueryOmit leaves the query out.
	QueryOmit QueryMode = iota
	// QueryNames keeps the names of parameters and masks their values: "a=*&b=*".
	QueryNames
	// QueryFull keeps all of it.
	QueryFull
)

// RefererMode says how much of the Referer header is logged.
type RefererMode uint8

const (
	// RefererNoQuery cuts it at '?' or '#'.
	RefererNoQuery RefererMode = iota
	RefererOmit
	RefererFull
)
