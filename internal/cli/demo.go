package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/app"
	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/config/source/file"
	"github.com/gridway/gridway/internal/demo"
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
		Short:   "Start a small shop behind a gateway, and look around",
		Long: `Starts a shop of real services on this machine (catalog, inventory, cart, orders,
reviews in two versions, a warehouse that speaks gRPC, a live view by WebSocket
and server-sent events, an audit), a gateway in front of them, and customers that
visit it over HTTP/1.1, HTTP/2 and HTTP/3. The services are as quick, as slow and
as unreliable as services are. Everything listens on 127.0.0.1 only; ports that
are taken are replaced by free ones. The certificate for HTTPS is made at the
start; nobody else trusts it.

The gateway's configuration is written to a file that you can edit while it runs.`,
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
	f.serving.flags(t, cmd, "off", "error")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if f.rate < 1 || f.rate > demo.MaxRate {
			return usagef("", "--rate must be between 1 and %d", demo.MaxRate)
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
func (f *demoFlags) open(ctx context.Context, t *term.Terminal, adminGiven bool) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	ports, taken, err := f.ports(adminGiven)
	if err != nil {
		return err
	}
	shop, err := demo.Open(demo.Options{Inner: fmt.Sprintf("http://127.0.0.1:%d", ports.Inner), AnyPort: f.anyPort})
	if err != nil {
		return err
	}
	defer shop.Close()
	cert, err := demo.NewCertificate(time.Now())
	if err != nil {
		return err
	}
	partners, err := demo.NewPartners()
	if err != nil {
		return err
	}
	kit, err := f.write(map[string]string{
		shopFile: shop.Config(ports), certFile: cert.Secret() + "---\n" + partners.Signing(), partnersFile: partners.Consumers(), protoFile: demo.StockProto,
	})
	if err != nil {
		return err
	}
	opened := false
	defer func() {
		if f.dir == "" || !opened {
			kit.remove()
		}
	}()
	o, err := f.options(t)
	if err != nil {
		return err
	}
	o.DrainTimeout = min(o.DrainTimeout, 5*time.Second)
	o.Source = app.Files([]string{kit.path(shopFile), kit.path(certFile), kit.path(partnersFile)}, file.Options{})
	tour := tour{
		edge: demo.Edge{
			Plain: fmt.Sprintf("http://127.0.0.1:%d", ports.Public), Secure: fmt.Sprintf("https://127.0.0.1:%d", ports.Secure), Trust: cert.Pool,
			Calls: fmt.Sprintf("http://127.0.0.1:%d", ports.Calls), Partners: partners,
		},
		taken: taken, kit: kit, flags: f, grpcurl: has("grpcurl"), curl: curlFeatures(ctx),
	}
	var traffic *demo.Traffic
	stopTraffic := func() {
		if traffic == nil {
			return
		}
		traffic.Stop()
		sent, failed := traffic.Counts()
		t.Printf("\n%d requests were sent; %d had no answer or a 5xx.\n", sent, failed)
		traffic = nil
	}
	defer stopTraffic()
	return f.serve(ctx, t, o, hooks{
		started: func(g *app.Gateway) {
			opened = true
			if f.duration > 0 {
				time.AfterFunc(f.duration, end)
			}
			tour.print(t, g)
			if !f.noTraffic {
				traffic = demo.StartTraffic(tour.edge, f.rate)
			}
		},
		stopping: stopTraffic,
	})
}

// ports finds the edge's ports, and an admin address unless one was asked for.
// Taken are the usual ones that were not free.
func (f *demoFlags) ports(adminGiven bool) (p demo.Ports, taken []int, err error) {
	var admin int
	for _, want := range []struct {
		port int
		to   *int
	}{{demo.PublicPort, &p.Public}, {demo.InnerPort, &p.Inner}, {demo.SecurePort, &p.Secure}, {demo.CallsPort, &p.Calls}, {demoAdmin, &admin}} {
		if want.to == &admin && adminGiven {
			break
		}
		usual := want.port
		if f.anyPort {
			usual = 0
		}
		if *want.to, err = demo.FreePort(usual, want.to == &p.Secure); err != nil {
			return p, nil, err
		}
		if usual != 0 && *want.to != usual {
			taken = append(taken, usual)
		}
	}
	if !adminGiven {
		f.admin = fmt.Sprintf("127.0.0.1:%d", admin)
	}
	return p, taken, nil
}

const demoAdmin = 9901

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
		return hintError{err: fmt.Errorf("%s is there already", k.path(name)), hint: "give an empty folder with --dir, or run it with \"gridway run\""}
	}
	if err != nil {
		return err
	}
	k.names = append(k.names, name)
	_, err = out.WriteString(text)
	return errors.Join(err, out.Close())
}
