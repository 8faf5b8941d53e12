package budget_test

import (
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/upstream/budget"
)

func TestShareOfRequests(t *testing.T) {
	b := budget.New(&ir.RetryBudget{Percent: 20, Window: 10 * time.Second})
	spend := func(now int64) (n int) {
		for b.Allow(now) {
			n++
		}
		return n
	}
	if b.Allow(0) {
		t.Error("a retry without requests and without a reserve")
	}
	for range 100 {
		b.Request(int64(time.Second))
	}
	if left := b.Left(int64(time.Second)); left != 20 {
		t.Error("left", left)
	}
	if n := spend(int64(time.Second)); n != 20 {
		t.Error("spent", n, "of 20")
	}
	for range 50 {
		b.Request(int64(5 * time.Second))
	}
	if n := spend(int64(5 * time.Second)); n != 10 {
		t.Error("spent", n, "of 10")
	}
	// The first second has left the window, with its requests and retries.
	if n := spend(int64(12 * time.Second)); n != 0 {
		t.Error("spent", n, "of 0")
	}
	for range 5 {
		b.Request(int64(12 * time.Second))
	}
	if n := spend(int64(12 * time.Second)); n != 1 {
		t.Error("spent", n, "of 1")
	}
}

func TestReserve(t *testing.T) {
	b := budget.New(&ir.RetryBudget{Percent: 0, MinPerSecond: 3, Window: 10 * time.Second})
	n := 0
	for second := range int64(100) {
		for range 50 {
			if b.Allow(second * int64(time.Second)) {
				n++
			}
		}
	}
	if n < 290 || n > 330 {
		t.Error(n, "retries in 100 s at 3 a second")
	}
}

func TestWithoutBudget(t *testing.T) {
	b := budget.New(nil)
	b.Request(0)
	if !b.Allow(0) || b.Left(0) != -1 {
		t.Error("no budget is no bound")
	}
}
