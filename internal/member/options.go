// Package member is a data plane that belongs to a mesh: it joins a control plane,
// has its configuration from it, and stands beside a program (a sidecar), before
// the workloads of a host (a node proxy) or before clients (an edge). It goes on without the control plane, also over a restart, with
// what it keeps in its state folder.
//
// Run owns all that it starts and returns when nothing of it runs any more. The
// package may be imported by what builds programs (app, cli); it links neither SQL nor
// the types of Kubernetes.
package member

import (
	"context"
	"io"
	"log/slog"
	"net/netip"
	"time"

	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/intercept"
	"github.com/gridway/gridway/internal/mesh/join"
	"github.com/gridway/gridway/internal/mesh/supervise"
	"github.com/gridway/gridway/internal/telemetry/accesslog"
	"github.com/gridway/gridway/internal/telemetry/metric"
)

// DefaultMeshPort is where a proxy takes what other proxies send.
const DefaultMeshPort = 15008

// MaxExceptions bounds the networks and the ports of other hosts that are excepted.
const MaxExceptions = intercept.MaxExceptions

// Except is what the kernel leaves as it is where a member intercepts.
type Except struct {
	// Ports are those of the program that others may open past the member.
	Ports []uint16
	// Networks and OutboundPorts are of other hosts: what the program opens to them goes
	// there past the member, without identity, routes or policies.
	Networks      []netip.Prefix
	OutboundPorts []uint16
}

// Options of a member.
type Options struct {
	Role distrib.Role
	// Control are the addresses of control planes, HOST:PORT.
	Control []string
	// Token is what proves to them that we may join; it is not needed while the state
	// folder has an identity that is valid.
	Token string
	// SVID, Account and Bundle are other ways to join, as join.ClientOptions has them.
	SVID    func(context.Context) (*join.Held, error)
	Account func() (string, error)
	Bundle  func() (*identity.Bundle, error)
	// Namespace and Service are who the member is.
	Namespace, Service string
	// Node is the name of the host whose workloads a node proxy stands before, and
	// Workloads the folder that declares them.
	Node, Workloads string
	// Ports are those of the program, the first of which is waited for.
	Ports []distrib.Port
	// Upstreams are ports to open for services.
	Upstreams []distrib.LocalListener
	// HTTPProxy opens a port that takes requests as an HTTP proxy does, which the
	// program is told by its environment.
	HTTPProxy bool
	// Intercept has the kernel give the member what the program opens to others and asks
	// resolvers for. It needs the rights for it (CAP_NET_ADMIN).
	Intercept bool
	// Except is what is not intercepted.
	Except Except
	// WorkloadAPI is the path of the socket by which the program gets SVIDs of its own;
	// empty is one in StateDir, NoWorkloadAPI none.
	WorkloadAPI string
	// Gateways are those that an edge serves, "namespace/name"; none is all.
	Gateways []string
	// EastWest is where an edge lets other meshes through to Services that they may use,
	// and EastWestAddress where they reach that; zero is nowhere.
	EastWest, EastWestAddress netip.AddrPort
	// Address is where others reach the member; the zero address is that from which
	// the control plane is reached.
	Address netip.Addr
	// MeshPort is where others reach it; 0 is DefaultMeshPort, or a free one if that
	// is taken.
	MeshPort uint16
	Labels   map[string]string
	Weight   uint32
	Version  string
	Zone     string
	// App is the program, without its port, what it is told when and its log; a
	// member without a command runs until it is told to end.
	App supervise.App
	// StateDir is a folder of the member's own, for its identity and its last good
	// configuration; nobody else may read it.
	StateDir string
	// StartTimeout bounds the wait for a first configuration; 0 is a minute.
	StartTimeout time.Duration
	DrainTimeout time.Duration
	// Admin answers people and tools; nil is none.
	Admin     Admin
	AccessLog string
	// AccessLogOmit are fields that it leaves out.
	AccessLogOmit accesslog.Omitted
	// TelemetryMemory is for what is remembered of requests, in bytes; 0 is nothing.
	TelemetryMemory int
	// Stdout and Stderr are where access logs of these names go.
	Stdout, Stderr io.Writer
	Log            *slog.Logger
	Build          metric.Build
	Metrics        metric.Settings
}
