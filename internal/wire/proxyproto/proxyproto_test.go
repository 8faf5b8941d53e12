package proxyproto_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/wire/proxyproto"
)

const sig = "\r\n\r\n\x00\r\nQUIT\n"

var (
	four  = "\x0a\x00\x00\x01\xc0\xa8\x00\x02\x1f\x90\x01\xbb"
	six   = "\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x01" + "\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x02" + "\x1f\x90\x01\xbb"
	mapp  = strings.Repeat("\x00", 10) + "\xff\xff\x0a\x00\x00\x01" + strings.Repeat("\x00", 10) + "\xff\xff\xc0\xa8\x00\x02" + "\x1f\x90\x01\xbb"
	unixa = strings.Repeat("u", 216)
)

var valid = []struct {
	name, in string
	want     proxyproto.Header
}{
	{"v1 tcp4", "PROXY TCP4 10.0.0.1 192.168.0.2 8080 443\r\n", v(1, "10.0.0.1:8080", "192.168.0.2:443")},
	{"v1 tcp6", "PROXY TCP6 2001:db8::1 2001:db8::2 8080 443\r\n", v(1, "[2001:db8::1]:8080", "[2001:db8::2]:443")},
	{"v1 mapped", "PROXY TCP6 ::ffff:10.0.0.1 ::ffff:192.168.0.2 8080 443\r\n", v(1, "10.0.0.1:8080", "192.168.0.2:443")},
	{"v1 longest", "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n", proxyproto.Header{Version: 1}},
	{"v1 unknown", "PROXY UNKNOWN\r\n", proxyproto.Header{Version: 1}},
	{"v1 port 0", "PROXY TCP4 10.0.0.1 192.168.0.2 0 443\r\n", v(1, "10.0.0.1:0", "192.168.0.2:443")},
	{"v2 tcp4", sig + "\x21\x11\x00\x0c" + four, v(2, "10.0.0.1:8080", "192.168.0.2:443")},
	{"v2 tcp6", sig + "\x21\x21\x00\x24" + six, v(2, "[2001:db8::1]:8080", "[2001:db8::2]:443")},
	{"v2 mapped", sig + "\x21\x21\x00\x24" + mapp, v(2, "10.0.0.1:8080", "192.168.0.2:443")},
	{"v2 tlvs", sig + "\x21\x11\x00\x13" + four + "\x01\x00\x04h2c!", v(2, "10.0.0.1:8080", "192.168.0.2:443")},
	{"v2 local", sig + "\x20\x00\x00\x00", proxyproto.Header{Version: 2, Local: true}},
	{"v2 local with addresses", sig + "\x20\x11\x00\x0c" + four, proxyproto.Header{Version: 2, Local: true}},
	{"v2 local of an unknown family", sig + "\x20\x77\x00\x01x", proxyproto.Header{Version: 2, Local: true}},
	{"v2 unspec", sig + "\x21\x00\x00\x03abc", proxyproto.Header{Version: 2}},
	{"v2 udp", sig + "\x21\x12\x00\x0c" + four, proxyproto.Header{Version: 2}},
	{"v2 unix", sig + "\x21\x31\x00\xd8" + unixa, proxyproto.Header{Version: 2}},
	{"v2 longest", sig + "\x21\x11\x0f\xf0" + four + strings.Repeat("t", 4080-12), v(2, "10.0.0.1:8080", "192.168.0.2:443")},
}

func v(version int, src, dst string) proxyproto.Header {
	return proxyproto.Header{Version: version, Source: netip.MustParseAddrPort(src), Destination: netip.MustParseAddrPort(dst)}
}

func TestValid(t *testing.T) {
	for _, tc := range valid {
		t.Run(tc.name, func(t *testing.T) {
			for n := range len(tc.in) {
				if _, _, err := proxyproto.Parse([]byte(tc.in[:n])); err != proxyproto.ErrMore {
					t.Fatalf("the first %d bytes: %v", n, err)
				}
			}
			for _, rest := range []string{"", "GET / HTTP/1.1\r\n"} {
				h, n, err := proxyproto.Parse([]byte(tc.in + rest))
				if err != nil || n != len(tc.in) || h != tc.want {
					t.Errorf("Parse = %+v, %d, %v; want %+v, %d", h, n, err, tc.want, len(tc.in))
				}
			}
		})
	}
}

func TestMalformed(t *testing.T) {
	for _, in := range []string{
		"PROXY \r\n",
		"PROXY TCP5 10.0.0.1 192.168.0.2 1 2\r\n",
		"PROXY tcp4 10.0.0.1 192.168.0.2 1 2\r\n",
		"PROXY TCP4\r\n",
		"PROXY TCP4 10.0.0.1 192.168.0.2 1\r\n",
		"PROXY TCP4 10.0.0.1 192.168.0.2 1 2 3\r\n",
		"PROXY TCP4  10.0.0.1 192.168.0.2 1 2\r\n",
		"PROXY TCP4 10.0.0.1 192.168.0.2 1 2 \r\n",
		"PROXY TCP4 10.0.0.01 192.168.0.2 1 2\r\n",
		"PROXY TCP4 10.0.0 192.168.0.2 1 2\r\n",
		"PROXY TCP4 ::1 ::2 1 2\r\n",
		"PROXY TCP6 10.0.0.1 192.168.0.2 1 2\r\n",
		"PROXY TCP6 fe80::1%eth0 ::2 1 2\r\n",
		"PROXY TCP4 10.0.0.1 192.168.0.2 01 2\r\n",
		"PROXY TCP4 10.0.0.1 192.168.0.2 +1 2\r\n",
		"PROXY TCP4 10.0.0.1 192.168.0.2 65536 2\r\n",
		"PROXY TCP4 10.0.0.1 192.168.0.2 1 2\n",
		"PROXY TCP4 10.0.0.1 192.168.0.2 1 2\rX",
		"PROXY UNKNOWN " + strings.Repeat("x", 93),
		"PROXY UNKNOWN " + strings.Repeat("x", 92) + "\r",
		sig + "\x11",
		sig + "\x22",
		sig + "\x21\x13\x00\x0c" + four,
		sig + "\x21\x41\x00\x0c" + four,
		sig + "\x21\x11\x00\x0b",
		sig + "\x21\x21\x00\x0c",
		sig + "\x21\x31\x00\xd7",
		sig + "\x21\x11\x0f\xf1",
		sig + "\x21\x11\xff\xff",
	} {
		_, n, err := proxyproto.Parse([]byte(in))
		var pe *proxyproto.Error
		if !errors.As(err, &pe) || n != 0 {
			t.Errorf("Parse(%q) = %d, %v", in, n, err)
		}
	}
}

func TestNone(t *testing.T) {
	for _, in := range []string{"G", "PO", "PROP", "PROXY\t", "PRI * HTTP/2", "\x16\x03\x01", "\r\n\r\nG", "\n", sig[:11] + "x"} {
		if _, _, err := proxyproto.Parse([]byte(in)); err != proxyproto.ErrNone {
			t.Errorf("Parse(%q): %v", in, err)
		}
	}
	if _, _, err := proxyproto.Parse(nil); err != proxyproto.ErrMore {
		t.Errorf("Parse of nothing: %v", err)
	}
}

func TestAppend(t *testing.T) {
	ap := netip.MustParseAddrPort
	for _, tc := range []struct{ src, dst, wantSrc, wantDst netip.AddrPort }{
		{ap("10.0.0.1:8080"), ap("192.168.0.2:443"), ap("10.0.0.1:8080"), ap("192.168.0.2:443")},
		{ap("[2001:db8::1]:1"), ap("[2001:db8::2]:65535"), ap("[2001:db8::1]:1"), ap("[2001:db8::2]:65535")},
		{ap("[::ffff:10.0.0.1]:8080"), ap("192.168.0.2:443"), ap("10.0.0.1:8080"), ap("192.168.0.2:443")},
		{ap("10.0.0.1:8080"), ap("[2001:db8::2]:443"), ap("10.0.0.1:8080"), ap("[2001:db8::2]:443")},
		{ap("[fe80::1%eth0]:1"), ap("[fe80::2%eth0]:2"), ap("[fe80::1]:1"), ap("[fe80::2]:2")},
		{netip.AddrPort{}, ap("192.168.0.2:443"), netip.AddrPort{}, netip.AddrPort{}},
	} {
		for version, f := range map[int]func([]byte, netip.AddrPort, netip.AddrPort) []byte{1: proxyproto.AppendV1, 2: proxyproto.AppendV2} {
			b := f([]byte("before"), tc.src, tc.dst)[len("before"):]
			h, n, err := proxyproto.Parse(b)
			if err != nil || n != len(b) || h.Source != tc.wantSrc || h.Destination != tc.wantDst || h.Version != version {
				t.Errorf("%q gave %+v, %d, %v", b, h, n, err)
			}
			if h.Local != (version == 2 && !tc.wantSrc.IsValid()) {
				t.Errorf("%q: Local = %v", b, h.Local)
			}
		}
	}
}

func TestAppendDoesNotAllocate(t *testing.T) {
	src, dst := netip.MustParseAddrPort("[2001:db8::1]:8080"), netip.MustParseAddrPort("192.168.0.2:443")
	buf := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() {
		proxyproto.AppendV1(buf, src, dst)
		proxyproto.AppendV2(buf, src, dst)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParse(f *testing.F) {
	for _, tc := range valid {
		f.Add([]byte(tc.in))
	}
	f.Add([]byte("PROXY TCP4 10.0.0.1 192.168.0.2 1 2\n"))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		h, n, err := proxyproto.Parse(in)
		if err != nil {
			if n != 0 || h != (proxyproto.Header{}) {
				t.Fatalf("an error with a result: %+v, %d", h, n)
			}
			if err == proxyproto.ErrMore && len(in) >= proxyproto.MaxV2 {
				t.Fatal("more is asked for beyond the bound")
			}
			return
		}
		if n <= 0 || n > len(in) || n > proxyproto.MaxV2 {
			t.Fatalf("%d of %d bytes", n, len(in))
		}
		// What comes after the header changes nothing; what is missing is asked for.
		if h2, n2, err := proxyproto.Parse(in[:n]); err != nil || n2 != n || h2 != h {
			t.Fatalf("without the rest: %+v, %d, %v", h2, n2, err)
		}
		if _, _, err := proxyproto.Parse(in[:n-1]); err != proxyproto.ErrMore {
			t.Fatalf("one byte short: %v", err)
		}
		if !h.Source.IsValid() {
			return
		}
		for _, b := range [][]byte{proxyproto.AppendV1(nil, h.Source, h.Destination), proxyproto.AppendV2(nil, h.Source, h.Destination)} {
			h2, _, err := proxyproto.Parse(b)
			if err != nil || h2.Source != h.Source || h2.Destination != h.Destination {
				t.Fatalf("round trip %q: %+v, %v", b, h2, err)
			}
		}
	})
}
