// Package compile turns objects into the configuration that proxies run. It is
// a pure function: no clock, no files, no network; equal input gives equal
// output, in a stable order.
//
// Each object stands alone. One that is wrong is left out, or goes on serving
// in its last good version if it had one, with a status and a Problem that say
// why; everything else is compiled. Given the previous Output, routes and
// clusters whose inputs did not change are taken over as the same pointers.
//
// The package imports api, store, status and ir, owns no goroutines, and may be
// imported by the CLI and app. The data plane never imports it.
package compile

import (
	"slices"
	"time"

	"github.com/gridway/gridway/internal/config/issuance"
	"github.com/gridway/gridway/internal/config/status"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

// ControllerName is what a GatewayClass names to be served by Gridway.
const ControllerName = "gridway.dev/controller"

// DefaultClass is the GatewayClass that needs no object of its own.
const DefaultClass = "gridway"

// Input is everything that the result depends on, besides the previous Output.
type Input struct {
	Set *store.Set
	// Refused are objects that Set lacks because they have errors: references
	// to them are told so.
	Refused map[store.Key]bool
	// Now dates certificates. The zero time leaves dates unjudged.
	Now time.Time
	// ExplicitClasses is set where a GatewayClass must exist as an object
	// (Kubernetes); otherwise the class "gridway" is implied.
	ExplicitClasses bool
	// SessionKey is the secret from which the keys of session persistence
	// tokens are derived, one per rule. Proxies that share sessions share it.
	// Without it Key of ir.SessionPersistence stays empty.
	SessionKey []byte
	// Mesh asks for what Services come to in a mesh, besides what Gateways serve.
	// Their workloads register, so that one without endpoints is nothing to warn of.
	Mesh bool
}

// Output is the result. Treat it as read-only once it is returned.
type Output struct {
	// Config's revision is one above the previous one's if anything changed;
	// otherwise it is the very same Config.
	Config *ir.Config
	// Mesh is nil unless the Input asked for it. If nothing in it differs, it is the
	// previous one's.
	Mesh *ir.Mesh
	// Problems are ordered by place, then severity.
	Problems []store.Problem
	// Orders are the certificates that listeners want from CertificateIssuers.
	// They come back as Secrets in a later Input.
	Orders []issuance.Order
	// SigningOrders are the keys that TokenIssuers want from the state store, in the
	// order of their issuers. They come back as Secrets in a later Input, too.
	SigningOrders []issuance.SigningOrder

	state *state
}

// Compile compiles a set of objects. prev may be nil; it is not changed.
func Compile(in Input, prev *Output) *Output {
	c := newCompiler(in, prev)
	c.compileClasses()
	c.indexPolicies()
	c.compileIssuers()
	c.compileTokenIssuers()
	c.compileGateways()
	all, every, ok := c.patchRoutes()
	if !ok {
		c.compileRoutes()
		all, every = c.collectRoutes(), c.collectClusters()
	}
	c.next.forms, c.next.every = all, every
	routes, streams, clusters := c.split(all, every)
	listeners := c.compileListeners()
	c.finishGateways()
	schemas := c.schemas()
	consumers := c.compileConsumers()
	keySets, logins := c.keySets(), c.logins()
	stores := c.compileRateLimitStores()
	sinks := c.compileTelemetrySinks()
	c.peers = c.compileMeshPeers()
	addresses, userAgents := c.compileLists()
	revocations := c.compileRevocations()
	if len(logins) > 0 {
		c.warnCallbacks(routes)
	}
	c.warnTokenIssuers(listeners, routes)
	c.vouch(listeners)
	c.finishPolicies()
	c.finishBackends()
	orders := c.finishIssuers()

	c.finishStatuses()
	mesh := c.collectMesh()
	cfg := &ir.Config{
		Listeners: listeners, Routes: routes, Streams: streams, Clusters: clusters, Schemas: schemas,
		Consumers: consumers, KeySets: keySets, Logins: logins, TokenIssuers: c.servedTokenIssuers(), Policies: c.decidingPolicies(), Authorizations: c.allAuthorizations(), RateLimits: c.rateLimits(),
		RateLimitStores: stores, TelemetrySinks: sinks,
		AddressLists: addresses, UserAgentLists: userAgents, RevocationLists: revocations,
	}
	return &Output{Config: c.revise(cfg), Mesh: mesh, Problems: sortProblems(c.problems), Orders: orders, SigningOrders: c.signingOrders, state: c.next}
}

// Statuses returns the status of every object, ordered by key. It gathers them
// anew each time, since many more are made than asked for.
func (o *Output) Statuses() []status.Object { return o.state.statuses() }

// revise returns the previous Config if nothing differs, or the next revision.
func (c *compiler) revise(cfg *ir.Config) *ir.Config {
	cfg.Revision = 1
	if was := c.prevConfig; was != nil {
		cfg.Revision = was.Revision + 1
		if equalListeners(was.Listeners, cfg.Listeners) {
			if slices.Equal(was.Routes, cfg.Routes) && slices.Equal(was.Streams, cfg.Streams) && slices.Equal(was.Clusters, cfg.Clusters) &&
				slices.Equal(was.Schemas, cfg.Schemas) && slices.Equal(was.Consumers, cfg.Consumers) && slices.Equal(was.KeySets, cfg.KeySets) && slices.Equal(was.Logins, cfg.Logins) && slices.Equal(was.TokenIssuers, cfg.TokenIssuers) &&
				slices.Equal(was.Policies, cfg.Policies) && slices.Equal(was.RateLimits, cfg.RateLimits) &&
				slices.Equal(was.RateLimitStores, cfg.RateLimitStores) && slices.Equal(was.Authorizations, cfg.Authorizations) &&
				slices.Equal(was.AddressLists, cfg.AddressLists) && slices.Equal(was.UserAgentLists, cfg.UserAgentLists) &&
				slices.Equal(was.RevocationLists, cfg.RevocationLists) && slices.Equal(was.TelemetrySinks, cfg.TelemetrySinks) {
				return was
			}
			cfg.Listeners = was.Listeners
		}
	}
	return cfg
}
