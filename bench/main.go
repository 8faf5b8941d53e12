// Command bench measures Gridway side by side with NGINX, HAProxy and net/http's
// ReverseProxy: each proxy pinned to the same core in turn, load and backend on
// the others. docs/performance.md says how and why. It owns every process that
// it starts and ends them all.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/gridway/gridway/bench/peers"
	"github.com/gridway/gridway/bench/proc"
	"github.com/gridway/gridway/bench/report"
)

type options struct {
	quick, check, docs, list, counts bool
	only, from, out                  string
	against, profile                 string
	rounds                           int
	filter                           *regexp.Regexp
}

const (
	page  = "docs/performance.md"
	chart = "images/performance.svg" // from the page
)

func main() {
	var o options
	flag.BoolVar(&o.quick, "quick", false, "a rough picture in three minutes")
	flag.BoolVar(&o.check, "check", false, "exit with 1 when an aim is missed")
	flag.BoolVar(&o.docs, "docs", false, "write the figures to "+page+"; a full run always does")
	flag.BoolVar(&o.list, "list", false, "print the cases and end")
	flag.BoolVar(&o.counts, "counts", false, "measure no times: count system calls and context switches per request, with perf, at 1,000 and 5,000 requests a second and at full load")
	flag.StringVar(&o.only, "case", "", "run only the cases whose names match this regular expression")
	flag.StringVar(&o.from, "from", "", "measure nothing: take the results of this file")
	flag.StringVar(&o.against, "against", "", "compare with another build of Gridway, the program at this path, and with nothing else")
	flag.StringVar(&o.profile, "profile", "", "folder for a CPU profile of Gridway in each case")
	flag.StringVar(&o.out, "out", "bench/out", "folder for results.json")
	flag.IntVar(&o.rounds, "rounds", 0, "rounds per case (default 7, quick 2)")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(o options) (err error) {
	if o.filter, err = regexp.Compile(o.only); err != nil {
		return err
	}
	if o.list {
		for _, p := range plan(o) {
			fmt.Printf("%-16s %s\n", p.name, p.title)
		}
		return nil
	}
	if _, err := os.Stat("cmd/gridway/main.go"); err != nil {
		return errors.New("run it in the repository's root: go run ./bench")
	}
	if o.against != "" {
		if o.against, err = exec.LookPath(o.against); err != nil {
			return fmt.Errorf("-against wants the path of a program that go build ./cmd/gridway made: %w", err)
		}
	}
	var results *report.Results
	var failed error
	if o.from != "" {
		if results, err = report.Load(o.from); err != nil {
			return err
		}
	} else {
		if results, failed = measureAll(o); results == nil || o.counts {
			return failed
		}
		if err := os.MkdirAll(o.out, 0o755); err != nil {
			return err
		}
		if err := results.Save(filepath.Join(o.out, "results.json")); err != nil {
			return err
		}
	}
	if o.against != "" {
		return failed // it says nothing of what is aimed at
	}
	aims := report.Aims(results)
	fmt.Println("\n" + report.AimsText(aims))
	whole := !results.Quick && results.Filter == "" && o.against == "" && failed == nil
	if o.docs || whole {
		if err := document(results); err != nil {
			return err
		}
	}
	if o.check && report.AnyMissed(aims) {
		failed = errors.Join(failed, errors.New("an aim was missed"))
	}
	return failed
}

// document writes the page's section and its chart.
func document(r *report.Results) error {
	path := filepath.Join(filepath.Dir(page), chart)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(r.Chart()), 0o644); err != nil {
		return err
	}
	return report.Insert(page, r.Markdown(chart))
}

// part is something that can be run by its name.
type part struct {
	name, title string
	run         func(context.Context, *bench, *report.Results) error
}

// plan lists what o asks for, in order.
func plan(o options) []part {
	var parts []part
	add := func(p part) {
		if o.filter.MatchString(p.name) {
			parts = append(parts, p)
		}
	}
	for _, w := range suite(o.quick) {
		if o.against != "" {
			w = w.builds()
		}
		if w.long && (o.quick || o.counts) && o.only == "" {
			continue
		}
		if o.counts {
			add(part{w.name, w.title, func(ctx context.Context, b *bench, _ *report.Results) error { return b.countCase(ctx, w) }})
			continue
		}
		add(part{w.name, w.title, func(ctx context.Context, b *bench, r *report.Results) error {
			c, err := b.measure(ctx, w)
			if err != nil {
				return err
			}
			r.Cases = append(r.Cases, c)
			b.say.print(c.Text())
			return nil
		}})
	}
	if o.against != "" || o.counts {
		return parts // of figures there is no ratio
	}
	times, loads, reloads := 11, 3, 1000
	if o.quick {
		times, loads, reloads = 5, 1, 100
	}
	figures := func(name, title string, measure func(*bench, context.Context) ([]report.Measure, error)) {
		add(part{name, title, func(ctx context.Context, b *bench, r *report.Results) error {
			found, err := measure(b, ctx)
			r.Measures = append(r.Measures, found...)
			for _, m := range found {
				b.say.print(m.Text())
			}
			return err
		}})
	}
	figures("idle", "Memory of 10,000 idle keep-alive connections", func(b *bench, ctx context.Context) ([]report.Measure, error) { return b.idle(ctx) })
	figures("mesh-memory", "Memory of a sidecar that knows 10 services, and 1,000", func(b *bench, ctx context.Context) ([]report.Measure, error) { return b.sidecarMemory(ctx) })
	figures("load", "Time and memory to load 10,000 routes", func(b *bench, ctx context.Context) ([]report.Measure, error) { return b.loading(ctx, loads) })
	figures("change-route", "Time until one changed route among 10,000 serves", func(b *bench, ctx context.Context) ([]report.Measure, error) { return b.routeChanges(ctx, times) })
	figures("change-endpoint", "Time until one changed endpoint among 100,000 serves", func(b *bench, ctx context.Context) ([]report.Measure, error) { return b.endpointChange(ctx, times) })
	figures("consumers", "100,000 consumers in the state store, and how soon a key counts", func(b *bench, ctx context.Context) ([]report.Measure, error) { return b.consumers(ctx, times) })
	figures("reloads", "Failed requests over reloads under load", func(b *bench, ctx context.Context) ([]report.Measure, error) { return b.reloads(ctx, reloads) })
	return parts
}

// measureAll runs the plan. A part that fails is said and left out.
func measureAll(o options) (*report.Results, error) {
	if err := peers.Reachable(); err != nil {
		return nil, err
	}
	core, err := proc.LeaveCore()
	if err != nil {
		return nil, err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 25*time.Minute)
	defer cancel()

	dir, err := os.MkdirTemp("", "gridway-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	b := &bench{rounds: 7, round: time.Second, latency: 1500 * time.Millisecond, warm: 300 * time.Millisecond, quick: o.quick, profiles: o.profile, say: newProgress(os.Stdout)}
	if o.quick {
		b.rounds, b.latency, b.warm = 2, 500*time.Millisecond, 100*time.Millisecond
	}
	if o.rounds > 0 {
		b.rounds = o.rounds
	}
	b.lab = &peers.Lab{Core: core, Dir: dir, Ports: peers.PortsBelow(32000), Profiled: o.profile != ""}
	b.say.step("build")
	if b.lab.Tools, err = build(ctx, dir); err != nil {
		return nil, err
	}
	b.lab.Tools[peers.Before] = o.against
	if b.cert, err = peers.NewCertificate(dir); err != nil {
		return nil, err
	}
	backend, err := b.lab.StartBackend(ctx)
	if err != nil {
		return nil, err
	}
	defer backend.Stop()
	sink, err := peers.StartSink(ctx)
	if err != nil {
		return nil, err
	}
	defer sink.Stop()
	echo, err := peers.StartEcho(ctx)
	if err != nil {
		return nil, err
	}
	defer echo.Stop()
	if b.collector, err = peers.StartCollector(ctx); err != nil {
		return nil, err
	}
	defer b.collector.Stop()
	b.backend, b.sink, b.echo = backend, sink.Addr, echo.Addr

	r := &report.Results{Date: time.Now().UTC(), Quick: o.quick, Filter: o.only, Machine: proc.Describe(), Versions: versions(ctx)}
	var errs []error
	for _, p := range plan(o) {
		if err := p.run(ctx, b, r); err != nil {
			if ctx.Err() != nil {
				return nil, err
			}
			b.say.print(fmt.Sprintf("%s FAILED: %v", p.name, err))
			errs = append(errs, fmt.Errorf("%s: %w", p.name, err))
		}
	}
	b.say.print(fmt.Sprintf("took %v", time.Since(b.say.start).Round(time.Second)))
	return r, errors.Join(errs...)
}

// build compiles the programs that are ours.
func build(ctx context.Context, dir string) (map[peers.Kind]string, error) {
	tools := map[peers.Kind]string{}
	for kind, args := range map[peers.Kind][]string{
		peers.Gridway: {"./cmd/gridway"}, peers.Uncounted: {"-tags", "uncounted", "./cmd/gridway"},
		peers.ReverseProxy: {"./bench/reverseproxy"}, peers.Sidecar: {"./bench/meshproxy"},
	} {
		tools[kind] = filepath.Join(dir, "bin-"+string(kind))
		out, err := exec.CommandContext(ctx, "go", append([]string{"build", "-o", tools[kind]}, args...)...).CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("build %s: %w\n%s", args[len(args)-1], err, out)
		}
	}
	return tools, nil
}

func versions(ctx context.Context) map[string]string {
	v := map[string]string{
		"Go":      strings.TrimPrefix(runtime.Version(), "go"),
		"NGINX":   proc.Version(ctx, peers.Path("nginx"), "-v"),
		"HAProxy": proc.Version(ctx, peers.Path("haproxy"), "-v"),
		"wrk":     proc.Version(ctx, "wrk", "-v"),
		"h2load":  proc.Version(ctx, "h2load", "--version"),
	}
	if out, err := exec.CommandContext(ctx, "git", "rev-parse", "--short", "HEAD").Output(); err == nil {
		v["Gridway"] = strings.TrimSpace(string(out))
	}
	return v
}
