package delta_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/gridway/gridway/internal/effect/delta"
)

func TestObjects(t *testing.T) {
	object := func(name, v string) delta.Object { return delta.Object{Name: name, Value: json.RawMessage(v)} }
	changes, unseen, err := delta.Objects(
		[]delta.Object{
			object("A/same", `{"metadata":{"creationTimestamp":"x"},"status":{"a":1},"spec":{"x":1}}`),
			object("B/gone", `{}`),
			object("C/fields", `{"spec":{"a":1,"list":[1,2,3],"rules":[{"name":"r1","w":1},{"name":"r2"}],"key":"(hidden)"}}`),
			object("D/order", `{"l":[{"name":"x"},{"name":"y"}]}`),
		},
		[]delta.Object{
			object("A/same", `{"metadata":{},"spec":{"x":1}}`),
			object("C/fields", `{"spec":{"b":2,"list":[1,5],"rules":[{"name":"r0"},{"name":"r1","w":2}],"key":"secret"}}`),
			object("D/order", `{"l":[{"name":"y"},{"name":"x"}]}`),
			object("E/new", `{}`),
		})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range changes {
		got = append(got, fmt.Sprint(c.Op, " ", c.Object))
		for _, f := range c.Fields {
			got = append(got, fmt.Sprintf("  %s %s %v %v", f.Op, f.Path, f.Old, f.New))
		}
	}
	want := []string{
		"removed B/gone",
		"changed C/fields",
		"  removed spec.a 1 <nil>",
		"  added spec.b <nil> 2",
		"  changed spec.list[1] 2 5",
		"  removed spec.list[2] 3 <nil>",
		"  changed spec.rules[r1].w 1 2",
		"  removed spec.rules[r2] map[name:r2] <nil>",
		"  added spec.rules[r0] <nil> map[name:r0]",
		"changed D/order",
		"  changed l (order) x, y y, x",
		"added E/new",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if !slices.Equal(unseen, []string{"C/fields spec.key"}) {
		t.Errorf("not compared: %q", unseen)
	}
}
