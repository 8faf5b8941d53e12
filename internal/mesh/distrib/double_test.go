package distrib_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/distrib"
)

const identity = "spiffe://test/ns/shop/sa/cart"

// views is a control plane whose proxies get the clusters and routes of the services
// that they use: service "shop/cart" has both of the name "shop/cart".
type views struct {
	epoch string

	mu       sync.Mutex
	number   uint64
	encoder  distrib.Encoder
	services map[string]*ir.Cluster
	routes   map[string]*ir.Route
	all      []*distrib.Resource
	changed  chan struct{}
	changes  []distrib.Change
	made     int // views
	broken   error
}

func newViews() *views {
	return &views{services: map[string]*ir.Cluster{}, routes: map[string]*ir.Route{}, changed: make(chan struct{})}
}

// set makes a service with so many endpoints, whose route has a text.
func (v *views) set(service, text string, addresses ...string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	c := &ir.Cluster{Name: service, Ref: ir.Ref{Kind: "Service", Namespace: "shop", Name: service}, Endpoints: endpointsOf(addresses)}
	v.services[service] = c
	v.routes[service] = &ir.Route{
		Name: service, Ref: ir.Ref{Kind: "HTTPRoute", Namespace: "shop", Name: service}, Rules: []*ir.Rule{{ID: service, Name: text}},
	}
	v.number++
	v.encode()
	v.tell(distrib.Change{Services: []string{service}})
}

func endpointsOf(addresses []string) (out []ir.Endpoint) {
	for _, a := range addresses {
		out = append(out, ir.Endpoint{Address: a, Weight: 1, Zone: "a"})
	}
	return out
}

// endpoints changes those of a service alone.
func (v *views) endpoints(service string, addresses ...string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	c := *v.services[service]
	c.Endpoints = endpointsOf(addresses)
	v.services[service] = &c
	r, err := distrib.EncodeEndpoints(service, c.Endpoints)
	if err != nil {
		panic(err)
	}
	v.all = slices.Clone(v.all)
	for i, x := range v.all {
		if x.Key() == r.Key() {
			v.all[i] = r
		}
	}
	v.tell(distrib.Change{Endpoints: []*distrib.Resource{r}})
}

func (v *views) encode() {
	c := &ir.Config{}
	for _, x := range v.services {
		c.Clusters = append(c.Clusters, x)
	}
	for _, x := range v.routes {
		c.Routes = append(c.Routes, x)
	}
	var err error
	if v.all, err = v.encoder.Split(c); err != nil {
		panic(err)
	}
}

func (v *views) tell(c distrib.Change) {
	v.changes = append(v.changes, c)
	close(v.changed)
	v.changed = make(chan struct{})
}

func (v *views) View(p *distrib.Proxy) (distrib.View, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.made++
	if v.broken != nil {
		return distrib.View{}, v.broken
	}
	out := distrib.View{Number: v.number, Epoch: v.epoch, Services: p.Services}
	for _, s := range p.Services {
		if v.services[s] == nil {
			out.Unknown = append(out.Unknown, s)
		}
	}
	for _, r := range v.all {
		if slices.Contains(p.Services, r.Name) {
			out.Resources = append(out.Resources, r)
		}
	}
	return out, nil
}

func (v *views) Changed() <-chan struct{} {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.changed
}

func (v *views) Since(moment uint64) distrib.Change {
	v.mu.Lock()
	defer v.mu.Unlock()
	out := distrib.Change{Moment: uint64(len(v.changes))}
	newest := map[string]*distrib.Resource{}
	for _, c := range v.changes[moment:] {
		out.Services = append(out.Services, c.Services...)
		for _, r := range c.Endpoints {
			newest[r.Name] = r
		}
	}
	for _, r := range newest {
		out.Endpoints = append(out.Endpoints, r)
	}
	return out
}

// plane is a data plane that remembers.
type plane struct {
	mu     sync.Mutex
	config *ir.Config
	// refuse is why Apply fails; applies counts.
	refuse  func(*ir.Config) error
	applies int
	updates int
	trust   string
	served  map[string][]string // addresses by cluster
	changed chan struct{}
	// hold blocks Apply until it is closed.
	hold chan struct{}
}

func newPlane() *plane { return &plane{changed: make(chan struct{}), served: map[string][]string{}} }

func (p *plane) Apply(c *ir.Config) error {
	p.mu.Lock()
	hold := p.hold
	p.mu.Unlock()
	if hold != nil {
		<-hold
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.tell()
	p.applies++
	var err error
	if p.refuse != nil {
		if err = p.refuse(c); err != nil && !errors.As(err, new(*distrib.PartialError)) {
			return err
		}
	}
	p.config = c
	p.served = map[string][]string{}
	for _, x := range c.Clusters {
		p.served[x.Name] = addresses(x.Endpoints)
	}
	return err
}

func addresses(list []ir.Endpoint) []string {
	out := []string{}
	for _, e := range list {
		out = append(out, e.Address)
	}
	return out
}

func (p *plane) Endpoints(u ir.EndpointUpdate) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.tell()
	p.updates++
	if p.served[u.Cluster] != nil {
		p.served[u.Cluster] = addresses(u.Endpoints)
	}
}

func (p *plane) Trust(bundles, denied []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.tell()
	p.trust = string(bundles) + "/" + string(denied)
}

func (p *plane) tell() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// text is that of a service's route, empty if it is not served.
func (p *plane) text(service string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.config == nil {
		return ""
	}
	for _, r := range p.config.Routes {
		if r.Name == service {
			return r.Rules[0].Name
		}
	}
	return ""
}

func (p *plane) addresses(service string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.served[service])
}

// until waits for something to hold. It looks again with each change, and now and
// then for what makes none.
func (p *plane) until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		p.mu.Lock()
		changed := p.changed
		p.mu.Unlock()
		if holds() {
			return
		}
		select {
		case <-changed:
		case <-time.After(5 * time.Millisecond):
		case <-deadline:
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

// control is a control plane that listens inside the process.
type control struct {
	*distrib.Server
	views    *views
	listener *bufconn.Listener
	grpc     *grpc.Server
	stop     context.CancelFunc
	done     chan struct{}
	once     sync.Once
}

type controlOption func(*distrib.ServerConfig)

func newControl(t *testing.T, v *views, options ...controlOption) *control {
	t.Helper()
	cfg := distrib.ServerConfig{
		Views: v, Name: "control", Version: "test", Log: logger(t),
		Identify: func(context.Context) (string, error) { return identity, nil },
	}
	for _, o := range options {
		o(&cfg)
	}
	s, err := distrib.NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	c := &control{Server: s, views: v, listener: bufconn.Listen(1 << 16), grpc: grpc.NewServer(distrib.ServerOptions()...), stop: stop, done: make(chan struct{})}
	s.Register(c.grpc)
	go func() {
		_ = s.Run(ctx)
		close(c.done)
	}()
	go func() { _ = c.grpc.Serve(c.listener) }()
	t.Cleanup(c.kill)
	return c
}

// kill ends it as a process that dies.
func (c *control) kill() {
	c.once.Do(func() {
		_ = c.listener.Close()
		c.grpc.Stop()
		c.stop()
		<-c.done
	})
}

// dials reaches controls by name.
func dials(controls map[string]*control) func(string) (*grpc.ClientConn, error) {
	return func(target string) (*grpc.ClientConn, error) {
		c := controls[target]
		if c == nil {
			return nil, errors.New("nobody is there")
		}
		return grpc.NewClient("passthrough:///"+target, append(distrib.ClientOptions(),
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return c.listener.DialContext(ctx) }))...)
	}
}

// proxy is a client that runs.
type proxy struct {
	*distrib.Client
	*plane
	stop func()
}

func newProxy(t *testing.T, p *plane, controls map[string]*control, options ...func(*distrib.ClientConfig)) *proxy {
	t.Helper()
	cfg := distrib.ClientConfig{
		Proxy:   distrib.Proxy{Name: "proxy", Role: distrib.RoleSidecar, Services: []string{"shop/cart"}},
		InOrder: true, Dial: dials(controls), Applier: p, Log: logger(t),
	}
	cfg.Targets = slices.Sorted(maps.Keys(controls))
	for _, o := range options {
		o(&cfg)
	}
	c, err := distrib.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		_ = c.Run(ctx)
		close(done)
	}()
	x := &proxy{Client: c, plane: p, stop: sync.OnceFunc(func() { cancel(); <-done })}
	t.Cleanup(x.stop)
	return x
}

func one(c *control) map[string]*control { return map[string]*control{"a": c} }

// logger writes to the test's log as long as the test runs.
func logger(t *testing.T) *slog.Logger {
	w := &testWriter{t: t}
	t.Cleanup(func() {
		w.mu.Lock()
		w.t = nil
		w.mu.Unlock()
	})
	return slog.New(slog.NewTextHandler(w, nil))
}

type testWriter struct {
	mu sync.Mutex
	t  *testing.T
}

func (w *testWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.t != nil {
		w.t.Log(string(b[:len(b)-1]))
	}
	return len(b), nil
}

func listen() *bufconn.Listener { return bufconn.Listen(1 << 16) }

// trust is a TrustSource.
type trust struct {
	mu      sync.Mutex
	denied  string
	changed chan struct{}
}

func (s *trust) Trust() (bundles, denied []byte, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return []byte("roots"), []byte(s.denied), s.changed
}

func (s *trust) deny(who string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.denied = who
	close(s.changed)
	s.changed = make(chan struct{})
}
