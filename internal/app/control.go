package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/handover"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/admit"
	"github.com/gridway/gridway/internal/mesh/ca"
	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/evidence/collect"
	"github.com/gridway/gridway/internal/mesh/federation"
	"github.com/gridway/gridway/internal/mesh/fleet"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/meshpb"
	"github.com/gridway/gridway/internal/mesh/peering"
	"github.com/gridway/gridway/internal/mesh/question"
	"github.com/gridway/gridway/internal/mesh/registry"
	"github.com/gridway/gridway/internal/mesh/replica"
	"github.com/gridway/gridway/internal/mesh/troubles"
	"github.com/gridway/gridway/internal/mesh/view"
)

// Mesh makes a gateway the control plane of a mesh. It needs a state store.
type Mesh struct {
	// Listen is where proxies join and get their configuration, HOST:PORT.
	Listen string
	// Address is where other control planes of the state store reach this one, HOST or
	// HOST:PORT; empty is found out.
	Address     string
	TrustDomain identity.TrustDomain
	// KeyFile has the secrets that seal the authority's keys in the state store. Empty
	// is a file in the state folder, which is made: where no other process has the store.
	KeyFile string
	// Lifetime of SVIDs and Rotation of roots; zero is the default.
	Lifetime, Rotation time.Duration
	// External is an authority that signs in place of our own; nil is none.
	External *ca.External
	// Anew gives up the authority's keys if they cannot be opened.
	Anew bool
	// Edge is who the gateway's own proxy is to workloads, of the namespace "default"
	// if it is not said; empty is "edge".
	Edge string
	// Accounts, unless they are nil, let pods in by their service accounts.
	Accounts *admit.ServiceAccounts
	// SVIDs say as what machines may join by SVIDs that they have already; they may be nil.
	SVIDs *admit.SVIDGrants
	// Federation are the other trust domains whose identities are trusted.
	Federation []federation.Relation
	// BundleEndpoint is where the own trust bundle is served to them, HOST:PORT; empty
	// is nowhere.
	BundleEndpoint string
}

// control is what a Gateway has as a control plane.
type control struct {
	authority *ca.Authority
	// own has the identity of the process's own proxy, which is not the control plane's.
	own      *identity.Keyring
	edge     identity.ID
	registry *registry.Registry
	// workloads has registry know what other control planes have.
	workloads *registry.Shared
	views     *view.Views
	distrib   *distrib.Server
	join      *admit.Server
	tokens    *admit.Tokens
	evidence  *collect.Collector
	nodes     *admit.Nodes
	// asked is where proxies are asked what passes.
	asked    *question.Hub
	grpc     *grpc.Server
	listener net.Listener
	door     *door // of listener
	shared   *fleet.Shared
	// address is where other control planes reach this one, by dialer.
	address string
	dialer  *replica.Dialer
	// feed has reports of the own proxies for them, and follower takes in theirs.
	feed     *replica.Feed
	follower *replica.Follower
	versions versions
	board    trustBoard
	// troubles are what proxies say is not well.
	troubles troubles.Board
	streams  *streams
	// federation has the trust bundles of others, and bundles serves ours; nil is that
	// nobody asks for it.
	federation *federation.Federation
	bundles    *bundleEndpoint
	// left is closed when nobody joins here any more, and all streams have ended.
	left chan struct{}
	// importer has what other meshes offer.
	importer *peering.Importer
	// defined is the version of the registry's Services that was compiled; guarded by
	// applying.
	defined uint64
}

const (
	// leaveWithin is how long proxies have to go to another control plane.
	leaveWithin = 5 * time.Second
	// lastJoins is how long joins that are under way may take at the end.
	lastJoins = 5 * time.Second
	// lastIn is how long who has just connected may take until it is looked after.
	lastIn = time.Second
	// authorityKey is the file of the sealing secret, in the state folder.
	authorityKey = "mesh-authority.key"
)

// ErrMeshTaken: another program has the address for proxies.
var ErrMeshTaken = errors.New("the address for proxies of the mesh is taken")

func (g *Gateway) openControl(ctx context.Context) error {
	m := g.opt.Mesh
	if m == nil {
		return nil
	}
	if g.db == nil {
		return errors.New("a mesh needs a state store, for its authority")
	}
	secrets, err := g.sealingSecrets()
	if err != nil {
		return err
	}
	c := &control{own: identity.NewKeyring(identity.Options{})}
	if c.federation, err = g.openFederation(c); err != nil {
		return err
	}
	c.authority, err = ca.Open(ctx, ca.Options{
		Federated: c.federation.Bundles, Elected: g.election.Mandate,
		DB: g.db, TrustDomain: m.TrustDomain, Secrets: secrets, Lifetime: m.Lifetime, Rotation: m.Rotation, External: m.External, Anew: m.Anew, Log: g.log,
	})
	if err != nil {
		return err
	}
	name := m.Edge
	if name == "" {
		name = "edge"
	}
	if err := identity.CheckWorkload("default", name); err != nil {
		return err
	}
	c.edge = identity.Workload(m.TrustDomain, "default", name)
	if err := c.trust(c.authority); err != nil {
		return err
	}
	c.tokens = admit.NewTokens(g.db, secrets, c.authority.Now)
	c.nodes = admit.NewNodes(g.db, m.SVIDs, g.log)
	c.join = admit.NewServer(admit.Options{Authority: c.authority, Tokens: c.tokens, Nodes: c.nodes, Accounts: m.Accounts, SVIDs: m.SVIDs, Issued: c.authority.Via, Note: c.membership(g).Joined, Log: g.log})
	c.registry = registry.New(registry.Options{TrustDomain: m.TrustDomain, Grants: c.nodes.Allow, Log: g.log})
	c.workloads = registry.Share(c.registry, registry.SharedOptions{DB: g.db, Elected: g.election.Mandate, Log: g.log})
	c.workloads.Load(ctx)
	c.importer = peering.New(peering.Options{
		Keyring: c.authority.Keyring(), Into: c.registry, Folder: filepath.Join(g.opt.StateDir, "peers"), Process: processName(), Log: g.log,
	})
	c.views = view.New(view.Options{TrustDomain: m.TrustDomain, Registry: c.registry, Edges: func(_, service string) bool { return distrib.IsEdge(service) }})
	c.distrib, err = distrib.NewServer(distrib.ServerConfig{
		Views: c.views, Workloads: c.registry, Trust: &c.board, Granted: c.granted, Name: processName(), Version: g.opt.Build.Version, Log: g.log,
	})
	if err != nil {
		return err
	}
	c.nodes.OnChange(c.distrib.Regrant)
	may := c.speaksFor(m.TrustDomain)
	c.evidence = collect.New(collect.Options{
		DB: g.db, May: may, Signals: g.takeSignals(may), Gone: g.signalsGone, Troubles: c.takeTroubles, Identity: distrib.PeerIdentity, Now: c.authority.Now, Log: g.log,
	})
	c.shared = fleet.Share(fleet.SharedOptions{
		DB: g.db, Collect: g.ownFleet, Moment: func() uint64 { return c.distrib.Moment() + g.applied.Load() + c.troubles.Moment() }, Elsewhere: c.distrib.Elsewhere, Log: g.log,
	})
	c.feed = replica.NewFeed(nil)
	c.asked = c.hub(g, m.TrustDomain, g.log)
	if c.listener, err = g.listenMesh(m.Listen); err != nil {
		return err
	}
	c.openReplicas(ctx, g)
	if err := c.openBundles(g); err != nil {
		return errors.Join(err, c.listener.Close())
	}
	c.door = newDoor(c.listener)
	c.serve(g)
	g.control = c
	return nil
}

// sealingSecrets are those of the authority's keys.
func (g *Gateway) sealingSecrets() ([][]byte, error) {
	if f := g.opt.Mesh.KeyFile; f != "" {
		return ca.ReadSecrets(f)
	}
	if !g.opt.State.Embedded() {
		return nil, errors.New("control planes that share a state store need the same secret for the keys of their authority: give each the same --ca-key-file")
	}
	return ca.ReadOrMakeSecret(filepath.Join(g.opt.StateDir, authorityKey))
}

// trust gives the process's own proxy whom to trust and, if it has none that lasts,
// an SVID.
func (c *control) trust(a *ca.Authority) error {
	change := identity.Change{Bundles: a.Keyring().Bundles(), Denied: a.Keyring().Denials()}
	if change.Denied == nil {
		change.Denied = []identity.Denial{}
	}
	if c.own.SVID(c.edge) == nil {
		svid, err := a.Issue(c.edge, "the control plane's own proxy")
		if err != nil {
			return fmt.Errorf("the identity of this process's own proxy: %w", err)
		}
		change.Own, change.Put = c.edge, []*identity.SVID{svid}
	}
	c.own.Apply(change)
	return c.board.put(change.Bundles, change.Denied)
}

// granted tells whether a node proxy may have a workload.
func (c *control) granted(p *distrib.Proxy, workload string) (bool, error) {
	if p.Role != distrib.RoleNode {
		return false, nil
	}
	node, err := identity.Parse(p.Identity)
	if err != nil {
		return false, err
	}
	id, err := identity.Parse(workload)
	if err != nil {
		return false, err
	}
	return c.nodes.May(node, id)
}

// listenMesh opens a port of the control plane, or has it of the process before.
func (g *Gateway) listenMesh(address string) (net.Listener, error) {
	if t := g.predecessor(); t != nil {
		if l := t.Listener(handover.RoleMesh, address); l != nil {
			return l, nil
		}
	}
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		err = fmt.Errorf("%w: %w", ErrMeshTaken, err)
	}
	return l, err
}

func (c *control) serve(g *Gateway) {
	keys := c.authority.Keyring()
	c.streams, c.left = newStreams(keys), make(chan struct{})
	c.grpc = grpc.NewServer(append(distrib.ServerOptions(), grpc.Creds(credentials.NewTLS(admit.ServerTLS(keys))), grpc.StreamInterceptor(c.streams.intercept))...)
	meshpb.RegisterDistributionServer(c.grpc, c.distrib)
	meshpb.RegisterJoinServer(c.grpc, c.join)
	meshpb.RegisterPeeringServer(c.grpc, peering.NewServer(peering.ServerOptions{
		Catalog: c.views, Caller: func(ctx context.Context) (identity.ID, error) { return admit.PeerID(ctx, keys) }, Log: g.log,
	}))
	c.evidence.Register(c.grpc)
	c.asked.Register(c.grpc)
}

// speaksFor tells whether a proxy may tell of traffic to a service: it is before its own
// workloads, or a node's where the service has workloads on nodes.
func (c *control) speaksFor(td identity.TrustDomain) func(who identity.ID, namespace, service string) bool {
	return func(who identity.ID, namespace, service string) bool {
		if who.TrustDomain() != td {
			return false
		}
		if who == identity.Workload(td, namespace, service) {
			return true
		}
		return identity.NameOf(who).Role == identity.RoleNode && slices.ContainsFunc(c.registry.Instances(namespace, service), func(i *registry.Instance) bool {
			return i.Role == distrib.RoleNode
		})
	}
}

// compiled puts what was compiled before proxies, and returns the endpoints of
// clusters of the process's own proxy. It runs with g.applying held.
func (c *control) compiled(cfg *ir.Config, mesh *ir.Mesh) ([]ir.EndpointUpdate, error) {
	if err := c.views.Apply(cfg, mesh); err != nil {
		return nil, err
	}
	c.importer.Set(mesh.Peers)
	return c.views.Endpoints(cfg.Clusters), nil
}

// beneath adds the Services that workloads make, where nobody wrote one.
func (c *control) beneath(set *store.Set) *store.Set {
	list, version := c.registry.Services()
	c.defined = version
	set, _ = set.Beneath(store.GroupKind{Kind: "Service"}, list) // somebody's own are meant to hold
	return set
}

// registered are what does not go together of what workloads say of Services that
// nobody wrote.
func (c *control) registered(set *store.Set) []store.Problem {
	return slices.DeleteFunc(c.registry.Problems(), func(p store.Problem) bool {
		o := set.Get(p.Object)
		return o == nil || !registry.Made(o)
	})
}

// runControl does the work of the control plane until ctx ends.
func (g *Gateway) runControl(ctx context.Context) error {
	c := g.control
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var wg sync.WaitGroup
	part := func(run func(context.Context) error) {
		wg.Go(func() {
			if err := run(ctx); err != nil && ctx.Err() == nil {
				stop(err)
			}
		})
	}
	part(func(ctx context.Context) error { c.authority.Run(ctx); return nil })
	part(c.nodes.Run)
	part(func(ctx context.Context) error { return g.opt.Mesh.SVIDs.Run(ctx, g.log, c.nodes.Changed) })
	part(c.registry.Run)
	part(c.workloads.Run)
	part(c.views.Run)
	part(c.shared.Run)
	part(c.importer.Run)
	part(func(ctx context.Context) error { c.follower.Run(ctx); return nil })
	part(c.distrib.Run)
	part(c.evidence.Run)
	part(func(ctx context.Context) error { g.keepTrust(ctx); return nil })
	part(func(ctx context.Context) error { g.followRegistry(ctx); return nil })
	part(func(context.Context) error { return c.grpc.Serve(c.door) })
	part(func(ctx context.Context) error { c.federation.Run(ctx); return nil })
	part(c.bundles.run)
	<-ctx.Done()
	c.dialer.Close()
	select {
	case <-c.left:
	case <-time.After(lastJoins):
	}
	c.grpc.Stop()
	c.streams.stop()
	wg.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// keepTrust hands the authority's changes to the process's own proxy, and renews its
// identity.
func (g *Gateway) keepTrust(ctx context.Context) {
	c := g.control
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		(&identity.Renewer{
			Keyring: c.own, ID: c.edge, Log: g.log, Now: c.authority.Now,
			Renew: func(context.Context) (*identity.SVID, error) {
				return c.authority.Issue(c.edge, "the control plane's own proxy")
			},
		}).Run(ctx)
	})
	changed, stop := c.authority.Keyring().Watch()
	defer stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
		if err := c.trust(c.authority); err != nil {
			g.log.Warn("mesh", "error", err)
		}
	}
}

// followRegistry takes in what workloads there are: Services that they make are
// compiled, and the process's own proxy gets their endpoints.
func (g *Gateway) followRegistry(ctx context.Context) {
	c := g.control
	for {
		changed := c.registry.Changed()
		g.applying.Lock()
		_, version := c.registry.Services()
		defined, cfg := version == c.defined, g.out.Config
		g.applying.Unlock()
		if !defined {
			g.lookAgain()
		}
		for _, u := range c.views.Endpoints(cfg.Clusters) {
			g.plane.Update(u)
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

// leave asks proxies to go to another control plane, or to the successor. From now on
// whoever connects is a successor's, which has the same socket; joins that are under way
// come to their end.
func (c *control) leave() {
	c.distrib.Drain(leaveWithin, "the control plane ends")
	c.feed.End()
	go func() {
		defer close(c.left)
		c.door.leave(lastIn)
		c.grpc.GracefulStop()
	}()
}

// ReloadGrants reads the grants for joining by SVIDs anew.
func (g *Gateway) ReloadGrants() {
	if g.control != nil && g.opt.Mesh.SVIDs != nil {
		g.opt.Mesh.SVIDs.Reload(g.log, g.control.nodes.Changed)
	}
}

// MeshAddr is where proxies of the mesh come; nil if they do not.
func (g *Gateway) MeshAddr() net.Addr {
	if g.control == nil {
		return nil
	}
	return g.control.listener.Addr()
}

// processName tells control planes apart.
func processName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	return fmt.Sprintf("%s/%d", host, os.Getpid())
}
