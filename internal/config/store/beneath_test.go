package store_test

import (
	"slices"
	"testing"

	"github.com/gridway/gridway/internal/config/store"
)

func TestBeneath(t *testing.T) {
	list := func(source string, names ...string) (out []*store.Object) {
		for _, n := range names {
			out = append(out, &store.Object{Key: store.Key{Kind: "K", Namespace: "n", Name: n}, Source: source})
		}
		return out
	}
	texts := func(objects []*store.Object) (out []string) {
		for _, o := range objects {
			out = append(out, o.Source+o.Key.Name)
		}
		return out
	}
	kind := store.GroupKind{Kind: "K"}
	for _, c := range []struct{ own, more, want, hidden []string }{
		{nil, nil, nil, nil},
		{nil, []string{"a", "b"}, []string{"-a", "-b"}, nil},
		{[]string{"a"}, nil, []string{"+a"}, nil},
		{[]string{"b", "d"}, []string{"a", "b", "c", "e"}, []string{"-a", "+b", "-c", "+d", "-e"}, []string{"-b"}},
		{[]string{"a", "b"}, []string{"a", "b"}, []string{"+a", "+b"}, []string{"-a", "-b"}},
		{[]string{"x", "z"}, []string{"a"}, []string{"-a", "+x", "+z"}, nil},
	} {
		other := &store.Object{Key: store.Key{Kind: "Other", Name: "o"}}
		set := store.NewSet(append(list("+", c.own...), other))
		got, hidden := set.Beneath(kind, list("-", c.more...))
		if !slices.Equal(texts(got.Kind("", "K")), c.want) || !slices.Equal(texts(hidden), c.hidden) || got.Len() != len(c.want)+1 || got.Get(other.Key) != other {
			t.Errorf("%v beneath %v: %v (%d), hidden %v", c.more, c.own, texts(got.Kind("", "K")), got.Len(), texts(hidden))
		}
		if !slices.Equal(texts(set.Kind("", "K")), texts(list("+", c.own...))) {
			t.Error("the set has changed")
		}
	}
	if got, _ := (&store.Set{}).Beneath(kind, list("-", "a")); got.Len() != 1 {
		t.Error("nothing is beneath the empty set")
	}
}
