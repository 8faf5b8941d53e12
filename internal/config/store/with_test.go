package store_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gridway/gridway/internal/config/store"
)

// TestWith compares sets made step by step with sets made at once.
func TestWith(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	objects := map[store.Key]*store.Object{}
	set := store.NewSet(nil)
	for step := range 200 {
		var put []*store.Object
		var removed []store.Key
		for range random.IntN(5) {
			k := store.Key{Kind: fmt.Sprintf("K%d", random.IntN(3)), Namespace: fmt.Sprintf("n%d", random.IntN(3)), Name: fmt.Sprintf("o%d", random.IntN(20))}
			if random.IntN(3) == 0 {
				removed = append(removed, k)
				delete(objects, k)
			}
		}
		for range random.IntN(5) {
			k := store.Key{Kind: fmt.Sprintf("K%d", random.IntN(3)), Namespace: fmt.Sprintf("n%d", random.IntN(3)), Name: fmt.Sprintf("o%d", random.IntN(20))}
			o := &store.Object{Key: k, Hash: random.Uint64()}
			put = append(put, o)
			objects[k] = o
		}
		before := describe(set)
		next := set.With(put, removed)
		if d := cmp.Diff(before, describe(set)); d != "" {
			t.Fatalf("step %d changed its receiver:\n%s", step, d)
		}
		var all []*store.Object
		for _, o := range objects {
			all = append(all, o)
		}
		if d := cmp.Diff(describe(store.NewSet(all)), describe(next)); d != "" {
			t.Fatalf("step %d (-at once +step by step):\n%s", step, d)
		}
		set = next
	}
	if set.With(nil, nil) != set {
		t.Error("nothing to change, and yet another set")
	}
}

func describe(s *store.Set) []string {
	out := []string{fmt.Sprint(s.Len())}
	for _, gk := range s.Kinds() {
		for _, o := range s.Kind(gk.Group, gk.Kind) {
			out = append(out, fmt.Sprint(o.Key, o.Hash, s.Get(o.Key) == o))
		}
	}
	return out
}
