// Package evidence says what proxies tell of traffic (see package report), as policies are
// suggested from it. Package collect keeps it, in the state store of control planes.
package evidence

import "time"

// Keep is how long evidence is kept.
const Keep = 14 * 24 * time.Hour

// Protocols and verdicts of flows.
const (
	HTTP = "HTTP"
	GRPC = "gRPC"
	TCP  = "TCP"

	Allowed   = "allowed"
	WouldDeny = "wouldDeny"
	Denied    = "denied"
)

// Flow is requests, or connections, of one kind.
type Flow struct {
	// Source is the SPIFFE ID that the clients have proved; empty is none, or several
	// where Overflow is set.
	Source string `json:"source,omitempty"`
	// Namespace, Service and Port are where they went. Port is 0 where Overflow is set and
	// ports were too many, too.
	Namespace string `json:"namespace"`
	Service   string `json:"service"`
	Port      uint16 `json:"port"`
	// Protocol is HTTP, gRPC or TCP.
	Protocol string `json:"protocol"`
	// Method and Path are of HTTP. The path is a shape: "*" stands for a segment that
	// looks like an identifier, "**" at the end for one or more. Of gRPC it is the call's.
	Method string `json:"method,omitempty"`
	Path   string `json:"path,omitempty"`
	// Verdict is what policies made of it: allowed, wouldDeny (a dry policy would have
	// refused it) or denied, by Policy.
	Verdict string `json:"verdict"`
	Policy  string `json:"policy,omitempty"`
	// Overflow: methods and paths, of the source or of all, were too many to be kept; policies
	// and ports may have been, too.
	Overflow bool `json:"overflow,omitempty"`
	// Count is how many, of which Failed got an error of the server. They are those of
	// whole days.
	Count  uint64 `json:"count"`
	Failed uint64 `json:"failed,omitempty"`
	// First and Last are when they came; MeanMicroseconds is how long one took.
	First            time.Time `json:"first"`
	Last             time.Time `json:"last"`
	MeanMicroseconds uint64    `json:"meanMicroseconds"`
	// Addresses is about how many addresses they came from.
	Addresses int `json:"addresses"`
}

// Query says which flows are meant.
type Query struct {
	// Namespace and Service are the destination; empty is any.
	Namespace, Service string
	// Since leaves out what was last seen before; it is within Keep.
	Since time.Time
}
