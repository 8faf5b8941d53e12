// Package delta says how two configurations differ: which objects were added,
// removed or changed, field by field, and which requests would be served
// differently. It owns no goroutines. The CLI, the admin API and internal/effect import it.
package delta

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Hidden stands for a value that the admin API does not give away; it is equal
// to everything.
const Hidden = "(hidden)"

// Object is one object as JSON.
type Object struct {
	// Name is "Kind/namespace/name".
	Name  string
	Place string
	Value json.RawMessage
}

// Op is what happened to an object or a field.
type Op string

const (
	Added   Op = "added"
	Removed Op = "removed"
	Changed Op = "changed"
)

// ObjectChange is one object that differs.
type ObjectChange struct {
	Op     Op      `json:"op"`
	Object string  `json:"object"`
	Place  string  `json:"place,omitempty"`
	Fields []Field `json:"fields,omitempty"`
}

// Field is one field that differs; Old or New is empty when it was not there.
type Field struct {
	Op   Op     `json:"op"`
	Path string `json:"path"`
	Old  any    `json:"old,omitempty"`
	New  any    `json:"new,omitempty"`
}

// Objects compares two sets. Unseen names the fields whose values are hidden,
// so that nobody can tell.
func Objects(before, after []Object) (changes []ObjectChange, unseen []string, err error) {
	old := map[string]Object{}
	for _, o := range before {
		old[o.Name] = o
	}
	changes = []ObjectChange{}
	for _, n := range after {
		o, ok := old[n.Name]
		if !ok {
			changes = append(changes, ObjectChange{Op: Added, Object: n.Name, Place: n.Place})
			continue
		}
		delete(old, n.Name)
		fields, blind, err := fields(o.Value, n.Value)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", n.Name, err)
		}
		for _, path := range blind {
			unseen = append(unseen, n.Name+" "+path)
		}
		if len(fields) > 0 {
			changes = append(changes, ObjectChange{Op: Changed, Object: n.Name, Place: n.Place, Fields: fields})
		}
	}
	for name, o := range old {
		changes = append(changes, ObjectChange{Op: Removed, Object: name, Place: o.Place})
	}
	slices.SortFunc(changes, func(a, b ObjectChange) int { return strings.Compare(a.Object, b.Object) })
	slices.Sort(unseen)
	return changes, unseen, nil
}

func fields(before, after json.RawMessage) (list []Field, unseen []string, err error) {
	if bytes.Equal(before, after) && !bytes.Contains(before, []byte(Hidden)) {
		return nil, nil, nil
	}
	var a, b map[string]any
	if err := json.Unmarshal(before, &a); err != nil {
		return nil, nil, err
	}
	if err := json.Unmarshal(after, &b); err != nil {
		return nil, nil, err
	}
	for _, v := range []map[string]any{a, b} {
		delete(v, "status")
		if m, ok := v["metadata"].(map[string]any); ok {
			for _, k := range []string{"creationTimestamp", "managedFields", "resourceVersion", "uid", "generation"} {
				delete(m, k)
			}
		}
	}
	compare("", a, b, &list)
	list = slices.DeleteFunc(list, func(f Field) bool {
		blind := f.Op == Changed && (f.Old == any(Hidden) || f.New == any(Hidden))
		if blind {
			unseen = append(unseen, f.Path)
		}
		return blind
	})
	return list, unseen, nil
}

func compare(path string, a, b any, out *[]Field) {
	if a == Hidden || b == Hidden { // fields sorts it out
		*out = append(*out, Field{Op: Changed, Path: path, Old: a, New: b})
		return
	}
	switch x := a.(type) {
	case map[string]any:
		if y, ok := b.(map[string]any); ok {
			compareMaps(path, x, y, out)
			return
		}
	case []any:
		if y, ok := b.([]any); ok {
			compareLists(path, x, y, out)
			return
		}
	}
	if !reflect.DeepEqual(a, b) {
		*out = append(*out, Field{Op: Changed, Path: path, Old: a, New: b})
	}
}

func compareMaps(path string, a, b map[string]any, out *[]Field) {
	keys := map[string]bool{}
	for k := range a {
		keys[k] = true
	}
	for k := range b {
		keys[k] = true
	}
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		at := strings.TrimPrefix(path+"."+k, ".")
		one(at, a, b, k, out)
	}
}

func one(at string, a, b map[string]any, k string, out *[]Field) {
	x, inA := a[k]
	y, inB := b[k]
	switch {
	case !inA:
		*out = append(*out, Field{Op: Added, Path: at, New: y})
	case !inB:
		*out = append(*out, Field{Op: Removed, Path: at, Old: x})
	default:
		compare(at, x, y, out)
	}
}

// compareLists compares items by name where all have one, else by index.
func compareLists(path string, a, b []any, out *[]Field) {
	x, orderX := byName(a)
	y, orderY := byName(b)
	if x == nil || y == nil {
		for i := range max(len(a), len(b)) {
			at := fmt.Sprintf("%s[%d]", path, i)
			switch {
			case i >= len(a):
				*out = append(*out, Field{Op: Added, Path: at, New: b[i]})
			case i >= len(b):
				*out = append(*out, Field{Op: Removed, Path: at, Old: a[i]})
			default:
				compare(at, a[i], b[i], out)
			}
		}
		return
	}
	for _, k := range orderX {
		one(fmt.Sprintf("%s[%s]", path, k), x, y, k, out)
	}
	for _, k := range orderY {
		if _, ok := x[k]; !ok {
			one(fmt.Sprintf("%s[%s]", path, k), x, y, k, out)
		}
	}
	// Order counts among the items that both have: rules are tried in it.
	commonX := slices.DeleteFunc(slices.Clone(orderX), func(k string) bool { _, ok := y[k]; return !ok })
	commonY := slices.DeleteFunc(slices.Clone(orderY), func(k string) bool { _, ok := x[k]; return !ok })
	if !slices.Equal(commonX, commonY) {
		*out = append(*out, Field{Op: Changed, Path: path + " (order)", Old: strings.Join(commonX, ", "), New: strings.Join(commonY, ", ")})
	}
}

// byName is nil unless every item is an object with a name of its own.
func byName(list []any) (map[string]any, []string) {
	m := map[string]any{}
	var order []string
	for _, v := range list {
		o, ok := v.(map[string]any)
		if !ok {
			return nil, nil
		}
		name, ok := o["name"].(string)
		if _, twice := m[name]; !ok || twice {
			return nil, nil
		}
		m[name] = v
		order = append(order, name)
	}
	return m, order
}
