// Command distrib measures how a control plane gives configuration to many proxies.
//
//	go run ./bench/distrib [-proxies 1000] [-services 1000] [-endpoints 100] [-changes 100]
//
// The control plane is this process, with the compiler, the registry and the views of
// proxies that it really has; a child has the proxies, each with a connection of
// its own with mutual TLS 1.3 over loopback. They read, decode and acknowledge
// everything, but for one keep nothing of it, since a thousand proxies do not fit into
// the memory of one machine; the one is a whole proxy's client in a process of its own.
// Latency is from before a changed object is compiled, or a workload is registered
// anew, until a proxy has read it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime"
	"runtime/pprof"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/gridway/gridway/bench/proc"
	"github.com/gridway/gridway/internal/mesh/distrib"
)

// size is of the mesh that is measured.
type size struct {
	proxies, services, endpoints, changes int
	// uses is how many services a proxy uses.
	uses int
	// profile is a file; "" is none.
	profile string
}

func main() {
	var s size
	flag.IntVar(&s.proxies, "proxies", 1000, "how many proxies there are")
	flag.IntVar(&s.services, "services", 1000, "how many services there are")
	flag.IntVar(&s.endpoints, "endpoints", 100, "how many endpoints a service has")
	flag.IntVar(&s.changes, "changes", 100, "how many changes of each kind are measured")
	flag.StringVar(&s.profile, "profile", "", "file for a CPU profile of the control plane while routes change")
	child := flag.String("child", "", "what a child process is: swarm or one (set by the command itself)")
	at := flag.String("at", "", "the control plane of a child")
	folder := flag.String("certificates", "", "the certificates of a child")
	flag.IntVar(&s.uses, "uses", 0, "how many services each proxy of a child uses")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	switch *child {
	case "swarm":
		err = swarm(ctx, s, *at, *folder)
	case "one":
		err = single(ctx, s, *at, *folder)
	default:
		err = measure(ctx, s)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "distrib:", err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, s size) error {
	m := proc.Describe()
	fmt.Printf("%s, %d cores, %s\n%d proxies, %d services, %d endpoints\n\n", m.CPU, m.Cores, runtime.Version(), s.proxies, s.services, s.services*s.endpoints)
	for _, uses := range []int{min(20, s.services), s.services} {
		s.uses = uses
		if err := population(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// population measures proxies that use so many services each.
func population(ctx context.Context, s size) error {
	folder, err := os.MkdirTemp("", "gridway-distrib")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	if err := makeCertificates(folder); err != nil {
		return err
	}
	creds, err := serverCredentials(folder)
	if err != nil {
		return err
	}
	v, err := newViews(s, folder)
	if err != nil {
		return err
	}
	server, err := distrib.NewServer(distrib.ServerConfig{Views: v, Workloads: v.registry, Name: "bench", MaxStreams: s.proxies + 1})
	if err != nil {
		return err
	}
	g := grpc.NewServer(append(distrib.ServerOptions(), grpc.Creds(creds))...)
	server.Register(g)
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	var work sync.WaitGroup
	work.Go(func() { _ = server.Run(ctx) })
	work.Go(func() { v.run(ctx) })
	go func() { _ = g.Serve(l) }()
	defer func() { stop(); work.Wait(); g.Stop() }()

	fmt.Printf("## each proxy uses %d services\n", s.uses)
	before := used()
	start := time.Now()
	proxies, err := startChild(ctx, "swarm", s, l.Addr().String(), folder)
	if err != nil {
		return err
	}
	defer proxies.stop()
	if err := until(ctx, func() bool { sum := server.Summary(); return sum.Proxies == s.proxies && sum.Serving == s.proxies }); err != nil {
		return fmt.Errorf("not all proxies have their view: %s: %w", server.Summary(), err)
	}
	fmt.Printf("all have connected and have their first view after %s; CPU %s of the control plane, %s per proxy\n",
		time.Since(start).Round(time.Millisecond), (used() - before).Round(time.Millisecond), ((used() - before) / time.Duration(s.proxies)).Round(time.Microsecond))
	runtime.GC()
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	rss, err := proc.RSS(os.Getpid())
	if err != nil {
		return err
	}
	fmt.Printf("control plane: %d MiB in use on the heap, %d MiB resident, %d KiB of heap per proxy beside %d MiB of configuration\n\n",
		mem.HeapAlloc>>20, rss>>20, (int64(mem.HeapAlloc)-int64(v.bare))/int64(s.proxies)>>10, v.bare>>20)

	fmt.Println("| change | proxies that need it | p50 | p99 | last | CPU of the control plane per change |")
	fmt.Println("|---|---|---|---|---|---|")
	for _, c := range []struct {
		what    string
		service int
		route   bool
	}{
		{"one endpoint, of a service that all use", 0, false},
		{"one endpoint, of a service that some use", s.services / 2, false},
		{"one route, of a service that all use", 0, true},
		{"one route, of a service that some use", s.services / 2, true},
	} {
		if c.route && c.service == 0 && s.profile != "" {
			end, err := profile(fmt.Sprintf("%s-%d", s.profile, s.uses))
			if err != nil {
				return err
			}
			defer end()
		}
		if err := v.measure(proxies, s, c.what, c.service, c.route); err != nil {
			return err
		}
	}
	fmt.Println()
	return whole(ctx, s, v, l.Addr().String(), folder)
}

// profile begins one, until end.
func profile(path string) (end func(), err error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { pprof.StopCPUProfile(); _ = f.Close() }, nil
}

// whole measures one proxy's client, which keeps what it gets.
func whole(ctx context.Context, s size, v *views, at, folder string) error {
	c, err := startChild(ctx, "one", s, at, folder)
	if err != nil {
		return err
	}
	defer c.stop()
	var ready report
	if err := json.NewDecoder(c.out).Decode(&ready); err != nil {
		return err
	}
	rss, err := proc.RSS(c.cmd.Process.Pid)
	if err != nil {
		return err
	}
	before, err := proc.CPU(c.cmd.Process.Pid)
	if err != nil {
		return err
	}
	const changes = 1000
	for range changes {
		if _, err := v.change(0, false); err != nil {
			return err
		}
		time.Sleep(2 * time.Millisecond)
	}
	cpu, err := proc.CPU(c.cmd.Process.Pid)
	if err != nil {
		return err
	}
	fmt.Printf("one proxy's client: first view after %s, %d MiB resident (%d MiB of heap), %s of CPU so far, %s for each of %d changes of an endpoint\n\n",
		ready.Took.Round(time.Millisecond), rss>>20, ready.Heap>>20, before.Round(time.Millisecond), ((cpu - before) / changes).Round(time.Microsecond), changes)
	return nil
}

func until(ctx context.Context, holds func() bool) error {
	deadline := time.After(5 * time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-deadline:
			return context.DeadlineExceeded
		case <-tick.C:
		}
	}
	return nil
}
