package faults

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// look is a tap of everything at a replica.
type look struct {
	t    *testing.T
	work sync.WaitGroup

	mu     sync.Mutex
	events []tapped // guarded by mu
	err    error    // guarded by mu: why it has ended
}

// tapped is what the test looks at of an event.
type tapped struct{ Type, Proxy, Why string }

func (r *replica) look() *look {
	t := r.m.t
	t.Helper()
	req, err := r.request("GET", "/v1/tap?for=10m", "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	resp, err := r.client(0).Do(req.WithContext(ctx))
	if err != nil || resp.StatusCode != http.StatusOK {
		cancel()
		t.Fatal(resp, err)
	}
	l := &look{t: t}
	l.work.Go(func() {
		defer resp.Body.Close()
		lines := bufio.NewScanner(resp.Body)
		for lines.Scan() {
			var e tapped
			err := json.Unmarshal(lines.Bytes(), &e)
			l.mu.Lock()
			l.events, l.err = append(l.events, e), errors.Join(l.err, err)
			l.mu.Unlock()
		}
		l.mu.Lock()
		l.err = errors.Join(l.err, fmt.Errorf("it has ended: %w", lines.Err()))
		l.mu.Unlock()
	})
	t.Cleanup(func() {
		cancel()
		l.work.Wait()
	})
	return l
}

// count is how many events there are.
func (l *look) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.events)
}

// shows waits for an event behind the first ones.
func (l *look) shows(what string, after int, is func(tapped) bool) {
	l.t.Helper()
	eventually(l.t, what, func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.err != nil {
			return l.err
		}
		for _, e := range l.events[after:] {
			if is(e) {
				return nil
			}
		}
		return fmt.Errorf("%d events, the last ones %+v", len(l.events), l.events[max(after, len(l.events)-5):])
	})
}

// of is an exchange that a service's proxy has told of.
func of(service string) func(tapped) bool {
	return func(e tapped) bool { return e.Type == "exchange" && strings.HasPrefix(e.Proxy, "default/"+service+"/") }
}

// holder is the replica to which a proxy of a service is connected, of those.
func (r *replica) holder(service string, among []*replica) (*replica, error) {
	var s struct {
		Mesh struct {
			Proxies []struct{ Name, State, Control string }
		}
	}
	if err := r.read("/v1/status", &s); err != nil {
		return nil, err
	}
	for _, p := range s.Mesh.Proxies {
		for _, x := range among {
			if strings.HasPrefix(p.Name, "default/"+service+"/") && p.State == "Serving" && strings.HasSuffix(p.Control, fmt.Sprintf("/%d", x.cmd.Process.Pid)) {
				return x, nil
			}
		}
	}
	return nil, fmt.Errorf("%+v", s.Mesh.Proxies)
}

// Whichever replica is asked, the proxies of all answer. One is killed while somebody looks:
// its proxies are named, and answer again from where they go.
func TestQuestionsReachAllReplicas(t *testing.T) {
	m, _ := shared(t, 3)
	all := m.replicas
	asked, others := all[2], all[:2]
	m.replicas = others // nobody is connected to the one that is asked
	m.ratings("one")
	client := m.reviews()
	client.served("one")
	l := client.load()
	var holder *replica
	eventually(t, "where ratings is connected", func() (err error) {
		if holder, err = asked.holder("ratings", others); err == nil {
			_, err = asked.holder("reviews", others)
		}
		return err
	})
	tap := asked.look()
	tap.shows("what the proxy of ratings sees", 0, of("ratings"))
	tap.shows("what the proxy of reviews sees", 0, of("reviews"))
	eventually(t, "both proxies tell of a trace", func() error { return traced(client, asked) })
	for _, r := range all {
		eventually(t, "the service graph of "+r.host.Name+" has what all proxies report", r.graphed)
	}

	before := tap.count()
	holder.kill()
	tap.shows("that the proxy of ratings does not answer", before, func(e tapped) bool {
		return e.Type == "unreached" && strings.HasPrefix(e.Proxy, "default/ratings/") && e.Why != ""
	})
	before = tap.count()
	tap.shows("what the proxy of ratings sees, from the other replica", before, of("ratings"))
	eventually(t, "both proxies tell of a trace again", func() error { return traced(client, asked) })
	for _, r := range all {
		if r != holder {
			eventually(t, "the service graph of "+r.host.Name+" goes on", r.graphed)
		}
	}
	holder.start()
	eventually(t, "the service graph of the one that is back has what all proxies report", holder.graphed)
	tap.shows("what the proxy of reviews sees, when all are there", tap.count(), of("reviews"))
	l.clean()
}

// graphed tells whether both proxies' reports of the last seconds are known at a replica.
func (r *replica) graphed() error {
	var g struct {
		Edges []struct {
			ID         string
			Count      int
			ReportedBy []string
		}
		Unreached []struct{ Control, Why string }
	}
	if err := r.read("/v1/graph?window=20s", &g); err != nil {
		return err
	}
	for _, e := range g.Edges {
		if e.ID == "default/reviews>default/ratings" && e.Count > 0 && strings.Join(e.ReportedBy, ",") == "client,server" {
			return nil
		}
	}
	return fmt.Errorf("%+v", g)
}

// traced sends a request of a trace of its own, and has the replica tell of both hops.
func traced(from *member, r *replica) error {
	id := fmt.Sprintf("%016x%016x", 1, r.m.traces.Add(1))
	req, err := http.NewRequest("GET", upstream, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Traceparent", "00-"+id+"-b7ad6b7169203331-01")
	resp, err := client(from.host, true).Do(req)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	var trace struct {
		Hops      []struct{ Proxy string }
		Unreached []struct{ Proxy, Why string }
	}
	if err := r.read("/v1/traces/"+id, &trace); err != nil {
		return err
	}
	if len(trace.Hops) != 2 || len(trace.Unreached) != 0 {
		return fmt.Errorf("%+v", trace)
	}
	return nil
}
