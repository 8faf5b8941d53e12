package dns

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	mdns "github.com/miekg/dns"
)

func TestSystemConf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	text := "# comment\nnameserver 10.0.0.53\nnameserver 2001:db8::53\nsearch ns.svc.cluster.local svc.cluster.local\noptions ndots:2 timeout:9 attempts:1\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	conf := newResolver(Options{ResolvConf: path}).system()
	if !slices.Equal(conf.servers, []string{"10.0.0.53:53", "[2001:db8::53]:53"}) || conf.timeout != 2*time.Second || conf.attempts != 1 {
		t.Errorf("%+v", conf)
	}
	for name, want := range map[string][]string{
		"db":       {"db.ns.svc.cluster.local.", "db.svc.cluster.local.", "db."},
		"a.b.test": {"a.b.test.", "a.b.test.ns.svc.cluster.local.", "a.b.test.svc.cluster.local."},
		"db.":      {"db."},
	} {
		if got := conf.candidates(name); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if conf := newResolver(Options{ResolvConf: path + "none"}).system(); !slices.Equal(conf.servers, []string{"127.0.0.1:53"}) {
		t.Errorf("without a file: %+v", conf)
	}
}

func FuzzParseHosts(f *testing.F) {
	f.Add([]byte("127.0.0.1 localhost\n::1 localhost ip6-localhost # x\n10.0.0.1\tdb. DB\n"), "db")
	f.Add([]byte("fe80::1%eth0 db\n\x00 db\n"), "db")
	f.Fuzz(func(t *testing.T, text []byte, name string) {
		for _, a := range parseHosts(text, name) {
			if !a.IsValid() || a.Zone() != "" || a.Is4In6() {
				t.Fatalf("address %v", a)
			}
		}
	})
}

// FuzzAnswer feeds messages of any content to what reads answers.
func FuzzAnswer(f *testing.F) {
	m := new(mdns.Msg)
	m.SetQuestion("a.test.", mdns.TypeSRV)
	for _, text := range []string{"a.test. 1 CNAME b.test.", "b.test. 2 A 10.0.0.1", "b.test. 2 SRV 1 2 3 c.test.", "c.test. 1 AAAA ::1", "a.test. 3 SOA a. b. 1 2 3 4 5"} {
		rr, err := mdns.NewRR(text)
		if err != nil {
			f.Fatal(err)
		}
		m.Answer, m.Extra, m.Ns = append(m.Answer, rr), append(m.Extra, rr), append(m.Ns, rr)
	}
	seed, err := m.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, wire []byte) {
		m := new(mdns.Msg)
		if m.Unpack(wire) != nil {
			return
		}
		end, _ := followAliases(m.Answer, "a.test.")
		addrs, ttl := readAddresses(m.Answer, end)
		if (ttl < 0) != (len(addrs) == 0) {
			t.Fatalf("%d addresses with a TTL of %v", len(addrs), ttl)
		}
		records, ttl, err := readSRV(m, "a.test.")
		if ttl < 0 || (err == nil) != (len(records) > 0) {
			t.Fatalf("%d records, %v, %v", len(records), ttl, err)
		}
		priority, weight := rank(records)
		for i := range records {
			if weight[i] == 0 || priority[i] < 0 || priority[i] >= len(records) {
				t.Fatalf("priority %d, weight %d", priority[i], weight[i])
			}
		}
	})
}

func TestSortHosts(t *testing.T) {
	a := func(s string) netip.Addr { return netip.MustParseAddr(s) }
	got := sortHosts([]host{
		{addr: a("2001:db8::1")}, {addr: a("10.0.0.2")}, {addr: a("10.0.0.1"), priority: 1}, {addr: a("10.0.0.2")}, {addr: a("10.0.0.1"), port: 2}, {addr: a("10.0.0.1"), port: 1},
	})
	want := []host{{addr: a("10.0.0.1"), port: 1}, {addr: a("10.0.0.1"), port: 2}, {addr: a("10.0.0.2")}, {addr: a("2001:db8::1")}, {addr: a("10.0.0.1"), priority: 1}}
	if !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}
