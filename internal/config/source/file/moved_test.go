package file_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/config/source/file"
)

// A line more moves everything below it. What really changed comes at once,
// with the other objects as they were, and then the new places of those.
func TestWatchManyMoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.yaml")
	var rest strings.Builder
	names := []string{"a"}
	for i := range 300 {
		n := "x" + strings.Repeat("y", i%60) + string(rune('a'+i/60))
		names = append(names, n)
		rest.WriteString("---\n" + named(n))
	}
	write(t, path, named("a")+rest.String())
	first, snapshots := watch(t, file.Options{Moved: 50 * time.Millisecond}, path)
	write(t, path, "# one line\n# and another\n"+withPort("a", 8081)+rest.String())
	soon := await(t, snapshots, "the change", port("a", 8081))
	for _, n := range names[1:] {
		if soon.Set.Get(key(n)) != first.Set.Get(key(n)) {
			t.Fatalf("%s lost its identity at once", n)
		}
	}
	if len(soon.Changed) != 1 {
		t.Errorf("changed %v", soon.Changed)
	}
	last := names[len(names)-1]
	was := first.Set.Get(key(last)).Locate("").Line
	places := await(t, snapshots, "the new places", func(s file.Snapshot) bool { return s.Set.Get(key(last)).Locate("").Line == was+2 })
	if len(places.Changed) != 0 || !port("a", 8081)(places) {
		t.Errorf("changed %v", places.Changed)
	}
}

// While places are outstanding, the next change does not wait for them, and
// nothing is lost.
func TestWatchChangeWhileMoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.yaml")
	var rest strings.Builder
	for i := range 200 {
		rest.WriteString("---\n" + named("x"+strings.Repeat("y", i%50)+string(rune('a'+i/50))))
	}
	write(t, path, named("a")+"---\n"+named("b")+rest.String())
	first, snapshots := watch(t, file.Options{Moved: 30 * time.Second}, path)
	write(t, path, "# one line\n"+withPort("a", 8081)+"---\n"+named("b")+rest.String())
	await(t, snapshots, "the first change", port("a", 8081))
	write(t, path, "# one line\n"+withPort("a", 8081)+"---\n"+withPort("b", 8082)+rest.String())
	s := await(t, snapshots, "the second change", port("b", 8082))
	if !port("a", 8081)(s) || s.Set.Len() != 202 {
		t.Error("the first change is gone")
	}
	if s.Set.Get(key("xa")) != first.Set.Get(key("xa")) {
		t.Error("places came along with the second change")
	}
	write(t, path, "# one line\n"+withPort("a", 8081)+"---\n"+rest.String())
	s = await(t, snapshots, "the removal", func(s file.Snapshot) bool { return s.Set.Get(key("b")) == nil })
	if s.Set.Len() != 201 {
		t.Errorf("%d objects", s.Set.Len())
	}
}
