package keyset_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/keyset"
)

// What one process has fetched another one has from its beginning, although the
// server is down, and for the very same place alone.
func TestInherited(t *testing.T) {
	server, first := newIDP(t, key(t, "1")), newSet(t)
	if len(first.Export()) != 0 {
		t.Error("something from nothing")
	}
	apply(first, config(remote(server), &ir.KeySet{Name: "inline", Inline: []byte(key(t, "2"))}))
	if first.Keys("default/p/0/0").Renew(nil, none) == nil {
		t.Fatal("no keys")
	}
	kept := first.Export()
	if len(kept) != 1 {
		t.Fatalf("%d sets go over", len(kept))
	}
	server.Close()
	named := remote(server)
	named.Name = "default/renamed/0/0" // which says nothing of where they come from
	second := newSet(t)
	second.Adopt(kept)
	apply(second, config(named))
	if k := second.Keys("default/renamed/0/0"); has(k) != "1" || !slices.EqualFunc(second.Export(), kept, bytes.Equal) {
		t.Errorf("the next process has %s", has(k))
	}
	var seen []keyset.State
	second.States(func(s keyset.State) { seen = append(seen, s) })
	if len(seen) != 1 || seen[0].Policy != "default/renamed" || seen[0].Keys != 1 || seen[0].Fetches != 0 || !seen[0].Fetched.IsZero() {
		t.Errorf("%+v", seen)
	}
	elsewhere := remote(server)
	elsewhere.Plain = true
	broken := append(slices.Clone(kept[0][:32]), "{}"...)
	for _, all := range [][][]byte{nil, {broken}, {kept[0][:32]}, {kept[0][:10]}, {make([]byte, 300<<10)}} {
		s := newSet(t)
		s.Adopt(all)
		apply(s, config(remote(server)))
		if k := s.Keys("default/p/0/0"); has(k) != "none" {
			t.Errorf("keys of %d bytes", len(all[0]))
		}
	}
	s := newSet(t)
	s.Adopt(kept)
	apply(s, config(elsewhere))
	if k := s.Keys("default/p/0/0"); has(k) != "none" {
		t.Error("the keys of another place")
	}
}

func TestStates(t *testing.T) {
	server, s := newIDP(t, key(t, "1")), newSet(t)
	one := remote(server)
	one.Issuer = "https://idp.example"
	apply(s, config(one))
	k := s.Keys("default/p/0/0")
	if k.Renew(nil, none) == nil {
		t.Fatal("no keys")
	}
	server.set(func() { server.status = 500 })
	k.Renew(k.Current(), none)
	var st keyset.State
	until(t, "a failure", func() bool {
		s.States(func(one keyset.State) { st = one })
		return st.Failures > 0
	})
	if st.Policy != "default/p" || st.Issuer != "https://idp.example" || st.Keys != 1 || st.Fetches != 1 || st.Fetched.IsZero() {
		t.Errorf("%+v", st)
	}
}
