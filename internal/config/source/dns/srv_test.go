package dns_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/gridway/gridway/internal/ir"
)

func TestSRV(t *testing.T) {
	scripted(t, func(t *testing.T, srv *server) {
		srv.set(t,
			"_http._tcp.svc.test. 30 SRV 20 0 8080 backup.test.",
			"_http._tcp.svc.test. 30 SRV 10 5 8080 one.test.",
			"_http._tcp.svc.test. 30 SRV 10 0 8081 one.test.",
			"_http._tcp.svc.test. 30 SRV 10 10 9090 two.test.",
			"one.test. 60 A 10.0.0.1", "one.test. 60 AAAA 2001:db8::1", "backup.test. 60 A 10.0.0.9",
		)
		// The addresses of two.test come along, and only there.
		srv.additional(t, "_http._tcp.svc.test. SRV", "two.test. 60 A 10.0.0.2")
		var r recorder
		name := ir.DNSName{Name: "_http._tcp.svc.test", SRV: true, Zone: "z", Priority: 3, Resolver: srv.addr}
		s := run(t, files(t, &r, ""), clusterOf("c", name))
		want := []ir.Endpoint{
			{Address: "10.0.0.1:8080", Weight: 500, Zone: "z", Priority: 3, Hostname: "one.test"},
			{Address: "10.0.0.1:8081", Weight: 1, Zone: "z", Priority: 3, Hostname: "one.test"},
			{Address: "10.0.0.2:9090", Weight: 1000, Zone: "z", Priority: 3, Hostname: "two.test"},
			{Address: "[2001:db8::1]:8080", Weight: 500, Zone: "z", Priority: 3, Hostname: "one.test"},
			{Address: "[2001:db8::1]:8081", Weight: 1, Zone: "z", Priority: 3, Hostname: "one.test"},
			{Address: "10.0.0.9:8080", Weight: 1, Zone: "z", Priority: 4, Hostname: "backup.test"},
		}
		if got, _ := r.latest(); !slices.Equal(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
		if n := srv.count("two.test. A"); n != 0 {
			t.Errorf("a target of the additional section was asked for %d times", n)
		}
		if n := srv.count("one.test. A"); n != 1 {
			t.Errorf("a target with two ports was asked for %d times", n)
		}

		// A target that fails keeps its addresses, while others change.
		srv.fail("one.test. A", mdns.RcodeServerFailure)
		srv.fail("one.test. AAAA", mdns.RcodeServerFailure)
		srv.set(t, "backup.test. 60 A 10.0.0.10")
		advance(34 * time.Second)
		want[5].Address = "10.0.0.10:8080"
		if got, updates := r.latest(); !slices.Equal(got, want) || updates != 2 {
			t.Errorf("%d updates, got  %+v\nwant %+v", updates, got, want)
		}
		if st := s.States()[0]; !strings.Contains(st.Err, "one.test") {
			t.Errorf("status: %+v", st)
		}

		// Decidedly not there (RFC 2782): empty after the grace.
		srv.set(t, "_http._tcp.svc.test. 5 SRV 0 0 0 .")
		advance(2 * time.Minute)
		if got, updates := r.latest(); len(got) != 0 || updates != 3 {
			t.Errorf("%d updates, got %+v", updates, got)
		}
	})
}
