package mesh

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/mesh/signals"
	"github.com/gridway/gridway/internal/statedb/statetest"
)

// Two control planes keep the history of the service graph in one PostgreSQL. One is killed,
// the database is away for a while, and the other starts anew: each request is there once.
func TestServiceGraphHistoryOfReplicas(t *testing.T) {
	db := statetest.OwnPostgres(t)
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	if err := os.WriteFile(key, []byte(strings.Repeat("a secret of these tests ", 2)), 0o600); err != nil {
		t.Fatal(err)
	}
	place := db.Place
	flags := []string{"--state", place, "--ca-key-file", key, "--signals-history", "72h"}
	m := newMesh(t, "", flags...)
	second, socket := "127.0.0.1:"+port(t), "unix:"+filepath.Join(dir, "admin")
	other := func() *process {
		p := run(t, nil, append([]string{"control", filepath.Join(m.dir, "mesh.yaml"), "--mesh", second, "--state-dir", filepath.Join(dir, "state"), "--admin", socket, "--upgrade-socket", "off"}, flags...)...)
		p.said("control plane")
		return p
	}
	killed := other()
	orders := port(t)
	m.sidecar("orders", "orders", "--control", second+","+m.address)
	m.sidecar("cart", "cart", "--upstream", "orders=:"+orders, "--control", second+","+m.address)

	sent := uint64(0)
	ask := func(n int) {
		t.Helper()
		for n > 0 {
			eventually(t, "orders answer", func() error {
				a, err := get(orders, "/")
				if a.status != 0 { // also what was refused is counted
					sent++
				}
				return err
			})
			n--
		}
	}
	seen := func(window string) (n uint64, err error) {
		out, err := m.command("graph", "-o", "json", "--window", window)
		var g signals.Graph
		if err == nil {
			err = json.Unmarshal([]byte(out), &g)
		}
		if err != nil {
			return 0, fmt.Errorf("%w: %s", err, out)
		}
		for _, e := range g.Edges {
			if e.ID == "default/cart>default/orders" {
				n += e.Count
			}
		}
		if n > sent {
			t.Errorf("%d requests of %d are in the last %s", n, sent, window)
		}
		return n, nil
	}
	all := func(what string) {
		t.Helper()
		for _, window := range []string{"1h", "24h", "72h"} {
			within(t, 4*patience, what+": all of the last "+window, func() error {
				n, err := seen(window)
				if err == nil && n != sent {
					err = fmt.Errorf("%d requests of %d", n, sent)
				}
				return err
			})
		}
	}
	ask(20)
	all("of the other's proxies")
	killed.kill()
	ask(10)
	all("after the other was killed")

	m.control.end()
	m.start()
	all("after a new start")
	again := other()
	db.Stop()
	ask(5) // nobody can be asked now: tokens of the admin API are in the database
	db.Start()
	all("when the database is there again")
	again.kill() // without a last word: what it has written is what the other has, too
	m.control.end()
	m.start()
	all("after a start that follows")
}
