package mesh

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/mesh/signals"
)

// The only control plane ends and starts again: what was seen before is in the graph, also in
// a window that is longer than a day.
func TestServiceGraphHistory(t *testing.T) {
	m := newMesh(t, "", "--state", "sqlite", "--signals-history", "72h")
	m.sidecar("orders", "orders")
	orders := port(t)
	m.sidecar("cart", "cart", "--upstream", "orders=:"+orders)
	seen := func(window string) (n uint64, err error) {
		out, err := m.command("graph", "-o", "json", "--window", window)
		var g signals.Graph
		if err == nil {
			err = json.Unmarshal([]byte(out), &g)
		}
		for _, e := range g.Edges {
			if e.ID == "default/cart>default/orders" {
				n = e.Count
			}
		}
		if err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
		return n, err
	}
	from(t, orders, "orders")
	var before uint64
	eventually(t, "the graph has the edge", func() (err error) {
		if before, err = seen("1h"); err == nil && before == 0 {
			err = fmt.Errorf("nothing was seen")
		}
		return err
	})
	m.control.end()
	m.start()
	for _, window := range []string{"1h", "24h", "72h"} {
		if n, err := seen(window); err != nil || n < before {
			t.Errorf("of the last %s: %d requests of %d, %v", window, n, before, err)
		}
	}
	if out, err := m.command("graph", "--window", "2h", "-n", "elsewhere"); err != nil || !strings.Contains(out, "No proxy has seen anything") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := m.command("graph", "--window", "100h"); err == nil || !strings.Contains(out, "window must be a duration of 10s to 72h") {
		t.Errorf("longer than what is kept: %v: %s", err, out)
	}
}
