package distrib_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/meshpb"
)

type stream = grpc.BidiStreamingClient[meshpb.FromProxy, meshpb.FromControl]

// speak opens a stream whose proxy is the test.
func speak(t *testing.T, c *control) stream {
	t.Helper()
	conn, err := dials(one(c))("a")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	s, err := meshpb.NewDistributionClient(conn).Stream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func say(t *testing.T, s stream, list ...*meshpb.FromProxy) {
	t.Helper()
	for _, m := range list {
		if err := s.Send(m); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	}
}

func hello(h *meshpb.Hello) *meshpb.FromProxy {
	if h.Proxy == "" {
		h.Proxy = "raw"
	}
	if h.Role == 0 {
		h.Role = meshpb.Role_ROLE_SIDECAR
	}
	return &meshpb.FromProxy{Message: &meshpb.FromProxy_Hello{Hello: h}}
}

func hear(t *testing.T, s stream) *meshpb.FromControl {
	t.Helper()
	m, err := s.Recv()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestServerRefuses(t *testing.T) {
	v := newViews()
	many := make([]string, 10_001)
	for i := range many {
		many[i] = fmt.Sprintf("shop/s%d", i)
	}
	work := func(w *meshpb.Workload) *meshpb.Hello { return &meshpb.Hello{Workloads: []*meshpb.Workload{w}} }
	for name, x := range map[string]struct {
		say  []*meshpb.FromProxy
		code codes.Code
		want string
	}{
		"no hello":             {[]*meshpb.FromProxy{{Message: &meshpb.FromProxy_Ack{}}}, codes.InvalidArgument, "first message"},
		"no name":              {[]*meshpb.FromProxy{{Message: &meshpb.FromProxy_Hello{Hello: &meshpb.Hello{Role: 1}}}}, codes.InvalidArgument, "name"},
		"a role of later":      {[]*meshpb.FromProxy{hello(&meshpb.Hello{Role: 77})}, codes.InvalidArgument, "role 77"},
		"no service":           {[]*meshpb.FromProxy{hello(&meshpb.Hello{Services: []string{"cart"}})}, codes.InvalidArgument, "namespace/name"},
		"many services":        {[]*meshpb.FromProxy{hello(&meshpb.Hello{Services: many})}, codes.InvalidArgument, "10001 services"},
		"subscribes to many":   {[]*meshpb.FromProxy{hello(&meshpb.Hello{}), {Message: &meshpb.FromProxy_Subscribe{Subscribe: &meshpb.Subscribe{Services: many}}}}, codes.ResourceExhausted, "10001"},
		"another's workload":   {[]*meshpb.FromProxy{hello(work(&meshpb.Workload{Namespace: "shop", Service: "bank", Address: "10.0.0.1"}))}, codes.PermissionDenied, "may not speak for spiffe://test/ns/shop/sa/bank"},
		"another's, later":     {[]*meshpb.FromProxy{hello(&meshpb.Hello{}), hello(work(&meshpb.Workload{Namespace: "shop", Service: "bank", Address: "10.0.0.1"}))}, codes.PermissionDenied, "bank"},
		"a workload nowhere":   {[]*meshpb.FromProxy{hello(work(&meshpb.Workload{Namespace: "shop", Service: "cart", Address: "home"}))}, codes.InvalidArgument, "no IP address"},
		"port 0":               {[]*meshpb.FromProxy{hello(work(&meshpb.Workload{Namespace: "shop", Service: "cart", Address: "::1", Ports: []*meshpb.WorkloadPort{{}}}))}, codes.InvalidArgument, "0 is no port"},
		"held before it is so": {[]*meshpb.FromProxy{hello(&meshpb.Hello{Held: true}), {Message: &meshpb.FromProxy_Ack{}}}, codes.InvalidArgument, "what the proxy has"},
	} {
		t.Run(name, func(t *testing.T) {
			s := speak(t, newControl(t, v))
			say(t, s, x.say...)
			var err error
			for err == nil {
				_, err = s.Recv()
			}
			if status.Code(err) != x.code || !strings.Contains(err.Error(), x.want) {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("streams", func(t *testing.T) {
		c := newControl(t, v, func(cfg *distrib.ServerConfig) { cfg.MaxStreams = 1 })
		first := speak(t, c)
		say(t, first, hello(&meshpb.Hello{}))
		hear(t, first)
		if _, err := speak(t, c).Recv(); status.Code(err) != codes.ResourceExhausted {
			t.Errorf("got %v", err)
		}
	})
}

// The roster knows who is there, and who speaks for whom.
func TestWorkloads(t *testing.T) {
	r := &roster{events: make(chan string, 100)}
	granted := func(_ *distrib.Proxy, id string) (bool, error) { return id == "spiffe://test/ns/shop/sa/bank", nil }
	c := newControl(t, newViews(), func(cfg *distrib.ServerConfig) { cfg.Workloads, cfg.Granted = r, granted })
	workloads := []*meshpb.Workload{
		{Namespace: "shop", Service: "cart", Address: "10.0.0.1", Ports: []*meshpb.WorkloadPort{{Number: 80}}},
		{Namespace: "shop", Service: "bank", Address: "10.0.0.1", Healthy: true},
	}
	s := speak(t, c)
	say(t, s, hello(&meshpb.Hello{Workloads: workloads}))
	r.expect(t, "joined cart=false bank=true")
	say(t, s, &meshpb.FromProxy{Message: &meshpb.FromProxy_Health{Health: &meshpb.Health{Workloads: []*meshpb.WorkloadHealth{{Namespace: "shop", Service: "cart", Healthy: true}}}}})
	r.expect(t, "joined cart=true bank=true")
	say(t, s, hello(&meshpb.Hello{Workloads: workloads[:1]}))
	r.expect(t, "joined cart=false")
	// Another stream of the same proxy takes over; nobody leaves.
	again := speak(t, c)
	say(t, again, hello(&meshpb.Hello{Workloads: workloads}))
	r.expect(t, "joined cart=false bank=true")
	for {
		if _, err := s.Recv(); err != nil {
			if status.Code(err) != codes.Aborted {
				t.Errorf("the first stream ends with %v", err)
			}
			break
		}
	}
	if err := again.CloseSend(); err != nil {
		t.Fatal(err)
	}
	r.expect(t, "left orderly=true")
	third := speak(t, c)
	say(t, third, hello(&meshpb.Hello{}))
	r.expect(t, "joined")
	c.kill()
	r.expect(t, "left orderly=false")
}

type roster struct{ events chan string }

func (r *roster) Joined(p *distrib.Proxy) {
	text := "joined"
	for _, w := range p.Workloads {
		text += fmt.Sprintf(" %s=%v", w.Service, w.Healthy)
	}
	r.events <- text
}

func (r *roster) Left(_ *distrib.Proxy, orderly bool) {
	r.events <- fmt.Sprint("left orderly=", orderly)
}

func (r *roster) expect(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-r.events:
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("not told: %s", want)
	}
}

// scripted is a control plane that the test speaks for.
type scripted struct {
	meshpb.UnimplementedDistributionServer
	do func(n int, s grpc.BidiStreamingServer[meshpb.FromProxy, meshpb.FromControl]) error
	n  atomic.Int64
}

func (s *scripted) Stream(x grpc.BidiStreamingServer[meshpb.FromProxy, meshpb.FromControl]) error {
	return s.do(int(s.n.Add(1)), x)
}

// serve has a scripted control plane listen.
func serve(t *testing.T, do func(n int, s grpc.BidiStreamingServer[meshpb.FromProxy, meshpb.FromControl]) error) map[string]*control {
	t.Helper()
	c := &control{listener: listen()}
	server := grpc.NewServer()
	meshpb.RegisterDistributionServer(server, &scripted{do: do})
	go func() { _ = server.Serve(c.listener) }()
	t.Cleanup(server.Stop)
	return one(c)
}

// sent are the resources of a small view in parts.
func sent(t *testing.T, text string) []*meshpb.Resource {
	t.Helper()
	c := &ir.Config{
		Clusters: []*ir.Cluster{{Name: "shop/cart", Endpoints: endpointsOf([]string{"10.0.0.1:80"})}},
		Routes:   []*ir.Route{{Name: "shop/cart", Rules: []*ir.Rule{{ID: "r", Name: text}}}},
	}
	list, err := distrib.Split(c)
	if err != nil {
		t.Fatal(err)
	}
	var out []*meshpb.Resource
	for _, r := range list {
		out = append(out, &meshpb.Resource{Kind: r.Kind, Name: r.Name, Hash: r.Hash, Body: r.Body})
	}
	return out
}

func sum(list []*meshpb.Resource) uint64 {
	var all []*distrib.Resource
	for _, r := range list {
		all = append(all, &distrib.Resource{Kind: r.GetKind(), Name: r.GetName(), Hash: r.GetHash()})
	}
	return distrib.Sum(all)
}

func update(u *meshpb.Update) *meshpb.FromControl {
	return &meshpb.FromControl{Message: &meshpb.FromControl_Update{Update: u}}
}

func greet(s grpc.BidiStreamingServer[meshpb.FromProxy, meshpb.FromControl]) (held []*meshpb.HeldResource, err error) {
	for {
		m, err := s.Recv()
		if err != nil {
			return nil, err
		}
		held = append(held, m.GetHeld().GetResources()...)
		if m.GetHeld().GetLast() {
			return held, s.Send(&meshpb.FromControl{Message: &meshpb.FromControl_Welcome{Welcome: &meshpb.Welcome{}}})
		}
	}
}

// A control plane that dies in the middle of an update has changed nothing.
func TestUpdateInParts(t *testing.T) {
	first, second := sent(t, "one"), sent(t, "two")
	p := newProxy(t, newPlane(), serve(t, func(n int, s grpc.BidiStreamingServer[meshpb.FromProxy, meshpb.FromControl]) error {
		held, err := greet(s)
		if err != nil {
			return err
		}
		if n == 1 {
			if err := s.Send(update(&meshpb.Update{Part: 1, Parts: 1, Upserts: first, Revision: &meshpb.Revision{Number: 1, Hash: sum(first)}})); err != nil {
				return err
			}
			if _, err := s.Recv(); err != nil {
				return err
			}
			if err := s.Send(update(&meshpb.Update{Part: 1, Parts: 2, Upserts: second[:2]})); err != nil {
				return err
			}
			return status.Error(codes.Unavailable, "killed")
		}
		if len(held) != len(first) {
			return status.Error(codes.Internal, "the proxy has not what it was sent whole")
		}
		for _, r := range first {
			if !slices.ContainsFunc(held, func(h *meshpb.HeldResource) bool { return h.GetKind() == r.GetKind() && h.GetHash() == r.GetHash() }) {
				t.Errorf("it does not have %s as of the first update", r.GetKind())
			}
		}
		// A body in pieces, one resource to a part.
		for i, r := range second {
			u := &meshpb.Update{Part: uint32(i + 1), Parts: uint32(len(second)) + 1, Upserts: []*meshpb.Resource{r}}
			if i == len(second)-1 {
				half := len(r.GetBody()) / 2
				u.Upserts = []*meshpb.Resource{{Kind: r.GetKind(), Name: r.GetName(), Hash: r.GetHash(), Size: uint64(len(r.GetBody())), Body: r.GetBody()[:half]}}
				if err := s.Send(update(u)); err != nil {
					return err
				}
				u = &meshpb.Update{Part: uint32(i + 2), Parts: uint32(len(second)) + 1, Revision: &meshpb.Revision{Number: 2, Hash: sum(second)}, Upserts: []*meshpb.Resource{
					{Kind: r.GetKind(), Name: r.GetName(), Hash: r.GetHash(), Size: uint64(len(r.GetBody())), Body: r.GetBody()[half:]},
				}}
			}
			if err := s.Send(update(u)); err != nil {
				return err
			}
		}
		<-s.Context().Done()
		return nil
	}))
	p.until(t, "the second is served", func() bool { return p.text("shop/cart") == "two" })
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.applies != 2 {
		t.Errorf("%d configurations were applied", p.applies)
	}
}

// What is not what its hash says is asked for again, a few times.
func TestWrongHashes(t *testing.T) {
	right, wrong := sent(t, "one"), sent(t, "one")
	for _, r := range wrong {
		if r.GetKind() == distrib.KindRoute {
			r.Body = []byte(strings.Replace(string(r.GetBody()), "one", "bad", 1))
		}
	}
	ended, through := make(chan error, 10), make(chan struct{})
	p := newProxy(t, newPlane(), serve(t, func(n int, s grpc.BidiStreamingServer[meshpb.FromProxy, meshpb.FromControl]) error {
		if _, err := greet(s); err != nil {
			return err
		}
		if n == 1 { // it never gets right
			for {
				if err := s.Send(update(&meshpb.Update{Part: 1, Parts: 1, Full: true, Upserts: wrong, Revision: &meshpb.Revision{Hash: sum(wrong)}})); err != nil {
					return err
				}
				m, err := s.Recv()
				if err != nil {
					ended <- err
					return err
				}
				if m.GetResend() == nil || len(m.GetResend().GetResources()) != 0 {
					t.Errorf("got %v", m)
				}
			}
		}
		if err := s.Send(update(&meshpb.Update{Part: 1, Parts: 1, Upserts: right, Revision: &meshpb.Revision{Hash: sum(right) + 1}})); err != nil {
			return err
		}
		if m, err := s.Recv(); err != nil || m.GetResend() == nil {
			t.Errorf("of a wrong sum: %v %v", m, err)
		}
		if err := s.Send(update(&meshpb.Update{Part: 1, Parts: 1, Full: true, Upserts: right, Revision: &meshpb.Revision{Hash: sum(right)}})); err != nil {
			return err
		}
		if m, err := s.Recv(); err != nil || m.GetAck() == nil {
			t.Errorf("got %v %v", m, err)
		}
		// A change of endpoints that are not there.
		if err := s.Send(&meshpb.FromControl{Message: &meshpb.FromControl_Endpoints{Endpoints: &meshpb.EndpointDelta{Cluster: "shop/cart", Base: 7, Hash: 8}}}); err != nil {
			return err
		}
		if m, err := s.Recv(); err != nil || len(m.GetResend().GetResources()) != 1 {
			t.Errorf("got %v %v", m, err)
		}
		close(through)
		<-s.Context().Done()
		return nil
	}))
	<-through
	p.until(t, "it is served at last", func() bool { return p.text("shop/cart") == "one" })
	if len(ended) != 1 {
		t.Error("the stream that is always wrong has not been given up")
	}
}

// A peer of a later version says things that this one does not know.
func TestLaterVersions(t *testing.T) {
	t.Run("control plane", func(t *testing.T) {
		list := sent(t, "one")
		p := newProxy(t, newPlane(), serve(t, func(_ int, s grpc.BidiStreamingServer[meshpb.FromProxy, meshpb.FromControl]) error {
			if _, err := greet(s); err != nil {
				return err
			}
			hologram := &meshpb.Resource{Kind: "hologram", Name: "h", Body: []byte("?"), Hash: xxhash.Sum64String("?")}
			all := append(slices.Clone(list), hologram)
			slices.SortFunc(all, func(a, b *meshpb.Resource) int { return strings.Compare(a.GetKind(), b.GetKind()) })
			u := &meshpb.Update{Part: 1, Parts: 1, Upserts: all, Revision: &meshpb.Revision{Number: 1, Hash: sum(all)}}
			m := update(u)
			unknown := protowire.AppendTag(nil, 999, protowire.BytesType)
			unknown = protowire.AppendString(unknown, "of later")
			u.ProtoReflect().SetUnknown(unknown)
			u.Revision.ProtoReflect().SetUnknown(unknown)
			u.Upserts[0].ProtoReflect().SetUnknown(unknown)
			later := &meshpb.FromControl{} // a message that is none of those that are known
			later.ProtoReflect().SetUnknown(unknown)
			for _, m := range []proto.Message{later, m, later} {
				if err := s.SendMsg(m); err != nil {
					return err
				}
			}
			for {
				if m, err := s.Recv(); err != nil || m.GetNack() != nil {
					t.Errorf("got %v %v", m, err)
				} else if m.GetAck() != nil {
					break
				}
			}
			<-s.Context().Done()
			return nil
		}))
		p.until(t, "what is known is served", func() bool { return p.text("shop/cart") == "one" })
	})
	t.Run("proxy", func(t *testing.T) {
		v := newViews()
		v.set("shop/cart", "one")
		s := speak(t, newControl(t, v))
		h := hello(&meshpb.Hello{Services: []string{"shop/cart"}})
		unknown := protowire.AppendTag(nil, 999, protowire.VarintType)
		unknown = protowire.AppendVarint(unknown, 1)
		h.GetHello().ProtoReflect().SetUnknown(unknown)
		later := &meshpb.FromProxy{}
		later.ProtoReflect().SetUnknown(unknown)
		say(t, s, h, later)
		if m := hear(t, s); m.GetWelcome() == nil {
			t.Errorf("got %v", m)
		}
		if m := hear(t, s); len(m.GetUpdate().GetUpserts()) != 3 {
			t.Errorf("got %v", m)
		}
	})
}

// Resources that are longer than a message arrive, in pieces.
func TestLongResources(t *testing.T) {
	v := newViews()
	long := strings.Repeat("long ", 1_000_000)
	v.set("shop/cart", long, "10.0.0.1:80")
	v.set("shop/ratings", "short")
	p := newProxy(t, newPlane(), one(newControl(t, v)), func(cfg *distrib.ClientConfig) {
		cfg.Proxy.Services = []string{"shop/cart", "shop/ratings"}
	})
	p.until(t, "all is served", func() bool { return p.text("shop/cart") == long && p.text("shop/ratings") == "short" })
}

func TestTrust(t *testing.T) {
	v := newViews()
	source := &trust{changed: make(chan struct{}), denied: "a"}
	c := newControl(t, v, func(cfg *distrib.ServerConfig) { cfg.Trust = source })
	p := newProxy(t, newPlane(), one(c))
	told := func(want string) func() bool {
		return func() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.plane.trust == want }
	}
	p.until(t, "it is told", told("roots/a"))
	source.deny("b")
	p.until(t, "it is told of the change", told("roots/b"))
}

// mutual is TLS as between proxies and control planes, with certificates for the
// identities of both.
func mutual(t *testing.T) (server, client credentials.TransportCredentials) {
	t.Helper()
	key := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	rootKey := key()
	root := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, rootKey.Public(), rootKey)
	if err != nil {
		t.Fatal(err)
	}
	if root, err = x509.ParseCertificate(rootDER); err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(root)
	leaf := func(id string) tls.Certificate {
		uri, err := url.Parse(id)
		if err != nil {
			t.Fatal(err)
		}
		k := key()
		der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
			SerialNumber: big.NewInt(2), NotAfter: time.Now().Add(time.Hour), URIs: []*url.URL{uri}, DNSNames: []string{"control"},
		}, root, k.Public(), rootKey)
		if err != nil {
			t.Fatal(err)
		}
		return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: k}
	}
	server = credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{leaf("spiffe://test/gridway/control")}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, MinVersion: tls.VersionTLS13,
	})
	client = credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{leaf(identity)}, RootCAs: pool, ServerName: "control", MinVersion: tls.VersionTLS13})
	return server, client
}

func TestMutualTLSOverLoopback(t *testing.T) {
	serverTLS, clientTLS := mutual(t)
	v := newViews()
	v.set("shop/cart", "one", "10.0.0.1:80")
	s, err := distrib.NewServer(distrib.ServerConfig{Views: v, Log: logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(append(distrib.ServerOptions(), grpc.Creds(serverTLS))...)
	s.Register(server)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		_ = s.Run(ctx)
		close(done)
	}()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { stop(); <-done; server.Stop() })

	p := newProxy(t, newPlane(), nobody(), func(cfg *distrib.ClientConfig) {
		cfg.Dial, cfg.Credentials, cfg.Targets = nil, clientTLS, []string{l.Addr().String()}
		cfg.Proxy.Workloads = []distrib.Workload{{Namespace: "shop", Service: "cart", Address: "10.0.0.1"}}
	})
	p.until(t, "the view is served", func() bool { return p.text("shop/cart") == "one" })
	if st := s.Proxies(); st[0].Identity != identity {
		t.Errorf("it is known as %s", st[0].Identity)
	}
	thief := newProxy(t, newPlane(), nobody(), func(cfg *distrib.ClientConfig) {
		cfg.Dial, cfg.Credentials, cfg.Targets = nil, clientTLS, []string{l.Addr().String()}
		cfg.Proxy.Name = "thief"
		cfg.Proxy.Workloads = []distrib.Workload{{Namespace: "shop", Service: "bank", Address: "10.0.0.1"}}
	})
	thief.until(t, "who claims another's service is refused", func() bool { return strings.Contains(thief.Status().Problem, "may not speak for") })
}
