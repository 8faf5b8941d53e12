package egress

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"github.com/gridway/gridway/internal/proxy/upstream"
)

func gate(t *testing.T, lookup Lookup) *Gate {
	set := upstream.New(upstream.Options{})
	t.Cleanup(set.Close)
	return New(Options{Upstreams: set, Lookup: lookup})
}

// A connection that the gate has made and that it accepts again goes in a circle,
// whichever of the two is seen first.
func TestCircuits(t *testing.T) {
	at, other := netip.MustParseAddrPort("10.0.0.1:40000"), netip.MustParseAddrPort("10.0.0.1:40001")
	for _, first := range []side{accepted, dialed} {
		var c circuits
		if !c.enter(at, first) || !c.enter(other, !first) {
			t.Error("two that have nothing to do with each other")
		}
		if c.enter(at, !first) {
			t.Error("a circle was not seen")
		}
		c.leave(at, first)
		if !c.enter(at, !first) {
			t.Error("an end that is over counts")
		}
		c.leave(at, !first)
		c.leave(other, !first)
		if len(c.ends) != 0 {
			t.Error("remembered:", c.ends)
		}
	}
}

func TestAuthorities(t *testing.T) {
	lookups := 0
	g := gate(t, func(_ context.Context, host string) ([]netip.Addr, error) {
		lookups++
		if host == "bad" {
			return nil, errors.New("no such host")
		}
		return []netip.Addr{netip.MustParseAddr("192.0.2.1")}, nil
	})
	own := netip.MustParseAddrPort("127.0.0.1:15001")
	for _, bad := range []string{"bad:80", "a", "a:0", "a:65536", "a:x", ":"} {
		if _, err := g.Cluster([]byte(bad), own); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	for _, loop := range []string{"127.0.0.1:15001", "127.0.0.2:15001", "[::1]:15001", "0.0.0.0:15001"} {
		if _, err := g.Cluster([]byte(loop), own); !errors.Is(err, ErrLoop) {
			t.Errorf("%q: %v", loop, err)
		}
	}
	lookups = 0
	one, err := g.Cluster([]byte("a:80"), own)
	if err != nil {
		t.Fatal(err)
	}
	if two, _ := g.Cluster([]byte("a:80"), own); two != one || lookups != 1 {
		t.Errorf("looked up %d times", lookups)
	}
	for i := range maxAuthorities + 10 {
		if _, err := g.Cluster(fmt.Appendf(nil, "host%d:80", i), own); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(g.clusters.known); n > maxAuthorities {
		t.Errorf("%d are remembered", n)
	}
	if again, _ := g.Cluster([]byte("a:80"), own); again == one {
		t.Error("the oldest was not forgotten")
	}
}

// A resolver that fails costs nothing as long as addresses are known.
func TestLookupFails(t *testing.T) {
	fail := false
	g := gate(t, func(context.Context, string) ([]netip.Addr, error) {
		if fail {
			return nil, errors.New("the resolver is away")
		}
		return []netip.Addr{netip.MustParseAddr("192.0.2.1")}, nil
	})
	one, err := g.Cluster([]byte("a:80"), netip.AddrPort{})
	if err != nil {
		t.Fatal(err)
	}
	fail = true
	g.clusters.known["a:80"].fresh = 0
	if two, err := g.Cluster([]byte("a:80"), netip.AddrPort{}); err != nil || two != one {
		t.Error("what was known is not used:", err)
	}
}
