package objectsdb_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/config/source/managed"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/manage/access/accessdb"
	"github.com/gridway/gridway/internal/manage/objects"
	"github.com/gridway/gridway/internal/manage/objects/objectsdb"
	"github.com/gridway/gridway/internal/seal"
	"github.com/gridway/gridway/internal/statedb"
	"github.com/gridway/gridway/internal/statedb/statetest"
)

var operator = access.Actor{Name: "ada", Role: access.Operator}

// keeper is one process's.
type keeper struct {
	*objectsdb.Service
	source *managed.Source
	db     *statedb.DB
}

func keep(t *testing.T, place string, change func(*objectsdb.Options)) *keeper {
	t.Helper()
	db := statetest.Open(t, place)
	seals := func() (seal.Keys, error) { return seal.New([][]byte{[]byte("secret")}, managed.Use), nil }
	o := objectsdb.Options{DB: db, Audit: accessdb.New(accessdb.Options{DB: db}), Seals: seals, Source: managed.New(managed.Options{DB: db, Seals: seals})}
	if change != nil {
		change(&o)
	}
	return &keeper{objectsdb.New(o), o.Source, db}
}

func configMap(name, value string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {value: %q}\n", name, value)
}

func (k *keeper) apply(t *testing.T, texts ...string) *objects.Applied {
	t.Helper()
	a, err := k.Apply(t.Context(), operator, []byte(strings.Join(texts, "---\n")), objects.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// have are the managed objects, NAME=VALUE.
func (k *keeper) have(t *testing.T) (out []string) {
	t.Helper()
	if _, err := k.source.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, o := range k.source.State().Objects {
		_, value, _ := strings.Cut(o.Text, "value: ")
		out = append(out, o.Key.Name+"="+strings.Trim(value, "\"}\n"))
	}
	return out
}

// Rollbacks go to any revision that is kept, over creations and deletions.
func TestRollback(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		k := keep(t, place, nil)
		want := map[int64][]string{}
		note := func(a *objects.Applied) { want[a.Revision] = k.have(t) }
		note(k.apply(t, configMap("a", "1")))
		note(k.apply(t, configMap("a", "2"), configMap("b", "1")))
		a, err := k.Delete(t.Context(), operator, objects.Name{Kind: "ConfigMap", Namespace: "default", Name: "a"}, objects.Options{})
		if err != nil {
			t.Fatal(err)
		}
		note(a)
		note(k.apply(t, configMap("a", "3"), configMap("c", "1")))
		for _, n := range []int64{2, 1, 4, 3, 2, 5} {
			if want[n] == nil {
				continue // was a rollback itself
			}
			a, err := k.Rollback(t.Context(), operator, n, objects.Options{})
			if err != nil {
				t.Fatalf("to %d: %v", n, err)
			}
			if got := k.have(t); !slices.Equal(got, want[n]) {
				t.Errorf("to %d: %v, want %v", n, got, want[n])
			}
			if x, err := k.Revision(t.Context(), a.Revision); err != nil || x.Message != fmt.Sprintf("roll back to revision %d", n) || x.By != "ada" {
				t.Errorf("%+v, %v", x, err)
			}
		}
		latest := k.apply(t, configMap("a", "x")).Revision
		if a, err := k.Rollback(t.Context(), operator, latest, objects.Options{}); err != nil || a.Revision != latest || len(a.Changes) != 0 {
			t.Errorf("to where it is: %+v, %v", a, err)
		}
	})
}

// Many who change at once all do, one after the other; of those who expect a revision, one
// does.
func TestChangesAtOnce(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		keepers := []*keeper{keep(t, place, nil), keep(t, place, nil)}
		first := keepers[0].apply(t, configMap("x", "0")).Revision
		var wg sync.WaitGroup
		var mu sync.Mutex
		expected := 0
		for i := range 6 {
			wg.Go(func() {
				k := keepers[i%2]
				if _, err := k.Apply(context.Background(), operator, []byte(configMap(fmt.Sprintf("n%d", i), "1")), objects.Options{}); err != nil {
					t.Error(err)
				}
			})
			wg.Go(func() {
				k := keepers[i%2]
				_, err := k.Apply(context.Background(), operator, []byte(configMap("x", fmt.Sprint(i+1))), objects.Options{Expect: first})
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					expected++
				case !errors.Is(err, objects.ErrChanged):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if expected > 1 {
			t.Errorf("%d changes expected the same revision, and were made", expected)
		}
		if got := keepers[1].have(t); len(got) != 7 {
			t.Errorf("%v", got)
		}
		list, err := keepers[0].Revisions(t.Context(), objects.Query{})
		if err != nil || len(list) != 7+expected {
			t.Fatalf("%d revisions, %v", len(list), err)
		}
		for i, x := range list {
			if x.Number != int64(len(list)-i) {
				t.Errorf("revision %d is the %dth", x.Number, len(list)-i)
			}
		}
	})
}

func file(name, value string) *store.Object {
	o, problems := managed.Decode(store.Key{Kind: "ConfigMap", Namespace: "default", Name: name}, configMap(name, value))
	if o == nil {
		panic(fmt.Sprint(problems))
	}
	return o
}

func filesOf(whole bool, changes ...objectsdb.FileChange) objectsdb.Files {
	for i := range changes {
		c := &changes[i]
		if c.After != nil {
			c.Key = c.After.Key
		} else {
			c.Key = c.Before.Key
		}
	}
	return objectsdb.Files{
		By: "host", Changes: changes, Whole: whole,
		Digest: func(o *store.Object) string { return fmt.Sprint(o.Hash) },
		Show: func(c objectsdb.FileChange, op objects.Op) objects.ObjectChange {
			out := objects.ObjectChange{Op: op, Name: objects.Name{Kind: c.Key.Kind, Namespace: c.Key.Namespace, Name: c.Key.Name}, Place: "shop.yaml:1"}
			if c.Before != nil {
				out.Before = fmt.Sprint("before ", c.Before.Hash)
			}
			if c.After != nil {
				out.After = fmt.Sprint("after ", c.After.Hash)
			}
			return out
		},
	}
}

// A change of files that several processes see is recorded once, and what has changed
// while none ran is, too.
func TestFilesAreRecordedOnce(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		one, two := keep(t, place, nil), keep(t, place, nil)
		record := func(k *keeper, f objectsdb.Files) {
			t.Helper()
			if err := k.RecordFiles(t.Context(), f); err != nil {
				t.Fatal(err)
			}
		}
		a1, a2, b1 := file("a", "1"), file("a", "2"), file("b", "1")
		record(one, filesOf(true, objectsdb.FileChange{After: a1}))
		record(two, filesOf(true, objectsdb.FileChange{After: a1}))
		record(one, filesOf(false, objectsdb.FileChange{Before: a1, After: a2}, objectsdb.FileChange{After: b1}))
		record(two, filesOf(false, objectsdb.FileChange{Before: a1, After: a2}, objectsdb.FileChange{After: b1}))
		list, err := two.Revisions(t.Context(), objects.Query{})
		if err != nil || len(list) != 2 || len(list[0].Changes) != 2 || list[0].Source != objects.Files || list[0].Message != "shop.yaml" {
			t.Fatalf("%+v, %v", list, err)
		}
		if x, err := one.Revision(t.Context(), list[0].Number); err != nil || x.Changes[0].Op != objects.Changed || x.Changes[0].Before != fmt.Sprint("before ", a1.Hash) || x.Changes[1].Op != objects.Created {
			t.Errorf("%+v, %v", x, err)
		}
		// Both stop; one file is gone and the other is another one when one starts.
		record(one, filesOf(true, objectsdb.FileChange{After: a1}))
		list, err = two.Revisions(t.Context(), objects.Query{Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		x, err := two.Revision(t.Context(), list[0].Number)
		if err != nil || len(x.Changes) != 2 || x.Changes[0].Op != objects.Changed || x.Changes[0].Before != fmt.Sprint("after ", a2.Hash) || x.Changes[1].Op != objects.Deleted {
			t.Errorf("%+v, %v", x, err)
		}
		_, err = one.Rollback(t.Context(), operator, x.Number, objects.Options{})
		if !errors.Is(err, objects.ErrFiles) || !strings.Contains(err.Error(), "shop.yaml:1") {
			t.Errorf("a revision of files is rolled back to: %v", err)
		}
	})
}

func TestOldRevisionsLeave(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		now := time.Now()
		k := keep(t, place, func(o *objectsdb.Options) { o.Now = func() time.Time { return now } })
		for i := range 5 {
			k.apply(t, configMap("a", fmt.Sprint(i)))
		}
		if n, err := k.Forget(t.Context(), 3); err != nil || n != 2 {
			t.Errorf("%d, %v", n, err)
		}
		if _, err := k.Rollback(t.Context(), operator, 2, objects.Options{}); !errors.Is(err, objects.ErrForgotten) {
			t.Errorf("to one that is forgotten: %v", err)
		}
		if _, err := k.Rollback(t.Context(), operator, 3, objects.Options{}); err != nil || !slices.Equal(k.have(t), []string{"a=2"}) {
			t.Errorf("%v, %v", k.have(t), err)
		}
		now = now.Add(2 * objectsdb.Kept)
		if n, err := k.Forget(t.Context(), 3); err != nil || n != 3 {
			t.Errorf("by age: %d, %v", n, err)
		}
		list, err := k.Revisions(t.Context(), objects.Query{})
		if err != nil || len(list) != 1 || list[0].Number != 6 {
			t.Errorf("%+v, %v", list, err)
		}
		if k.apply(t, configMap("a", "last")).Revision != 7 {
			t.Error("numbers begin anew")
		}
	})
}

func TestBounds(t *testing.T) {
	k := keep(t, statetest.SQLite(t), nil)
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"a change":    {strings.Repeat("# x\n", objects.MaxChange/4+1), objects.ErrTooMuch},
		"its objects": {strings.Repeat(configMap("a", "1")+"---\n", 2*objects.MaxChanged+2), nil},
		"an object":   {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {value: " + strings.Repeat("x", objects.MaxObject) + "}\n", nil},
	} {
		_, err := k.Apply(t.Context(), operator, []byte(c.text), objects.Options{})
		var wrong *objects.InvalidError
		if c.want != nil && !errors.Is(err, c.want) || c.want == nil && !errors.As(err, &wrong) {
			t.Errorf("%s: %v", name, err)
		}
		if wrong != nil && len(wrong.Errors) > 101 {
			t.Errorf("%s: %d diagnostics", name, len(wrong.Errors))
		}
	}
	var many strings.Builder
	for i := range objects.MaxChanged + 1 {
		many.WriteString("---\n" + configMap(fmt.Sprintf("n%d", i), "1"))
	}
	if _, err := k.Apply(t.Context(), operator, []byte(many.String()), objects.Options{}); !errors.Is(err, objects.ErrTooMuch) {
		t.Errorf("%v", err)
	}
	if _, err := k.Apply(t.Context(), operator, []byte(configMap("a", "1")), objects.Options{Message: strings.Repeat("x", objects.MaxMessage+1)}); !errors.Is(err, objects.ErrTooMuch) {
		t.Errorf("%v", err)
	}
}

// What is wrong elsewhere because of a change refuses it; what was wrong before does not.
func TestOnlyWhatIsNewRefusesAChange(t *testing.T) {
	elsewhere := store.Key{Kind: "Gateway", Namespace: "default", Name: "edge"}
	var always, withB []store.Problem
	k := keep(t, statetest.SQLite(t), func(o *objectsdb.Options) {
		o.Trial = func(list []*store.Object) []store.Problem {
			out := slices.Clone(always)
			for _, x := range list {
				if x.Key.Name == "b" {
					out = append(out, withB...)
				}
			}
			return out
		}
	})
	always = []store.Problem{{Severity: store.Error, Object: elsewhere, Message: "was wrong before"}, {Severity: store.Warning, Object: elsewhere, Message: "was odd before"}}
	if a := k.apply(t, configMap("a", "1")); len(a.Warnings) != 0 {
		t.Errorf("%+v", a.Warnings)
	}
	withB = []store.Problem{{Severity: store.Warning, Object: elsewhere, Message: "odd with b"}}
	if a := k.apply(t, configMap("b", "1")); len(a.Warnings) != 1 || a.Warnings[0].Message != "odd with b" {
		t.Errorf("%+v", a.Warnings)
	}
	if _, err := k.Delete(t.Context(), operator, objects.Name{Kind: "ConfigMap", Namespace: "default", Name: "b"}, objects.Options{}); err != nil {
		t.Fatal(err)
	}
	withB[0].Severity = store.Error
	var wrong *objects.InvalidError
	if _, err := k.Apply(t.Context(), operator, []byte(configMap("b", "1")), objects.Options{}); !errors.As(err, &wrong) || len(wrong.Errors) != 1 || wrong.Errors[0].Object != "Gateway/default/edge" {
		t.Errorf("%v", err)
	}
}

// Lists and JSON are kept in plain YAML, one object for each item, and documents as they
// are.
func TestTexts(t *testing.T) {
	k := keep(t, statetest.SQLite(t), nil)
	k.apply(t, `{"apiVersion": "v1", "kind": "List", "items": [
		{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1"}},
		{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "b"}}]}`+"\n",
		"# mine\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n\n\n")
	if _, err := k.source.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range k.source.State().Objects {
		got = append(got, o.Text)
	}
	want := []string{
		"apiVersion: v1\ndata:\n  x: \"1\"\nkind: ConfigMap\nmetadata:\n  name: a\n",
		"# mine\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n",
		"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: b\n",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
