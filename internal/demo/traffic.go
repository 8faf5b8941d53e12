package demo

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Edge is where customers find the shop.
type Edge struct {
	Plain string // base URL
	// Secure is the one with TLS; empty without.
	Secure string
	Trust  *x509.CertPool
	// Calls is the one for gRPC; empty without.
	Calls string
	// Partners have keys; those without have no program that asks.
	Partners Partners
}

// Traffic is customers who visit the shop through the edge: over HTTP/1.1, and
// some over HTTP/2 and HTTP/3. Some watch what happens in it.
type Traffic struct {
	edge    Edge
	clients clients
	cancel  context.CancelFunc
	wg      sync.WaitGroup

	sent, failed atomic.Int64
}

// Bounds of the generator.
const (
	MaxRate    = 2000
	maxClients = 64
)

// StartTraffic sends rate requests per second (at most MaxRate) to the edge
// until Stop. A request that finds every customer busy is left out, so a
// slow edge is never flooded.
func StartTraffic(edge Edge, rate int) *Traffic {
	rate = min(max(rate, 1), MaxRate)
	ctx, cancel := context.WithCancel(context.Background())
	t := &Traffic{edge: edge, cancel: cancel, clients: newClients(edge)}
	t.watch(ctx)
	next := make(chan struct{})
	for i := range min(maxClients, rate) {
		c := customer{t: t, user: fmt.Sprintf("customer-%02d", i)}
		c.client, c.base = t.clients.of(i, edge)
		t.wg.Go(func() { c.shop(ctx, next) })
	}
	if p := edge.Partners; p.Gold != "" && p.Trial != "" {
		pause := max(20*time.Second/time.Duration(rate), 100*time.Millisecond)
		t.wg.Go(func() { t.partner(ctx, t.clients.plain, edge.Plain, "hearth-and-oak", p.Gold, pause) })
		t.wg.Go(func() {
			t.partner(ctx, t.clients.plain, edge.Plain, "corner-store", p.Trial, max(pause, 2*time.Second))
		})
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
	t.clients.close()
}

// Counts returns how many requests were sent and how many got no answer or a 5xx.
func (t *Traffic) Counts() (sent, failed int64) { return t.sent.Load(), t.failed.Load() }

type step struct {
	method, path, body string
	header             [2]string
	stock              string // a product whose stock is asked for by gRPC
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
	if rand.IntN(3) == 0 { // what the product page shows, asked by an app
		steps = append(steps, step{method: "GET", path: "/api/products/" + looked, stock: looked})
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

type customer struct {
	t      *Traffic
	user   string
	client *http.Client
	base   string
}

func (c *customer) shop(ctx context.Context, next <-chan struct{}) {
	var todo []step
	for {
		select {
		case <-ctx.Done():
			return
		case <-next:
		}
		if len(todo) == 0 {
			todo = visit(c.user)
		}
		if id := todo[0].stock; id != "" && c.t.edge.Calls != "" {
			c.t.count(ctx, c.t.askByGRPC(ctx, id))
		} else {
			c.t.count(ctx, c.send(ctx, todo[0]))
		}
		todo = todo[1:]
	}
}

// count counts a request, which has failed when it has an error.
func (t *Traffic) count(ctx context.Context, err error) {
	t.sent.Add(1)
	if err != nil && ctx.Err() == nil {
		t.failed.Add(1)
	}
}

func (c *customer) send(ctx context.Context, s step) error {
	req, err := http.NewRequestWithContext(ctx, s.method, c.base+s.path, strings.NewReader(s.body))
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "gridway-demo/"+c.user)
	if s.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if s.header[0] != "" {
		req.Header.Set(s.header[0], s.header[1])
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body) // to use the connection again
	if resp.StatusCode >= 500 {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}
