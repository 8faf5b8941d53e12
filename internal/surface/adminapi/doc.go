// Package adminapi is the HTTP API for the people and tools that run a Gridway
// process: health, metrics, status, configuration dumps, explain, top, log
// level, profiles, and what is in the state store: consumers, tokens, the audit
// log. It listens on loopback unless told otherwise, and then
// asks for a token.
//
// The package owns the goroutines of its HTTP server, which Server.Run waits
// for. It sees the process through the small interfaces below; only
// internal/app wires them, and the CLI uses the package through its client.
package adminapi

import (
	"context"
	"crypto/tls"
	"iter"
	"log/slog"
	"net"
	"net/http"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/dryrun"
	"github.com/gridway/gridway/internal/surface/signin"
	"github.com/gridway/gridway/internal/telemetry/metric"
)

// DefaultAddress is where the API listens and where the CLI looks for it.
const DefaultAddress = "127.0.0.1:9901"

// ConsolePath is where the console is, at the same address.
const ConsolePath = "/console/"

// Process says how a process is.
type Process interface {
	// State is cheap: health checks call it.
	State() State
	Status() Status
	// Troubles are what is not well on the way to clusters, the worst first, with all
	// proxies that see it; more were too many to be kept. Status has them, too.
	Troubles() (list []Trouble, more int)
}

// Configuration is what the process serves.
type Configuration interface {
	// Config is the configuration in service, nil before the first. Secrets are
	// hidden here, not there.
	Config() *ir.Config
	// Objects lists what the user wrote, with values if asked. Secrets are
	// hidden here, not there.
	Objects(values bool) []Object
	// Clusters is their live state.
	Clusters() []Cluster
	// Consumers are those who may call, by namespace and name, behind the one of
	// these names.
	Consumers(namespace, name string) iter.Seq[Consumer]
}

// Services is what the process has compiled of Services.
type Services interface {
	// Mesh is nil before the first revision, and where there is no mesh.
	Mesh() *ir.Mesh
	// Passage says what would become of a request between services.
	Passage(ctx context.Context, q dryrun.PassageRequest) (*dryrun.Passage, error)
}

// Explainer answers what would become of a request.
type Explainer interface {
	Explain(ctx context.Context, r dryrun.Request) (*dryrun.Decision, error)
}

// Sampler gives the rates of the last seconds; metric.Registry is one.
type Sampler interface {
	Snapshot() metric.Snapshot
}

// Options of a Server. Process is compulsory; without one of the other
// interfaces its paths answer 404.
type Options struct {
	// Address is "HOST:PORT" or "unix:PATH"; empty means DefaultAddress. A HOST
	// that is not loopback needs a Token, and TLS unless AllowPlain says otherwise.
	Address string
	// Listener is a socket for Address that a predecessor had open; nil opens one.
	Listener net.Listener
	// Token that requests may present in the role of an admin. If it is empty and
	// there is neither Access nor SignIn, whoever reaches the address may use the API;
	// otherwise all but /healthz and /readyz needs a token.
	Token Token
	// Access has consumers, tokens with roles and the audit log in a state store;
	// nil is no store.
	Access Access
	// SignIn is where people may log in to the console besides; nil is with tokens alone.
	SignIn *signin.Provider
	// Revisions knows what has changed in the configuration.
	Revisions Revisions
	// Managed keeps objects of the configuration in a state store; nil is no store.
	Managed Managed
	// Mesh has who may be in the mesh; nil is no control plane of one.
	Mesh Membership
	// Services is what is compiled of Services; nil is no control plane.
	Services Services
	// Traffic is what proxies of the mesh have seen; nil is no control plane.
	Traffic Traffic
	// Signals is the service graph; nil is that the process keeps none.
	Signals Signals
	// TLS serves HTTPS. With ClientCertificates it asks for those, which then are what
	// a token is where there is neither Token nor Access.
	TLS                *tls.Config
	ClientCertificates bool
	// AllowPlain lets the API speak plain HTTP beyond loopback.
	AllowPlain bool
	// ProbesOnly serves /healthz, /readyz and /metrics alone, to whoever asks, without a
	// token and at any address.
	ProbesOnly bool
	// Hosts are names, without port, that requests may use in Host besides
	// "localhost" and IP addresses. Others are refused: they are what a web page
	// uses that had its own name resolve to this machine (DNS rebinding).
	Hosts []string

	Process       Process
	Configuration Configuration
	Explainer     Explainer
	Sampler       Sampler
	// Observer knows what passes.
	Observer Observer
	// Records knows what has passed.
	Records Records
	// Effects knows what changes would do.
	Effects Effects
	// Metrics serves /metrics.
	Metrics http.Handler
	// Console serves the pages below ConsolePath, without that in their paths; nil is no
	// console.
	Console http.Handler
	// Level is what /v1/log/level shows and changes.
	Level *slog.LevelVar
	Log   *slog.Logger
}
