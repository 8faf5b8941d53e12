package peering

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/proto"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/admit"
	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/identity/identitytest"
	"github.com/gridway/gridway/internal/mesh/meshpb"
	"github.com/gridway/gridway/internal/mesh/registry"
	"github.com/gridway/gridway/internal/mesh/view"
)

// catalog has what a test says.
type catalog struct {
	mu      sync.Mutex
	has     map[string]view.Exported // by trust domain
	changed chan struct{}
}

func (c *catalog) Exported(td identity.TrustDomain) (view.Exported, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.has[td.Name()]
	return e, ok
}

func (c *catalog) Changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

func (c *catalog) set(td string, e *view.Exported) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if delete(c.has, td); e != nil {
		c.has[td] = *e
	}
	close(c.changed)
	c.changed = make(chan struct{})
}

// control is the keyring of a control plane.
func control(own *identitytest.Authority, others ...*identitytest.Authority) *identity.Keyring {
	k := identity.NewKeyring(identity.Options{})
	svid := own.SVID(identity.Control(own.TrustDomain()), time.Hour)
	bundles := []*identity.Bundle{own.Bundle()}
	for _, o := range others {
		bundles = append(bundles, o.Bundle())
	}
	k.Apply(identity.Change{Own: svid.ID(), Put: []*identity.SVID{svid}, Bundles: bundles})
	return k
}

// serve is a control plane at an address of the kernel's choice, or at that one.
func serve(t *testing.T, k *identity.Keyring, c *catalog, address string) (at string, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(grpc.Creds(credentials.NewTLS(admit.ServerTLS(k))))
	meshpb.RegisterPeeringServer(s, NewServer(ServerOptions{Catalog: c, Caller: func(ctx context.Context) (identity.ID, error) { return admit.PeerID(ctx, k) }}))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l)
	}()
	stop = sync.OnceFunc(func() {
		s.Stop()
		<-done
	})
	t.Cleanup(stop)
	return l.Addr().String(), stop
}

func begin(t *testing.T, o Options, peers ...*ir.MeshPeer) *Importer {
	t.Helper()
	m := New(o)
	m.Set(peers)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = m.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return m
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatal(what)
}

func exported(services ...string) *view.Exported {
	e := &view.Exported{Edges: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:15443"), netip.MustParseAddrPort("192.0.2.2:15443")}}
	for _, s := range services {
		e.Services = append(e.Services, view.ExportedService{
			Namespace: "shop", Name: s, Identity: "spiffe://west.example/ns/shop/sa/" + s, Weight: 4, Ports: []distrib.Port{{Number: 80, Protocol: "http"}},
		})
	}
	return e
}

// What a mesh offers becomes workloads here, changes with it, and stays while its control
// plane is away, also for a process that starts then.
func TestImport(t *testing.T) {
	west, east := identitytest.New(t, "west.example"), identitytest.New(t, "east.example")
	c := &catalog{has: map[string]view.Exported{}, changed: make(chan struct{})}
	c.set("east.example", exported("ratings", "reviews"))
	at, stop := serve(t, control(west, east), c, "127.0.0.1:0")
	reg := registry.New(registry.Options{TrustDomain: east.TrustDomain()})
	spec := &ir.MeshPeer{Name: "west", TrustDomain: "west.example", Addresses: []string{at}, Imports: []ir.MeshImport{
		{Namespace: "shop", Services: []string{"ratings"}, Into: "shop", Priority: 1}, {Namespace: "shop", Into: "lab", Suffix: "-west"},
	}}
	o := Options{Keyring: control(east, west), Into: reg, Folder: t.TempDir(), Process: "test"}
	m := begin(t, o, spec)
	has := func(n int, service string) func() bool {
		return func() bool {
			ns, name, _ := strings.Cut(service, "/")
			list := reg.Instances(ns, name)
			return len(list) == n && (n == 0 || list[0].Peer.Name == "west" && list[0].Weight == 2 && list[0].Healthy)
		}
	}
	eventually(t, "both edges of ratings", has(2, "shop/ratings"))
	eventually(t, "and under another name", has(2, "lab/reviews-west"))
	i := reg.Instances("shop", "ratings")[0]
	if i.Identity != "spiffe://west.example/ns/shop/sa/ratings" || i.Address != "192.0.2.1" || i.MeshPort != 15443 || i.Peer.Priority != 1 || i.Peer.Service != "ratings" {
		t.Errorf("%+v %+v", i, i.Peer)
	}
	if !has(0, "shop/reviews")() {
		t.Error("reviews is imported under its own name")
	}
	eventually(t, "where it is connected to", func() bool {
		s := m.States()[0]
		return s.Address == at && s.Services == 3 && s.Edges == 2 && s.Known
	})
	c.set("east.example", exported("ratings"))
	eventually(t, "what is exported no more is gone", has(0, "lab/reviews-west"))
	stop()
	eventually(t, "it is known to be away", func() bool { return m.States()[0].Error != "" })
	if !has(2, "shop/ratings")() {
		t.Error("what it said last is forgotten")
	}
	again := registry.New(registry.Options{TrustDomain: east.TrustDomain()})
	o.Into = again
	begin(t, o, spec)
	if len(again.Instances("shop", "ratings")) != 2 {
		t.Error("what was kept does not hold")
	}
	_, stop = serve(t, control(west, east), c, at)
	eventually(t, "it is back", func() bool { return m.States()[0].Address == at })
	// Another address of the same mesh loses nothing on the way.
	other, _ := serve(t, control(west, east), c, "127.0.0.1:0")
	moved := *spec
	moved.Addresses = []string{other}
	m.Set([]*ir.MeshPeer{&moved})
	if !has(2, "shop/ratings")() {
		t.Error("a change of addresses loses what is known")
	}
	eventually(t, "the other address answers", func() bool { return m.States()[0].Address == other })
	m.Set([]*ir.MeshPeer{spec})
	eventually(t, "the first one does again", func() bool { return m.States()[0].Address == at })
	// Other imports need no other connection.
	less := *spec
	less.Imports = spec.Imports[:1]
	m.Set([]*ir.MeshPeer{&less})
	if !has(0, "lab/ratings-west")() || m.States()[0].Services != 1 {
		t.Errorf("%+v", m.States())
	}
	c.set("east.example", nil)
	eventually(t, "who exports nothing any more is believed", has(0, "shop/ratings"))
	if s := m.States()[0]; !strings.Contains(s.Error, "no MeshPeer here exports anything to the trust domain east.example") {
		t.Errorf("%+v", s)
	}
	m.Set(nil)
	if len(m.States()) != 0 {
		t.Error("a peer that is not meant any more is there")
	}
	stop()
}

// Nobody but control planes of the right trust domains talk to each other.
func TestStrangers(t *testing.T) {
	west, east, other := identitytest.New(t, "west.example"), identitytest.New(t, "east.example"), identitytest.New(t, "west.example")
	c := &catalog{has: map[string]view.Exported{"east.example": *exported("ratings")}, changed: make(chan struct{})}
	at, _ := serve(t, control(west, east), c, "127.0.0.1:0")
	impostor, _ := serve(t, control(other, east), c, "127.0.0.1:0")
	workload := identity.NewKeyring(identity.Options{})
	svid := east.Workload("shop", "reviews")
	workload.Apply(identity.Change{Own: svid.ID(), Put: []*identity.SVID{svid}, Bundles: []*identity.Bundle{east.Bundle(), west.Bundle()}})
	for name, x := range map[string]struct {
		keys *identity.Keyring
		at   string
		td   string
		want string
	}{
		"a workload asks":                     {workload, at, "west.example", "is no control plane"},
		"somebody with the same name answers": {control(east, west), impostor, "west.example", "not trusted"},
		"another trust domain answers":        {control(east, west), at, "east.example", "and not spiffe://east.example/gridway/control"},
		"who asks is not trusted":             {control(other, west), at, "west.example", ""}, // TLS may end before it says why
	} {
		t.Run(name, func(t *testing.T) {
			reg := registry.New(registry.Options{TrustDomain: east.TrustDomain()})
			m := begin(t, Options{Keyring: x.keys, Into: reg, Folder: t.TempDir()}, &ir.MeshPeer{
				Name: "peer", TrustDomain: x.td, Addresses: []string{x.at}, Imports: []ir.MeshImport{{Namespace: "shop", Into: "shop"}},
			})
			eventually(t, "it is refused", func() bool { return m.States()[0].Error != "" })
			if s := m.States()[0]; !strings.Contains(s.Error, x.want) || s.Services != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestReadOffer(t *testing.T) {
	td, _ := identity.ParseTrustDomain("west.example")
	good := func() *meshpb.Offer { return offerOf(*exported("ratings")) }
	if _, err := readOffer(td, good()); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*meshpb.Offer){
		"is not IP:PORT":     func(o *meshpb.Offer) { o.Edges = []string{"edge.west:15443"} },
		"0.0.0.0:1":          func(o *meshpb.Offer) { o.Edges = []string{"0.0.0.0:1"} },
		"would have to be":   func(o *meshpb.Offer) { o.Services[0].Identity = "spiffe://east.example/ns/shop/sa/ratings" },
		"a port that cannot": func(o *meshpb.Offer) { o.Services[0].Ports[0].Number = 70000 },
		"a service that it":  func(o *meshpb.Offer) { o.Services[0].Namespace = "../up" },
		"more than 10000":    func(o *meshpb.Offer) { o.Edges = make([]string, maxEdges+1) },
	} {
		o := good()
		change(o)
		if _, err := readOffer(td, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// Whatever a peer says, what is used of it is of its own trust domain.
func FuzzOffer(f *testing.F) {
	td, _ := identity.ParseTrustDomain("west.example")
	seed, _ := proto.Marshal(offerOf(*exported("ratings", "reviews")))
	f.Add(seed)
	f.Add([]byte{})
	spec := &ir.MeshPeer{Name: "west", Imports: []ir.MeshImport{{Namespace: "shop", Into: "shop", Suffix: "-west"}}}
	f.Fuzz(func(t *testing.T, text []byte) {
		o := &meshpb.Offer{}
		if proto.Unmarshal(text, o) != nil {
			return
		}
		read, err := readOffer(td, o)
		if err != nil {
			return
		}
		for _, i := range instances(spec, td, read) {
			id, err := identity.Parse(i.Identity)
			if err != nil || id.TrustDomain() != td || i.Namespace != "shop" || !strings.HasSuffix(i.Service, "-west") {
				t.Errorf("%+v: %v", i, err)
			}
		}
	})
}
