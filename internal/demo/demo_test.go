package demo_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/demo"
)

// open starts a shop, with its services of the mesh in this process and nothing
// between them.
func open(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	shop, err := demo.Open(demo.Options{Dir: dir, AnyPort: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(shop.Close)
	at, calls := map[string]string{}, map[string]string{}
	for _, name := range []string{"stock", "live", "audit"} {
		at[name] = "http://" + shop.Address(name)
	}
	var ports demo.PortPool
	t.Cleanup(ports.Close)
	for _, i := range demo.Instances() {
		port, err := ports.Take(0, false)
		if err != nil {
			t.Fatal(err)
		}
		at[i.Name] = fmt.Sprintf("http://127.0.0.1:%d", port)
		calls[i.Service] = at[i.Name]
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(func() { cancel(); wg.Wait() })
	for _, i := range demo.Instances() {
		wg.Go(func() {
			if err := demo.Serve(ctx, i.Name, demo.InstanceOptions{Listen: strings.TrimPrefix(at[i.Name], "http://"), Dir: dir, Calls: calls}); err != nil {
				t.Error(i.Name, err)
			}
		})
	}
	return at
}

// call asks until the answer has the wanted status: services fail now and then by design.
func call(t *testing.T, method, url, body string, want int) map[string]any {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		req, err := http.NewRequest(method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			continue
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != want {
			continue
		}
		var v map[string]any
		if err := json.Unmarshal(b, &v); err != nil {
			t.Fatalf("%s %s: %v in %s", method, url, err, b)
		}
		return v
	}
	t.Fatalf("%s %s never answered %d", method, url, want)
	return nil
}

func TestShop(t *testing.T) {
	at := open(t)
	// The catalog answers without the stock when the inventory fails.
	stock := any(nil)
	for end := time.Now().Add(patience); stock == nil && time.Now().Before(end); {
		stock = call(t, "GET", at["catalog-1"]+"/products/lamp-01", "", 200)["inStock"]
	}
	if stock == nil {
		t.Error("product without stock")
	}
	if l := call(t, "GET", at["catalog-2"]+"/products?q=oak", "", 200); l["count"].(float64) < 2 {
		t.Errorf("search for oak: %v", l)
	}
	call(t, "GET", at["catalog-1"]+"/products/nothing", "", 404)
	if v := call(t, "GET", at["reviews-v1"]+"/api/reviews/lamp-01", "", 200); v["stars"] != nil || v["version"] != 1.0 {
		t.Errorf("reviews v1: %v", v)
	}
	if v := call(t, "GET", at["reviews-v2"]+"/api/reviews/lamp-01", "", 200); v["stars"] == nil || v["version"] != 2.0 {
		t.Errorf("reviews v2: %v", v)
	}
	call(t, "POST", at["cart"]+"/ada/items", `{"product":"lamp-01","count":2}`, 201)
	call(t, "POST", at["cart"]+"/ada/items", `{"product":"nothing","count":2}`, 422)
	order := call(t, "POST", at["orders"]+"/", `{"user":"ada"}`, 201)
	if got, want := order["cents"].(float64), 2*8900.0; got != want {
		t.Errorf("order of %v cents, want %v", got, want)
	}
	call(t, "GET", at["orders"]+"/"+order["id"].(string), "", 200)
	if p := order["payment"]; p != "card" && p != "invoice" {
		t.Errorf("paid by %v", p)
	}
	if c := call(t, "GET", at["cart"]+"/ada", "", 200); len(c["items"].([]any)) != 0 {
		t.Errorf("the cart is not empty after the order: %v", c)
	}
}

// What a service needs is said when it is missing.
func TestServeRefuses(t *testing.T) {
	for name, want := range map[string]string{"orders": "needs to know where cart is", "bakery": `has no "bakery"`} {
		if err := demo.Serve(t.Context(), name, demo.InstanceOptions{Listen: "127.0.0.1:0"}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestConfigHasThePortsInUse(t *testing.T) {
	shop, err := demo.Open(demo.Options{Dir: t.TempDir(), AnyPort: true})
	if err != nil {
		t.Fatal(err)
	}
	defer shop.Close()
	yaml := shop.Config(demo.Ports{Public: 18080, Secure: 18443, Calls: 15051})
	for _, name := range []string{"stock", "live", "audit"} {
		if !strings.Contains(yaml, `"`+shop.Address(name)+`"`) {
			t.Errorf("%s (%s) is not in the configuration", name, shop.Address(name))
		}
	}
	for _, s := range []string{"port: 18080,", "port: 18443,", "port: 15051,"} {
		if !strings.Contains(yaml, s) {
			t.Errorf("no %q in the configuration", s)
		}
	}
	if strings.Contains(yaml, ":91") {
		t.Error("a usual port was left in the configuration")
	}
}

func TestTrafficVisitsTheShop(t *testing.T) {
	paths := make(chan string, 10000)
	edge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paths <- r.Method + " " + strings.Join(strings.SplitN(r.URL.Path, "/", 4)[:3], "/")
		if r.Method == "POST" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer edge.Close()
	tr := demo.StartTraffic(demo.Edge{Plain: edge.URL}, 500)
	missing := map[string]bool{"GET /api/products": true, "GET /api/reviews": true, "POST /api/cart": true, "POST /api/orders": true, "GET /live/stock": true, "GET /live/orders": true}
	deadline := time.After(10 * time.Second)
	for len(missing) > 0 {
		select {
		case p := <-paths:
			delete(missing, p)
		case <-deadline:
			t.Fatalf("never asked for %v", missing)
		}
	}
	tr.Stop()
	if sent, failed := tr.Counts(); sent == 0 || failed == 0 || failed > sent {
		t.Errorf("sent %d, failed %d", sent, failed)
	}
}

func TestPortPool(t *testing.T) {
	taken, err := demo.Listen(0)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	var pool, other demo.PortPool
	defer pool.Close()
	defer other.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	if got, err := pool.Take(port, false); err != nil || got == port {
		t.Errorf("%d for a port that is taken, %v", got, err)
	}
	udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	port = udp.LocalAddr().(*net.UDPAddr).Port
	if got, err := pool.Take(port, true); err != nil || got == port {
		t.Errorf("%d for a port of UDP that is taken, %v", got, err)
	}
	mine, err := pool.Take(0, true)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := other.Take(mine, false); err != nil || got == mine {
		t.Errorf("%d, which another pool has, %v", got, err)
	}
	pool.Close()
	if got, err := other.Take(mine, false); err != nil || got != mine {
		t.Errorf("%d after the other pool was closed, want %d, %v", got, mine, err)
	}
}
