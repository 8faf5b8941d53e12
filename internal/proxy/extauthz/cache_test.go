package extauthz

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/callout"
	"github.com/gridway/gridway/internal/proxy/filter"
)

func remembering(key ...ir.CacheKeyPart) *ir.ExternalAuth {
	return &ir.ExternalAuth{
		Cluster: "auth", Timeout: time.Second, Take: ir.HeaderSet{Names: []string{"x-user"}}, Allowed: ir.HeaderSet{Names: []string{"set-cookie"}},
		Cache: &ir.ExternalCache{TTL: time.Minute, Key: key},
	}
}

func bearer(token string) *filter.Exchange {
	x := asked()
	x.Detach = func() {}
	x.Req.Header.DelName([]byte("Authorization"))
	for value := range strings.SplitSeq(token, "|") {
		x.Req.Header.Add([]byte("Authorization"), []byte(value))
	}
	return x
}

func TestAnswersAreRemembered(t *testing.T) {
	all := []ir.CacheKeyPart{{Type: "Header", Name: "authorization"}, {Type: "Method"}, {Type: "Host"}, {Type: "Path"}, {Type: "Query"}, {Type: "ClientIP"}}
	s := New(remembering(all...), "default/p", &Caches{})
	questions := 0
	ask := func(x *filter.Exchange, status int, header ...string) string {
		x.Call = func(q *callout.Call) error {
			questions++
			q.Response.Status = status
			for i := 0; i < len(header); i += 2 {
				q.Response.Header.Add([]byte(header[i]), []byte(header[i+1]))
			}
			return nil
		}
		before := questions
		a, err := s.Ask(x)
		return fmt.Sprint(err == nil && a.Allowed, " ", questions-before)
	}
	for _, c := range []struct {
		name   string
		edit   func(x *filter.Exchange)
		token  string
		status int
		header []string
		want   string
	}{
		{name: "the first", token: "a", status: 200, want: "true 1"},
		{name: "one like it", token: "a", status: 403, want: "true 0"},
		{name: "another credential", token: "b", status: 403, want: "false 1"},
		{name: "refusals are asked about again", token: "b", status: 200, want: "true 1"},
		{name: "the same bytes in two fields", token: "a|", status: 403, want: "false 1"},
		{name: "another method", token: "a", edit: func(x *filter.Exchange) { x.Req.Method = []byte("GET") }, status: 403, want: "false 1"},
		{name: "another host", token: "a", edit: func(x *filter.Exchange) { x.Req.Host = []byte("other") }, status: 403, want: "false 1"},
		{name: "another path", token: "a", edit: func(x *filter.Exchange) { x.Req.Path = []byte("/other") }, status: 403, want: "false 1"},
		{name: "another query", token: "a", edit: func(x *filter.Exchange) { x.Req.Query = nil }, status: 403, want: "false 1"},
		{name: "another client", token: "a", edit: func(x *filter.Exchange) { x.Client = x.Client.Next() }, status: 403, want: "false 1"},
		{name: "too late", token: "a", edit: func(x *filter.Exchange) { x.Start = x.Start.Add(time.Minute) }, status: 403, want: "false 1"},
		{name: "a cookie for one client", token: "c", status: 200, header: []string{"Set-Cookie", "s=1"}, want: "true 1"},
		{name: "is not for another", token: "c", status: 403, want: "false 1"},
		{name: "the server wants no memory", token: "d", status: 200, header: []string{"Cache-Control", "max-age=5, no-store"}, want: "true 1"},
		{name: "and there is none", token: "d", status: 403, want: "false 1"},
	} {
		x := bearer(c.token)
		if c.edit != nil {
			c.edit(x)
		}
		if got := ask(x, c.status, c.header...); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// One of those that are alike asks, and the others have its answer, or ask
// themselves if it is for one alone.
func TestOneQuestionForMany(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer func(q *callout.Call) error
		want   string
	}{
		{"let through", func(q *callout.Call) error { q.Response.Status = 200; return nil }, "1 questions, 8 let through, 0 errors"},
		{"refused", func(q *callout.Call) error { q.Response.Status = 403; return nil }, "8 questions, 0 let through, 0 errors"},
		{"no answer", func(*callout.Call) error { return errors.New("away") }, "1 questions, 0 let through, 8 errors"},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := New(remembering(ir.CacheKeyPart{Type: "Path"}), "default/p", &Caches{})
			var questions, allowed, failed, shared atomic.Int32
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					x := bearer("a")
					x.Call = func(q *callout.Call) error {
						questions.Add(1)
						if q.Shared {
							shared.Add(1)
						}
						time.Sleep(time.Second) // until all the others wait
						return c.answer(q)
					}
					switch a, err := s.Ask(x); {
					case err != nil:
						failed.Add(1)
					case a.Allowed:
						allowed.Add(1)
					}
				})
			}
			wg.Wait()
			got := fmt.Sprintf("%d questions, %d let through, %d errors", questions.Load(), allowed.Load(), failed.Load())
			if got != c.want || shared.Load() != 1 {
				t.Errorf("%s: %s, want %s; %d shared", c.name, got, c.want, shared.Load())
			}
		})
	}
}

func TestMemoryIsBounded(t *testing.T) {
	s := New(remembering(ir.CacheKeyPart{Type: "Header", Name: "authorization"}), "default/p", &Caches{})
	asked := 0
	ask := func(token string) {
		x := bearer(token)
		x.Call = func(q *callout.Call) error {
			asked++
			q.Response.Status = 200
			q.Response.Header.Add([]byte("X-User"), []byte(strings.Repeat("u", 1000)))
			return nil
		}
		if _, err := s.Ask(x); err != nil {
			t.Fatal(err)
		}
	}
	const kept = "somebody who comes often"
	for i := range 20000 {
		ask(fmt.Sprint(i))
		if i%20 == 0 {
			ask(kept)
		}
	}
	if asked != 20001 {
		t.Errorf("%d questions: who comes often was forgotten", asked)
	}
	total := 0
	for i := range s.cache.shards {
		h := &s.cache.shards[i]
		sum := 0
		for at, e := range h.ring {
			sum += e.answer.size
			if e.at != at || h.entries[e.key] != e {
				t.Fatal("the ring is not what the map is")
			}
		}
		if sum != h.bytes || sum > shardBytes || len(h.entries) != len(h.ring) || len(h.flights) > 0 {
			t.Fatalf("%d bytes, said to be %d, in %d and %d entries", sum, h.bytes, len(h.ring), len(h.entries))
		}
		total += len(h.ring)
	}
	if total < 9000 || total > 11000 {
		t.Errorf("%d answers", total)
	}
}

// A cache lives as long as somebody uses it, and is known by all that there is to
// its server.
func TestCachesOutliveServers(t *testing.T) {
	var caches Caches
	cfg := remembering(ir.CacheKeyPart{Type: "Path"})
	first := New(cfg, "default/p", &caches)
	again := *cfg
	second := New(&again, "default/p", &caches)
	again.Timeout++
	if first.cache != second.cache || New(cfg, "default/q", &caches).cache == first.cache || New(&again, "default/p", &caches).cache == first.cache {
		t.Error("caches are mixed up")
	}
	runtime.KeepAlive(second)
	runtime.GC()
	if c := New(cfg, "default/p", &caches).cache; c != first.cache {
		t.Error("one that is in use was forgotten")
	}
}
