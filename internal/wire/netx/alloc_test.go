package netx_test

import (
	"testing"
	"time"

	"github.com/gridway/gridway/internal/wire/netx"
)

func TestNoAllocation(t *testing.T) {
	if raceEnabled {
		t.Skip("sync.Pool drops items at random under the race detector")
	}
	a, b := pair(t)
	w := new(watcher)
	p, q := make([]byte, 100), make([]byte, 100)
	head, body := []byte("head"), []byte("body")
	for name, f := range map[string]func(){
		"read and write": func() {
			b.SetReadBy(netx.After(time.Minute))
			a.SetWriteBy(netx.After(time.Minute))
			b.SetWatch(w)
			_, _ = a.Write(p)
			_, _ = b.Read(q)
			b.SetWatch(nil)
		},
		"writev and idle read": func() {
			b.SetReadBy(netx.After(time.Minute))
			_, _ = a.Writev(head, body)
			buf, _, err := b.ReadIdle(4096)
			if err != nil {
				t.Fatal(err)
			}
			buf.Release()
		},
		"gone": func() {
			if a.Gone() || a.Stale() {
				t.Fatal("gone")
			}
		},
		"splice": func() {
			_, _ = a.Write(p)
			if _, err := b.SpliceSome(b, 100); err != nil {
				t.Fatal(err)
			}
			_, _ = a.Read(q)
		},
	} {
		if n := testing.AllocsPerRun(500, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// A read that blocks must not allocate either.
func TestNoAllocationBlocked(t *testing.T) {
	if raceEnabled {
		t.Skip("sync.Pool drops items at random under the race detector")
	}
	a, b := pair(t)
	go func() {
		p := make([]byte, 64)
		for {
			n, err := b.Read(p)
			if err != nil {
				return
			}
			if _, err := b.Write(p[:n]); err != nil {
				return
			}
		}
	}()
	msg := []byte("ping")
	if n := testing.AllocsPerRun(500, func() {
		a.SetReadBy(netx.After(time.Minute))
		_, _ = a.Write(msg)
		buf, _, err := a.ReadIdle(4096)
		if err != nil {
			t.Fatal(err)
		}
		buf.Release()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
