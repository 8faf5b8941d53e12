// Package trouble knows what is not well on a proxy's way to others: endpoints that get
// nothing, circuit breakers that are not closed, and pools that were full. A data plane says
// what it sees at a moment; a Watch makes of that what people want to know: since when,
// how often, and what was so until just now.
//
// It starts no goroutines. The data plane, the admin API and what reports to control planes
// may import it.
package trouble

import (
	"cmp"
	"time"
)

// Kind is what is not well.
type Kind uint8

const (
	// Breaker: the circuit breaker of a cluster is not closed.
	Breaker Kind = iota + 1
	// Full: requests were refused since the limits of a cluster's pools were reached.
	Full
	// Ejected: outlier detection keeps an endpoint out.
	Ejected
	// Unhealthy: an endpoint fails its health checks.
	Unhealthy

	kinds
)

// String is the kind's name in the admin API.
func (k Kind) String() string {
	if !k.Known() {
		return ""
	}
	return [...]string{"", "breaker", "full", "ejected", "unhealthy"}[k]
}

// Known tells whether it is one of the kinds.
func (k Kind) Known() bool { return k > 0 && k < kinds }

// Key tells troubles of a proxy apart.
type Key struct {
	Cluster string `json:"cluster"`
	// Endpoint is its address; empty is the cluster as a whole.
	Endpoint string `json:"endpoint,omitempty"`
	Kind     Kind   `json:"kind"`
}

// Sight is what a data plane sees at one moment.
type Sight struct {
	Key
	// Is: it is so now.
	Is bool
	// Times is how often it has come to that since the cluster began, where that is
	// counted: how often a breaker opened, how many requests were refused.
	Times uint64
	// Detail is the state of a breaker, or the rule that ejected.
	Detail string
	// Endpoints of the cluster.
	Endpoints int
}

// Trouble is something that is not well, or was not a moment ago.
type Trouble struct {
	Key
	Detail    string `json:"detail,omitempty"`
	Endpoints int    `json:"endpoints,omitempty"`
	// Since is when it began. What ends and begins again soon after is one trouble.
	Since time.Time `json:"since"`
	// Over is when it ended; zero is not yet.
	Over time.Time `json:"over,omitzero"`
	// Times is how often it has come to that since Since, where that is counted.
	Times uint64 `json:"times,omitempty"`
}

// Compare orders what is so before what is over, then by how much it concerns, then by name.
func Compare(a, b *Trouble) int {
	return cmp.Or(
		cmp.Compare(past(a), past(b)), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Endpoint, b.Endpoint),
	)
}

func past(t *Trouble) int {
	if t.Over.IsZero() {
		return 0
	}
	return 1
}
