package acme

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// lockEnv makes this test program one that takes a lock and waits to be killed.
const lockEnv = "GRIDWAY_TEST_LOCK"

func TestMain(m *testing.M) {
	if dir := os.Getenv(lockEnv); dir != "" {
		if _, err := NewFiles(dir).Lock(context.Background(), "order-x.lock"); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("locked")
		select {}
	}
	goleak.VerifyTestMain(m)
}

func TestFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state", "acme")
	f := NewFiles(dir)
	ctx := t.Context()
	if _, err := f.Load(ctx, "certificates/a.json"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing there: %v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder was made for nothing: %v", err)
	}
	if err := f.Open(); err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{"one", "another", ""} {
		if err := f.Store(ctx, "certificates/a.json", []byte(value)); err != nil {
			t.Fatal(err)
		}
		if got, err := f.Load(ctx, "certificates/a.json"); err != nil || string(got) != value {
			t.Errorf("%q, %v", got, err)
		}
	}
	if err := f.Store(ctx, "certificates/a.json", make([]byte, maxValue+1)); err == nil {
		t.Error("a value that is too long is stored")
	}
	for range 2 {
		if err := f.Delete(ctx, "certificates/a.json"); err != nil {
			t.Error(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "certificates", "b"), make([]byte, maxValue+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Load(ctx, "certificates/b"); err == nil {
		t.Error("a value that is too long is loaded")
	}
	if err := f.Store(ctx, "certificates/c", []byte("secret")); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]fs.FileMode{".": 0o700, "certificates": 0o700, "certificates/c": 0o600} {
		info, err := os.Stat(filepath.Join(dir, path))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*/.*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestFilesCannotBeWritten(t *testing.T) {
	taken := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(taken, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f := NewFiles(filepath.Join(taken, "acme"))
	if err := f.Open(); err == nil || !strings.Contains(err.Error(), taken) {
		t.Errorf("opened: %v", err)
	}
	if err := f.Store(t.Context(), "certificates/a", nil); err == nil {
		t.Error("stored")
	}
	if _, err := f.Lock(t.Context(), "a"); err == nil {
		t.Error("locked")
	}
}

// Who reads sees one value or the other, never a part.
func TestFilesAreWhole(t *testing.T) {
	f := NewFiles(t.TempDir())
	ctx := t.Context()
	a, b := bytes.Repeat([]byte("a"), 100_000), bytes.Repeat([]byte("b"), 50_000)
	if err := f.Store(ctx, "certificates/x", a); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for _, v := range [][]byte{a, b} {
		wg.Go(func() {
			for range 50 {
				if err := f.Store(ctx, "certificates/x", v); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 200 {
		got, err := f.Load(ctx, "certificates/x")
		if err != nil || !bytes.Equal(got, a) && !bytes.Equal(got, b) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	}
	wg.Wait()
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	one, two := NewFiles(dir), NewFiles(dir) // as of two processes
	var inside, served atomic.Int32
	var wg sync.WaitGroup
	for i := range 8 {
		f := one
		if i%2 == 1 {
			f = two
		}
		wg.Go(func() {
			unlock, err := f.Lock(t.Context(), "order-x.lock")
			if err != nil {
				t.Error(err)
				return
			}
			if inside.Add(1) != 1 {
				t.Error("there are two with the lock")
			}
			runtime.Gosched()
			inside.Add(-1)
			served.Add(1)
			unlock()
		})
	}
	wg.Wait()
	if n := served.Load(); n != 8 {
		t.Errorf("%d had the lock", n)
	}
	unlock, err := one.Lock(t.Context(), "order-x.lock")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := two.Lock(ctx, "order-x.lock"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a lock that is held: %v", err)
	}
	other, err := two.Lock(t.Context(), "order-y.lock")
	if err != nil {
		t.Fatal(err)
	}
	other()
}

// A process that is killed gives its locks back.
func TestLockOfTheDead(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), lockEnv+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "locked\n" {
		t.Fatalf("%q, %v", line, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := NewFiles(dir).Lock(ctx, "order-x.lock"); err == nil {
		t.Error("the lock of another process is ours")
	}
	cmd.Process.Kill()
	cmd.Wait()
	unlock, err := NewFiles(dir).Lock(t.Context(), "order-x.lock")
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

func TestSweep(t *testing.T) {
	dir := t.TempDir()
	f := NewFiles(dir)
	old := time.Now().Add(-2 * staleAnswer)
	for _, key := range []string{"challenges/http-old", "challenges/http-new", "certificates/x"} {
		if err := f.Store(t.Context(), key, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"challenges/http-old", "certificates/x"} {
		if err := os.Chtimes(filepath.Join(dir, path), old, old); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Open(); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]bool{"challenges/http-old": false, "challenges/http-new": true, "certificates/x": true} {
		if _, err := f.Load(t.Context(), key); (err == nil) != want {
			t.Errorf("%s: %v", key, err)
		}
	}
}

// No key leads out of the folder, whatever clients and authorities send.
func FuzzKey(f *testing.F) {
	for _, s := range []string{"shop.example", "..", "../../etc/passwd", "a/b", ".", "", "\x00", strings.Repeat("a", 300), "-x", "token_-123"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		files := NewFiles("/state")
		keys := []string{s, tlsAnswerKey(s), "locks/name-" + clip(s) + ".lock"}
		if validToken(s) {
			keys = append(keys, httpAnswerKey(s))
			if _, err := files.path(httpAnswerKey(s)); err != nil {
				t.Errorf("the token %q cannot be stored: %v", s, err)
			}
		}
		for _, key := range keys {
			path, err := files.path(key)
			if err != nil {
				continue
			}
			rel, err := filepath.Rel("/state", path)
			if err != nil || strings.HasPrefix(rel, "..") || !filepath.IsLocal(rel) || strings.ContainsRune(path, 0) || filepath.Base(path)[0] == '.' {
				t.Errorf("%q is %q", key, path)
			}
		}
	})
}
