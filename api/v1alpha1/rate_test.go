package v1alpha1_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gridway/gridway/api/v1alpha1"
)

func TestParseRate(t *testing.T) {
	for in, want := range map[string]struct {
		units  int64
		period time.Duration
	}{
		"100/s": {100, time.Second}, "6000/m": {6000, time.Minute}, "10/h": {10, time.Hour}, "1/d": {1, 24 * time.Hour},
		"5/10s": {5, 10 * time.Second}, "1000000000/9999d": {1_000_000_000, 9999 * 24 * time.Hour}, "1000000/s": {1_000_000, time.Second},
	} {
		units, period, err := v1alpha1.ParseRate(in)
		if err != nil || units != want.units || period != want.period {
			t.Errorf("%s: %d in %s, %v", in, units, period, err)
		}
	}
	for _, in := range []string{
		"", "/", "100", "100/", "/s", "0/s", "-1/s", "+1/s", "1.5/s", "01/s", "1e3/s", " 1/s", "1/s ", "1/S", "1/ms", "1/0s", "1/10000s",
		"1/01s", "1/-1s", "1000001/s", "1000000001/d", "99999999999999999999/s", "1/s/s", "1/w", "1//s", "100 /s", "100/ s", "1\x00/s",
	} {
		if units, period, err := v1alpha1.ParseRate(in); err == nil {
			t.Errorf("%q is taken for %d in %s", in, units, period)
		}
	}
}

func TestParseBandwidth(t *testing.T) {
	for in, want := range map[string]int64{
		"1000B/s": 1000, "1KB/s": 1000, "1KiB/s": 1024, "500KB/s": 500_000, "10MiB/s": 10 << 20, "1GB/s": 1e9, "100GB/s": 1e11, "93GiB/s": 93 << 30,
	} {
		if got, err := v1alpha1.ParseBandwidth(in); err != nil || got != want {
			t.Errorf("%s: %d, %v", in, got, err)
		}
	}
	for _, in := range []string{
		"", "B/s", "/s", "1", "1MB", "1M/s", "1mb/s", "999B/s", "101GB/s", "94GiB/s", "0KB/s", "-1MB/s", "1.5MB/s", "1 MB/s", "1Kib/s",
		"999999999999GB/s", "1TB/s", "1KKB/s", "01KB/s", "1MB/m",
	} {
		if got, err := v1alpha1.ParseBandwidth(in); err == nil {
			t.Errorf("%q is taken for %d", in, got)
		}
	}
}

// FuzzParseRate: what is taken is in range, and written anew means the same.
func FuzzParseRate(f *testing.F) {
	for _, s := range []string{"100/s", "5/10s", "6000/m", "10/h", "1/d", "0/s", "1000001/s", "1/9999d", "/", "9/s/s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		units, period, err := v1alpha1.ParseRate(s)
		if err != nil {
			return
		}
		if units < 1 || units > 1e9 || period < time.Second || period > 9999*24*time.Hour {
			t.Fatalf("%q: %d in %s", s, units, period)
		}
		if seconds := int64(period / time.Second); units > seconds*1_000_000 {
			t.Fatalf("%q: %d in %s is too fast", s, units, period)
		}
		if n, p, err := v1alpha1.ParseRate(fmt.Sprintf("%d/%ds", units, min(9999, int64(period/time.Second)))); err == nil && period <= 9999*time.Second && (n != units || p != period) {
			t.Fatalf("%q: %d in %s, and again %d in %s", s, units, period, n, p)
		}
	})
}

// FuzzParseBandwidth: what is taken is in range.
func FuzzParseBandwidth(f *testing.F) {
	for _, s := range []string{"500KB/s", "10MiB/s", "1000B/s", "100GB/s", "B/s", "1KiB", "999999999999GiB/s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if n, err := v1alpha1.ParseBandwidth(s); err == nil && (n < 1000 || n > 100_000_000_000) {
			t.Fatalf("%q: %d bytes per second", s, n)
		}
	})
}

// TestRatesRoundTrip reads what it has written.
func TestRatesRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		units, count := 1+rng.Int64N(1_000_000), 1+rng.Int64N(9999)
		got, period, err := v1alpha1.ParseRate(fmt.Sprintf("%d/%dm", units, count))
		if err != nil || got != units || period != time.Duration(count)*time.Minute {
			t.Fatalf("%d/%dm: %d in %s, %v", units, count, got, period, err)
		}
	}
}
