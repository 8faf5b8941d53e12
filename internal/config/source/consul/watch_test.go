package consul_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gridway/gridway/internal/config/source/consul"
	"github.com/gridway/gridway/internal/config/source/consul/consultest"
	"github.com/gridway/gridway/internal/config/source/discovery"
	"github.com/gridway/gridway/internal/ir"
)

// direct carries requests to a handler without a socket, so that a test's clock
// goes on while they wait.
type direct struct {
	mu      sync.Mutex
	handler http.Handler  // guarded by mu
	down    bool          // guarded by mu
	cut     chan struct{} // guarded by mu; ends what is under way
	urls    []string      // guarded by mu
	headers []http.Header // guarded by mu
}

func (d *direct) RoundTrip(r *http.Request) (*http.Response, error) {
	d.mu.Lock()
	if d.cut == nil {
		d.cut = make(chan struct{})
	}
	cut, down, handler := d.cut, d.down, d.handler
	d.urls, d.headers = append(d.urls, r.URL.String()), append(d.headers, r.Header)
	d.mu.Unlock()
	if down {
		return nil, fmt.Errorf("dial tcp %s: connect: connection refused", r.URL.Host)
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	done := make(chan *http.Response, 1)
	go func() {
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, r.WithContext(ctx))
		done <- rec.Result()
	}()
	select {
	case resp := <-done:
		return resp, r.Context().Err()
	case <-cut:
		return nil, fmt.Errorf("read tcp: connection reset by peer")
	}
}

// kill ends the agent, and revive starts it again.
func (d *direct) kill() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.down = true
	close(d.cut)
	d.cut = nil
}

func (d *direct) revive() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.down = false
}

func (d *direct) handle(h http.Handler) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.handler = h
}

func (d *direct) asked() ([]string, []http.Header) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.urls), slices.Clone(d.headers)
}

// bench is a Hub with a Source and the agent that it asks, inside a bubble.
type bench struct {
	*discovery.Hub
	t     *testing.T
	agent *consultest.Agent
	wire  *direct
	log   *strings.Builder

	mu   sync.Mutex
	told []string // guarded by mu
}

func inBubble(t *testing.T, f func(t *testing.T, b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{t: t, agent: &consultest.Agent{}, log: &strings.Builder{}}
		b.wire = &direct{handler: b.agent}
		log := slog.New(slog.NewTextHandler(b.log, nil))
		source := consul.New(consul.Options{Log: log, Transport: func(*ir.ConsulAgent) (http.RoundTripper, error) { return b.wire, nil }})
		b.Hub = discovery.New(discovery.Options{Sources: []discovery.Source{source}, Log: log, Update: func(u ir.EndpointUpdate) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.told = append(b.told, told(u))
		}})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { b.Run(ctx); close(done) }()
		defer func() { cancel(); <-done }()
		f(t, b)
	})
}

func told(u ir.EndpointUpdate) string {
	var list []string
	for _, e := range u.Endpoints {
		list = append(list, e.Address)
	}
	return u.Cluster + ": " + strings.Join(list, " ")
}

func (b *bench) expect(want ...string) {
	b.t.Helper()
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Equal(b.told, want) {
		b.t.Errorf("told %q, want %q", b.told, want)
	}
	b.told = nil
}

func (b *bench) state() discovery.State {
	b.t.Helper()
	list := b.States()
	if len(list) != 1 {
		b.t.Fatalf("states: %+v", list)
	}
	return list[0]
}

// advance moves the bubble's clock on.
func advance(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func clusterOf(name string, services ...ir.ConsulService) *ir.Cluster {
	for i := range services {
		if services[i].Agent == nil {
			services[i].Agent = &ir.ConsulAgent{Address: "http://127.0.0.1:8500"}
		}
	}
	return &ir.Cluster{Name: name, Discovery: &ir.Discovery{Consul: services}}
}

func web(id string, port int) consultest.Instance {
	return consultest.Instance{ID: id, Name: "web", Port: port}
}

func TestInstancesComeAndGo(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.agent.Register(web("a", 1), web("b", 2))
		c := clusterOf("c", ir.ConsulService{Service: "web"})
		began := time.Now()
		found := b.Prepare(t.Context(), []*ir.Cluster{c})
		if len(found) != 1 || told(found[0]) != "c: 127.0.0.1:1 127.0.0.1:2" || time.Since(began) != 0 {
			t.Fatalf("found %v after %v", found, time.Since(began))
		}
		b.Set([]*ir.Cluster{c})
		b.expect("c: 127.0.0.1:1 127.0.0.1:2")

		began = time.Now()
		b.agent.SetStatus("a", "critical")
		b.expect("c: 127.0.0.1:2")
		b.agent.SetStatus("a", "warning")
		b.expect()
		b.agent.SetStatus("a", "passing")
		b.expect("c: 127.0.0.1:1 127.0.0.1:2")
		b.agent.Maintain("b", true)
		b.expect("c: 127.0.0.1:1")
		b.agent.Touch("web") // an index that moved is no change by itself
		b.expect()
		b.agent.Register(web("a", 3)) // it has moved
		b.expect("c: 127.0.0.1:3")
		b.agent.Deregister("a")
		b.expect("c: ") // the end of a service is an answer
		if took := time.Since(began); took > 0 {
			t.Errorf("changes took %v", took)
		}
		st := b.state()
		if !st.Up() || st.Name != "web" || st.Place != "http://127.0.0.1:8500" || st.Kind != discovery.Consul || !slices.Equal(st.Clusters, []string{"c"}) {
			t.Errorf("%+v", st)
		}

		// Nobody asks for it any more: nobody waits at the agent.
		b.Set(nil)
		synctest.Wait()
		if n := b.agent.Waiting(); n > 0 || len(b.States()) > 0 {
			t.Errorf("%d queries wait, states %+v", n, b.States())
		}
	})
}

func TestOneWatchForAll(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.agent.Register(web("a", 1))
		plain := ir.ConsulService{Service: "web"}
		moved := ir.ConsulService{Service: "web", Port: 99, Priority: 2}
		b.Set([]*ir.Cluster{clusterOf("c", plain), clusterOf("d", moved), clusterOf("e", plain, moved)})
		b.expect("c: 127.0.0.1:1", "d: 127.0.0.1:99", "e: 127.0.0.1:1 127.0.0.1:99")
		if n := b.agent.Waiting(); n != 1 {
			t.Errorf("%d queries wait", n)
		}
	})
}

// An agent that is away takes nothing away, at whatever moment it goes, and what
// happened meanwhile is known as soon as it is back.
func TestAgentIsAway(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.agent.Register(web("a", 1))
		b.Set([]*ir.Cluster{clusterOf("c", ir.ConsulService{Service: "web"})})
		b.expect("c: 127.0.0.1:1")
		b.wire.kill()
		advance(10 * time.Minute)
		b.expect()
		st := b.state()
		if st.Up() || st.Endpoints != 1 || st.Failures < 10 || time.Since(st.Since) < 9*time.Minute || !strings.Contains(st.Err, "re") {
			t.Errorf("%+v", st)
		}
		if n := strings.Count(b.log.String(), "service cannot be asked for"); n > 2 {
			t.Errorf("said %d times:\n%s", n, b.log)
		}
		b.agent.Rewind() // its servers were restored
		b.agent.Register(web("b", 2))
		b.agent.Rewind()
		b.wire.revive()
		advance(33 * time.Second)
		b.expect("c: 127.0.0.1:1 127.0.0.1:2")
		if !b.state().Up() || strings.Count(b.log.String(), "service is known again") != 1 {
			t.Errorf("%+v\n%s", b.state(), b.log)
		}
	})
}

func TestAgentIsAwayAtFirst(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.agent.Register(web("a", 1))
		b.agent.Behave(consultest.Behaviour{Status: 500, Text: "No cluster leader"})
		c := clusterOf("c", ir.ConsulService{Service: "web"})
		began := time.Now()
		if found := b.Prepare(t.Context(), []*ir.Cluster{c}); len(found) > 0 || time.Since(began) != 2*time.Second {
			t.Errorf("found %v after %v", found, time.Since(began))
		}
		b.Set([]*ir.Cluster{c})
		b.expect()
		if st := b.state(); st.Err != "the agent answers 500: No cluster leader" {
			t.Errorf("%+v", st)
		}
		b.agent.Behave(consultest.Behaviour{})
		advance(5 * time.Second)
		b.expect("c: 127.0.0.1:1")
	})
}

// What is no good answer changes nothing.
func TestAnswersThatAreNone(t *testing.T) {
	for name, c := range map[string]struct {
		behave consultest.Behaviour
		err    string
	}{
		"denied":       {consultest.Behaviour{Status: 403, Text: "Permission denied"}, "403: Permission denied (see agent.tokenSecretRef)"},
		"not an agent": {consultest.Behaviour{Status: 404}, "is it an agent of Consul?"},
		"too many":     {consultest.Behaviour{Status: 429, RetryAfter: 40}, "429"},
		"elsewhere":    {consultest.Behaviour{Status: 301}, "301"},
		"no leader":    {consultest.Behaviour{Leaderless: true}, "no leader"},
		"filtered":     {consultest.Behaviour{Filtered: true}, "service:read"},
		"no JSON":      {consultest.Behaviour{Raw: "<html>"}, "not JSON"},
		"an object":    {consultest.Behaviour{Raw: "{}"}, "not a list"},
		"cut off":      {consultest.Behaviour{Raw: `[{"Service":{"ID":"x"}}`}, "too early"},
		"another form": {consultest.Behaviour{Raw: `[{"Service":"x"}]`}, "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench) {
				b.agent.Register(web("a", 1))
				b.Set([]*ir.Cluster{clusterOf("c", ir.ConsulService{Service: "web"})})
				b.expect("c: 127.0.0.1:1")
				b.agent.Behave(c.behave)
				synctest.Wait()
				asked := b.agent.Asked("web")
				advance(20 * time.Second)
				b.expect()
				if st := b.state(); st.Up() || st.Endpoints != 1 || !strings.Contains(st.Err, c.err) {
					t.Errorf("%+v", st)
				}
				n := b.agent.Asked("web") - asked
				if n > 6 || c.behave.RetryAfter > 0 && n > 0 {
					t.Errorf("asked %d times in 20 s", n)
				}
				if n := strings.Count(b.log.String(), "level=WARN"); n != 1 {
					t.Errorf("warned %d times:\n%s", n, b.log)
				}
				b.agent.Behave(consultest.Behaviour{})
				b.agent.Register(web("b", 2))
				advance(45 * time.Second)
				b.expect("c: 127.0.0.1:1 127.0.0.1:2")
			})
		})
	}
}

// Indexes that go back, are zero or missing neither stop a watch nor make it spin.
func TestIndexes(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.agent.Register(web("a", 1))
		b.agent.Touch("web")
		b.agent.Touch("web")
		b.Set([]*ir.Cluster{clusterOf("c", ir.ConsulService{Service: "web"})})
		b.expect("c: 127.0.0.1:1")
		b.agent.Rewind()
		advance(65 * time.Second) // the query ends with an index that is lower
		urls, _ := b.wire.asked()
		if last := urls[len(urls)-1]; !strings.Contains(last, "index=1&") {
			t.Errorf("asked %q", urls)
		}
		b.agent.Register(web("b", 2))
		b.expect("c: 127.0.0.1:1 127.0.0.1:2")

		asked := b.agent.Asked("web")
		b.agent.Behave(consultest.Behaviour{Unindexed: true})
		advance(time.Minute)
		if n := b.agent.Asked("web") - asked; n < 10 || n > 14 {
			t.Errorf("asked %d times in a minute without an index", n)
		}
		asked = b.agent.Asked("web")
		b.agent.Behave(consultest.Behaviour{Unblocked: true})
		advance(time.Minute)
		if n := b.agent.Asked("web") - asked; n > 135 {
			t.Errorf("asked %d times in a minute of an agent that does not wait", n)
		}
		b.expect()
	})
}

func TestWhenEmptyKeep(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.agent.Register(web("a", 1))
		b.Set([]*ir.Cluster{clusterOf("c", ir.ConsulService{Service: "web", KeepLast: true})})
		b.expect("c: 127.0.0.1:1")
		b.agent.SetStatus("a", "critical")
		b.expect()
		if st := b.state(); st.Up() || !strings.Contains(st.Err, "whenEmpty: Keep") {
			t.Errorf("%+v", st)
		}
		b.agent.Register(web("b", 2))
		b.expect("c: 127.0.0.1:2")
	})
}

func TestQuestion(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.agent.Token = "secret"
		s := ir.ConsulService{
			Agent:   &ir.ConsulAgent{Address: "http://consul.example/base", Token: "secret"},
			Service: "a b/c?d", Tags: []string{"v2", "blue"}, Datacenter: "dc1", Namespace: "team", Partition: "east",
			Filter: `Service.Meta.v == "1"`, Near: "_agent", Consistency: ir.ConsulStale,
		}
		b.Set([]*ir.Cluster{clusterOf("c", s)})
		synctest.Wait()
		urls, headers := b.wire.asked()
		want := "http://consul.example/base/v1/health/service/a%20b%2Fc%3Fd?dc=dc1&filter=Service.Meta.v+%3D%3D+%221%22&near=_agent&ns=team&partition=east&passing=1&stale=1&tag=blue&tag=v2"
		if len(urls) == 0 || urls[0] != want {
			t.Fatalf("asked %q, want %q", urls, want)
		}
		if headers[0].Get("X-Consul-Token") != "secret" || strings.Contains(b.log.String(), "secret") {
			t.Errorf("headers %v, log %s", headers[0], b.log)
		}
	})
}

// More watches than an agent has room for take turns, and each has one within
// ten seconds.
func TestWatchesTakeTurns(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		agent := &ir.ConsulAgent{Address: "http://127.0.0.1:8500", MaxQueries: 10}
		var clusters []*ir.Cluster
		var want []string
		for i := range 100 {
			name := fmt.Sprintf("s%03d", i)
			b.agent.Register(consultest.Instance{Name: name, Port: 1000 + i})
			clusters = append(clusters, clusterOf(name, ir.ConsulService{Agent: agent, Service: name}))
			want = append(want, fmt.Sprintf("%s: 127.0.0.1:%d", name, 1000+i))
		}
		b.Set(clusters)
		synctest.Wait()
		if n := b.agent.Waiting(); n > 10 {
			t.Errorf("%d queries wait", n)
		}
		advance(11 * time.Second)
		b.mu.Lock()
		slices.Sort(b.told)
		b.mu.Unlock()
		b.expect(want...)
		for i := range 100 {
			b.agent.Register(consultest.Instance{Name: fmt.Sprintf("s%03d", i), Port: 2000 + i})
			want[i] = fmt.Sprintf("s%03d: 127.0.0.1:%d", i, 2000+i)
		}
		advance(11 * time.Second)
		b.mu.Lock()
		slices.Sort(b.told)
		b.mu.Unlock()
		b.expect(want...)
		if n := b.agent.Waiting(); n > 10 {
			t.Errorf("%d queries wait", n)
		}
	})
}

// An agent that takes questions and says nothing is no reason to wait for ever.
func TestAgentIsSilent(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.wire.handle(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
		b.Set([]*ir.Cluster{clusterOf("c", ir.ConsulService{Service: "web"})})
		advance(11 * time.Second)
		if st := b.state(); st.Err != "the agent does not answer in time" || st.Failures != 1 {
			t.Errorf("%+v", st)
		}
		b.agent.Register(web("a", 1))
		b.wire.handle(b.agent)
		advance(11 * time.Second)
		b.expect("c: 127.0.0.1:1")
		b.wire.handle(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
		b.agent.Touch("web")
		advance(75 * time.Second)
		b.expect()
		if st := b.state(); st.Up() || st.Endpoints != 1 {
			t.Errorf("%+v", st)
		}
	})
}

// A token that is replaced by one that the agent does not know takes nothing away.
func TestTokenIsReplaced(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.agent.Token = "old"
		b.agent.Register(web("a", 1))
		with := func(token string, hash uint64) *ir.Cluster {
			c := clusterOf("c", ir.ConsulService{Service: "web", Agent: &ir.ConsulAgent{Address: "http://127.0.0.1:8500", Token: token}})
			c.Hash = hash
			return c
		}
		b.Set([]*ir.Cluster{with("old", 1)})
		b.expect("c: 127.0.0.1:1")
		bad := with("bad", 2)
		if found := b.Prepare(t.Context(), []*ir.Cluster{bad}); len(found) != 1 || told(found[0]) != "c: 127.0.0.1:1" {
			t.Errorf("found %v", found)
		}
		b.Set([]*ir.Cluster{bad})
		advance(time.Minute)
		b.expect("c: 127.0.0.1:1") // the cluster is a new one
		if st := b.state(); st.Up() || st.Endpoints != 1 || !strings.Contains(st.Err, "403") {
			t.Errorf("%+v", st)
		}
	})
}

func TestNamesAreLeftOut(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.agent.Register(web("a", 1), consultest.Instance{ID: "b", Name: "web", Address: "db.example", Port: 2})
		b.Set([]*ir.Cluster{clusterOf("c", ir.ConsulService{Service: "web"})})
		b.expect("c: 127.0.0.1:1")
		b.agent.Touch("web")
		b.agent.Register(web("a", 3))
		b.expect("c: 127.0.0.1:3")
		if n := strings.Count(b.log.String(), "address=db.example"); n != 1 {
			t.Errorf("said %d times:\n%s", n, b.log)
		}
	})
}

// Who has no token is not told that something was left out.
func TestNothingWithoutToken(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.agent.Behave(consultest.Behaviour{Deny: true})
		b.Set([]*ir.Cluster{clusterOf("c", ir.ConsulService{Service: "web"})})
		b.expect("c: ")
		if n := strings.Count(b.log.String(), "agent.tokenSecretRef"); n != 1 {
			t.Errorf("said %d times:\n%s", n, b.log)
		}
	})
}
