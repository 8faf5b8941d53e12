package supervise

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

const (
	procTCP = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 10 1 0 100 0 0 10 0
   1: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1 0 100 0 0 10 0
   2: 0100007F:1F91 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 12 1 0 100 0 0 10 0
`
	procTCP6 = `  sl  local_address                         remote_address                        st
   0: 00000000000000000000000000000000:2382 00000000000000000000000000000000:0000 0A
   1: B80D01200000000000000000DC0A0000:0035 00000000000000000000000000000000:0000 0A
`
)

func TestAppendListening(t *testing.T) {
	got, err := appendListening(nil, strings.NewReader(procTCP))
	if err != nil {
		t.Fatal(err)
	}
	if got, err = appendListening(got, strings.NewReader(procTCP6)); err != nil {
		t.Fatal(err)
	}
	var want []netip.AddrPort
	for _, s := range []string{"127.0.0.1:8080", "0.0.0.0:80", "[::]:9090", "[2001:db8::adc]:53"} {
		want = append(want, netip.MustParseAddrPort(s))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestAddressOf(t *testing.T) {
	for name, c := range map[string]struct {
		all  []string
		want string
	}{
		"another port":              {[]string{"127.0.0.1:81"}, "invalid AddrPort"},
		"every address":             {[]string{"0.0.0.0:80"}, "127.0.0.1:80"},
		"its address":               {[]string{"10.0.0.1:80"}, "10.0.0.1:80"},
		"loopback before others":    {[]string{"10.0.0.1:80", "127.0.0.1:80", "10.0.0.2:80"}, "127.0.0.1:80"},
		"IPv4 before IPv6":          {[]string{"[::1]:80", "127.0.0.1:80"}, "127.0.0.1:80"},
		"IPv6 loopback before that": {[]string{"[2001:db8::1]:80", "[::1]:80"}, "[::1]:80"},
	} {
		var all []netip.AddrPort
		for _, s := range c.all {
			all = append(all, netip.MustParseAddrPort(s))
		}
		if got := addressOf(all, 80).String(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestParentIn(t *testing.T) {
	for stat, want := range map[string]int{
		"12 (app) S 7 12 12 0 -1": 7,
		"12 (a) S 9 (b) R 8 1":    8, // a name that looks like the fields behind it
		"12 (app)":                0,
		"":                        0,
	} {
		if got := parentIn([]byte(stat)); got != want {
			t.Errorf("%q: %d, want %d", stat, got, want)
		}
	}
}

// The kernel writes these tables, but what a program is called is up to others.
func FuzzProc(f *testing.F) {
	f.Add(procTCP)
	f.Add(procTCP6)
	f.Add("12 (a) S 9 (b) R 8 1")
	f.Fuzz(func(t *testing.T, s string) {
		all, _ := appendListening(nil, strings.NewReader(s))
		for _, at := range all {
			if !at.IsValid() {
				t.Errorf("%q: an address that is none", s)
			}
		}
		_ = parentIn([]byte(s))
	})
}

func TestProxyEnv(t *testing.T) {
	got := ProxyEnv([]string{"A=1", "HTTP_PROXY=http://old", "no_proxy=.corp", "https_proxy=x", "NO_PROXY=.corp"}, netip.MustParseAddrPort("[::1]:15001"))
	want := []string{
		"A=1",
		"http_proxy=http://[::1]:15001", "HTTP_PROXY=http://[::1]:15001",
		"https_proxy=http://[::1]:15001", "HTTPS_PROXY=http://[::1]:15001",
		"no_proxy=localhost,127.0.0.0/8,::1,.corp", "NO_PROXY=localhost,127.0.0.0/8,::1,.corp",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}
