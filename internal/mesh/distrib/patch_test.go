package distrib_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/meshpb"
)

// A large resource of which a little changes is sent as that, and after a restart of the
// proxy, too, as it has the resource on disk.
func TestLargeResourcesAreSentAsChanges(t *testing.T) {
	texts := func(middle string) string {
		return strings.Repeat("before ", 10_000) + middle + strings.Repeat(" after", 10_000)
	}
	v := newViews()
	v.set("shop/cart", texts("one"), "10.0.0.1:80")
	c := newControl(t, v)
	path := t.TempDir() + "/view"
	p := newProxy(t, newPlane(), one(c), cachedAt(path))
	serves := func(p *proxy, text string) {
		t.Helper()
		p.until(t, "it serves "+text, func() bool { return p.text("shop/cart") == texts(text) && c.Summary().Serving == 1 })
	}
	serves(p, "one")
	whole := c.Counts().Bytes["view"]
	v.set("shop/cart", texts("two"), "10.0.0.1:80")
	serves(p, "two")
	if sent := c.Counts().Bytes["view"] - whole; sent > 300 || whole < 130_000 {
		t.Errorf("%d bytes for a change of a resource of %d", sent, whole)
	}
	v.set("shop/cart", texts("something longer"), "10.0.0.1:80")
	serves(p, "something longer")
	v.set("shop/cart", texts(""), "10.0.0.1:80")
	serves(p, "")

	// The control plane does not have what a proxy that comes anew holds: it is sent whole
	// once, and changes of that again.
	p.stop()
	p = newProxy(t, newPlane(), one(c), cachedAt(path))
	serves(p, "")
	v.set("shop/cart", texts("three"), "10.0.0.1:80")
	serves(p, "three")
	whole = c.Counts().Bytes["view"]
	v.set("shop/cart", texts("four"), "10.0.0.1:80")
	serves(p, "four")
	if sent := c.Counts().Bytes["view"] - whole; sent > 300 {
		t.Errorf("%d bytes after a restart", sent)
	}

	// What cannot be read from disk any more is asked for again.
	if err := os.Truncate(path, 100); err != nil {
		t.Fatal(err)
	}
	v.set("shop/cart", texts("five"), "10.0.0.1:80")
	serves(p, "five")

	// Without a disk nothing is kept that could be changed.
	plain := newProxy(t, newPlane(), one(c), func(o *distrib.ClientConfig) { o.Proxy.Name = "plain" })
	plain.until(t, "both serve", func() bool { return c.Summary().Serving == 2 })
	v.set("shop/cart", texts("six"), "10.0.0.1:80")
	plain.until(t, "both serve the next", func() bool { return plain.text("shop/cart") == texts("six") && c.Summary().Serving == 2 })
}

func TestPatch(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		base := bytes.Repeat([]byte("ab"), random.IntN(6000))
		next := bytes.Clone(base)
		for range random.IntN(3) {
			at := random.IntN(len(next) + 1)
			cut := random.IntN(len(next) - at + 1)
			next = append(next[:at:at], append([]byte(fmt.Sprint("x", random.IntN(20))), next[at+min(cut, 3000):]...)...)
		}
		prefix, suffix, ok := distrib.PatchOf(&distrib.Resource{Body: base}, &distrib.Resource{Body: next})
		if !ok {
			continue
		}
		made, err := distrib.ApplyPatch(base, &meshpb.Resource{Prefix: uint64(prefix), Suffix: uint64(suffix), Body: next[prefix : len(next)-suffix]})
		if err != nil || !bytes.Equal(made, next) {
			t.Fatalf("%d and %d bytes of %d for %d: %v", prefix, suffix, len(base), len(next), err)
		}
	}
	if _, _, ok := distrib.PatchOf(nil, &distrib.Resource{Body: make([]byte, 1<<20)}); ok {
		t.Error("a change of nothing")
	}
}

// Whatever a control plane says of a change, what is made is of what is there and of what
// it sent, and no longer than both.
func FuzzPatch(f *testing.F) {
	f.Add([]byte("before after"), []byte("and"), uint64(7), uint64(5))
	f.Add([]byte(""), []byte("all"), uint64(0), uint64(0))
	f.Add([]byte("short"), []byte(""), uint64(3), uint64(1<<63))
	f.Fuzz(func(t *testing.T, base, body []byte, prefix, suffix uint64) {
		made, err := distrib.ApplyPatch(base, &meshpb.Resource{Prefix: prefix, Suffix: suffix, Body: body})
		if err != nil {
			return
		}
		if len(made) > len(base)+len(body) || !bytes.HasPrefix(base, made[:prefix]) || !bytes.Contains(made, body) {
			t.Errorf("%q of %q and %q", made, base, body)
		}
	})
}

// One more route of an edge with ten thousand is sent as itself, and its listener as what
// that has more.
func TestOneRouteOfTenThousand(t *testing.T) {
	config := func(n int) *ir.Config {
		c := &ir.Config{Listeners: []*ir.Listener{{Name: ":443", Sections: []*ir.Section{{Name: "Gateway/default/front/https"}}}}}
		s := c.Listeners[0].Sections[0]
		for i := range n {
			name := fmt.Sprintf("HTTPRoute/shop/route-%05d", i)
			c.Routes = append(c.Routes, &ir.Route{Name: name, Ref: ir.Ref{Kind: "HTTPRoute", Namespace: "shop", Name: name}, Rules: []*ir.Rule{{ID: name}}})
			s.Routes = append(s.Routes, ir.Attachment{Route: name, Hostnames: []string{fmt.Sprintf("host-%05d.example.com", i)}})
		}
		return c
	}
	listener := func(c *ir.Config) *distrib.Resource {
		list, err := distrib.Split(c)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(list, func(r distrib.Resource) bool { return r.Kind == distrib.KindListener })
		return &list[i]
	}
	before, after := listener(config(9_999)), listener(config(10_000))
	prefix, suffix, ok := distrib.PatchOf(before, after)
	sent := len(after.Body) - prefix - suffix
	t.Logf("%d bytes of the listener's %d", sent, len(after.Body))
	if !ok || sent > 200 || len(after.Body) < 500_000 {
		t.Errorf("%d bytes of the listener's %d", sent, len(after.Body))
	}
}
