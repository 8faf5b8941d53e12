package keyset

import (
	"net/http"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
)

// What requests cause is bounded in number and over time.
func TestAllowed(t *testing.T) {
	begin := time.Now()
	r := &remote{left: burst, counted: begin}
	count := func(at time.Time) (n int) {
		for r.allowed(at) {
			n++
		}
		return n
	}
	for _, c := range []struct {
		after time.Duration
		want  int
	}{{0, 4}, {9 * time.Second, 0}, {10 * time.Second, 1}, {19 * time.Second, 0}, {31 * time.Second, 2}, {time.Hour, 4}} {
		if n := count(begin.Add(c.after)); n != c.want {
			t.Errorf("after %v: %d, want %d", c.after, n, c.want)
		}
	}
}

// A server may have its keys fetched sooner, within bounds, and never later.
func TestRefresh(t *testing.T) {
	for _, c := range []struct {
		header string
		want   time.Duration
	}{
		{"", 10 * time.Minute},
		{"max-age=60", time.Minute},
		{"max-age=1", 10 * time.Second},
		{"no-store", 10 * time.Second},
		{"max-age=86400", 10 * time.Minute},
		{"max-age=0", 10 * time.Second},
	} {
		r := &remote{config: ir.KeySet{Refresh: 10 * time.Minute}}
		h := http.Header{}
		if c.header != "" {
			h.Set("Cache-Control", c.header)
		}
		if got := r.after(h, time.Now()); got != c.want {
			t.Errorf("%q: %v, want %v", c.header, got, c.want)
		}
	}
}
