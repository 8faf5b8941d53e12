package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/gridway/gridway/bench/stats"
	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/meshpb"
	"github.com/gridway/gridway/internal/mesh/question"
	"github.com/gridway/gridway/internal/mesh/report"
	"github.com/gridway/gridway/internal/observe"
	"github.com/gridway/gridway/internal/telemetry/accesslog"
	"github.com/gridway/gridway/internal/telemetry/flow"
	"github.com/gridway/gridway/internal/telemetry/signal"
	"github.com/gridway/gridway/internal/telemetry/tap"
)

// reportEvery is how often proxies report.
const reportEvery = 5 * time.Second

// order asks a swarm for something: to wait until so many proxies have a change, or to send
// one marked request and say when that was.
type order struct {
	Expect int    `json:",omitempty"`
	Mark   string `json:",omitempty"`
}

// reply is what it says then.
type reply struct {
	Ready         bool
	Count         int
	P50, P99, Max time.Duration
	At            time.Time
}

// changes counts those that arrive.
type changes struct {
	mu      sync.Mutex // guards what follows
	seen    stats.Histogram
	missing int
	done    chan struct{}
}

func (c *changes) saw(moment int64) {
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
	a, err := openAuthority(folder)
	if err != nil {
		return err
	}
	callers := make([][]int, s.services)
	for p := range s.proxies {
		for _, to := range s.targets(p) {
			callers[to] = append(callers[to], p%s.services)
		}
	}
	var c changes
	errs, connected := make(chan error, s.proxies), make(chan struct{}, s.proxies)
	gate := make(chan struct{}, 32) // handshakes at a time
	all := make([]*proxy, s.proxies)
	for i := range all {
		all[i] = &proxy{
			size: s, number: i, name: service(i % s.services), changes: &c, recorder: signal.New(nil),
			taps: tap.New(tap.Options{Self: "spiffe://" + trustDomain + "/ns/" + namespace + "/sa/" + service(i%s.services)}),
		}
		all[i].keys = all[i].edges(callers)
		go func() { errs <- all[i].run(ctx, a, at, gate, connected) }()
	}
	for range all {
		select {
		case err := <-errs:
			return err
		case <-connected:
		}
	}
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(reply{Ready: true}); err != nil {
		return err
	}
	go func() { errs <- answer(all[0], &c, json.NewDecoder(os.Stdin), out) }()
	return <-errs
}

// answer does what it is asked to.
func answer(first *proxy, c *changes, in *json.Decoder, out *json.Encoder) error {
	for {
		var o order
		if err := in.Decode(&o); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil // who asks has ended
			}
			return err
		}
		if o.Mark != "" {
			k := first.keys[0]
			k.Destination = signal.Of(signal.Party{Kind: signal.Service, Namespace: o.Mark, Name: "marked"})
			first.recorder.Record(k, &signal.Seen{Status: 200, Duration: time.Millisecond})
			if err := out.Encode(reply{At: time.Now()}); err != nil {
				return err
			}
			continue
		}
		done := make(chan struct{})
		c.mu.Lock()
		c.seen, c.missing, c.done = stats.Histogram{}, o.Expect, done
		c.mu.Unlock()
		if err := out.Encode(reply{Ready: true}); err != nil {
			return err
		}
		select {
		case <-done:
		case <-time.After(time.Minute):
		}
		c.mu.Lock()
		r := reply{Count: int(c.seen.Count()), P50: c.seen.Quantile(0.5), P99: c.seen.Quantile(0.99), Max: c.seen.Max()}
		c.missing = 0
		c.mu.Unlock()
		if err := out.Encode(r); err != nil {
			return err
		}
	}
}

// proxy is one of the swarm.
type proxy struct {
	size
	*changes
	number   int
	name     string
	recorder *signal.Recorder
	taps     *tap.Set
	keys     []signal.Key
}

// edges are those on which it counts: where it sends to, and who sends to it.
func (p *proxy) edges(callers [][]int) (keys []signal.Key) {
	who := func(i int) signal.Who {
		return signal.Of(signal.Party{Kind: signal.Service, Namespace: namespace, Name: service(i)})
	}
	own := p.number % p.services
	for _, to := range p.targets(p.number) {
		keys = append(keys, signal.Key{
			Source: who(own), Destination: who(to), Route: signal.RouteOf("HTTPRoute/" + namespace + "/" + service(to) + "/rules/0"),
			Side: signal.Client, Protocol: signal.HTTP, MutualTLS: true,
		})
	}
	for _, from := range callers[own] {
		keys = append(keys, signal.Key{Source: who(from), Destination: who(own), Side: signal.Server, Protocol: signal.HTTP, MutualTLS: true})
	}
	return keys
}

// run is all that a proxy does, on one connection.
func (p *proxy) run(ctx context.Context, a *authority, at string, gate, connected chan struct{}) error {
	config, err := a.client(p.name)
	if err != nil {
		return err
	}
	conn, err := grpc.NewClient("passthrough:///"+at, append(distrib.ClientOptions(), grpc.WithTransportCredentials(credentials.NewTLS(config)))...)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	gate <- struct{}{}
	ready := sync.OnceFunc(func() {
		<-gate
		connected <- struct{}{}
		responder := &question.Responder{Name: p.id, Answerers: question.Answerers{question.KindTap: observe.Taps{Set: p.taps}}, Log: log}
		work.Go(func() { responder.Run(ctx, conn) })
		sender := &report.Sender{Recorder: flow.New(), Signals: p.recorder, Log: log, Every: reportEvery}
		work.Go(func() {
			select { // a thousand proxies were not started at once
			case <-time.After(rand.N(reportEvery)):
				sender.Run(ctx, conn)
			case <-ctx.Done():
			}
		})
		work.Go(func() { p.traffic(ctx) })
	})
	return p.configuration(ctx, conn, ready)
}

func (p *proxy) id() string { return fmt.Sprintf("%s/%s/%d", namespace, p.name, p.number) }

// configuration reads it and keeps nothing.
func (p *proxy) configuration(ctx context.Context, conn *grpc.ClientConn, ready func()) error {
	stream, err := meshpb.NewDistributionClient(conn).Stream(ctx)
	if err != nil {
		return err
	}
	hello := &meshpb.Hello{Proxy: p.id(), Role: meshpb.Role_ROLE_SIDECAR, Labels: map[string]string{distrib.LabelCaptured: "127.0.0.1:15001"}}
	for _, to := range p.targets(p.number) {
		hello.Services = append(hello.Services, namespace+"/"+service(to))
	}
	if err := stream.Send(&meshpb.FromProxy{Message: &meshpb.FromProxy_Hello{Hello: hello}}); err != nil {
		return err
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("proxy %d: %w", p.number, err)
		}
		u := m.GetUpdate()
		if u == nil {
			continue
		}
		for _, r := range u.GetUpserts() {
			if r.GetKind() != distrib.KindRoute {
				continue
			}
			if moment, ok := readStamp(r.GetBody()); ok {
				p.saw(moment)
			}
		}
		if u.GetPart() == u.GetParts() {
			if err := stream.Send(&meshpb.FromProxy{Message: &meshpb.FromProxy_Ack{Ack: &meshpb.Ack{Revision: u.GetRevision()}}}); err != nil {
				return err
			}
			ready()
		}
	}
}

// traffic counts requests on all edges, and offers some to who taps: far more than a tap of
// a thousand proxies takes.
func (p *proxy) traffic(ctx context.Context) {
	const tick = 250 * time.Millisecond
	const offers = 10
	entry := &accesslog.Entry{
		Method: []byte("GET"), Scheme: "http", Host: []byte("service.shop"), Path: []byte("/api/v1/items/42"), Protocol: "HTTP/2", Status: 200, Duration: 3 * time.Millisecond,
		RequestID: []byte("0192f0c1-9c3a-7d21-b6f5-7a1c2b3d4e5f"), TraceID: []byte("4bf92f3577b34da6a3ce929d0e0e4736"), Route: "HTTPRoute/shop/service", Attempts: 1,
	}
	seen := &tap.Seen{Entry: entry, Direction: tap.Outbound, Namespace: namespace, Service: service(0), Port: 80}
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	due, per := 0.0, float64(p.each*len(p.keys))*float64(tick)/float64(reportEvery)
	for next := rand.N(len(p.keys)); ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for due += per; due >= 1; due-- {
			status := 200
			if rand.N(200) == 0 {
				status = 503
			}
			p.recorder.Record(p.keys[next%len(p.keys)], &signal.Seen{Status: status, Duration: time.Duration(rand.ExpFloat64() * float64(5*time.Millisecond)), In: 200, Out: 2000})
			next++
		}
		for range offers {
			if !p.taps.On() {
				break
			}
			entry.Start = time.Now()
			p.taps.Offer(seen)
		}
	}
}

// stamp is a moment as it stands in the name of a rule.
func stamp(moment int64) string { return fmt.Sprintf("moment-%019d", moment) }

func readStamp(text []byte) (moment int64, ok bool) {
	at := bytes.Index(text, []byte("moment-"))
	if at < 0 || len(text) < at+7+19 {
		return 0, false
	}
	moment, err := strconv.ParseInt(string(text[at+7:at+26]), 10, 64)
	return moment, err == nil
}

// child is the process of the proxies.
type child struct {
	cmd *exec.Cmd
	in  *json.Encoder
	out *json.Decoder
	end io.Closer
}

// startSwarm returns when all proxies have their configuration.
func startSwarm(ctx context.Context, s size, at, folder string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "-child", folder, "-at", at,
		"-proxies", strconv.Itoa(s.proxies), "-services", strconv.Itoa(s.services), "-uses", strconv.Itoa(s.uses), "-each", strconv.Itoa(s.each))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &child{cmd: cmd, in: json.NewEncoder(in), out: json.NewDecoder(out), end: in}
	if _, err := c.say(nil); err != nil {
		c.stop()
		return nil, fmt.Errorf("the proxies: %w", err)
	}
	return c, nil
}

// say asks for something, unless it is nil, and waits for one reply.
func (c *child) say(o *order) (r reply, err error) {
	if o != nil {
		err = c.in.Encode(o)
	}
	if err == nil {
		err = c.out.Decode(&r)
	}
	return r, err
}

func (c *child) stop() {
	_ = c.end.Close()
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
}
