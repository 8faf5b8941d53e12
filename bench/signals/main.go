// Command signals measures what the telemetry of a large mesh costs its control plane.
//
//	go run ./bench/signals [-proxies 1000] [-services 1000] [-uses 20] [-memory 256] [-for 1m] [-json FILE]
//
// The control plane is a process of the real binary, built from this module. A child has
// the proxies: each a connection of its own with mutual TLS 1.3 over loopback and an
// identity of its own, and on it the three streams that sidecars have. What reports and
// what answers taps on them is what sidecars have, too (packages report, signal, question
// and tap); the configuration is read and acknowledged, and not kept. Each proxy is that
// of one service, sends requests to others, and is called by others: both sides of each
// edge are reported.
//
// Everything is measured three times in a run: without a tap, with a tap of everything
// whose reader is fast, and with one whose reader takes a fiftieth of it, so that the three
// can be compared whatever else the machine does.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/gridway/gridway/bench/proc"
)

// size is of the mesh that is measured.
type size struct {
	proxies, services, uses int
	// each is how many requests a proxy sends over each of its edges between two reports.
	each int
	// memory is of the control plane's telemetry, in MiB.
	memory int
	// lasts is how long each part is measured, and changes how often a route changes in it.
	lasts   time.Duration
	changes int
}

func main() {
	var s size
	flag.IntVar(&s.proxies, "proxies", 1000, "how many proxies there are")
	flag.IntVar(&s.services, "services", 1000, "how many services there are")
	flag.IntVar(&s.uses, "uses", 20, "how many services each proxy sends requests to")
	flag.IntVar(&s.each, "each", 12, "how many requests go over each edge of a proxy between two reports")
	flag.IntVar(&s.memory, "memory", 256, "--signals-memory of the control plane, in MiB")
	flag.DurationVar(&s.lasts, "for", time.Minute, "how long each part is measured")
	flag.IntVar(&s.changes, "changes", 20, "how often a route that all proxies use changes in each part")
	result := flag.String("json", "", "file for the figures, in JSON")
	child := flag.String("child", "", "folder of a child (set by the command itself)")
	at := flag.String("at", "", "the control plane of a child")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	if s.proxies < 1 || s.uses < 1 || s.services <= s.uses || s.changes < 1 || s.lasts < 10*time.Second {
		err = errors.New("there must be a proxy, a change, more services than one proxy uses, and ten seconds at least")
	} else if *child != "" {
		err = swarm(ctx, s, *at, *child)
	} else {
		err = measure(ctx, s, *result)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "signals:", err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, s size, result string) error {
	m := proc.Describe()
	fmt.Printf("%s, %d cores, %s\n%d proxies, %d services, each proxy with edges to %d; %d MiB for telemetry\n\n", m.CPU, m.Cores, runtime.Version(), s.proxies, s.services, s.uses, s.memory)
	folder, err := os.MkdirTemp("", "gridway-signals")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	if err := makeAuthority(folder); err != nil {
		return err
	}
	c, err := startControl(ctx, s, folder)
	if err != nil {
		return err
	}
	defer c.stop()
	idle, err := proc.RSS(c.pid())
	if err != nil {
		return err
	}
	before := c.cpu()
	start := time.Now()
	proxies, err := startSwarm(ctx, s, c.mesh, folder)
	if err != nil {
		return err
	}
	defer proxies.stop()
	fmt.Printf("all proxies are connected after %s; CPU %s of the control plane, %d MiB resident before\n", time.Since(start).Round(time.Millisecond), (c.cpu() - before).Round(time.Millisecond), idle>>20)
	want := s.edges()
	got, err := c.settle(ctx, s)
	if err != nil {
		return err
	}
	fmt.Printf("the graph has %d of %d edges after %s\n\n", got, want, time.Since(start).Round(time.Second))

	var all []*part
	for _, p := range []*part{{Name: "no tap"}, {Name: "a tap of everything"}, {Name: "a tap whose reader is slow", slow: true}} {
		fmt.Fprintf(os.Stderr, "measuring with %s\n", p.Name)
		if err := c.part(ctx, s, proxies, p, len(all) > 0); err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
		all = append(all, p)
	}
	table(all)
	if result == "" {
		return nil
	}
	text, err := json.MarshalIndent(map[string]any{"machine": m, "parts": all}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Clean(result), append(text, '\n'), 0o644)
}

// edges is how many lines of the graph there are when all proxies send.
func (s size) edges() int {
	seen := map[[2]int]bool{}
	for p := range s.proxies {
		for _, to := range s.targets(p) {
			seen[[2]int{p % s.services, to}] = true
		}
	}
	return len(seen)
}

// targets are the services that a proxy sends to: the first, which all do, and others
// spread over the rest. None sends to its own.
func (s size) targets(proxy int) (out []int) {
	own := proxy % s.services
	for i := 0; len(out) < s.uses; i++ {
		to := 0
		if i > 0 {
			to = 1 + (own*(s.uses-1)+i-1)%(s.services-1)
		}
		if to != own {
			out = append(out, to)
		}
	}
	return out
}

// users is how many proxies send to a service.
func (s size) users(of int) (n int) {
	for p := range s.proxies {
		if slices.Contains(s.targets(p), of) {
			n++
		}
	}
	return n
}
