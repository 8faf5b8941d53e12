package consumer_test

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/consumer"
)

func someone(namespace, name string, keys ...string) *ir.Consumer {
	c := &ir.Consumer{Namespace: namespace, Name: name}
	for i, k := range keys {
		sum := sha256.Sum256([]byte(k))
		c.Credentials = append(c.Credentials, ir.ConsumerCredential{Name: fmt.Sprint(i), KeyDigest: sum[:]})
	}
	return c
}

// find returns "namespace/name#credential", or "nobody".
func find(d *consumer.Directory, key, namespace string, every bool) string {
	sum := sha256.Sum256([]byte(key))
	e := d.Key(sum, namespace, every)
	if e == nil {
		return "nobody"
	}
	return e.Consumer.String() + "#" + e.Credential.Name
}

func TestDirectory(t *testing.T) {
	d := consumer.New()
	a, b := someone("n", "a", "one", "two"), someone("n", "b", "three")
	steps := []struct {
		list []*ir.Consumer
		want map[string]string
	}{
		{nil, map[string]string{"one": "nobody"}},
		{[]*ir.Consumer{a, b}, map[string]string{"one": "n/a#0", "two": "n/a#1", "three": "n/b#0", "four": "nobody"}},
		{[]*ir.Consumer{someone("n", "a", "two", "four"), b}, map[string]string{"one": "nobody", "two": "n/a#0", "four": "n/a#1", "three": "n/b#0"}},
		// A key goes from one to another.
		{[]*ir.Consumer{someone("n", "a", "four"), someone("n", "b", "two", "three")}, map[string]string{"two": "n/b#0", "four": "n/a#0", "three": "n/b#1"}},
		// And back, from one that comes later.
		{[]*ir.Consumer{someone("n", "a", "two", "four"), someone("n", "b", "three")}, map[string]string{"two": "n/a#0", "four": "n/a#1", "three": "n/b#0"}},
		{[]*ir.Consumer{someone("n", "a", "three", "four"), someone("n", "b", "two")}, map[string]string{"two": "n/b#0", "three": "n/a#0", "four": "n/a#1"}},
		{[]*ir.Consumer{someone("n", "b", "four", "two")}, map[string]string{"two": "n/b#1", "four": "n/b#0", "three": "nobody"}},
		{[]*ir.Consumer{b}, map[string]string{"two": "nobody", "four": "nobody", "three": "n/b#0"}},
		{[]*ir.Consumer{}, map[string]string{"three": "nobody"}},
	}
	for i, s := range steps {
		d.Apply(s.list)
		for key, want := range s.want {
			if got := find(d, key, "n", false); got != want {
				t.Errorf("step %d: %q is of %s, want %s", i, key, got, want)
			}
		}
	}
}

// Who has a key in another namespace is nobody here, unless every one counts.
func TestNamespaces(t *testing.T) {
	d := consumer.New()
	x, y := someone("b", "x", "same", "x only"), someone("c", "y", "same")
	d.Apply([]*ir.Consumer{x, y})
	check := func(key, namespace string, every bool, want string) {
		t.Helper()
		if got := find(d, key, namespace, every); got != want {
			t.Errorf("%q in %s, every %t: %s, want %s", key, namespace, every, got, want)
		}
	}
	check("same", "b", false, "b/x#0")
	check("same", "c", false, "c/y#0")
	check("same", "a", false, "nobody")
	check("same", "a", true, "b/x#0")
	check("same", "c", true, "c/y#0")
	check("x only", "c", false, "nobody")
	d.Apply([]*ir.Consumer{y})
	check("same", "b", false, "nobody")
	check("same", "b", true, "c/y#0")
	d.Apply([]*ir.Consumer{someone("a", "z", "same"), y})
	check("same", "b", true, "a/z#0")
	check("same", "c", true, "c/y#0")
}

// A credential keeps the time of its last use when its consumer changes.
func TestLastUse(t *testing.T) {
	d := consumer.New()
	c := someone("n", "a", "one", "two")
	d.Apply([]*ir.Consumer{c})
	sum := sha256.Sum256([]byte("two"))
	at := time.Unix(1_800_000_000, 5)
	d.Key(sum, "n", false).Used(at)
	d.Key(sum, "n", false).Used(at.Add(-time.Hour)) // a clock that jumps
	changed := someone("n", "a", "two", "three")
	changed.Groups = []string{"g"}
	d.Apply([]*ir.Consumer{changed})
	if got := d.LastUsed(changed, &changed.Credentials[0]); !got.Equal(at.Truncate(time.Second)) {
		t.Errorf("used at %v", got)
	}
	if got := d.LastUsed(changed, &changed.Credentials[1]); !got.IsZero() {
		t.Errorf("a new credential was used at %v", got)
	}
}

// One of a hundred thousand changes: readers see no other one move, and the
// change itself is small.
func TestOneAmongManyChanges(t *testing.T) {
	const many = 100_000
	list := make([]*ir.Consumer, many)
	for i := range list {
		list[i] = someone("n", fmt.Sprintf("c%06d", i), fmt.Sprintf("key %d", i))
	}
	d := consumer.New()
	d.Apply(list)
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for r := range 2 {
		readers.Go(func() {
			for i := r; ; i += 7919 {
				select {
				case <-stop:
					return
				default:
				}
				if k := i % many; k != 500 {
					if got, want := find(d, fmt.Sprintf("key %d", k), "n", false), fmt.Sprintf("n/c%06d#0", k); got != want {
						t.Errorf("%s, want %s", got, want)
						return
					}
				}
			}
		})
	}
	var took []time.Duration
	for i := range 20 {
		next := slices.Clone(list)
		next[500] = someone("n", "c000500", fmt.Sprintf("new key %d", i))
		began := time.Now()
		d.Apply(next)
		took = append(took, time.Since(began))
		if got := find(d, fmt.Sprintf("new key %d", i), "n", false); got != "n/c000500#0" {
			t.Fatal(got)
		}
		list = next
	}
	close(stop)
	readers.Wait()
	slices.Sort(took)
	t.Logf("one change among %d: median %v", many, took[len(took)/2])
	if n := testing.AllocsPerRun(100, func() { find2(d) }); n != 0 {
		t.Errorf("%v allocations to find a key", n)
	}
}

var digest = sha256.Sum256([]byte("key 77"))

func find2(d *consumer.Directory) {
	if d.Key(digest, "n", false) == nil {
		panic("not there")
	}
}
