package compile_test

import (
	"testing"

	"github.com/gridway/gridway/internal/config/compile"
	"github.com/gridway/gridway/internal/config/store"
)

// A route in another place of its file knows its new place, and has the hash it
// had, so that a proxy keeps what it built for it.
func TestHashLeavesOutPlaces(t *testing.T) {
	objects := many(t, 20)
	first := compile.Compile(compile.Input{Set: store.NewSet(objects), Now: now}, nil)
	moved := make([]*store.Object, len(objects))
	for i, o := range objects {
		m := *o
		at := o.Locate("")
		at.Line += 7
		m.Locator = line(at)
		moved[i] = &m
	}
	second := compile.Compile(compile.Input{Set: store.NewSet(moved), Now: now}, first)
	for i, r := range second.Config.Routes {
		was := first.Config.Routes[i]
		if r.Hash != was.Hash {
			t.Errorf("%s: another hash", r.Name)
		}
		if r.Ref.Line != was.Ref.Line+7 || r.Rules[0].Ref.Line != was.Rules[0].Ref.Line+7 {
			t.Errorf("%s: its place is still line %d", r.Name, r.Ref.Line)
		}
	}
}
