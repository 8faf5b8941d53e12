package ir

import "time"

// StreamRoute is one compiled TCPRoute, TLSRoute or UDPRoute, which all have
// exactly one rule.
type StreamRoute struct {
	// Name is "TCPRoute/namespace/name", with "~HASH" appended as Route's.
	Name string `json:"name"`
	Ref  Ref    `json:"ref"`
	// Created breaks ties: where two routes want the same traffic the older gets it.
	Created time.Time `json:"created,omitzero"`
	// ID is "TCPRoute/namespace/name/rules/0".
	ID string `json:"id"`
	// Rule is the rule's own name, if it has one.
	Rule string `json:"rule,omitempty"`
	// Backends share the connections, or clients of UDP, by weight. The share of
	// one whose Cluster is empty is refused.
	Backends []BackendRef `json:"backends,omitempty"`
	// Idle ends a stream after this long without a byte in either direction, and
	// MaxStream in any case; zero is no limit.
	Idle      time.Duration `json:"idle,omitempty"`
	MaxStream time.Duration `json:"maxStream,omitempty"`
	// Shield has addresses alone; nil where nothing is said of them.
	Shield *Shield `json:"shield,omitempty"`
	// Authorization lists the policies that reach its connections, all of which count.
	Authorization []*Authorization `json:"authorization,omitempty"`
	// Telemetry is nil where no TelemetryPolicy reaches.
	Telemetry *Telemetry `json:"telemetry,omitempty"`
	// Attempts is how many other endpoints may be tried when connecting fails.
	Attempts int `json:"attempts,omitempty"`
	// Policies are the policy objects whose fields are in force here.
	Policies []Ref `json:"policies,omitempty"`
	// Hash is a digest of everything but the places in files.
	Hash uint64 `json:"hash"`
}

// Kind is TCPRoute, TLSRoute or UDPRoute.
func (r *StreamRoute) Kind() string { return r.Ref.Kind }
