package health_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/upstream/health"
	"github.com/gridway/gridway/internal/wire/netx"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// script is a target whose checks end as it says, the last entry for ever.
type script struct {
	results string // + works, - is refused, h hangs

	mu       sync.Mutex
	dialed   []time.Time
	verdicts []bool
	passed   int
	failed   int
	at       []int // how many checks had been made at each verdict
}

var errRefused = errors.New("refused")

func (s *script) Address() string { return "192.0.2.1:80" }
func (s *script) Host() string    { return "host.example" }
func (s *script) HTTP2() bool     { return false }
func (s *script) Secure() bool    { return false }

func (s *script) Dial(ctx context.Context, _ string, _ bool, _ int64) (*netx.Conn, error) {
	s.mu.Lock()
	r := s.results[min(len(s.dialed), len(s.results)-1)]
	s.dialed = append(s.dialed, time.Now())
	s.mu.Unlock()
	switch r {
	case '-':
		return nil, errRefused
	case 'h':
		<-ctx.Done()
		return nil, ctx.Err()
	}
	a, b := net.Pipe()
	_ = b.Close()
	return netx.New(a), nil
}

func (s *script) Checked(ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ok {
		s.passed++
	} else {
		s.failed++
	}
}

func (s *script) Report(healthy bool, cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if healthy != (cause == nil) {
		panic("a cause for health")
	}
	s.verdicts = append(s.verdicts, healthy)
	s.at = append(s.at, len(s.dialed))
}

func TestThresholds(t *testing.T) {
	for _, c := range []struct {
		results string
		want    []bool
		at      []int
	}{
		{"+", []bool{true}, []int{1}},
		{"-", []bool{false}, []int{1}},                            // the first decides alone
		{"+--+--+---", []bool{true, false}, []int{1, 10}},         // three in a row
		{"-+-+-++-", []bool{false, true, false}, []int{1, 7, 10}}, // two in a row
		{"++---++---", []bool{true, false, true, false}, []int{1, 5, 7, 10}},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &script{results: c.results}
			h := health.Start(ir.Health{Interval: time.Second, Timeout: time.Second, HealthyThreshold: 2, UnhealthyThreshold: 3})
			h.Set([]health.Target{s})
			time.Sleep(20 * time.Second)
			h.Close()
			if !slices.Equal(s.verdicts, c.want) || !slices.Equal(s.at, c.at) {
				t.Errorf("%s: verdicts %v after checks %v", c.results, s.verdicts, s.at)
			}
		})
	}
}

func TestIntervalAndJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{results: "+"}
		h := health.Start(ir.Health{Interval: 10 * time.Second})
		began := time.Now()
		h.Set([]health.Target{s})
		time.Sleep(1000 * time.Second)
		h.Close()
		if s.dialed[0].Sub(began) > 10*time.Millisecond {
			t.Error("the first check is made at once, not after", s.dialed[0].Sub(began))
		}
		distinct := map[time.Duration]bool{}
		for i := 1; i < len(s.dialed); i++ {
			gap := s.dialed[i].Sub(s.dialed[i-1])
			distinct[gap] = true
			if gap < 8900*time.Millisecond || gap > 11100*time.Millisecond {
				t.Error("gap", gap)
			}
		}
		if len(s.dialed) < 92 || len(s.dialed) > 110 || len(distinct) < 50 {
			t.Error(len(s.dialed), "checks,", len(distinct), "different gaps")
		}
	})
}

func TestChecksInProgressAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := health.Start(ir.Health{Interval: time.Second, Timeout: time.Second})
		targets := make([]health.Target, 1000)
		for i := range targets {
			targets[i] = &script{results: "h"}
		}
		h.Set(targets)
		synctest.Wait()
		n := 0
		for _, target := range targets {
			n += len(target.(*script).dialed)
		}
		if n != 256 {
			t.Error(n, "checks at a time")
		}
		h.Close() // ends those that hang
		for _, target := range targets {
			if len(target.(*script).verdicts) > 0 {
				t.Fatal("a report after Close")
			}
		}
	})
}

func TestTargetsComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &script{results: "+"}, &script{results: "-"}
		h := health.Start(ir.Health{Interval: time.Second})
		h.Set([]health.Target{a})
		time.Sleep(10 * time.Second)
		h.Set([]health.Target{b, a})
		synctest.Wait()
		if len(b.verdicts) != 1 || len(a.verdicts) != 1 {
			t.Error("verdicts", a.verdicts, b.verdicts)
		}
		h.Set([]health.Target{b})
		made := len(a.dialed)
		time.Sleep(10 * time.Second)
		h.Close()
		if len(a.dialed) != made {
			t.Error("a target that left is checked")
		}
		if len(b.dialed) < 9 {
			t.Error("checks of the other:", len(b.dialed))
		}
	})
}
