package retry_test

import (
	"math"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/gridway/gridway/internal/proxy/upstream/retry"
)

func TestBackoffIsFullJitter(t *testing.T) {
	const base, limit = 10 * time.Millisecond, 100 * time.Millisecond
	for n, most := range []time.Duration{0, 10, 20, 40, 80, 100, 100, 100} {
		if n == 0 {
			continue
		}
		most *= time.Millisecond
		var sum, top time.Duration
		const draws = 4000
		for range draws {
			d := retry.Backoff(base, limit, n)
			if d < 0 || d > most {
				t.Fatalf("retry %d: %v is not between 0 and %v", n, d, most)
			}
			sum, top = sum+d, max(top, d)
		}
		if mean := float64(sum) / draws; math.Abs(mean-float64(most)/2) > 0.06*float64(most) || top < most*9/10 {
			t.Errorf("retry %d: mean %v, top %v of %v", n, time.Duration(mean), top, most)
		}
	}
}

func TestBackoffEdges(t *testing.T) {
	if d := retry.Backoff(0, time.Second, 5); d != 0 {
		t.Error("without a base:", d)
	}
	for range 100 {
		if d := retry.Backoff(time.Second, 0, 1000); d < 0 || d > 10*time.Second {
			t.Error("without a limit:", d)
		}
		if d := retry.Backoff(math.MaxInt64/3, math.MaxInt64-1, 50); d < 0 {
			t.Error("overflow:", d)
		}
		if d := retry.Backoff(time.Hour, time.Second, 1); d > time.Second {
			t.Error("base above the limit:", d)
		}
	}
}

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func TestAfter(t *testing.T) {
	for _, c := range []struct {
		value string
		want  time.Duration
		ok    bool
	}{
		{"0", 0, true},
		{"120", 2 * time.Minute, true},
		{" 7\t", 7 * time.Second, true},
		{"99999999999999999999", 24 * time.Hour, true},
		{"Sat, 21 Nov 2026 12:00:30 GMT", 30 * time.Second, true},
		{"Saturday, 21-Nov-26 12:01:00 GMT", time.Minute, true},
		{"Sat Nov 21 12:00:05 2026", 5 * time.Second, true},
		{"Sat, 21 Nov 2026 11:00:00 GMT", 0, true},
		{"Sat, 21 Nov 2099 11:00:00 GMT", 24 * time.Hour, true},
		{"", 0, false},
		{"-1", 0, false},
		{"1.5", 0, false},
		{"1s", 0, false},
		{"soon", 0, false},
		{"Sat, 21 Nov 2026 12:00:30 PST", 0, false},
		{strings.Repeat("1", 50), 0, false},
	} {
		if got, ok := retry.After([]byte(c.value), now); got != c.want || ok != c.ok {
			t.Errorf("%q: got %v %v, want %v %v", c.value, got, ok, c.want, c.ok)
		}
	}
}

func FuzzAfter(f *testing.F) {
	for _, s := range []string{"0", "120", "Sat, 21 Nov 2026 12:00:30 GMT", "Saturday, 21-Nov-26 12:01:00 GMT", "Sat Nov 21 12:00:05 2026", "-1", " 7 "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, ok := retry.After([]byte(s), now)
		if d < 0 || d > 24*time.Hour || !ok && d != 0 {
			t.Fatal(d, ok)
		}
		// Whatever net/http takes for a date is one here, if it is in GMT; net/http
		// takes any three letters for a zone in the form of RFC 850.
		zone := s[max(0, len(strings.TrimSpace(s))-3):]
		if strings.ContainsFunc(zone, unicode.IsLetter) && zone != "GMT" {
			return
		}
		if when, err := http.ParseTime(strings.TrimSpace(s)); err == nil && len(s) <= 40 && !strings.ContainsAny(s, "\r\n\v\f\x85\u00a0") {
			if want := min(max(when.Sub(now), 0), 24*time.Hour); !ok || d != want {
				t.Fatalf("%q: got %v %v, want %v", s, d, ok, want)
			}
		}
	})
}
