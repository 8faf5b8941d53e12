package redis

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/gridway/gridway/internal/budget"
	"github.com/gridway/gridway/internal/proxy/limit/redis/redistest"
)

// TestPlacesAsBudgets holds the script to the arithmetic of package budget, with a
// clock that the test sets, forward and back.
func TestPlacesAsBudgets(t *testing.T) {
	t.Parallel()
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{redistest.Start(t).Addr}, ForceSingleClient: true, DisableCache: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	text := strings.Replace(placesText, "redis.call('TIME')", "{ ARGV[#ARGV - 1], ARGV[#ARGV] }", 1)
	// Redis forgets keys by its own clock, and what has ended by it says nothing anyway.
	text = strings.ReplaceAll(text, "'PX', stay", "'PX', 600000")
	if strings.Count(text, "ARGV[#ARGV]") != 1 || strings.Count(text, "600000") != 1 {
		t.Fatal("the script is another one")
	}
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 7))
		var s budget.State
		now, sent := int64(20_000*86_400)*int64(time.Second), int64(time.Second)
		for step := range 100 {
			now += r.Int64N(4000) * int64(time.Millisecond)
			if r.IntN(20) == 0 {
				now -= r.Int64N(60_000) * int64(time.Millisecond)
			}
			sent += int64(time.Microsecond)
			a := budget.Ask{Limit: budget.Limit{Places: 1 + r.Int64N(12)}, Held: r.Int64N(4), Waiting: r.Int64N(5), Sent: sent}
			if r.IntN(10) == 0 {
				a.Sent -= r.Int64N(5) * int64(time.Microsecond)
			}
			if a.Waiting > 0 {
				a.Least = 1 + r.Int64N(a.Waiting)
			}
			holder := fmt.Sprint("holder", r.IntN(4))
			args := append(placesArgs(holder, &a), fmt.Sprint(now/int64(time.Second)), fmt.Sprint(now%int64(time.Second)/int64(time.Microsecond)))
			got, err := c.Do(context.Background(), c.B().Eval().Script(text).Numkeys(1).Key(fmt.Sprint("places", seed)).Arg(args...).Build()).AsIntSlice()
			if err != nil {
				t.Fatal(err)
			}
			g := s.Step(holder, &a, now)
			if want := []int64{now / int64(time.Millisecond), g.Units, g.Rest}; fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("seed %d, step %d: the script says %v, and budget %v", seed, step, got, want)
			}
		}
	}
}

// What is kept of a key is bounded, and what is not ours is as nothing.
func TestPlacesAreBounded(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{server.Addr}, ForceSingleClient: true, DisableCache: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ask := func(holder string, held, waiting int64) []int64 {
		t.Helper()
		a := budget.Ask{Limit: budget.Limit{Places: 1 << 20}, Held: held, Waiting: waiting, Least: 1, Sent: int64(time.Second)}
		got, err := c.Do(context.Background(), placesScript.command(c, false, []string{"places"}, placesArgs(holder, &a))).AsIntSlice()
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	server.Do("SET", "places", "x; a b c; nobody 5 5")
	for i := range budget.MaxHolders {
		if got := ask(fmt.Sprint(i), 0, 1); got[1] != 1 || got[2] != 1<<20-int64(i)-1 {
			t.Fatalf("holder %d: %v", i, got)
		}
	}
	if got := ask("one more", 0, 1); got[1] != 0 {
		t.Errorf("one more holder: %v", got)
	}
	for i := range 2 * budget.MaxHolders {
		ask(fmt.Sprint("returns", i), 1, 0)
	}
	if n := strings.Count(server.Do("GET", "places"), ";"); n > 2*budget.MaxHolders {
		t.Errorf("%d holders are kept", n)
	}
	server.Do("DEL", "places")
	ask("a", 0, 1)
	ask("a", 0, 0)
	if got := ask("b", 0, 1<<20); got[1] != 1<<20 {
		t.Errorf("not everything is free: %v", got)
	}
}
