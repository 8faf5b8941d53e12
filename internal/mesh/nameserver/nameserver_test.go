package nameserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shop is a mesh of three services.
type shop struct{}

func (shop) Lookup(_ context.Context, name string) (Service, bool, error) {
	switch name {
	case "reviews", "reviews.shop", "reviews.shop.svc.cluster.local":
		return Service{
			Addresses: []netip.Addr{netip.MustParseAddr("240.240.0.1"), netip.MustParseAddr("fd67::1")},
			Ports:     []Port{{"http", 80}, {"admin", 9000}},
		}, true, nil
	case "old.shop":
		return Service{Addresses: []netip.Addr{netip.MustParseAddr("240.240.0.2")}}, true, nil
	case "headless.shop":
		return Service{}, true, nil
	case "unknown.shop":
		return Service{}, false, errors.New("the control plane is away")
	}
	return Service{}, false, nil
}

// upstream is a resolver of the host, which counts what it is asked.
type upstream struct {
	asked atomic.Int32
	addr  netip.AddrPort
}

func newUpstream(t testing.TB, handle func(w dns.ResponseWriter, q *dns.Msg)) *upstream {
	t.Helper()
	u := &upstream{}
	packets, streams, err := listenBoth(netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	u.addr = packets.LocalAddr().(*net.UDPAddr).AddrPort()
	for _, s := range []*dns.Server{{PacketConn: packets}, {Listener: streams}} {
		s.Handler = dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
			u.asked.Add(1)
			handle(w, q)
		})
		started, ended := make(chan struct{}), make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go func() { defer close(ended); _ = s.ActivateAndServe() }()
		<-started
		t.Cleanup(func() { _ = s.Shutdown(); <-ended })
	}
	return u
}

// public answers as resolvers of the public DNS would.
func public(w dns.ResponseWriter, q *dns.Msg) {
	reply := new(dns.Msg).SetReply(q)
	name := q.Question[0].Name
	rr := func(text string) dns.RR { r, _ := dns.NewRR(text); return r }
	switch strings.ToLower(name) {
	case "example.com.", "reviews.shop.example.com.":
		if q.Question[0].Qtype == dns.TypeA {
			reply.Answer = append(reply.Answer, rr(name+" 300 A 192.0.2.1"))
		} else {
			reply.Ns = append(reply.Ns, rr("example.com. 300 SOA a. b. 1 1 1 1 300"))
		}
	case "long.example.com.":
		for i := range 100 {
			reply.Answer = append(reply.Answer, rr(fmt.Sprintf("%s 300 A 192.0.2.%d", name, i)))
		}
		if _, udp := w.RemoteAddr().(*net.UDPAddr); udp {
			reply.Truncate(dns.MinMsgSize)
		}
	case "liar.example.com.":
		reply.Question[0].Name = "other.example.com."
	case "silent.example.com.":
		return
	default:
		reply.Rcode = dns.RcodeNameError
		reply.Ns = append(reply.Ns, rr("example.com. 300 SOA a. b. 1 1 1 1 300"))
	}
	_ = w.WriteMsg(reply)
}

// start runs a server whose host has these resolvers.
func start(t testing.TB, upstreams ...*upstream) *Server {
	t.Helper()
	s, err := Start(Options{
		Addresses: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0"), netip.MustParseAddrPort("[::1]:0")},
		Services:  shop{}, ResolvConf: filepath.Join(t.TempDir(), "resolv.conf"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	// resolv.conf names no ports.
	s.conf.mu.Lock()
	defer s.conf.mu.Unlock()
	s.conf.checked = time.Now().Add(time.Hour)
	s.conf.now.search = []string{"corp.example"}
	for _, u := range upstreams {
		s.conf.now.servers = append(s.conf.now.servers, u.addr.String())
	}
	return s
}

type question struct {
	name string
	kind uint16
}

func (q question) msg() *dns.Msg { return new(dns.Msg).SetQuestion(q.name, q.kind) }

func exchange(t *testing.T, s *Server, network string, m *dns.Msg) *dns.Msg {
	t.Helper()
	c := dns.Client{Net: network, Timeout: 10 * time.Second}
	reply, _, err := c.Exchange(m, s.Addresses()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

// short is a reply in a line: its code and the data of its answers.
func short(m *dns.Msg) string {
	parts := []string{dns.RcodeToString[m.Rcode]}
	for _, rr := range m.Answer {
		parts = append(parts, strings.TrimPrefix(rr.String(), rr.Header().String()))
	}
	slices.Sort(parts[1:])
	return strings.Join(parts, " ")
}

func TestServices(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, public)
	s := start(t, u)
	for _, c := range []struct {
		question
		want string
	}{
		{question{"reviews.", dns.TypeA}, "NOERROR 240.240.0.1"},
		{question{"ReViews.Shop.", dns.TypeA}, "NOERROR 240.240.0.1"},
		{question{"reviews.shop.svc.cluster.local.", dns.TypeAAAA}, "NOERROR fd67::1"},
		{question{"reviews.corp.example.", dns.TypeA}, "NOERROR 240.240.0.1"},
		{question{"reviews.shop.corp.example.", dns.TypeA}, "NOERROR 240.240.0.1"},
		{question{"reviews.", dns.TypeANY}, "NOERROR 240.240.0.1 fd67::1"},
		{question{"reviews.", dns.TypeTXT}, "NOERROR"},
		{question{"reviews.", dns.TypeHTTPS}, "NOERROR"},
		{question{"old.shop.", dns.TypeA}, "NOERROR 240.240.0.2"},
		{question{"old.shop.", dns.TypeAAAA}, "NOERROR"},
		{question{"headless.shop.", dns.TypeA}, "NOERROR"},
		{question{"_http._tcp.reviews.", dns.TypeSRV}, "NOERROR 0 1 80 reviews."},
		{question{"_admin._tcp.reviews.shop.", dns.TypeSRV}, "NOERROR 0 1 9000 reviews.shop."},
		{question{"_http._tcp.reviews.", dns.TypeA}, "NOERROR"},
		{question{"_smtp._tcp.reviews.", dns.TypeSRV}, "NXDOMAIN"},
		{question{"unknown.shop.", dns.TypeA}, "SERVFAIL"},
	} {
		for _, network := range []string{"udp", "tcp"} {
			reply := exchange(t, s, network, c.msg())
			if got := short(reply); got != c.want {
				t.Errorf("%s %s: %q, want %q", c.name, dns.TypeToString[c.kind], got, c.want)
			}
			if len(reply.Answer) == 0 && reply.Rcode != dns.RcodeServerFailure && (len(reply.Ns) != 1 || reply.Ns[0].Header().Rrtype != dns.TypeSOA) {
				t.Errorf("%s: nobody knows for how long there is nothing", c.name)
			}
		}
	}
	srv := exchange(t, s, "udp", question{"_http._tcp.reviews.", dns.TypeSRV}.msg())
	if len(srv.Extra) != 2 {
		t.Error("the addresses of the target have to be asked for:", srv.Extra)
	}
	if n := u.asked.Load(); n != 0 {
		t.Errorf("resolvers were asked %d times about services", n)
	}
	if st := s.Stats(); st.Services == 0 || st.Forwarded != 0 || st.Failed != 2 {
		t.Errorf("counted %+v", st)
	}
}

func TestForwarded(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, public)
	s := start(t, u)
	for _, c := range []struct {
		question
		want  string
		asked int32 // for two questions
	}{
		{question{"example.com.", dns.TypeA}, "NOERROR 192.0.2.1", 1},
		{question{"EXAMPLE.com.", dns.TypeA}, "NOERROR 192.0.2.1", 0},
		{question{"example.com.", dns.TypeAAAA}, "NOERROR", 1},
		{question{"no.example.com.", dns.TypeA}, "NXDOMAIN", 1},
		{question{"reviews.shop.example.com.", dns.TypeA}, "NOERROR 192.0.2.1", 1},
	} {
		before := u.asked.Load()
		for range 2 {
			m := c.msg()
			reply := exchange(t, s, "udp", m)
			if got := short(reply); got != c.want || reply.Id != m.Id || reply.Question[0] != m.Question[0] {
				t.Errorf("%s: %q, want %q", c.name, got, c.want)
			}
		}
		if n := u.asked.Load() - before; n != c.asked {
			t.Errorf("%s: resolvers were asked %d times, want %d", c.name, n, c.asked)
		}
	}
}

func TestTruncation(t *testing.T) {
	t.Parallel()
	s := start(t, newUpstream(t, public))
	m := question{"long.example.com.", dns.TypeA}.msg()
	reply := exchange(t, s, "udp", m) // whose buffer has room for no more
	if !reply.Truncated || len(reply.Answer) == 100 {
		t.Errorf("%d answers, truncated: %v", len(reply.Answer), reply.Truncated)
	}
	if reply = exchange(t, s, "tcp", m); reply.Truncated || len(reply.Answer) != 100 {
		t.Errorf("by TCP: %d answers, truncated: %v", len(reply.Answer), reply.Truncated)
	}
}

func TestEDNS(t *testing.T) {
	t.Parallel()
	s := start(t, newUpstream(t, public))
	for _, name := range []string{"reviews.", "example.com."} {
		m := question{name, dns.TypeA}.msg()
		if exchange(t, s, "udp", m).IsEdns0() != nil {
			t.Error(name, "EDNS was not asked for")
		}
		m.SetEdns0(1232, true)
		reply := exchange(t, s, "udp", m)
		if opt := reply.IsEdns0(); opt == nil || !opt.Do() && name == "reviews." || opt.UDPSize() == 0 {
			t.Error(name, "EDNS was lost:", reply)
		}
	}
	m := question{"reviews.", dns.TypeA}.msg()
	m.SetEdns0(1232, false)
	m.IsEdns0().SetVersion(1)
	if reply := exchange(t, s, "udp", m); reply.Rcode != dns.RcodeBadVers {
		t.Error("version 1:", dns.RcodeToString[reply.Rcode])
	}
}

// The next resolver is asked when one is silent, answers something else, or fails.
func TestResolversFail(t *testing.T) {
	t.Parallel()
	fails := newUpstream(t, func(w dns.ResponseWriter, q *dns.Msg) {
		_ = w.WriteMsg(new(dns.Msg).SetRcode(q, dns.RcodeServerFailure))
	})
	liar := newUpstream(t, func(w dns.ResponseWriter, q *dns.Msg) {
		reply := new(dns.Msg).SetReply(q)
		reply.Question[0].Name = "other.example.com."
		_ = w.WriteMsg(reply)
	})
	s := start(t, fails, liar, newUpstream(t, public))
	if got := short(exchange(t, s, "udp", question{"example.com.", dns.TypeA}.msg())); got != "NOERROR 192.0.2.1" {
		t.Error(got)
	}
	s = start(t, liar)
	if got := short(exchange(t, s, "udp", question{"example.com.", dns.TypeA}.msg())); got != "SERVFAIL" {
		t.Error("a lie:", got)
	}
	s = start(t, fails)
	if got := short(exchange(t, s, "udp", question{"example.com.", dns.TypeA}.msg())); got != "SERVFAIL" {
		t.Error("a failure:", got)
	}
	s = start(t)
	if got := short(exchange(t, s, "udp", question{"example.com.", dns.TypeA}.msg())); got != "SERVFAIL" {
		t.Error("nobody to ask:", got)
	}
}

func TestLoopbackAlone(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"0.0.0.0:0", "192.0.2.1:53", "[::]:0"} {
		if s, err := Start(Options{Addresses: []netip.AddrPort{netip.MustParseAddrPort(at)}}); err == nil || !strings.Contains(err.Error(), "loopback") {
			s.Close()
			t.Errorf("%s: %v", at, err)
		}
	}
}

func TestOddQuestions(t *testing.T) {
	t.Parallel()
	s := newServer(Options{Services: shop{}, ResolvConf: os.DevNull})
	defer s.Close()
	q := question{"reviews.", dns.TypeA}
	for want, m := range map[string]*dns.Msg{
		"NOTIMP":  {MsgHdr: dns.MsgHdr{Opcode: dns.OpcodeUpdate}, Question: q.msg().Question},
		"FORMERR": {},
		"REFUSED": question{"reviews.", dns.TypeAXFR}.msg(),
	} {
		if got := short(s.answer(t.Context(), m, false)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	chaos := q.msg()
	chaos.Question[0].Qclass = dns.ClassCHAOS
	if got := short(s.answer(t.Context(), chaos, false)); got != "SERVFAIL" {
		t.Error("another class is the service's:", got)
	}
}

func TestCacheIsBounded(t *testing.T) {
	var c cache
	c.init()
	now := time.Unix(1_800_000_000, 0)
	rr, _ := dns.NewRR("a. 60 A 192.0.2.1")
	for i := range maxCached + 100 {
		q := question{fmt.Sprintf("n%d.", i), dns.TypeA}.msg()
		reply := new(dns.Msg).SetReply(q)
		reply.Answer = []dns.RR{rr}
		c.put(keyOf(q, false), reply, now)
	}
	if len(c.kept) != maxCached {
		t.Errorf("%d are kept", len(c.kept))
	}
	last := question{fmt.Sprintf("n%d.", maxCached+99), dns.TypeA}.msg()
	if reply := c.get(keyOf(last, false), last, now.Add(20*time.Second)); reply == nil || reply.Answer[0].Header().Ttl != 40 {
		t.Error("what is left of its time:", reply)
	}
	if c.get(keyOf(last, false), last, now.Add(time.Minute)) != nil {
		t.Error("it is kept for longer than it may be")
	}
}

func TestResolvConf(t *testing.T) {
	own := netip.MustParseAddrPort("127.0.0.2:53")
	r := parseResolvConf("nameserver 127.0.0.2\nnameserver 192.0.2.1\nnameserver fd00::1\nsearch Corp.Example. b.example\noptions ndots:1\n", []netip.AddrPort{own})
	if !slices.Equal(r.servers, []string{"192.0.2.1:53", "[fd00::1]:53"}) || !slices.Equal(r.search, []string{"corp.example", "b.example"}) {
		t.Errorf("%+v", r)
	}
	path := filepath.Join(t.TempDir(), "resolv.conf")
	c := &hostConf{path: path}
	write := func(text string) {
		c.checked = time.Time{}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("nameserver 192.0.2.1\n")
	if got := c.get().servers; !slices.Equal(got, []string{"192.0.2.1:53"}) {
		t.Error(got)
	}
	write("nameserver 192.0.2.22\n")
	if got := c.get().servers; !slices.Equal(got, []string{"192.0.2.22:53"}) {
		t.Error("after a change:", got)
	}
	c.checked = time.Time{}
	_ = os.Remove(path)
	if got := c.get().servers; len(got) != 1 {
		t.Error("without the file:", got)
	}
}

// Whatever bytes come, the reply is one to that question, and fits.
func FuzzQuestion(f *testing.F) {
	for _, q := range []question{{"reviews.", dns.TypeA}, {"_http._tcp.reviews.", dns.TypeSRV}, {"example.com.", dns.TypeANY}} {
		m := q.msg()
		b, _ := m.Pack()
		f.Add(b, false)
		m.SetEdns0(1232, true)
		b, _ = m.Pack()
		f.Add(b, true)
	}
	s := newServer(Options{Services: shop{}, ResolvConf: os.DevNull})
	f.Fuzz(func(t *testing.T, b []byte, stream bool) {
		q := new(dns.Msg)
		if q.Unpack(b) != nil || q.Response {
			return
		}
		reply := s.answer(t.Context(), q, stream)
		fit(reply, q, stream)
		packed, err := reply.Pack()
		if err != nil {
			t.Fatalf("%v: the reply cannot be sent: %v\n%v", q, err, reply)
		}
		size := dns.MinMsgSize
		if opt := q.IsEdns0(); opt != nil {
			size = min(max(int(opt.UDPSize()), size), maxUDP)
		}
		if !stream && len(packed) > size && len(q.Question) <= 1 {
			t.Errorf("%d bytes for a client with room for %d", len(packed), size)
		}
		if reply.Id != q.Id || !reply.Response || len(q.Question) == 1 && reply.Question[0] != q.Question[0] {
			t.Errorf("no reply to the question: %v", reply)
		}
	})
}
