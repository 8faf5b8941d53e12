package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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
		Long: `Starts a shop of real HTTP services on this machine (catalog, inventory, cart,
orders, reviews in two versions, an audit), a gateway in front of them, and
customers that visit it. The services are as quick, as slow and as unreliable as
services are. Everything listens on 127.0.0.1 only; ports that are taken are
replaced by free ones.

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
	if f.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.duration)
		defer cancel()
	}
	ports, err := f.ports(adminGiven)
	if err != nil {
		return err
	}
	shop, err := demo.Open(demo.Options{Inner: fmt.Sprintf("http://127.0.0.1:%d", ports.inner), AnyPort: f.anyPort})
	if err != nil {
		return err
	}
	defer shop.Close()
	path, clean, err := f.write(shop.Config(ports.public, ports.inner))
	if err != nil {
		return err
	}
	defer clean()
	o, err := f.options(t)
	if err != nil {
		return err
	}
	o.DrainTimeout = min(o.DrainTimeout, 5*time.Second)
	o.Source = app.Files([]string{path}, file.Options{})
	base := fmt.Sprintf("http://127.0.0.1:%d", ports.public)
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
			printTour(t, shop, base, path, g, f)
			if !f.noTraffic {
				traffic = demo.StartTraffic(base, f.rate)
			}
		},
		stopping: stopTraffic,
	})
}

type demoPorts struct{ public, inner int }

// ports finds the edge's ports, and an admin address unless one was asked for.
func (f *demoFlags) ports(adminGiven bool) (p demoPorts, err error) {
	want := func(port int) int {
		if f.anyPort {
			return 0
		}
		return port
	}
	var admin int
	p.public, err = demo.FreePort(want(demo.PublicPort))
	if err == nil {
		p.inner, err = demo.FreePort(want(demo.InnerPort))
	}
	if err == nil && !adminGiven {
		admin, err = demo.FreePort(want(9901))
		f.admin = fmt.Sprintf("127.0.0.1:%d", admin)
	}
	return p, err
}

// write puts the configuration where the user can edit it.
func (f *demoFlags) write(text string) (path string, clean func(), err error) {
	dir := f.dir
	clean = func() {}
	if dir == "" {
		if dir, err = os.MkdirTemp("", "gridway-demo-"); err != nil {
			return "", nil, err
		}
		clean = func() { _ = os.RemoveAll(dir) } // a leftover in the temporary folder hurts nobody
	} else if err = os.MkdirAll(dir, 0o755); err != nil {
		return "", nil, err
	}
	path = filepath.Join(dir, "shop.yaml")
	if f.dir != "" {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			return "", nil, hintError{err: fmt.Errorf("%s is there already", path), hint: "give an empty folder with --dir, or run it with \"gridway run\""}
		}
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		clean()
		return "", nil, err
	}
	return path, clean, nil
}

func printTour(t *term.Terminal, shop *demo.Shop, base, path string, g *app.Gateway, f *demoFlags) {
	admin := ""
	if a := g.AdminAddr(); a != nil {
		admin = adminArgument(a)
	}
	t.Printf("%s\n\n", term.Paint("The Gridway demo shop is open.", term.Good))
	table := term.NewTable().Indent("  ")
	table.Row(term.Paint("edge", term.Bold), base, "the shop, for its customers")
	for _, i := range shop.Instances() {
		table.Row(term.Paint(i.Name, term.Bold), "http://"+i.Address, i.About)
	}
	if a := g.AdminAddr(); a != nil {
		table.Row(term.Paint("admin API", term.Bold), "http://"+a.String(), "status, metrics, explain")
	}
	t.Printf("%s\n", table)
	if f.noTraffic {
		t.Printf("No customers: send requests yourself.\n\n")
	} else {
		t.Printf("Customers send %d requests per second. In another terminal, try:\n\n", f.rate)
	}
	self := ownName()
	try := func(command, about string) {
		t.Printf("  %s\n", term.Paint("# "+about, term.Faint))
		t.Printf("  %s\n", strings.ReplaceAll(command, "gridway ", self+" "))
	}
	try("gridway top"+admin, "rate, errors and latency of each route, live")
	try("curl -i "+base+"/api/products/lamp-01", "a product, with its stock from the inventory")
	try(fmt.Sprintf(`for i in $(seq 20); do curl -si %s/api/reviews/lamp-01 | grep -i x-served-by; done | sort | uniq -c`, base), "the canary: one of ten sees version 2")
	try(fmt.Sprintf(`curl -i -H "X-Canary: always" %s/api/reviews/lamp-01`, base), "unless one asks for it")
	try("curl -i "+base+"/shop/lamp-01", "an old bookmark, redirected")
	try(fmt.Sprintf(`gridway explain%s GET %s/api/reviews/lamp-01 -H "X-Canary: always"`, admin, base), "why a request goes where it goes")
	try("gridway routes"+admin, "all routes in the order in which they match")
	try("gridway get clusters"+admin, "who is healthy behind the gateway (inventory-2 has bad spells)")
	try(fmt.Sprintf("sed -i 's/weight: 90/weight: 50/; s/weight: 10/weight: 50/' %s && gridway status%s", path, admin), "change the canary to half and half while it runs")
	keep := "It is removed when the demo ends; --dir keeps one."
	if f.dir != "" {
		keep = "It is kept."
	}
	t.Printf("\nThe configuration is %s. %s\n%s\n", term.Paint(path, term.Bold), keep, strings.TrimSpace(stopHint(f)))
}

func stopHint(f *demoFlags) string {
	if f.duration > 0 {
		return fmt.Sprintf("The demo ends after %s.", f.duration)
	}
	return "Ctrl-C ends the demo."
}

// ownName is how this program can be called again: by its name if it is in the
// PATH, else by its file.
func ownName() string {
	if _, err := exec.LookPath("gridway"); err == nil {
		return "gridway"
	}
	if file, err := os.Executable(); err == nil {
		return file
	}
	return "gridway"
}
