package distrib_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/mesh/distrib"
)

func cachedAt(path string) func(*distrib.ClientConfig) {
	return func(cfg *distrib.ClientConfig) { cfg.CacheFile = path }
}

// nobody is a set of control planes that do not answer.
func nobody() map[string]*control { return map[string]*control{"a": nil} }

// filled makes a cache with what two changes have left.
func filled(t *testing.T) string {
	t.Helper()
	path := t.TempDir() + "/view"
	v := newViews()
	v.set("shop/cart", "one", "10.0.0.1:80")
	v.set("shop/ratings", "stars", "10.0.2.1:80")
	c := newControl(t, v)
	p := newProxy(t, newPlane(), one(c), cachedAt(path))
	if err := p.Learn(t.Context(), "shop/ratings"); err != nil {
		t.Fatal(err)
	}
	v.set("shop/cart", "two", "10.0.0.1:80")
	p.until(t, "the change is served", func() bool { return p.text("shop/cart") == "two" })
	v.endpoints("shop/cart", "10.0.0.2:80")
	p.until(t, "endpoints are served", func() bool { return slices.Equal(p.addresses("shop/cart"), []string{"10.0.0.2:80"}) })
	p.stop()
	if len(c.Proxies()) != 0 {
		t.Error("a proxy that has ended its stream is not forgotten")
	}
	return path
}

func TestProxyStartsWithoutAControlPlane(t *testing.T) {
	path := filled(t)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v: it has private keys inside", info.Mode(), err)
	}
	p := newProxy(t, newPlane(), nobody(), cachedAt(path))
	select {
	case <-p.Ready():
	case <-time.After(10 * time.Second):
		t.Fatal("not ready")
	}
	if p.text("shop/cart") != "two" || p.text("shop/ratings") != "stars" || !slices.Equal(p.addresses("shop/cart"), []string{"10.0.0.2:80"}) {
		t.Errorf("it serves %q %q %q", p.text("shop/cart"), p.text("shop/ratings"), p.addresses("shop/cart"))
	}
	if st := p.Status(); !st.FromDisk || st.Serving.Number != 3 || !slices.Equal(st.Services, []string{"shop/cart", "shop/ratings"}) {
		t.Errorf("it says %+v", st)
	}
	// Services that it has are used without asking anybody.
	if err := errors.Join(p.Learn(t.Context(), "shop/ratings"), p.Learn(t.Context(), "shop/cart")); err != nil {
		t.Error(err)
	}
	soon, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := p.Learn(soon, "shop/new"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("of one that it does not have: %v", err)
	}
}

// What is on disk is not sent again.
func TestReconnectFromDiskSendsDifferences(t *testing.T) {
	path := filled(t)
	v := newViews()
	v.set("shop/cart", "two", "10.0.0.2:80")
	v.set("shop/ratings", "stars", "10.0.2.1:80")
	c := newControl(t, v)
	p := newProxy(t, newPlane(), one(c), cachedAt(path))
	p.until(t, "it is served", func() bool { return c.Summary().Serving == 1 })
	p.mu.Lock()
	applies := p.applies
	p.mu.Unlock()
	if applies != 1 {
		t.Errorf("applied %d times", applies)
	}
	v.set("shop/cart", "three", "10.0.0.2:80")
	p.until(t, "changes are served", func() bool { return p.text("shop/cart") == "three" })
}

func TestSpoiltCache(t *testing.T) {
	path := filled(t)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	start := func(t *testing.T, content []byte) (*proxy, string) {
		path := t.TempDir() + "/view"
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
		v := newViews()
		v.set("shop/cart", "fresh", "10.0.0.9:80")
		return newProxy(t, newPlane(), one(newControl(t, v)), cachedAt(path)), path
	}
	for name, content := range map[string][]byte{
		"nothing":         {},
		"another version": []byte("gridway distribution 9\nxyz"),
		"noise":           bytes.Repeat([]byte{0xff, 0, 3}, 1000),
		"the head alone":  whole[:23],
	} {
		t.Run(name, func(t *testing.T) {
			p, path := start(t, content)
			p.until(t, "it is fetched anew", func() bool { return p.text("shop/cart") == "fresh" })
			p.stop()
			again := newProxy(t, newPlane(), nobody(), cachedAt(path))
			again.until(t, "what was fetched is kept", func() bool { return again.text("shop/cart") == "fresh" })
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%v %v", info.Mode(), err)
			}
		})
	}
	// Wherever a process dies while it writes, a whole state is left.
	for cut := len(whole) - 1; cut > 23; cut -= 1 + len(whole)/60 {
		path := t.TempDir() + "/view"
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		checkWhole(t, fmt.Sprintf("%d of %d bytes", cut, len(whole)), path)
	}
	for at := 23; at < len(whole); at += 1 + len(whole)/60 {
		path := t.TempDir() + "/view"
		spoilt := bytes.Clone(whole)
		spoilt[at] ^= 0x40
		if err := os.WriteFile(path, spoilt, 0o600); err != nil {
			t.Fatal(err)
		}
		checkWhole(t, fmt.Sprintf("byte %d spoilt", at), path)
	}
}

// checkWhole starts from a cache, which serves one of the states that there were, or
// nothing.
func checkWhole(t *testing.T, what, path string) {
	t.Helper()
	pl := newPlane()
	cfg := distrib.ClientConfig{
		Proxy:   distrib.Proxy{Name: "proxy", Role: distrib.RoleSidecar, Services: []string{"shop/cart"}},
		Targets: []string{"a"}, Dial: dials(nobody()), Applier: pl, CacheFile: path,
	}
	c, err := distrib.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // it does nothing but start
	_ = c.Run(ctx)
	served := fmt.Sprint(pl.text("shop/cart"), " ", pl.text("shop/ratings"), " ", pl.addresses("shop/cart"))
	if !slices.Contains([]string{"  []", "one  [10.0.0.1:80]", "one stars [10.0.0.1:80]", "two stars [10.0.0.1:80]", "two stars [10.0.0.2:80]"}, served) {
		t.Errorf("%s: it serves %s", what, served)
	}
}

// Two processes do not write to one file.
func TestCacheOfAnotherProcess(t *testing.T) {
	path := filled(t)
	first := newProxy(t, newPlane(), nobody(), cachedAt(path))
	<-first.Ready()
	v := newViews()
	v.set("shop/cart", "fresh", "10.0.0.9:80")
	second := newProxy(t, newPlane(), one(newControl(t, v)), cachedAt(path))
	second.until(t, "it is served without", func() bool { return second.text("shop/cart") == "fresh" })
	second.stop()
	first.stop()
	third := newProxy(t, newPlane(), nobody(), cachedAt(path))
	<-third.Ready()
	if third.text("shop/cart") != "two" {
		t.Error("the second has written to the file of the first")
	}
}

// A disk that is full is no reason not to serve, and is written to again when it can be.
func TestDiskIsFull(t *testing.T) {
	path := t.TempDir() + "/view"
	v := newViews()
	v.set("shop/cart", "one", "10.0.0.1:80")
	p := newProxy(t, newPlane(), one(newControl(t, v)), cachedAt(path))
	<-p.Ready() // which is said once the first view is on disk
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	limit(t, uint64(info.Size()+100), func() {
		for i := range 5 {
			text := strings.Repeat("x", 10_000) + fmt.Sprint(i)
			v.set("shop/cart", text, "10.0.0.1:80")
			p.until(t, "it is served", func() bool { return p.text("shop/cart") == text })
		}
		p.until(t, "the file has its old size", func() bool { now, err := os.Stat(path); return err == nil && now.Size() == info.Size() })
	})
	v.set("shop/cart", "free", "10.0.0.1:80")
	p.until(t, "it is served", func() bool { return p.text("shop/cart") == "free" })
	p.stop()
	again := newProxy(t, newPlane(), nobody(), cachedAt(path))
	again.until(t, "the newest is on disk", func() bool { return again.text("shop/cart") == "free" })
}

// limit bounds files of the process meanwhile, which is as a full disk to who writes.
func limit(t *testing.T, size uint64, do func()) {
	t.Helper()
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: size, Max: was.Max}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
			t.Fatal(err)
		}
	}()
	do()
}

// The log is written anew before it is much longer than what is in it.
func TestCacheStaysSmall(t *testing.T) {
	path := t.TempDir() + "/view"
	v := newViews()
	v.set("shop/cart", "one", "10.0.0.1:80")
	p := newProxy(t, newPlane(), one(newControl(t, v)), cachedAt(path))
	for i := range 60 {
		text := strings.Repeat("x", 100_000) + fmt.Sprint(i)
		v.set("shop/cart", text, "10.0.0.1:80")
		p.until(t, "it is served", func() bool { return p.text("shop/cart") == text })
	}
	p.stop()
	if info, err := os.Stat(path); err != nil || info.Size() > 2<<20 {
		t.Errorf("%d bytes for a view of 100,000 (%v)", info.Size(), err)
	}
	again := newProxy(t, newPlane(), nobody(), cachedAt(path))
	again.until(t, "the newest is on disk", func() bool { return strings.HasSuffix(again.text("shop/cart"), "x59") })
}
