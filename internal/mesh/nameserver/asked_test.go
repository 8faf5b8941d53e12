package nameserver

import (
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// Who wants to know is told of each question that a resolver was asked, and of no other.
func TestAsked(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var told []Asked
	upstreams := []*upstream{
		newUpstream(t, func(w dns.ResponseWriter, q *dns.Msg) {
			_ = w.WriteMsg(new(dns.Msg).SetRcode(q, dns.RcodeServerFailure))
		}),
		newUpstream(t, public),
	}
	s, err := Start(Options{
		Addresses: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, Services: shop{}, ResolvConf: filepath.Join(t.TempDir(), "resolv.conf"),
		Asked: func(a *Asked) { mu.Lock(); defer mu.Unlock(); told = append(told, *a) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.conf.mu.Lock()
	s.conf.checked = time.Now().Add(time.Hour)
	for _, u := range upstreams {
		s.conf.now.servers = append(s.conf.now.servers, u.addr.String())
	}
	s.conf.mu.Unlock()
	exchange(t, s, "udp", question{"reviews.shop.", dns.TypeA}.msg()) // ours
	exchange(t, s, "udp", question{"example.com.", dns.TypeA}.msg())
	exchange(t, s, "udp", question{"example.com.", dns.TypeA}.msg()) // from memory
	exchange(t, s, "tcp", question{"nobody.example.com.", dns.TypeA}.msg())
	mu.Lock()
	defer mu.Unlock()
	want := []struct {
		code   int
		stream bool
	}{{dns.RcodeServerFailure, false}, {dns.RcodeSuccess, false}, {dns.RcodeServerFailure, true}, {dns.RcodeNameError, true}}
	if len(told) != len(want) {
		t.Fatalf("%+v", told)
	}
	for i, a := range told {
		if !a.Answered || a.Code != want[i].code || a.Stream != want[i].stream || a.Resolver != netip.MustParseAddr("127.0.0.1") || a.Took <= 0 || a.Question == 0 || a.Answer == 0 {
			t.Errorf("%d: %+v", i, a)
		}
	}
}
