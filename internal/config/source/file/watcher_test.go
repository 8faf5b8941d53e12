package file_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/gridway/gridway/internal/config/source/file"
	"github.com/gridway/gridway/internal/config/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// watch starts a watcher, and returns its snapshots. The first is in.
func watch(t *testing.T, opts file.Options, paths ...string) (*file.Snapshot, <-chan file.Snapshot) {
	t.Helper()
	w := file.New(paths, opts)
	first, err := w.Load()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	snapshots := make(chan file.Snapshot, 1000)
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx, func(s file.Snapshot) { snapshots <- s }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return &first, snapshots
}

// await returns the first snapshot for which the condition holds.
func await(t *testing.T, snapshots <-chan file.Snapshot, what string, condition func(file.Snapshot) bool) file.Snapshot {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case s := <-snapshots:
			if condition(s) {
				return s
			}
		case <-deadline:
			t.Fatalf("waited too long for %s", what)
		}
	}
}

func has(names ...string) func(file.Snapshot) bool {
	return func(s file.Snapshot) bool {
		for _, n := range names {
			if s.Set.Get(key(n)) == nil {
				return false
			}
		}
		return s.Set.Len() == len(names)
	}
}

// port is a condition on the port of a gateway, which tells versions apart.
func port(name string, port int) func(file.Snapshot) bool {
	return func(s file.Snapshot) bool {
		o := s.Set.Get(key(name))
		return o != nil && portOf(o) == port
	}
}

func withPort(name string, port int) string {
	return strings.ReplaceAll(named(name), "8080", fmt.Sprint(port))
}

func TestWatchChangeInPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.yaml")
	write(t, path, named("a")+"---\n"+named("b"))
	first, snapshots := watch(t, file.Options{}, path)
	write(t, path, named("a")+"---\n"+withPort("b", 8081))
	s := await(t, snapshots, "the change", port("b", 8081))
	if s.Set.Get(key("a")) != first.Set.Get(key("a")) {
		t.Error("an object that did not change lost its identity")
	}
	if !slices.Equal(s.Changed, []store.Key{key("b")}) || s.Documents != 1 {
		t.Errorf("changed %v by decoding %d documents", s.Changed, s.Documents)
	}
}

func TestWatchAtomicSaves(t *testing.T) {
	for name, save := range map[string]func(path, text string){
		"rename over": func(path, text string) {
			write(t, path+".tmp", text)
			must(t, os.Rename(path+".tmp", path))
		},
		"backup and create": func(path, text string) { // vi with 'backupcopy=no'
			must(t, os.Rename(path, path+"~"))
			write(t, path, text)
			must(t, os.Remove(path+"~"))
		},
		"remove and create": func(path, text string) {
			must(t, os.Remove(path))
			write(t, path, text)
		},
	} {
		for _, watched := range []string{"file", "folder"} {
			t.Run(name+" "+watched, func(t *testing.T) {
				dir := t.TempDir()
				path := filepath.Join(dir, "a.yaml")
				write(t, path, named("a"))
				root := path
				if watched == "folder" {
					root = dir
				}
				_, snapshots := watch(t, file.Options{}, root)
				for i := range 5 {
					save(path, withPort("a", 9000+i))
					s := await(t, snapshots, "the save", func(s file.Snapshot) bool {
						if s.Set.Get(key("a")) == nil {
							t.Error("the object was away for a moment")
						}
						return port("a", 9000+i)(s)
					})
					if len(s.Problems) > 0 {
						t.Errorf("problems: %v", s.Problems)
					}
				}
			})
		}
	}
}

// TestWatchConfigMap does what the kubelet does to a mounted ConfigMap.
func TestWatchConfigMap(t *testing.T) {
	dir := t.TempDir()
	publish := func(version string, files map[string]string) {
		for name, text := range files {
			write(t, filepath.Join(dir, "..", filepath.Base(dir), "..v"+version, name), text)
		}
		must(t, os.Symlink("..v"+version, filepath.Join(dir, "..data_tmp")))
		must(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	}
	publish("1", map[string]string{"a.yaml": named("a"), "b.yaml": named("b")})
	for _, name := range []string{"a.yaml", "b.yaml"} {
		must(t, os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)))
	}
	first, snapshots := watch(t, file.Options{}, dir)
	if !has("a", "b")(*first) {
		t.Fatalf("first snapshot has %d objects, %v", first.Set.Len(), first.Problems)
	}
	publish("2", map[string]string{"a.yaml": withPort("a", 1), "b.yaml": withPort("b", 1)})
	must(t, os.RemoveAll(filepath.Join(dir, "..v1")))
	s := await(t, snapshots, "the swap", port("a", 1))
	if !port("b", 1)(s) {
		t.Error("half of the swap was seen")
	}
}

func TestWatchFilesComeAndGo(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.yaml"), named("a"))
	_, snapshots := watch(t, file.Options{}, dir)
	write(t, filepath.Join(dir, "sub/deeper/b.yaml"), named("b"))
	await(t, snapshots, "a file in a new folder", has("a", "b"))
	write(t, filepath.Join(dir, "sub/deeper/c.yaml"), named("c"))
	await(t, snapshots, "a second file there", has("a", "b", "c"))
	must(t, os.Remove(filepath.Join(dir, "a.yaml")))
	s := await(t, snapshots, "the removal", has("b", "c"))
	if !slices.Equal(s.Changed, []store.Key{key("a")}) {
		t.Errorf("changed %v", s.Changed)
	}
	must(t, os.RemoveAll(filepath.Join(dir, "sub")))
	await(t, snapshots, "the removal of the folder", has())
	write(t, filepath.Join(dir, "sub/deeper/d.yaml"), named("d"))
	await(t, snapshots, "the folder made anew", has("d"))
}

func TestWatchPathGone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "config")
	write(t, filepath.Join(dir, "a.yaml"), named("a"))
	_, snapshots := watch(t, file.Options{Poll: 10 * time.Millisecond}, dir)
	must(t, os.Rename(dir, dir+".away"))
	// A mount that was lost must not take the gateway with it.
	s := await(t, snapshots, "the folder to be missed", func(s file.Snapshot) bool { return len(s.Problems) > 0 })
	if len(s.Problems) != 1 || s.Problems[0].Code != "FileGone" || s.Problems[0].Severity != store.Error || !has("a")(s) {
		t.Errorf("problems: %v", s.Problems)
	}
	must(t, os.Rename(dir+".away", dir))
	await(t, snapshots, "the folder to be back", func(s file.Snapshot) bool { return len(s.Problems) == 0 && has("a")(s) })
}

func TestWatchLastGood(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.yaml")
	write(t, path, named("a")+"---\n"+named("b"))
	first, snapshots := watch(t, file.Options{}, path)

	write(t, path, withPort("a", 99999)+"---\n"+withPort("b", 2))
	s := await(t, snapshots, "the broken edit", port("b", 2))
	if s.Set.Get(key("a")) != first.Set.Get(key("a")) {
		t.Error("the last good version of a was not kept")
	}
	if len(s.Problems) != 1 || !strings.Contains(s.Problems[0].Remedy, "last good version stays in use") {
		t.Errorf("problems: %v", s.Problems)
	}

	write(t, path, "not: [valid\n---\n"+withPort("b", 3))
	s = await(t, snapshots, "the syntax error", port("b", 3))
	if s.Set.Get(key("a")) != first.Set.Get(key("a")) {
		t.Error("a was lost through a syntax error")
	}
	if len(s.Problems) != 1 || s.Problems[0].Code != "SyntaxError" || !strings.Contains(s.Problems[0].Remedy, "stay in use") {
		t.Errorf("problems: %v", s.Problems)
	}

	write(t, path, withPort("a", 4)+"---\n"+withPort("b", 3))
	if s = await(t, snapshots, "the repair", port("a", 4)); len(s.Problems) > 0 {
		t.Errorf("problems: %v", s.Problems)
	}
	write(t, path, withPort("b", 3))
	await(t, snapshots, "the removal", has("b"))
}

func TestWatchUnreadable(t *testing.T) {
	if os.Getuid() == 0 {
		// Root reads everything, but a folder cannot be read as a file.
		dir := t.TempDir()
		path := filepath.Join(dir, "a.yaml")
		write(t, path, named("a"))
		_, snapshots := watch(t, file.Options{MaxFileBytes: 1000}, path)
		write(t, path, strings.Repeat("# long\n", 1000))
		s := await(t, snapshots, "the long file", func(s file.Snapshot) bool { return len(s.Problems) > 0 })
		if s.Set.Get(key("a")) == nil || s.Problems[0].Code != "UnreadableFile" || !strings.Contains(s.Problems[0].Remedy, "stays in use") {
			t.Errorf("problems: %v", s.Problems)
		}
		return
	}
	path := filepath.Join(t.TempDir(), "a.yaml")
	write(t, path, named("a"))
	_, snapshots := watch(t, file.Options{}, path)
	must(t, os.Chmod(path, 0))
	write(t, filepath.Join(filepath.Dir(path), "b.yaml"), "")
	s := await(t, snapshots, "the unreadable file", func(s file.Snapshot) bool { return len(s.Problems) > 0 })
	if s.Set.Get(key("a")) == nil {
		t.Error("a was lost")
	}
}

// TestWatchTruncate writes in place with a pause after the truncation; the
// object must not be away in between.
func TestWatchTruncate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.yaml")
	write(t, path, named("a"))
	_, snapshots := watch(t, file.Options{Quiet: time.Millisecond, Settle: 10 * time.Second, MaxWait: time.Second, Poll: 2 * time.Millisecond}, path)
	for i := range 20 {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
		must(t, err)
		text := withPort("a", 9000+i)
		for len(text) > 0 { // byte by byte, so that readings fall in between
			n := min(len(text), 7)
			_, err := f.WriteString(text[:n])
			must(t, err)
			text = text[n:]
		}
		must(t, f.Close())
		await(t, snapshots, "the write", func(s file.Snapshot) bool {
			if s.Set.Get(key("a")) == nil || len(s.Problems) > 0 {
				t.Errorf("a half-written file was taken: %v", s.Problems)
			}
			return port("a", 9000+i)(s)
		})
	}
}

func TestWatchLinesMoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.yaml")
	write(t, path, named("a")+"---\n"+named("b"))
	first, snapshots := watch(t, file.Options{}, path)
	before := first.Set.Get(key("b"))
	write(t, path, "# two\n# lines\n---\n"+named("a")+"---\n"+named("b"))
	s := await(t, snapshots, "the move", func(file.Snapshot) bool { return true })
	after := s.Set.Get(key("b"))
	if after.Value != before.Value || after.Hash != before.Hash || len(s.Changed) > 0 {
		t.Errorf("b changed although it only moved: %v", s.Changed)
	}
	if got, want := after.Locate("spec.listeners[0].name").Line, before.Locate("spec.listeners[0].name").Line+3; got != want {
		t.Errorf("b is at line %d, want %d", got, want)
	}
}

func TestWatchManyFiles(t *testing.T) {
	dir := t.TempDir()
	const n = 200
	all := make([]string, n)
	for i := range n {
		all[i] = fmt.Sprintf("g%d", i)
		write(t, filepath.Join(dir, all[i]+".yaml"), named(all[i]))
	}
	_, snapshots := watch(t, file.Options{}, dir)
	for _, name := range all {
		write(t, filepath.Join(dir, name+".yaml"), withPort(name, 7))
	}
	changed := map[store.Key]bool{}
	await(t, snapshots, "all changes", func(s file.Snapshot) bool {
		if s.Set.Len() != n {
			t.Errorf("%d objects, want %d", s.Set.Len(), n)
		}
		for _, k := range s.Changed {
			changed[k] = true
		}
		return len(changed) == n
	})
}

// TestWatchPoll: a link above the watched folder is changed, which no watch on
// the folder itself can report.
func TestWatchPoll(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "r1/etc/conf/a.yaml"), named("a"))
	write(t, filepath.Join(dir, "r2/etc/conf/a.yaml"), withPort("a", 2))
	must(t, os.Symlink("r1", filepath.Join(dir, "current")))
	_, snapshots := watch(t, file.Options{Poll: 10 * time.Millisecond}, filepath.Join(dir, "current/etc/conf"))
	must(t, os.Symlink("r2", filepath.Join(dir, "next")))
	must(t, os.Rename(filepath.Join(dir, "next"), filepath.Join(dir, "current")))
	await(t, snapshots, "the release", port("a", 2))
}

func TestWatchDuplicateKeepsTheOldOne(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "m.yaml"), withPort("x", 1))
	_, snapshots := watch(t, file.Options{}, dir)
	write(t, filepath.Join(dir, "a.yaml"), withPort("x", 2))
	s := await(t, snapshots, "the duplicate", func(s file.Snapshot) bool { return len(s.Problems) > 0 })
	if !port("x", 1)(s) || filepath.Base(s.Problems[0].Position.File) != "a.yaml" {
		t.Errorf("the object in use was replaced by a duplicate: %v", s.Problems)
	}
	must(t, os.Remove(filepath.Join(dir, "m.yaml")))
	if s = await(t, snapshots, "the other to take over", port("x", 2)); len(s.Problems) > 0 {
		t.Errorf("problems: %v", s.Problems)
	}
}

func TestRunReportsAnUnreadableStart(t *testing.T) {
	err := file.New([]string{filepath.Join(t.TempDir(), "no.yaml")}, file.Options{}).Run(t.Context(), func(file.Snapshot) {
		t.Error("a snapshot was delivered")
	})
	if err == nil || !strings.Contains(err.Error(), "no.yaml") {
		t.Errorf("error %v", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestWatchPipe: a pipe, as the shell makes it for <(command), is read once.
func TestWatchPipe(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe.yaml")
	must(t, unix.Mkfifo(pipe, 0o600))
	go func() {
		if f, err := os.OpenFile(pipe, os.O_WRONLY, 0); err == nil {
			_, _ = f.WriteString(named("piped"))
			_ = f.Close()
		}
	}()
	write(t, filepath.Join(dir, "sub/a.yaml"), named("a"))
	_, snapshots := watch(t, file.Options{Poll: 5 * time.Millisecond}, pipe, filepath.Join(dir, "sub"))
	write(t, filepath.Join(dir, "sub/a.yaml"), withPort("a", 2))
	await(t, snapshots, "the change beside the pipe", func(s file.Snapshot) bool {
		return has("a", "piped")(s) && port("a", 2)(s)
	})
}

// TestWatchNeighbours writes to a file beside ours all the time, which is no
// reason to wait with ours, or to look at it.
func TestWatchNeighbours(t *testing.T) {
	dir := t.TempDir()
	path, other := filepath.Join(dir, "a.yaml"), filepath.Join(dir, "a.log")
	write(t, path, withPort("a", 1))
	write(t, other, "x")
	_, snapshots := watch(t, file.Options{Quiet: 5 * time.Second, MaxWait: time.Hour}, path)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				if f, err := os.OpenFile(other, os.O_APPEND|os.O_WRONLY, 0); err == nil {
					_, _ = f.WriteString("x")
					_ = f.Close()
				}
			}
		}
	}()
	start := time.Now()
	next := filepath.Join(t.TempDir(), "next")
	write(t, next, withPort("a", 2))
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
	await(t, snapshots, "the change", port("a", 2))
	if took := time.Since(start); took > 4*time.Second {
		t.Errorf("a file that was renamed into place was read after %v", took)
	}
	close(stop)
	<-stopped
}
