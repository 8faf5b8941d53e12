package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/app"
	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/demo"
	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/manage/membership"
)

type demoFlags struct {
	serving
	duration  time.Duration
	noTraffic bool
	rate      int
	dir       string
	anyPort   bool
}

func newDemo(t *term.Terminal) *cobra.Command {
	var f demoFlags
	cmd := &cobra.Command{
		Use:     "demo",
		GroupID: groupRun,
		Short:   "Start a small shop in a mesh behind an edge, and look around",
		Long: `Starts a shop of real services on this machine: catalog, inventory, cart, orders,
payments and reviews in two versions, each a process with a sidecar and an identity of
its own, and a warehouse that speaks gRPC, a live view by WebSocket and server-sent
events, and an audit, which have none. In front of them are an edge and the control
plane of the mesh, in one process, and customers that visit it over HTTP/1.1, HTTP/2
and HTTP/3. The services are as quick, as slow and as unreliable as services are.
Everything listens on 127.0.0.1 only; ports that are taken are replaced by free ones.
The certificate for HTTPS is made at the start; nobody else trusts it.

The configuration is written to a file that you can edit while it runs.`,
		Example:           lines("gridway demo", "gridway demo --rate 200", "gridway demo --dir ./shop", "gridway demo --duration 10s --no-traffic"),
		Args:              noArgs,
		ValidArgsFunction: offer(),
	}
	fl := cmd.Flags()
	fl.DurationVar(&f.duration, "duration", 0, "end after this time (default: until ctrl-c)")
	fl.BoolVar(&f.noTraffic, "no-traffic", false, "no customers: send requests yourself")
	fl.IntVar(&f.rate, "rate", 40, fmt.Sprintf("requests per second of all customers, 1 to %d", demo.MaxRate))
	fl.StringVar(&f.dir, "dir", "", "folder for the configuration, which is kept (default: a temporary one)")
	fl.BoolVar(&f.anyPort, "any-port", false, "take free ports everywhere, also where the usual ones are free")
	f.stateDefault = "sqlite"
	f.flags(t, cmd, "off", "error")
	cmd.AddCommand(newDemoService(t))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if f.rate < 1 || f.rate > demo.MaxRate {
			return usagef("", "--rate must be between 1 and %d", demo.MaxRate)
		}
		if f.state == "off" {
			return usagef("leave --state out: the demo has one of its own", "the authority of the demo's mesh needs a state store")
		}
		return runDemo(cmd.Context(), t, &f, cmd.Flags().Changed("admin"))
	}
	return cmd
}

func runDemo(ctx context.Context, t *term.Terminal, f *demoFlags, adminGiven bool) error {
	return whileTaken(func() error { return f.open(ctx, t, adminGiven) }, func(err error) bool {
		return adminGiven && errors.Is(err, app.ErrAdminTaken)
	})
}

const demoTries = 10

// whileTaken opens again when a port is taken, unless that is final: somebody else
// may have taken it between our look and the gateway's.
func whileTaken(open func() error, final func(error) bool) error {
	for tries := 1; ; tries++ {
		err := open()
		if tries == demoTries || !errors.Is(err, syscall.EADDRINUSE) || final(err) {
			return err
		}
	}
}

// open opens the shop, and closes it when ctx or its time ends.
func (f *demoFlags) open(ctx context.Context, t *term.Terminal, adminGiven bool) (err error) {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	var pool demo.PortPool
	defer pool.Close()
	ports, err := f.ports(&pool, adminGiven)
	if err != nil {
		return err
	}
	// What is of this run alone: state, logs, sockets.
	back, err := os.MkdirTemp("", "gridway-shop-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(back)
	shop, err := demo.Open(demo.Options{Dir: back, AnyPort: f.anyPort})
	if err != nil {
		return err
	}
	defer shop.Close()
	tour := tour{ports: ports, flags: f, back: back, grpcurl: has("grpcurl"), curl: curlFeatures(ctx)}
	if err := tour.prepare(shop); err != nil {
		return err
	}
	opened := false
	defer func() {
		if f.dir == "" || !opened {
			tour.kit.remove()
		}
	}()
	o, err := tour.options(t)
	if err != nil {
		return err
	}
	p := performance{tour: &tour, t: t, end: end}
	defer p.close()
	err = f.serve(ctx, t, o, hooks{
		started: func(g *app.Gateway) {
			opened = true
			p.begin(ctx, g)
		},
		stopping: p.stopTraffic,
	})
	end(nil)
	if cause := context.Cause(ctx); err == nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	return err
}

// performance is the shop while it is open.
type performance struct {
	tour *tour
	t    *term.Terminal
	end  context.CancelCauseFunc
	wg   sync.WaitGroup

	mu      sync.Mutex
	closing bool          // guarded by mu
	fleet   *fleet        // guarded by mu
	traffic *demo.Traffic // guarded by mu
}

// begin opens the shop behind the edge that has begun to serve, and returns before it
// is open.
func (p *performance) begin(ctx context.Context, g *app.Gateway) {
	p.wg.Go(func() {
		if err := p.open(ctx, g); err != nil && ctx.Err() == nil {
			p.end(err)
		}
	})
}

func (p *performance) open(ctx context.Context, g *app.Gateway) error {
	token, err := g.Members().CreateToken(ctx, access.Actor{Name: "the demo", Role: access.Admin}, membership.NewToken{Services: []string{"*"}, Reusable: true})
	if err != nil {
		return err
	}
	f := p.tour.flags
	sidecars, err := startFleet(p.tour.back, g.MeshAddr().String(), token.Text, p.tour.ports.pool, f.anyPort)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.fleet = sidecars
	p.mu.Unlock()
	if err := sidecars.wait(ctx, func(service string) int { return g.Workloads("default", service) }); err != nil {
		return err
	}
	p.mu.Lock()
	if p.closing {
		p.mu.Unlock()
		return nil
	}
	if f.duration > 0 {
		time.AfterFunc(f.duration, func() { p.end(nil) })
	}
	p.tour.print(p.t, g, sidecars)
	if !f.noTraffic {
		p.traffic = demo.StartTraffic(p.tour.edge, f.rate)
	}
	p.mu.Unlock()
	for {
		select {
		case err := <-sidecars.ended: // what is left goes on
			p.t.Errorf("%s\n", term.Paint(err.Error(), term.Bad))
		case <-ctx.Done():
			return nil
		}
	}
}

// stopTraffic sends the customers home.
func (p *performance) stopTraffic() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closing = true
	if p.traffic == nil {
		return
	}
	p.traffic.Stop()
	sent, failed := p.traffic.Counts()
	p.t.Printf("\n%d requests were sent; %d had no answer or a 5xx.\n", sent, failed)
	p.traffic = nil
}

func (p *performance) close() {
	p.end(nil)
	p.stopTraffic()
	p.wg.Wait()
	p.fleet.close()
}

// demoPorts are those that were found.
type demoPorts struct {
	demo.Ports
	mesh int
	pool *demo.PortPool
	// taken are the usual ones that were not free.
	taken []int
}

// ports finds the edge's ports, that for sidecars, and an admin address unless one was
// asked for.
func (f *demoFlags) ports(pool *demo.PortPool, adminGiven bool) (p demoPorts, err error) {
	var admin int
	p.pool = pool
	for _, want := range []struct {
		port int
		to   *int
	}{{demo.PublicPort, &p.Public}, {demo.SecurePort, &p.Secure}, {demo.CallsPort, &p.Calls}, {demoMesh, &p.mesh}, {demoAdmin, &admin}} {
		if want.to == &admin && adminGiven {
			break
		}
		usual := want.port
		if f.anyPort {
			usual = 0
		}
		if *want.to, err = pool.Take(usual, want.to == &p.Secure); err != nil {
			return p, err
		}
		if usual != 0 && *want.to != usual {
			p.taken = append(p.taken, usual)
		}
	}
	if !adminGiven {
		f.admin = fmt.Sprintf("127.0.0.1:%d", admin)
	}
	return p, nil
}

const (
	demoAdmin = 9901
	demoMesh  = 15010
)

// The files that the user gets.
const (
	shopFile     = "shop.yaml"
	certFile     = "localhost.yaml" // with a private key
	partnersFile = "partners.yaml"
	protoFile    = "stock.proto"
)

// kit is the folder with the files.
type kit struct {
	dir       string
	temporary bool
	names     []string
}

func (k *kit) path(name string) string { return filepath.Join(k.dir, name) }

// remove removes what was written. A leftover in the temporary folder hurts nobody.
func (k *kit) remove() {
	for _, name := range k.names {
		_ = os.Remove(k.path(name))
	}
	if k.temporary {
		_ = os.RemoveAll(k.dir)
	}
}

// write puts the files where the user can edit them.
func (f *demoFlags) write(files map[string]string) (k *kit, err error) {
	k = &kit{dir: f.dir, temporary: f.dir == ""}
	if k.temporary {
		if k.dir, err = os.MkdirTemp("", "gridway-demo-"); err != nil {
			return nil, err
		}
	} else if err = os.MkdirAll(k.dir, 0o755); err != nil {
		return nil, err
	}
	for name, text := range files {
		if err := k.create(name, text); err != nil {
			k.remove()
			return nil, err
		}
	}
	return k, nil
}

// create writes a file that was not there before.
func (k *kit) create(name, text string) error {
	mode := os.FileMode(0o644)
	if name == certFile {
		mode = 0o600
	}
	out, err := os.OpenFile(k.path(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, os.ErrExist) {
		return hintError{Err: fmt.Errorf("%s is there already", k.path(name)), Hint: "give an empty folder with --dir, or run it with \"gridway run\""}
	}
	if err != nil {
		return err
	}
	k.names = append(k.names, name)
	_, err = out.WriteString(text)
	return errors.Join(err, out.Close())
}
