package upstream

import (
	"errors"
	"testing"

	"github.com/gridway/gridway/internal/ir"
)

// Work that goes on for long leaves an endpoint that is not configured any more,
// and one that is unhealthy if there is a better one.
func TestOutlived(t *testing.T) {
	config := func(hash uint64, addresses ...string) *ir.Cluster {
		c := &ir.Cluster{Name: "c", Hash: hash, Protocol: ir.UDP}
		for _, a := range addresses {
			c.Endpoints = append(c.Endpoints, ir.Endpoint{Address: a, Weight: 1})
		}
		return c
	}
	const one, two = "192.0.2.1:1", "192.0.2.2:1"
	s := New(Options{})
	defer s.Close()
	apply := func(c ...*ir.Cluster) {
		t.Helper()
		if err := s.Apply(c); err != nil {
			t.Fatal(err)
		}
	}
	apply(config(1, one, two))
	endpoints := s.Cluster("c").view.Load().byName
	e, other := endpoints[one], endpoints[two]
	is := func(what string, want bool) {
		t.Helper()
		if got := e.Outlived(); got != want {
			t.Errorf("%s: outlived is %v", what, got)
		}
	}
	is("at first", false)
	sick := errors.New("sick")
	(*checkTarget)(e).Report(false, sick)
	is("unhealthy", true)
	(*checkTarget)(other).Report(false, sick)
	is("both unhealthy", false)
	(*checkTarget)(e).Report(true, nil)
	(*checkTarget)(other).Report(true, nil)
	is("healthy again", false)
	apply(config(2, one))
	is("in a cluster that was rebuilt", false)
	apply(config(3, one, two))
	is("in one that was rebuilt twice", false)
	(*checkTarget)(s.Cluster("c").view.Load().byName[one]).Report(false, sick)
	is("unhealthy in the last one", true)
	apply(config(3, two))
	is("removed from it", true)
	e = other
	is("which was removed and came back", true)
	e = s.Cluster("c").view.Load().byName[two]
	is("which stays", false)
	apply()
	is("without its cluster", true)
}
