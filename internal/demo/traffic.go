package demo

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Traffic is customers who visit the shop through the edge.
type Traffic struct {
	base   string
	client *http.Client
	cancel context.CancelFunc
	wg     sync.WaitGroup

	sent, failed atomic.Int64
}

// Bounds of the generator.
const (
	MaxRate    = 2000
	maxClients = 64
)

// StartTraffic sends rate requests per second (at most MaxRate) to the edge at
// base until Stop. A request that finds every customer busy is left out, so a
// slow edge is never flooded.
func StartTraffic(base string, rate int) *Traffic {
	rate = min(max(rate, 1), MaxRate)
	ctx, cancel := context.WithCancel(context.Background())
	t := &Traffic{
		base:   base,
		cancel: cancel,
		client: &http.Client{
			Timeout:       5 * time.Second,
			Transport:     &http.Transport{MaxIdleConnsPerHost: maxClients, IdleConnTimeout: 30 * time.Second},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	next := make(chan struct{})
	for i := range min(maxClients, rate) {
		t.wg.Go(func() { t.customer(ctx, fmt.Sprintf("customer-%02d", i), next) })
	}
	t.wg.Go(func() {
		tick := time.NewTicker(time.Second / time.Duration(rate))
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				select {
				case next <- struct{}{}:
				default:
				}
			}
		}
	})
	return t
}

// Stop ends the customers and waits for them.
func (t *Traffic) Stop() {
	t.cancel()
	t.wg.Wait()
	t.client.CloseIdleConnections()
}

// Counts returns how many requests were sent and how many got no answer or a 5xx.
func (t *Traffic) Counts() (sent, failed int64) { return t.sent.Load(), t.failed.Load() }

type step struct {
	method, path, body string
	header             [2]string
}

// visit is what a customer does, one step per request.
func visit(user string) []step {
	pick := func() string { return products[rand.IntN(len(products))].ID }
	looked := pick()
	steps := []step{{method: "GET", path: "/api/products"}}
	if rand.IntN(3) == 0 {
		words := [...]string{"oak", "desk", "wool", "steel", "lamp"}
		steps = append(steps, step{method: "GET", path: "/api/products?q=" + words[rand.IntN(len(words))]})
	}
	steps = append(steps, step{method: "GET", path: "/api/products/" + looked}, step{method: "GET", path: "/api/reviews/" + looked})
	if rand.IntN(4) == 0 { // a tester who asks for the canary
		steps = append(steps, step{method: "GET", path: "/api/reviews/" + looked, header: [2]string{"X-Canary", "always"}})
	}
	if rand.IntN(10) == 0 { // an old bookmark
		steps = append(steps, step{method: "GET", path: "/shop/" + looked})
	}
	if rand.IntN(25) == 0 { // a typo
		steps = append(steps, step{method: "GET", path: "/api/product/" + looked})
	}
	if rand.IntN(2) == 0 {
		steps = append(steps, step{method: "POST", path: "/api/cart/" + user + "/items", body: fmt.Sprintf(`{"product":%q,"count":%d}`, looked, 1+rand.IntN(3))})
		steps = append(steps, step{method: "GET", path: "/api/cart/" + user})
		if rand.IntN(2) == 0 {
			steps = append(steps, step{method: "POST", path: "/api/orders", body: fmt.Sprintf(`{"user":%q}`, user)})
		}
	}
	return steps
}

func (t *Traffic) customer(ctx context.Context, user string, next <-chan struct{}) {
	var todo []step
	for {
		select {
		case <-ctx.Done():
			return
		case <-next:
		}
		if len(todo) == 0 {
			todo = visit(user)
		}
		t.send(ctx, user, todo[0])
		todo = todo[1:]
	}
}

func (t *Traffic) send(ctx context.Context, user string, s step) {
	req, err := http.NewRequestWithContext(ctx, s.method, t.base+s.path, strings.NewReader(s.body))
	if err != nil {
		return
	}
	req.Header.Set("User-Agent", "gridway-demo/"+user)
	if s.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if s.header[0] != "" {
		req.Header.Set(s.header[0], s.header[1])
	}
	t.sent.Add(1)
	resp, err := t.client.Do(req)
	if err != nil {
		if ctx.Err() == nil {
			t.failed.Add(1)
		}
		return
	}
	if resp.StatusCode >= 500 {
		t.failed.Add(1)
	}
	_, _ = io.Copy(io.Discard, resp.Body) // to use the connection again
	resp.Body.Close()
}
