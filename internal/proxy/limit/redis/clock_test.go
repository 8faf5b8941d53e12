package redis

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/gridway/gridway/internal/proxy/limit/redis/redistest"
)

// TestClockJumps runs the script with a clock that the test sets.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{redistest.Start(t).Addr}, ForceSingleClient: true, DisableCache: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	script := strings.Replace(charge, "redis.call('TIME')", "{ ARGV[#ARGV], '0' }", 1)
	if script == charge {
		t.Fatal("the script has another clock")
	}
	epoch := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC).Unix()
	at := func(second int64, mode, key string, args ...string) []int64 {
		t.Helper()
		args = append(append([]string{mode}, args...), fmt.Sprint(epoch+second))
		list, err := c.Do(context.Background(), c.B().Eval().Script(script).Numkeys(1).Key(key).Arg(args...).Build()).AsIntSlice()
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	const second = 1_000_000
	rate := func(now, cost int64) []int64 {
		return at(now, take, "rate", "r", fmt.Sprint(cost), "0", "10", fmt.Sprint(10*second), "10")
	}
	want := func(got []int64, status, used, next int64) {
		t.Helper()
		if got[0] != status || got[3] != used || got[4] != next {
			t.Errorf("status %d, used %d, next %d; want %d, %d, %d", got[0], got[3], got[4], status, used, next)
		}
	}
	want(rate(100, 10), 1, 10, second)
	want(rate(100, 1), 0, 10, second)
	want(rate(104, 3), 1, 9, second) // 4 have come back
	want(rate(50, 1), 1, 10, second) // back: nothing is lost, nothing given
	want(rate(50, 1), 0, 10, second)
	want(rate(52, 2), 1, 10, second) // and time goes on from there
	want(rate(9000, 1), 1, 1, second)

	quota := func(now, cost, begin, end int64) []int64 {
		return at(now, take, "quota", "q", fmt.Sprint(cost), "0", "5", fmt.Sprint(epoch+begin), fmt.Sprint(epoch+end))
	}
	want(quota(10, 4, 0, 100), 1, 4, 90*second)
	if got := quota(100, 1, 0, 100); got[0] != statusOtherWindow || got[1] != epoch+100 {
		t.Errorf("a window that is over: %v", got)
	}
	want(quota(100, 5, 100, 200), 1, 5, 100*second) // the next window
	want(quota(10, 1, 0, 100), 0, 5, 90*second)     // back: the key has had it once more, and only once
	want(quota(150, 1, 100, 200), 0, 5, 50*second)

	// What is not ours is as nothing.
	c.Do(context.Background(), c.B().Set().Key("rate").Value("1 x").Build())
	want(rate(9000, 1), 1, 1, second)
}
