package proxy

import (
	"time"

	"github.com/gridway/gridway/internal/proxy/keyset"
	"github.com/gridway/gridway/internal/proxy/login"
)

// DependencyKind is what somebody else has for the data plane.
type DependencyKind string

const (
	// DependsOnKeys: the keys of an issuer, which are fetched.
	DependsOnKeys DependencyKind = "keys"
	// DependsOnProvider: an OpenID provider.
	DependsOnProvider DependencyKind = "provider"
	// DependsOnSink: a TelemetrySink.
	DependsOnSink DependencyKind = "sink"
)

// Dependency is something that the data plane needs of somebody else, and whether it
// has that.
type Dependency struct {
	Kind DependencyKind
	// Owner is the AuthenticationPolicy, "namespace/name"; Name the issuer. Of a sink, Owner
	// is "TelemetrySink/namespace/name", and Name its address.
	Owner, Name string
	// Place is where it is, without what may be secret; it may be empty.
	Place string
	// Up is false since a time, because of Err. Kept: what was there before still serves.
	Up    bool
	Since time.Time
	Err   string
	Kept  bool
}

// Dependencies lists what was asked of others, but for the stores of limits, which
// have a list of their own; an issuer that a policy names in
// several methods counts once.
func (p *Proxy) Dependencies(yield func(Dependency)) {
	type name struct {
		kind        DependencyKind
		owner, name string
	}
	seen := map[name]bool{}
	once := func(d Dependency) {
		if at := (name{d.Kind, d.Owner, d.Name}); !seen[at] {
			seen[at] = true
			yield(d)
		}
	}
	p.keys.States(func(s keyset.State) {
		if s.Place == "" {
			return // they are in the configuration
		}
		once(Dependency{
			Kind: DependsOnKeys, Owner: s.Policy, Name: s.Issuer, Place: s.Place,
			Up: s.FailingSince.IsZero() && s.Keys > 0, Since: s.FailingSince, Err: s.Err, Kept: s.Keys > 0,
		})
	})
	p.logins.Troubles(func(policy, issuer string, t *login.Trouble) {
		d := Dependency{Kind: DependsOnProvider, Owner: policy, Name: issuer, Up: t == nil}
		if t != nil {
			d.Since, d.Err, d.Kept = t.Since, t.Err, t.Kept
		}
		once(d)
	})
	for _, s := range p.exporter.States() {
		if s.Asked {
			once(sinkDependency(s.Name, s.Address, s.Up, s.Since, s.Problem))
		}
	}
	for _, s := range p.pusher.States() {
		if s.Asked {
			once(sinkDependency(s.Name, s.Address, s.Up, s.Since, s.Problem))
		}
	}
}

// sinkDependency is how a sink of telemetry is.
func sinkDependency(name, address string, up bool, since time.Time, problem string) Dependency {
	d := Dependency{Kind: DependsOnSink, Owner: "TelemetrySink/" + name, Name: address, Place: address, Up: up, Err: problem}
	if !up {
		d.Since = since
	}
	return d
}

// DependencyStates is Dependencies for metrics.
func (p *Proxy) DependencyStates(yield func(kind, owner, name string, up bool)) {
	p.Dependencies(func(d Dependency) { yield(string(d.Kind), d.Owner, d.Name, d.Up) })
}
