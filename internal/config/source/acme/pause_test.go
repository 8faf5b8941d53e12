package acme

import (
	"errors"
	"testing"
	"time"
)

func TestDueAt(t *testing.T) {
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	b, err := issue(&shop, now, life)
	if err != nil {
		t.Fatal(err)
	}
	day := 24 * time.Hour
	advised := func(d time.Duration) *advice { return &advice{Serial: b.serial(), Renew: now.Add(d)} }
	for _, tt := range []struct {
		name     string
		a        *advice
		from, to time.Duration
	}{
		{"without advice", nil, life * 64 / 100, life * 667 / 1000},
		{"advice for another", &advice{Serial: "1", Renew: now}, life * 64 / 100, life * 667 / 1000},
		{"no time in the advice", advised(now.Sub(now)), 10 * time.Minute, 10 * time.Minute},
		{"as advised", advised(30 * day), 30 * day, 30 * day},
		{"long ago", advised(-day), 10 * time.Minute, 10 * time.Minute},
		{"too late", advised(89 * day), 81 * day, 81 * day},
	} {
		if d := dueAt(b, tt.a).Sub(now); d < tt.from || d > tt.to {
			t.Errorf("%s: after %v", tt.name, d)
		}
	}
	if d := dueAt(b, &advice{Serial: b.serial()}).Sub(now); d < 57*day || d > 60*day {
		t.Errorf("advice that failed: after %v", d)
	}
}

func TestPauses(t *testing.T) {
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	var s *setback
	for i, want := range []time.Duration{150, 300, 600, 1200, 2400, 4800, 9600, 19200, 21600, 21600} {
		s = usual.after(&setbackError{err: errors.New("no"), refused: true}, now, s)
		pause, want := s.Next.Sub(now), want*time.Second
		if s.Tries != i+1 || s.Refused != i+1 || s.Binding || pause < want*9/10 || pause > want*11/10 {
			t.Errorf("refusal %d: %+v, after %v", i+1, s, pause)
		}
	}
	// One that is not reached any more is tried sooner.
	s = usual.after(errors.New("no route"), now, s)
	if pause := s.Next.Sub(now); pause > 6*time.Second || s.Refused != 10 || s.Tries != 11 {
		t.Errorf("%+v", s)
	}
	for range 100 {
		s = usual.after(errors.New("no route"), now, s)
	}
	if pause := s.Next.Sub(now); pause > 11*time.Minute || pause < 9*time.Minute {
		t.Errorf("after %v", pause)
	}
	if r := usual.resumed(s); !r.Next.Equal(now.Add(time.Minute)) || r.Tries != s.Tries {
		t.Errorf("resumed: %+v", r)
	}
	s = usual.after(&setbackError{err: errors.New("later"), wait: time.Hour}, now, nil)
	if r := usual.resumed(s); !s.Binding || r.Next.Before(now.Add(time.Hour)) || r.Next.After(now.Add(64*time.Minute)) {
		t.Errorf("told to wait: %+v", r)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"":                              0,
		"0":                             0,
		"120":                           2 * time.Minute,
		"-5":                            0,
		"1e3":                           0,
		"soon":                          0,
		"Sun, 01 Nov 2026 13:00:00 GMT": time.Hour,
		"Sun, 01 Nov 2026 11:00:00 GMT": 0,
		"99999999":                      30 * 24 * time.Hour,
		"99999999999999999999":          0,
		"Fri, 01 Nov 2999 13:00:00 GMT": 30 * 24 * time.Hour,
	} {
		if got := retryAfter(text, now); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
