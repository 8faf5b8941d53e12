package discovery_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gridway/gridway/internal/config/source/discovery"
	"github.com/gridway/gridway/internal/ir"
)

// script is a source that knows what a test lets it know.
type script struct {
	patience time.Duration
	news     func([]string)

	mu    sync.Mutex
	known map[string][]string // addresses by cluster
	kept  []string
}

func (s *script) Follow([]*ir.Cluster) {}

func (s *script) Keep(clusters []*ir.Cluster) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = nil
	for _, c := range clusters {
		s.kept = append(s.kept, c.Name)
	}
}

func (s *script) Find(c *ir.Cluster) (list []ir.Endpoint, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	addresses, known := s.known[c.Name]
	for _, a := range addresses {
		list = append(list, ir.Endpoint{Address: a, Weight: 1})
	}
	return list, known
}

func (s *script) Missing(clusters []*ir.Cluster) (names []string, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range clusters {
		if _, known := s.known[c.Name]; !known {
			names, wait = append(names, c.Name), s.patience
		}
	}
	return names, wait
}

func (s *script) Run(ctx context.Context, news func([]string)) {
	s.news = news
	<-ctx.Done()
}

func (s *script) States() []discovery.State { return nil }

func (s *script) say(cluster string, addresses ...string) {
	s.mu.Lock()
	s.known[cluster] = addresses
	s.mu.Unlock()
	s.news([]string{cluster})
	synctest.Wait()
}

func joined(u ir.EndpointUpdate) string {
	var list []string
	for _, e := range u.Endpoints {
		list = append(list, e.Address)
	}
	return u.Cluster + ": " + strings.Join(list, " ")
}

// What is written down comes first, then what each source finds, without
// duplicates; a source that knows nothing takes nothing away.
func TestHubJoinsSources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := &script{known: map[string][]string{}}, &script{known: map[string][]string{}}
		var mu sync.Mutex
		var got []string
		h := discovery.New(discovery.Options{
			Sources: []discovery.Source{one, two},
			Update: func(u ir.EndpointUpdate) {
				mu.Lock()
				defer mu.Unlock()
				got = append(got, joined(u))
			},
		})
		expect := func(want ...string) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if !slices.Equal(got, want) {
				t.Errorf("told %q, want %q", got, want)
			}
			got = nil
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { h.Run(ctx); close(done) }()
		defer func() { cancel(); <-done }()
		synctest.Wait()

		c := &ir.Cluster{Name: "c", Endpoints: []ir.Endpoint{{Address: "192.0.2.1:80"}}, Discovery: &ir.Discovery{}}
		h.Set([]*ir.Cluster{c, {Name: "written down", Endpoints: c.Endpoints}})
		expect()
		if !slices.Equal(one.kept, []string{"c"}) {
			t.Errorf("the sources follow %q", one.kept)
		}
		two.say("c", "10.0.0.2:80", "192.0.2.1:80")
		expect("c: 192.0.2.1:80 10.0.0.2:80")
		one.say("c", "10.0.0.1:80", "10.0.0.2:80")
		expect("c: 192.0.2.1:80 10.0.0.1:80 10.0.0.2:80")
		two.say("c")
		expect()
		two.say("gone", "10.0.0.9:80")
		expect()
		one.say("c")
		expect("c: 192.0.2.1:80")
		if h.Pending() {
			t.Error("something is pending")
		}
	})
}

// Prepare waits for all sources, for each as long as it finds that worth it.
func TestPrepareWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		quick := &script{known: map[string][]string{}, patience: time.Hour}
		silent := &script{known: map[string][]string{}}
		h := discovery.New(discovery.Options{Sources: []discovery.Source{quick, silent}, Update: func(ir.EndpointUpdate) {}})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { h.Run(ctx); close(done) }()
		defer func() { cancel(); <-done }()
		synctest.Wait()

		c := &ir.Cluster{Name: "c", Discovery: &ir.Discovery{}}
		began := time.Now()
		time.AfterFunc(time.Second, func() {
			quick.mu.Lock()
			quick.known["c"] = []string{"10.0.0.1:80"}
			quick.mu.Unlock()
			quick.news([]string{"c"})
		})
		found := h.Prepare(ctx, []*ir.Cluster{c})
		if len(found) != 1 || joined(found[0]) != "c: 10.0.0.1:80" || time.Since(began) != time.Second {
			t.Errorf("found %v after %v", found, time.Since(began))
		}
		h.Set([]*ir.Cluster{c})
		if found := h.Prepare(ctx, []*ir.Cluster{c}); len(found) > 0 {
			t.Errorf("nothing is new, and %v was found", found)
		}
	})
}
