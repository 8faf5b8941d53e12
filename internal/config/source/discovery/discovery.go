// Package discovery brings clusters the endpoints that are not written down.
// A Hub has sources, one for each way to find them: DNS names, Consul, and others
// in time. It gives each the clusters of a configuration, waits a little for
// first answers before these serve, joins what the sources find of one cluster
// with the endpoints that are written down, and delivers an ir.EndpointUpdate
// when that has changed, which touches one cluster and nothing else.
//
// What a source asks, whom, how often, and which answers are believed is its own
// business, but for one rule: a source that fails keeps its last answer and says
// so in its State.
//
// Hub.Run is the goroutine that delivers; it starts one for each source and
// waits for them. Package app uses this package, and sources import it; it
// imports internal/ir.
package discovery

import (
	"context"
	"time"

	"github.com/gridway/gridway/internal/ir"
)

// Source finds endpoints in one way. Its methods may be called from several
// goroutines; Follow, Keep and Find may be called before Run, and do not block.
type Source interface {
	// Follow begins to look for what clusters ask of the source, if it does not
	// already. It ends nothing.
	Follow(clusters []*ir.Cluster)
	// Keep follows these clusters and no others.
	Keep(clusters []*ir.Cluster)
	// Find lists the endpoints of a cluster that is followed, in the order of its
	// configuration. Known is false while nothing is known of what it asks, which
	// is another thing than knowing that there is nothing.
	Find(c *ir.Cluster) (endpoints []ir.Endpoint, known bool)
	// Missing lists what has no answer yet of what clusters ask, and how long that
	// is still worth waiting for; zero if it is not.
	Missing(clusters []*ir.Cluster) (names []string, wait time.Duration)
	// Run looks for endpoints until ctx ends and no goroutine of it is left. News
	// does not block; it is told after each answer and failure, with the clusters
	// of the last Keep of which Find finds something else now.
	Run(ctx context.Context, news func(clusters []string))
	// States lists what is looked for, ordered.
	States() []State
}

// Kind names a source.
type Kind string

const (
	// DNS looks up names.
	DNS Kind = "dns"
	// Consul asks agents for instances of services.
	Consul Kind = "consul"
)

// State is what is known of one thing that a source looks for.
type State struct {
	Kind Kind
	// Name is what is looked for, and Place who is asked; empty is the system's.
	Name, Place string
	// Clusters that it is looked for, ordered.
	Clusters []string
	// Endpoints is how many there are, even if the last attempt failed.
	Endpoints int
	// Answered is when the last good answer came, or was said to hold still; zero
	// if none did. Next is when the next attempt is due; zero while one is under way.
	Answered, Next time.Time
	// Err is what the last attempt failed with, since Since, and Failures counts
	// those that failed in a row.
	Err      string
	Since    time.Time
	Failures int
}

// Up tells whether the last attempt succeeded.
func (s State) Up() bool { return s.Err == "" && !s.Answered.IsZero() }

// Asked tells whether an attempt ever ended.
func (s State) Asked() bool { return s.Err != "" || !s.Answered.IsZero() }
