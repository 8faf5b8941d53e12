package outlet_test

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/telemetry/outlet"
)

// files of a folder by name, the oldest first, with their contents.
func files(t *testing.T, dir string) (out []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(text))
	}
	return out
}

// A file is rotated when it is old, though nobody writes to it; one that is empty has no
// age, and its first line begins to count.
func TestAge(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		cfg := &ir.FileSink{Path: filepath.Join(dir, "access.log"), MaxBytes: 1 << 20, MaxFiles: 5, MaxAge: time.Hour}
		f, err := outlet.OpenFile(cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		write := func(s string) {
			t.Helper()
			if _, err := f.Write([]byte(s)); err != nil {
				t.Fatal(err)
			}
		}
		expect := func(when string, want ...string) {
			t.Helper()
			synctest.Wait()
			got := files(t, dir)
			// The file in use sorts before those that were rotated.
			if len(got) != len(want) {
				t.Fatalf("%s: %q, want %q", when, got, want)
			}
			for i := range got {
				if got[i] != want[i] {
					t.Fatalf("%s: %q, want %q", when, got, want)
				}
			}
		}
		time.Sleep(90 * time.Minute)
		expect("nothing was written", "")
		write("one\n")
		time.Sleep(59 * time.Minute)
		write("two\n")
		expect("it is young", "one\ntwo\n")
		time.Sleep(2 * time.Minute)
		expect("it is old, and nobody writes", "", "one\ntwo\n")
		time.Sleep(3 * time.Hour)
		expect("an empty one is not rotated", "", "one\ntwo\n")
		write("three\n")
		write("four\n")
		expect("its first line begins to count", "three\nfour\n", "one\ntwo\n")
		f.Set(&ir.FileSink{Path: cfg.Path, MaxBytes: 1 << 20, MaxFiles: 5, MaxAge: time.Minute})
		time.Sleep(2 * time.Minute)
		expect("another age", "", "one\ntwo\n", "three\nfour\n")
		write("five\n")
		f.Set(&ir.FileSink{Path: cfg.Path, MaxBytes: 1 << 20, MaxFiles: 5})
		time.Sleep(24 * time.Hour)
		expect("no age any more", "five\n", "one\ntwo\n", "three\nfour\n")
		f.Set(cfg)
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(24 * time.Hour)
		expect("it was closed", "five\n", "one\ntwo\n", "three\nfour\n")
	})
}
