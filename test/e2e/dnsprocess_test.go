package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	mdns "github.com/miekg/dns"
)

// nameServer is a DNS server over UDP and TCP that can be killed and come back
// on its port, with records that change.
type nameServer struct {
	t    *testing.T
	addr string
	down func()

	mu      sync.Mutex
	records []mdns.RR                                        // guarded by mu
	asked   map[string]int                                   // guarded by mu; by transport and type
	special func(w mdns.ResponseWriter, q, a *mdns.Msg) bool // guarded by mu; true: it has answered
}

func startNameServer(t *testing.T) *nameServer {
	t.Helper()
	s := &nameServer{t: t, addr: fmt.Sprintf("127.0.0.1:%d", ownPort(t)), asked: map[string]int{}}
	s.up()
	t.Cleanup(func() { s.down() })
	return s
}

// up listens on both transports.
func (s *nameServer) up() {
	s.t.Helper()
	var servers []*mdns.Server
	var wg sync.WaitGroup
	for _, network := range []string{"udp", "tcp"} {
		started := make(chan struct{})
		srv := &mdns.Server{Addr: s.addr, Net: network, Handler: s, NotifyStartedFunc: func() { close(started) }}
		failed := make(chan error, 1)
		wg.Go(func() { failed <- srv.ListenAndServe() })
		select {
		case <-started:
		case err := <-failed:
			s.t.Fatal(err)
		}
		servers = append(servers, srv)
	}
	s.down = sync.OnceFunc(func() {
		for _, srv := range servers {
			srv.Shutdown()
		}
		wg.Wait()
	})
}

// say replaces all records, in the form of zone files.
func (s *nameServer) say(records ...string) {
	s.t.Helper()
	var list []mdns.RR
	for _, text := range records {
		rr, err := mdns.NewRR(text)
		if err != nil {
			s.t.Fatal(err)
		}
		list = append(list, rr)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records, s.special = list, nil
}

func (s *nameServer) behave(special func(w mdns.ResponseWriter, q, a *mdns.Msg) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.special = special
}

func (s *nameServer) count(what string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[what]
}

// ServeDNS answers with the records of exactly the name that was asked for: it
// follows no aliases.
func (s *nameServer) ServeDNS(w mdns.ResponseWriter, q *mdns.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	network := w.LocalAddr().Network()
	s.asked[network]++
	s.asked[mdns.TypeToString[q.Question[0].Qtype]]++
	m := new(mdns.Msg).SetReply(q)
	for _, rr := range s.records {
		h := rr.Header()
		if strings.EqualFold(h.Name, q.Question[0].Name) && (h.Rrtype == q.Question[0].Qtype || h.Rrtype == mdns.TypeCNAME) {
			m.Answer = append(m.Answer, rr)
		}
	}
	if s.special != nil && s.special(w, q, m) {
		return
	}
	if network == "udp" {
		m.Truncate(512)
	}
	w.WriteMsg(m)
}

// from asks the gateway on port and tells who answered.
func from(t *testing.T, port int) string {
	t.Helper()
	return fetch(t, port, "/")
}

// fetch asks for a path and tells who answered, or the reason why nobody did.
func fetch(t *testing.T, port int, path string) string {
	t.Helper()
	resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d%s", port, path))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != 200 {
		return resp.Header.Get("X-Gridway-Reason")
	}
	return string(b)
}

// answered waits until exactly these answer.
func answered(t *testing.T, port int, by ...string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%v answer", by), func() bool {
		var seen []string
		for range 3 * len(by) {
			if name := from(t, port); !slices.Contains(seen, name) {
				seen = append(seen, name)
			}
		}
		slices.Sort(seen)
		return slices.Equal(seen, by)
	})
}

func dnsBackend(server, fields string) string {
	return fmt.Sprintf(`apiVersion: gridway.dev/v1alpha1
kind: Backend
metadata: {name: app}
spec:
  dns: [{%s, resolver: %q}]
`, fields, server)
}

// The resolver dies and comes back, lies and is lame: the process serves with
// the last good answer, and takes the next good one.
func TestResolverOutageOfAProcess(t *testing.T) {
	hosts := []string{"127.0.78.1", "127.0.78.2", "127.0.78.3"}
	app, _ := onePort(t, hosts...)
	s := startNameServer(t)
	s.say("app.test. 0 A 127.0.78.1", "app.test. 0 A 127.0.78.2")
	port := ownPort(t)
	p := start(t, documents(plainOn(port), routeDoc("app", ""), policyDoc("app", "HTTPRoute", "app", "loadBalancer: {algorithm: RoundRobin}"),
		dnsBackend(s.addr, fmt.Sprintf("name: app.test, port: %d, minTTL: 50ms", app))))
	answered(t, port, hosts[0], hosts[1])
	failing := func() {
		t.Helper()
		p.said("name cannot be resolved", "keeps=2")
		for range 10 {
			if by := from(t, port); by != hosts[0] && by != hosts[1] {
				t.Errorf("answered by %q", by)
			}
		}
		p.log.reset()
	}
	s.down()
	failing()
	s.say("app.test. 0 A 127.0.78.1", "app.test. 0 A 127.0.78.2")
	s.up()
	p.said("name is resolved again")
	for what, lie := range map[string]func(w mdns.ResponseWriter, q, a *mdns.Msg) bool{
		"SERVFAIL": func(_ mdns.ResponseWriter, _, a *mdns.Msg) bool {
			a.Rcode, a.Answer = mdns.RcodeServerFailure, nil
			return false
		},
		"REFUSED": func(_ mdns.ResponseWriter, _, a *mdns.Msg) bool {
			a.Rcode, a.Answer = mdns.RcodeRefused, nil
			return false
		},
		"NXDOMAIN": func(_ mdns.ResponseWriter, _, a *mdns.Msg) bool {
			a.Rcode, a.Answer = mdns.RcodeNameError, nil
			return false
		},
		"nothing":      func(_ mdns.ResponseWriter, _, a *mdns.Msg) bool { a.Answer = nil; return false },
		"another name": func(_ mdns.ResponseWriter, _, a *mdns.Msg) bool { a.Question[0].Name = "evil.test."; return false },
		"another's address": func(_ mdns.ResponseWriter, _, a *mdns.Msg) bool {
			a.Answer = []mdns.RR{&mdns.A{Hdr: mdns.RR_Header{Name: "evil.test.", Rrtype: mdns.TypeA, Class: mdns.ClassINET}, A: net.ParseIP(hosts[2])}}
			return false
		},
		"garbage": func(w mdns.ResponseWriter, _, _ *mdns.Msg) bool { w.Write([]byte("no DNS at all")); return true },
		"alias to itself": func(_ mdns.ResponseWriter, q, a *mdns.Msg) bool {
			a.Answer = []mdns.RR{&mdns.CNAME{Hdr: mdns.RR_Header{Name: q.Question[0].Name, Rrtype: mdns.TypeCNAME, Class: mdns.ClassINET}, Target: q.Question[0].Name}}
			return false
		},
	} {
		t.Log(what)
		s.behave(lie)
		failing()
		s.behave(nil)
		p.said("name is resolved again")
	}
	s.say("app.test. 0 A 127.0.78.3")
	answered(t, port, hosts[2])
}

// Answers that do not fit into a datagram come over TCP; aliases are followed
// over several questions; a long TTL is believed, and bounded by maxTTL.
func TestAnswersOfAllShapesForAProcess(t *testing.T) {
	app, _ := onePort(t, "127.0.79.1", "127.0.79.2")
	s := startNameServer(t)
	port := ownPort(t)
	config := func(fields string) string {
		return documents(plainOn(port), routeDoc("app", ""), policyDoc("app", "HTTPRoute", "app", "loadBalancer: {algorithm: RoundRobin, panicThreshold: 0}\nhealthCheck: {tcp: {}, interval: 50ms, timeout: 1s, unhealthyThreshold: 1}"),
			dnsBackend(s.addr, fields))
	}
	many := []string{"app.test. 3600 A 127.0.79.1"}
	for i := range 80 {
		many = append(many, fmt.Sprintf("app.test. 3600 A 127.0.80.%d", i+1)) // refused
	}
	s.say(many...)
	p := start(t, config(fmt.Sprintf("name: app.test, port: %d", app)))
	answered(t, port, "127.0.79.1")
	eventually(t, "all addresses are known", func() bool { return p.metric("gridway_cluster_endpoints", "Backend/default/app") == 81 })
	if s.count("tcp") == 0 {
		t.Error("the answer did not come over TCP")
	}
	asked := s.count("A")
	s.say("app.test. 1 A 127.0.79.2")
	for range 20 {
		if by := from(t, port); by != "127.0.79.1" {
			t.Errorf("an answer for an hour was forgotten: %q", by)
		}
	}
	if n := s.count("A"); n != asked {
		t.Errorf("%d more questions within the hour", n-asked)
	}
	s.say("app.test. 3600 CNAME b.test.", "b.test. 0 CNAME c.test.", "c.test. 3600 A 127.0.79.1")
	p.reload(config(fmt.Sprintf("name: app.test, port: %d, minTTL: 50ms, maxTTL: 60ms", app)))
	answered(t, port, "127.0.79.1")
	s.say("app.test. 3600 CNAME b.test.", "b.test. 3600 CNAME d.test.", "d.test. 2147483647 A 127.0.79.2")
	answered(t, port, "127.0.79.2")
	// SRV: the lower priority value serves, by weight, until it is gone.
	s.say(fmt.Sprintf("_http._tcp.app.test. 0 SRV 10 0 %d one.test.", app), fmt.Sprintf("_http._tcp.app.test. 0 SRV 20 5 %d two.test.", app),
		"one.test. 0 A 127.0.79.1", "two.test. 0 A 127.0.79.2")
	p.reload(config("name: _http._tcp.app.test, type: SRV, minTTL: 50ms"))
	answered(t, port, "127.0.79.1")
	s.say("_http._tcp.app.test. 0 SRV 10 0 1 one.test.", fmt.Sprintf("_http._tcp.app.test. 0 SRV 20 5 %d two.test.", app),
		"one.test. 0 A 127.0.80.1", "two.test. 0 A 127.0.79.2")
	answered(t, port, "127.0.79.2") // nobody is at port 1
	s.say(fmt.Sprintf("_http._tcp.app.test. 0 SRV 1 1 %d one.test.", app), fmt.Sprintf("_http._tcp.app.test. 0 SRV 1 1 %d two.test.", app),
		"one.test. 0 A 127.0.79.1", "two.test. 0 A 127.0.79.2")
	answered(t, port, "127.0.79.1", "127.0.79.2")
}
