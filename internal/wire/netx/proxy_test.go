package netx_test

import (
	"errors"
	"io"
	"net/netip"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/wire/netx"
	"github.com/gridway/gridway/internal/wire/proxyproto"
)

func TestReadProxyHeader(t *testing.T) {
	const header = "PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n"
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	other := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for _, tc := range []struct {
		name     string
		send     string
		required bool
		trusted  []netip.Prefix
		wantErr  error
		wantAddr bool
		wantRest string
	}{
		{"required", header + "GET /", true, nil, nil, true, "GET /"},
		{"required from a trusted peer", header + "GET /", true, loopback, nil, true, "GET /"},
		{"required from another peer", header + "GET /", true, other, netx.ErrUntrustedProxy, false, ""},
		{"required and missing", "GET /", true, nil, proxyproto.ErrNone, false, ""},
		{"required and cut off", header[:9], true, nil, io.EOF, false, ""},
		{"optional and there", header + "GET /", false, loopback, nil, true, "GET /"},
		{"optional and missing", "GET /", false, nil, nil, false, "GET /"},
		{"optional from another peer", header + "GET /", false, other, nil, false, header + "GET /"},
		{"optional and cut off", "PRO", false, nil, nil, false, "PRO"},
		{"local", "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00GET /", true, nil, nil, false, "GET /"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, b := pair(t)
			b.SetReadBy(netx.After(10 * time.Second))
			go func() {
				for i := range len(tc.send) { // byte by byte, as far as the kernel lets us
					_, _ = a.Write([]byte{tc.send[i]})
				}
				a.CloseWrite()
			}()
			before := b.RemoteAddrPort()
			_, err := b.ReadProxyHeader(tc.required, tc.trusted)
			if !errors.Is(err, tc.wantErr) {
				t.Fatalf("got %v, want %v", err, tc.wantErr)
			}
			if err != nil {
				return
			}
			want := before
			if tc.wantAddr {
				want = netip.MustParseAddrPort("192.0.2.7:4711")
			}
			if b.RemoteAddrPort() != want || b.RemoteAddr().String() != want.String() {
				t.Errorf("remote address %v, want %v", b.RemoteAddrPort(), want)
			}
			if rest, err := io.ReadAll(b); err != nil || string(rest) != tc.wantRest {
				t.Errorf("%q follows, %v; want %q", rest, err, tc.wantRest)
			}
		})
	}
}

// An optional header must not keep a plain client waiting for more bytes than
// it sends.
func TestOptionalProxyHeaderDoesNotStall(t *testing.T) {
	a, b := pair(t)
	write(t, a, "P") // could go on as PROXY
	done := make(chan error, 1)
	go func() {
		_, err := b.ReadProxyHeader(false, nil)
		done <- err
	}()
	write(t, a, "UT")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := read(t, b, 3); got != "PUT" {
		t.Errorf("got %q", got)
	}
}

func TestProxyHeaderDeadline(t *testing.T) {
	a, b := pair(t)
	write(t, a, "PROXY ")
	b.SetReadBy(netx.After(20 * time.Millisecond))
	if _, err := b.ReadProxyHeader(true, nil); !netx.IsTimeout(err) {
		t.Errorf("got %v", err)
	}
}
