package dns_test

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	mdns "github.com/miekg/dns"

	"github.com/gridway/gridway/internal/config/source/dns"
	"github.com/gridway/gridway/internal/ir"
)

// server is a DNS server on loopback that says what a test lets it say. It
// lives outside the test's synctest bubble, where real sockets are no obstacle.
type server struct {
	addr string

	mu      sync.Mutex
	records map[string][]mdns.RR // by "name. TYPE"
	extra   map[string][]mdns.RR
	rcode   map[string]int // by "name. TYPE" or "" for all
	asked   map[string]int
	noEDNS  bool
	tcp     int // questions over TCP
	edns    int // questions with EDNS0
}

func newServer(t *testing.T) *server {
	s := &server{}
	s.reset()
	pc, ln := bothProtocols(t)
	s.addr = pc.LocalAddr().String()
	var wg sync.WaitGroup
	for _, srv := range []*mdns.Server{{PacketConn: pc, Handler: s}, {Listener: ln, Handler: s}} {
		started := make(chan struct{})
		srv.NotifyStartedFunc = func() { close(started) }
		wg.Go(func() { _ = srv.ActivateAndServe() })
		<-started
		t.Cleanup(func() { _ = srv.Shutdown() })
	}
	t.Cleanup(wg.Wait)
	t.Cleanup(func() { pc.Close(); ln.Close() })
	return s
}

// bothProtocols listens on one port that is free for UDP and TCP.
func bothProtocols(t *testing.T) (net.PacketConn, net.Listener) {
	for range 100 {
		pc, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if ln, err := net.Listen("tcp", pc.LocalAddr().String()); err == nil {
			return pc, ln
		}
		pc.Close()
	}
	t.Fatal("no port is free for both")
	return nil, nil
}

func (s *server) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records, s.extra = map[string][]mdns.RR{}, map[string][]mdns.RR{}
	s.rcode, s.asked = map[string]int{}, map[string]int{}
}

// ServeDNS answers NXDOMAIN for names it has nothing of.
func (s *server) ServeDNS(w mdns.ResponseWriter, q *mdns.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := strings.ToLower(q.Question[0].Name)
	k := name + " " + mdns.TypeToString[q.Question[0].Qtype]
	s.asked[k]++
	_, overTCP := w.RemoteAddr().(*net.TCPAddr)
	if overTCP {
		s.tcp++
	}
	m := new(mdns.Msg)
	m.SetReply(q)
	if opt := q.IsEdns0(); opt != nil {
		s.edns++
		if s.noEDNS {
			m.Rcode = mdns.RcodeFormatError
			_ = w.WriteMsg(m)
			return
		}
		m.SetEdns0(1232, false)
	}
	if code, ok := s.rcode[k]; ok {
		m.Rcode = code
	} else if code, ok := s.rcode[""]; ok {
		m.Rcode = code
	} else {
		m.Answer = slices.Clone(s.records[k])
		m.Extra = append(m.Extra, s.extra[k]...)
		if len(m.Answer) == 0 && !s.has(name) {
			m.Rcode = mdns.RcodeNameError
		}
	}
	if !overTCP {
		m.Truncate(1232)
	}
	_ = w.WriteMsg(m)
}

func (s *server) has(name string) bool {
	for k := range s.records {
		if strings.HasPrefix(k, name+" ") && len(s.records[k]) > 0 {
			return true
		}
	}
	return false
}

// set replaces all records of the names and types that occur in rrs.
func (s *server) set(t *testing.T, rrs ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	fresh := map[string]bool{}
	for _, text := range rrs {
		rr, err := mdns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		k := strings.ToLower(rr.Header().Name) + " " + mdns.TypeToString[rr.Header().Rrtype]
		if !fresh[k] {
			s.records[k], fresh[k] = nil, true
		}
		s.records[k] = append(s.records[k], rr)
		if rr.Header().Rrtype == mdns.TypeCNAME { // as a resolver that does not follow it
			for _, typ := range []string{" A", " AAAA"} {
				s.records[strings.ToLower(rr.Header().Name)+typ] = []mdns.RR{rr}
			}
		}
	}
}

func (s *server) additional(t *testing.T, question string, rrs ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, text := range rrs {
		rr, err := mdns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		s.extra[question] = append(s.extra[question], rr)
	}
}

func (s *server) clear(question string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.records, question)
}

// fail makes questions fail with a code; -1 ends that.
func (s *server) fail(question string, code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if code < 0 {
		delete(s.rcode, question)
		return
	}
	s.rcode[question] = code
}

func (s *server) count(question string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[question]
}

// recorder notes updates as text.
type recorder struct {
	mu      sync.Mutex
	updates []string
	last    []ir.Endpoint
	count   int
}

func (r *recorder) update(u ir.EndpointUpdate) {
	var list []string
	for _, e := range u.Endpoints {
		list = append(list, e.Address)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = u.Endpoints
	r.count++
	r.updates = append(r.updates, u.Cluster+": "+strings.Join(list, " "))
}

// latest returns the last update and how many there were.
func (r *recorder) latest() ([]ir.Endpoint, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last, r.count
}

// take returns the updates since it was last called.
func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	u := r.updates
	r.updates = nil
	return u
}

func (r *recorder) expect(t *testing.T, want ...string) {
	t.Helper()
	if got := r.take(); !slices.Equal(got, want) {
		t.Errorf("updates %q, want %q", got, want)
	}
}

// files writes a resolv.conf and a hosts file and returns options with them.
func files(t *testing.T, r *recorder, hosts string, resolvConf ...string) options {
	t.Helper()
	dir := t.TempDir()
	o := options{update: r.update, Options: dns.Options{
		ResolvConf: filepath.Join(dir, "resolv.conf"), Hosts: filepath.Join(dir, "hosts"),
		Reachable: func(netip.Addr) bool { return true },
	}}
	for path, text := range map[string]string{o.ResolvConf: strings.Join(resolvConf, "\n"), o.Hosts: hosts} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

func clusterOf(name string, names ...ir.DNSName) *ir.Cluster {
	return &ir.Cluster{Name: name, Discovery: &ir.Discovery{DNS: names}}
}
