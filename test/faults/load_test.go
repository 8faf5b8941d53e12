package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/gridway/gridway/test/netns"
)

// pace is between two requests of a client.
const pace = 5 * time.Millisecond

// client asks at an address from a host, one connection after another if fresh.
func client(h *netns.Host, fresh bool) *http.Client {
	return &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: fresh,
		DialContext:       h.Dial,
	}}
}

// ask sends one request.
func ask(c *http.Client, url string) (a answer, err error) {
	resp, err := c.Get(url)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return a, err
	}
	if resp.StatusCode != http.StatusOK {
		return a, fmt.Errorf("%s %s: %s", resp.Status, resp.Header.Get("X-Gridway-Reason"), text)
	}
	return a, json.Unmarshal(text, &a)
}

// load is clients that ask on and on.
type load struct {
	t    *testing.T
	stop context.CancelFunc
	work sync.WaitGroup

	mu      sync.Mutex
	asked   int            // guarded by mu
	from    map[string]int // guarded by mu: answers by the program's name
	failed  []string       // guarded by mu
	slowest time.Duration  // guarded by mu
}

// clients of a load: half of them open a connection for each request.
const clients = 4

func newLoad(t *testing.T, h *netns.Host, url string) *load {
	l := &load{t: t, from: map[string]int{}}
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	for i := range clients {
		c := client(h, i%2 == 0)
		l.work.Go(func() {
			defer c.CloseIdleConnections()
			tick := time.NewTicker(pace)
			defer tick.Stop()
			for ctx.Err() == nil {
				l.once(c, url)
				<-tick.C
			}
		})
	}
	t.Cleanup(func() {
		l.stop()
		l.work.Wait()
	})
	return l
}

func (l *load) once(c *http.Client, url string) {
	began := time.Now()
	a, err := ask(c, url)
	took := time.Since(began)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	l.slowest = max(l.slowest, took)
	if err != nil {
		l.failed = append(l.failed, fmt.Sprintf("%s after %s: %v", began.Format("15:04:05.000"), took.Round(time.Millisecond), err))
		return
	}
	l.from[a.Name]++
}

// count is how many were answered.
func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked - len(l.failed)
}

// by is how many a program answered.
func (l *load) by(name string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.from[name]
}

// goesOn waits until so many more requests were answered.
func (l *load) goesOn(n int) {
	l.t.Helper()
	before := l.count()
	eventually(l.t, "requests are answered", func() error {
		if more := l.count() - before; more < n {
			return fmt.Errorf("%d more of %d", more, n)
		}
		return nil
	})
}

// answeredBy waits until a program answers some.
func (l *load) answeredBy(name string) {
	l.t.Helper()
	before := l.by(name)
	eventually(l.t, name+" answers", func() error {
		if l.by(name) < before+10 {
			return fmt.Errorf("%d answers", l.by(name)-before)
		}
		return nil
	})
}

// failures ends the load and returns what failed.
func (l *load) failures() []string {
	l.stop()
	l.work.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.t.Logf("%d requests, %d failed, the slowest took %s, answered by %v", l.asked, len(l.failed), l.slowest.Round(time.Millisecond), l.from)
	return l.failed
}

// clean ends the load, none of which may have failed.
func (l *load) clean() {
	l.t.Helper()
	failed := l.failures()
	if l.count() == 0 {
		l.t.Error("nothing was answered")
	}
	for _, f := range failed[:min(len(failed), 20)] {
		l.t.Errorf("failed: %s", f)
	}
}
