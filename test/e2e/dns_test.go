package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/gridway/gridway/internal/config/source/discovery"
	"github.com/gridway/gridway/internal/config/source/dns"
	"github.com/gridway/gridway/internal/ir"
)

// resolver is a DNS server whose one name changes.
type resolver struct {
	addr  string
	asked atomic.Int64

	mu    sync.Mutex
	hosts []string // guarded by mu
	rcode int      // guarded by mu
	mute  bool     // guarded by mu; questions get no answer
}

func startResolver(t *testing.T) *resolver {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &resolver{addr: pc.LocalAddr().String()}
	srv := &mdns.Server{PacketConn: pc, Handler: r}
	started := make(chan struct{})
	srv.NotifyStartedFunc = func() { close(started) }
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.ActivateAndServe() })
	<-started
	t.Cleanup(func() { _ = srv.Shutdown(); wg.Wait() })
	return r
}

// say sets the answer: an rcode, and addresses for success.
func (r *resolver) say(rcode int, hosts ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rcode, r.hosts, r.mute = rcode, hosts, false
}

func (r *resolver) silence() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mute = true
}

// ServeDNS answers with a TTL of zero, so that each change is asked for soon.
func (r *resolver) ServeDNS(w mdns.ResponseWriter, q *mdns.Msg) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked.Add(1)
	if r.mute {
		return
	}
	m := new(mdns.Msg)
	m.SetReply(q)
	m.Rcode = r.rcode
	if q.Question[0].Qtype == mdns.TypeA && r.rcode == mdns.RcodeSuccess {
		for _, h := range r.hosts {
			m.Answer = append(m.Answer, &mdns.A{
				Hdr: mdns.RR_Header{Name: q.Question[0].Name, Rrtype: mdns.TypeA, Class: mdns.ClassINET}, A: net.ParseIP(h),
			})
		}
	}
	_ = w.WriteMsg(m)
}

// discover resolves the names of the configuration, as a running gateway does.
func (g *gateway) discover() {
	source := discovery.New(discovery.Options{
		Sources: []discovery.Source{dns.New(dns.Options{})}, Update: func(u ir.EndpointUpdate) { g.proxy.Update(u) },
	})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { source.Run(ctx) })
	g.t.Cleanup(func() { cancel(); wg.Wait() })
	source.Set(g.last.Config.Clusters)
}

// onePort runs a server on each of several addresses, all on the same port.
func onePort(t *testing.T, hosts ...string) (port int, requests []*atomic.Int64) {
	t.Helper()
	var listeners []net.Listener
	for attempt := 0; len(listeners) < len(hosts); attempt++ {
		if attempt == 100 {
			t.Fatal("no port is free on all addresses")
		}
		for _, l := range listeners {
			l.Close()
		}
		listeners, port = nil, 0
		for _, h := range hosts {
			l, err := net.Listen("tcp", net.JoinHostPort(h, strconv.Itoa(port)))
			if err != nil {
				break
			}
			listeners, port = append(listeners, l), l.Addr().(*net.TCPAddr).Port
		}
	}
	for i, l := range listeners {
		n := new(atomic.Int64)
		requests = append(requests, n)
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			n.Add(1)
			io.WriteString(w, hosts[i])
		})}
		go srv.Serve(l)
		t.Cleanup(func() { srv.Close() })
	}
	return port, requests
}

// DNS that changes its mind, lies, fails and falls silent, under traffic: no
// request fails, and what it says in the end is what is used.
func TestFlappingDNS(t *testing.T) {
	t.Parallel()
	hosts := []string{"127.0.77.1", "127.0.77.2", "127.0.77.3"}
	port, _ := onePort(t, hosts...)
	r := startResolver(t)
	r.say(mdns.RcodeSuccess, hosts[0])
	g := serveYAML(t, documents(gatewayDoc, routeDoc("app", ""), policyDoc("app", "HTTPRoute", "app", `
loadBalancer: {algorithm: RoundRobin}
retry: {attempts: 1}
`), fmt.Sprintf(`apiVersion: gridway.dev/v1alpha1
kind: Backend
metadata: {name: app}
spec:
  dns: [{name: app.test, port: %d, minTTL: 20ms, maxTTL: 50ms, resolver: %q}]
`, port, r.addr)))
	resp, _ := g.get("/")
	want(t, resp, 503, "NoHealthyEndpoint") // nobody has asked yet
	g.discover()
	uses := func(want ...string) func() bool {
		return func() bool {
			seen := g.tally(2*len(want), 1, "/")
			return len(seen) == len(want) && !slices.ContainsFunc(want, func(h string) bool { return seen[h] == 0 })
		}
	}
	eventually(t, "the first answer is used", uses(hosts[0]))

	ctx, stop := context.WithCancel(t.Context())
	var served, failed atomic.Int64
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for ctx.Err() == nil {
				resp, body, err := g.do(g.request("GET", "/", nil))
				if err != nil || resp.StatusCode != 200 {
					failed.Add(1)
					t.Errorf("%v %v %s", resp, err, body)
					return
				}
				served.Add(1)
			}
		})
	}
	asked := func(n int64) {
		t.Helper()
		from := r.asked.Load()
		eventually(t, "the name is looked up again", func() bool { return r.asked.Load() >= from+n })
	}
	for range 3 {
		r.say(mdns.RcodeSuccess, hosts[1], hosts[2])
		eventually(t, "two others", uses(hosts[1], hosts[2]))
		r.say(mdns.RcodeSuccess, hosts[0])
		eventually(t, "the first again", uses(hosts[0]))
		for i := range 8 { // faster than anybody could follow
			r.say(mdns.RcodeSuccess, hosts[i%3], hosts[(i+1)%3])
			asked(2)
		}
	}
	r.say(mdns.RcodeSuccess, hosts[1])
	asked(6) // A and AAAA, and a lookup that was under way
	eventually(t, "one", uses(hosts[1]))
	for _, bad := range []func(){
		func() { r.say(mdns.RcodeNameError) },
		func() { r.say(mdns.RcodeSuccess) }, // no addresses
		func() { r.say(mdns.RcodeServerFailure) },
		r.silence,
	} {
		bad()
		asked(2)
		if got := g.tally(8, 1, "/"); got[hosts[1]] != 8 {
			t.Errorf("the last good answer is not in use any more: %v", got)
		}
	}
	r.say(mdns.RcodeSuccess, hosts[2], hosts[0])
	begun := time.Now()
	eventually(t, "what DNS says in the end", uses(hosts[2], hosts[0]))
	stop()
	clients.Wait()
	if failed.Load() > 0 || served.Load() < 100 {
		t.Errorf("%d served, %d failed", served.Load(), failed.Load())
	}
	if n := g.metric("gridway_cluster_endpoint_updates_total"); n < 9 {
		t.Errorf("%v updates were counted", n)
	}
	t.Logf("%d served, recovered after %v", served.Load(), time.Since(begun))
}
