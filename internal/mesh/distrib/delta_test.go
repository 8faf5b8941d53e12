package distrib_test

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/meshpb"
)

func endpointsResource(t testing.TB, list []ir.Endpoint) *distrib.Resource {
	r, err := distrib.EncodeEndpoints("c", list)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// many are endpoints of a service of the mesh.
func many(n int) []ir.Endpoint {
	out := make([]ir.Endpoint, n)
	for i := range out {
		out[i] = ir.Endpoint{
			Address: fmt.Sprintf("10.1.%d.%d:15008", i/250, i%250), Weight: 1, Zone: fmt.Sprintf("zone-%d", i%3),
			Identity: "spiffe://example.org/ns/shop/sa/cart", ServerName: "80.cart.shop.mesh",
		}
	}
	return out
}

func TestDeltasAreShort(t *testing.T) {
	before := many(1000)
	after := slices.Clone(before)
	after[500].Weight = 2
	d, err := distrib.DeltaOf(endpointsResource(t, before), endpointsResource(t, after))
	if err != nil {
		t.Fatal(err)
	}
	if n := proto.Size(d); n > 160 {
		t.Errorf("%d bytes for a change of one endpoint", n)
	}
	if n := len(endpointsResource(t, before).Body); n > 40*1000 {
		t.Errorf("%d bytes for 1,000 endpoints", n)
	}
}

// Each byte is an endpoint: what is left of one list and new in another goes over as
// a delta.
func FuzzDelta(f *testing.F) {
	f.Add([]byte("abc"), []byte("axc"))
	f.Add([]byte("aabbc"), []byte("baacb"))
	f.Add([]byte(""), []byte("z"))
	f.Add([]byte("cba"), []byte(""))
	f.Fuzz(func(t *testing.T, before, after []byte) {
		list := func(text []byte) (out []ir.Endpoint) {
			for _, b := range text {
				out = append(out, ir.Endpoint{Address: string(rune('a' + b%32)), Weight: uint32(b / 32), Zone: fmt.Sprint(b % 3)})
			}
			return out
		}
		from, to := endpointsResource(t, list(before)), endpointsResource(t, list(after))
		for _, base := range []*distrib.Resource{from, nil} {
			d, err := distrib.DeltaOf(base, to)
			if err != nil {
				t.Fatal(err)
			}
			got, r, err := distrib.ApplyDelta(list(before), from.Hash, d)
			if err != nil || !slices.Equal(got, list(after)) || r.Hash != to.Hash {
				t.Fatalf("%s to %s: %v %v", before, after, got, err)
			}
		}
	})
}

// Whatever a delta says, it makes endpoints of its hash or is refused.
func FuzzApplyDelta(f *testing.F) {
	d, err := distrib.DeltaOf(endpointsResource(f, many(3)), endpointsResource(f, many(5)[1:]))
	if err != nil {
		f.Fatal(err)
	}
	seed, err := proto.Marshal(d)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, b []byte) {
		d := &meshpb.EndpointDelta{}
		if proto.Unmarshal(b, d) != nil {
			return
		}
		list, r, err := distrib.ApplyDelta(many(3), d.GetBase(), d)
		if err == nil && (r.Hash != d.GetHash() || endpointsResource(t, list).Hash != r.Hash) {
			t.Errorf("%v makes %v", d, list)
		}
	})
}

// Whatever is in the file, it is read, or made anew, without harm.
func FuzzCache(f *testing.F) {
	f.Add([]byte("gridway distribution 1\n"))
	f.Add([]byte("gridway distribution 1\n\x02\x00\x00\x00\x99\xe9\xd8\x51\x37\xdb\x46\xef\x1a\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		path := t.TempDir() + "/view"
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		first, err := distrib.ReadCache(path)
		if err != nil {
			t.Fatal(err)
		}
		again, err := distrib.ReadCache(path)
		if err != nil || len(again) != len(first) {
			t.Fatalf("%d resources, then %d (%v)", len(first), len(again), err)
		}
	})
}
