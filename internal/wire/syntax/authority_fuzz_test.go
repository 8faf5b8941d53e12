package syntax

import (
	"bytes"
	"math/big"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// FuzzAuthority: what is accepted is what net/url and net/netip make of it, in lower
// case; it stays as it is when it is read again. Beside it, Content-Length.
func FuzzAuthority(f *testing.F) {
	for _, s := range []string{
		"example.com", "EXAMPLE.com:80", "a.", "a:", "[::1]:8443", "[fe80::1%25eth0]", "[::ffff:1.2.3.4]", "1.2.3.4", "a..b", ".a", "a:65536", "a:00080",
		"user@a", "a,b", "[1:2:3:4:5:6:7:8:9]", "[::0:0:0:0:0:0:0:0]", "[1::2:3:4:5:6:7:8]", "[1:2:3:4:5:6:7::]", "[::1:2:3:4:5:1.2.3.4]", "[::1", "12", "00", "9223372036854775808", "+1", strings.Repeat("a", 256),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		checkLength(t, b)
		var arena httpmsg.Arena
		out, port, ok := ParseAuthority(b, &arena)
		if len(b) > 2 && b[0] == '[' && b[len(b)-1] == ']' {
			addr, err := netip.ParseAddr(string(b[1 : len(b)-1]))
			if want := err == nil && addr.Is6() && addr.Zone() == ""; ok != want {
				t.Fatalf("%q: %v, and netip says %v, %v", b, ok, addr, err)
			}
		}
		if !ok {
			return
		}
		again, port2, ok2 := ParseAuthority(out, &arena)
		if !ok2 || port2 != port || !bytes.Equal(again, out) {
			t.Fatalf("%q is %q, and then %q, %v %v", b, out, again, port2, ok2)
		}
		u, err := url.Parse("http://" + string(out) + "/")
		if err != nil || u.Host != string(out) || u.User != nil || u.Path != "/" || (u.Port() != "") != port || u.Hostname() == "" {
			t.Fatalf("%q is %q, of which net/url makes %+v, %v", b, out, u, err)
		}
		if bytes.ContainsAny(out, "ABCDEFGHIJKLMNOPQRSTUVWXYZ@,/?#%\\ \r\n\x00") || strings.HasSuffix(u.Hostname(), ".") {
			t.Fatalf("%q is %q", b, out)
		}
	})
}

func checkLength(t *testing.T, b []byte) {
	n, ok := ParseLength(b)
	digits := len(b) > 0 && len(bytes.Trim(b, "0123456789")) == 0
	if ok != digits {
		t.Fatalf("length %q: %d, %v", b, n, ok)
	}
	if !ok {
		return
	}
	want, _ := new(big.Int).SetString(string(b), 10)
	if !want.IsInt64() {
		want = big.NewInt(-1)
	}
	if n != want.Int64() {
		t.Fatalf("length %q: %d, want %d", b, n, want)
	}
}

// FuzzTarget: words at a time see what bytes at a time do, wherever the target begins.
func FuzzTarget(f *testing.F) {
	for _, s := range []string{"/a/b?c=d HTTP/1.1", "//a/./b/../c", "/%2e%2E/", "/a\\b", "*", "/a?b?c#d", "/abcdefg//h", "/1234567/.8"} {
		f.Add([]byte(s), uint8(0))
		f.Add([]byte("GET "+s), uint8(4))
	}
	f.Fuzz(func(t *testing.T, b []byte, at uint8) {
		i := min(int(at), len(b))
		got := ScanTarget(b, i)
		var want Target
		for n := i; ; n++ {
			if n == len(b) || targetClass[b[n]] >= classQuery {
				want.Query, want.End = n, n
				break
			}
			want.seen |= targetClass[b[n]] & (classEscape | classUnsafe)
			if n > i && b[n-1] == '/' {
				want.seen |= targetClass[b[n]] & (classSlash | classDot)
			}
		}
		if want.Query < len(b) && b[want.Query] == '?' {
			for want.End < len(b) && targetClass[b[want.End]] != classStop {
				want.End++
			}
		}
		if got != want {
			t.Fatalf("%q from %d: %+v, want %+v", b, i, got, want)
		}
	})
}
