package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/gridway/gridway/bench/stats"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/meshpb"
)

// servicesOf are those that a proxy uses: the first, which all do, and others
// spread over the rest.
func (s size) servicesOf(proxy int) []string {
	if s.uses >= s.services {
		out := make([]string, s.services)
		for i := range out {
			out[i] = service(i)
		}
		return out
	}
	out := []string{service(0)}
	for i := range s.uses - 1 {
		out = append(out, service(1+(proxy*(s.uses-1)+i)%(s.services-1)))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// users is how many proxies use a service.
func (s size) users(i int) (n int) {
	for p := range s.proxies {
		if slices.Contains(s.servicesOf(p), service(i)) {
			n++
		}
	}
	return n
}

// stamp is a moment as it stands in a change.
func stamp(moment int64) string { return fmt.Sprintf("moment-%019d", moment) }

// read finds a stamp.
func read(text []byte) (moment int64, ok bool) {
	at := bytes.Index(text, []byte("moment-"))
	if at < 0 || len(text) < at+7+19 {
		return 0, false
	}
	moment, err := strconv.ParseInt(string(text[at+7:at+26]), 10, 64)
	return moment, err == nil
}

// order asks a swarm to wait for so many proxies to see a change, the First of a kind
// or one more. A report says that it waits, another what it has seen of the kind.
type order struct {
	Expect int
	First  bool
}

type report struct {
	Count         int
	P50, P99, Max time.Duration
	Took          time.Duration
	Heap          uint64
}

// counter counts the changes that arrive.
type counter struct {
	mu      sync.Mutex
	seen    stats.Histogram
	missing int
	done    chan struct{}
}

func (c *counter) saw(moment int64) {
	d := time.Duration(time.Now().UnixNano() - moment)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.missing == 0 {
		return // nobody asks
	}
	c.seen.Record(d)
	if c.missing--; c.missing == 0 {
		close(c.done)
	}
}

// swarm is the child that has the proxies.
func swarm(ctx context.Context, s size, at, folder string) error {
	creds, err := clientCredentials(folder)
	if err != nil {
		return err
	}
	var c counter
	errs := make(chan error, s.proxies)
	gate := make(chan struct{}, 32) // handshakes at a time
	for i := range s.proxies {
		go func() { errs <- lean(ctx, s, i, at, creds, &c, gate) }()
	}
	orders := json.NewDecoder(os.Stdin)
	go func() {
		for {
			var o order
			if err := orders.Decode(&o); err != nil {
				errs <- err
				return
			}
			done := make(chan struct{})
			c.mu.Lock()
			if o.First {
				c.seen = stats.Histogram{}
			}
			c.missing, c.done = o.Expect, done
			c.mu.Unlock()
			_ = json.NewEncoder(os.Stdout).Encode(report{})
			select {
			case <-done:
			case <-time.After(2 * time.Minute):
			}
			c.mu.Lock()
			r := report{Count: int(c.seen.Count()), P50: c.seen.Quantile(0.5), P99: c.seen.Quantile(0.99), Max: c.seen.Max()}
			c.missing = 0
			c.mu.Unlock()
			_ = json.NewEncoder(os.Stdout).Encode(r)
		}
	}()
	return <-errs
}

// socket is where the applications of proxies come to.
var socket = map[string]string{distrib.LabelCaptured: "127.0.0.1:15001"}

// lean is a proxy that keeps nothing.
func lean(ctx context.Context, s size, i int, at string, creds credentials.TransportCredentials, c *counter, gate chan struct{}) error {
	gate <- struct{}{}
	release := sync.OnceFunc(func() { <-gate })
	defer release()
	conn, err := grpc.NewClient("passthrough:///"+at, append(distrib.ClientOptions(), grpc.WithTransportCredentials(creds))...)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	stream, err := meshpb.NewDistributionClient(conn).Stream(ctx)
	if err != nil {
		return err
	}
	hello := &meshpb.Hello{Proxy: fmt.Sprintf("proxy-%d", i), Role: meshpb.Role_ROLE_SIDECAR, Services: s.servicesOf(i), Labels: socket}
	if err := stream.Send(&meshpb.FromProxy{Message: &meshpb.FromProxy_Hello{Hello: hello}}); err != nil {
		return err
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("proxy %d: %w", i, err)
		}
		switch m := m.GetMessage().(type) {
		case *meshpb.FromControl_Endpoints:
			for _, name := range m.Endpoints.GetNames() {
				if moment, ok := read([]byte(name)); ok {
					c.saw(moment)
				}
			}
		case *meshpb.FromControl_Update:
			for _, r := range m.Update.GetUpserts() {
				if r.GetKind() != distrib.KindRoute {
					continue
				}
				if moment, ok := read(r.GetBody()); ok {
					c.saw(moment)
				}
			}
			if m.Update.GetPart() == m.Update.GetParts() {
				release()
				if err := stream.Send(&meshpb.FromProxy{Message: &meshpb.FromProxy_Ack{Ack: &meshpb.Ack{Revision: m.Update.GetRevision()}}}); err != nil {
					return err
				}
			}
		}
	}
}

// single is the child that is one proxy's client.
func single(ctx context.Context, s size, at, folder string) error {
	creds, err := clientCredentials(folder)
	if err != nil {
		return err
	}
	start := time.Now()
	c, err := distrib.NewClient(distrib.ClientConfig{
		Proxy:   distrib.Proxy{Name: "whole", Role: distrib.RoleSidecar, Services: s.servicesOf(0), Labels: socket},
		Targets: []string{at}, Credentials: creds, Applier: &keeper{}, CacheFile: folder + "/view",
	})
	if err != nil {
		return err
	}
	go func() {
		<-c.Ready()
		took := time.Since(start)
		runtime.GC()
		var mem runtime.MemStats
		runtime.ReadMemStats(&mem)
		_ = json.NewEncoder(os.Stdout).Encode(report{Took: took, Heap: mem.HeapAlloc})
	}()
	return c.Run(ctx)
}

// keeper keeps the configuration, as a data plane would.
type keeper struct{ config *ir.Config }

func (k *keeper) Apply(c *ir.Config) error     { k.config = c; return nil }
func (k *keeper) Endpoints(ir.EndpointUpdate)  {}
func (k *keeper) Trust(bundles, denied []byte) {}

// child is a process of this program.
type child struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out io.ReadCloser
}

func startChild(ctx context.Context, what string, s size, at, folder string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "-child", what, "-at", at, "-certificates", folder,
		"-proxies", strconv.Itoa(s.proxies), "-services", strconv.Itoa(s.services), "-endpoints", strconv.Itoa(s.endpoints), "-uses", strconv.Itoa(s.uses))
	cmd.Stderr = os.Stderr
	c := &child{cmd: cmd}
	if c.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if c.out, err = cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	return c, cmd.Start()
}

func (c *child) stop() {
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
}
