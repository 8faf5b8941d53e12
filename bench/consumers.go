package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/gridway/gridway/bench/load"
	"github.com/gridway/gridway/bench/peers"
	"github.com/gridway/gridway/bench/proc"
	"github.com/gridway/gridway/bench/report"
	"github.com/gridway/gridway/bench/stats"
	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
)

// storedConsumers is how many the state store has when one of them changes.
const storedConsumers = 100_000

// guarded is a gateway whose callers are in a state store that others share.
type guarded struct {
	*peers.Process
	probe load.Target
	admin *client.Client
}

// guard starts a gateway on the state store, an SQLite file.
func (b *bench) guard(ctx context.Context, label, store string) (*guarded, time.Duration, error) {
	port, err := b.lab.Ports()
	if err != nil {
		return nil, 0, err
	}
	g := &guarded{probe: load.Target{Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), Path: "/open"}}
	var buf bytes.Buffer
	head(&buf, port, b.backend.Addr)
	buf.WriteString(`---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: app}
spec:
  parentRefs: [{name: edge}]
  rules:
  - name: open
    matches: [{path: {value: /open}}]
    backendRefs: [{group: gridway.dev, kind: Backend, name: web}]
  - name: guarded
    backendRefs: [{group: gridway.dev, kind: Backend, name: web}]
---
apiVersion: gridway.dev/v1alpha1
kind: AuthenticationPolicy
metadata: {name: keys}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: app, sectionName: guarded}]
  anyOf: [{apiKey: {}}]
`)
	file := filepath.Join(b.lab.Dir, label+".yaml")
	if err := os.WriteFile(file, buf.Bytes(), 0o600); err != nil {
		return nil, 0, err
	}
	begun := time.Now()
	g.Process, err = b.lab.StartGridway(ctx, label, file, g.probe, "--state", "sqlite:"+store, "--state-dir", filepath.Join(b.lab.Dir, label))
	if err != nil {
		return nil, 0, err
	}
	took := time.Since(begun)
	g.admin, err = client.New(client.Options{Address: "unix:" + filepath.Join(b.lab.Dir, label+".sock"), Timeout: 10 * time.Minute})
	if err != nil {
		g.Stop()
	}
	return g, took, err
}

func (g *guarded) end() {
	g.admin.Close()
	g.Stop()
}

// accepts waits until a key is, or is not, accepted.
func (g *guarded) accepts(ctx context.Context, key string, want bool) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for begun := time.Now(); time.Since(begun) < liveTimeout; {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+g.probe.Addr+"/guarded", nil)
		if err != nil {
			return err
		}
		req.Header.Set(load.KeyHeader, key)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if err != nil || (resp.StatusCode == http.StatusOK) == want {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return fmt.Errorf("a change of a key does not serve after %v: %s", liveTimeout, g.Output())
}

// manifests are consumers with a key each.
func manifests(n int) []byte {
	var buf bytes.Buffer
	for i := range n {
		fmt.Fprintf(&buf, "---\napiVersion: gridway.dev/v1alpha1\nkind: Consumer\nmetadata: {name: consumer-%d}\nspec:\n  groups: [partners]\n  plan: gold\n"+
			"  credentials: [{name: key-1, apiKey: {hash: \"sha256:%x\"}}]\n", i, sha256.Sum256([]byte(load.Key(i))))
	}
	return buf.Bytes()
}

// consumers measures what 100,000 of them in the state store take, and how soon a
// key that one gateway makes or revokes counts at another.
func (b *bench) consumers(ctx context.Context, times int) ([]report.Measure, error) {
	store := filepath.Join(b.lab.Dir, "consumers.db")
	one, _, err := b.guard(ctx, "consumers-one", store)
	if err != nil {
		return nil, err
	}
	defer one.end()
	if err := wait(ctx, time.Second); err != nil {
		return nil, err
	}
	empty, err := proc.RSS(one.PID())
	if err != nil {
		return nil, err
	}
	b.say.step("%d consumers into the state store", storedConsumers)
	begun := time.Now()
	if _, err := one.admin.ImportConsumers(ctx, manifests(storedConsumers), false); err != nil {
		return nil, err
	}
	if err := one.accepts(ctx, load.Key(storedConsumers-1), true); err != nil {
		return nil, err
	}
	imported := time.Since(begun)
	b.say.step("a second gateway on that store")
	two, took, err := b.guard(ctx, "consumers-two", store)
	if err != nil {
		return nil, err
	}
	defer two.end()
	if err := two.accepts(ctx, load.Key(storedConsumers-1), true); err != nil {
		return nil, err
	}
	full, err := proc.RSS(two.PID())
	if err != nil {
		return nil, err
	}
	var made, revoked []float64
	for i := range times {
		b.say.step("a key in one gateway, asked for at the other: %d of %d", i+1, times)
		name := fmt.Sprintf("consumer-%d", i*(storedConsumers/times))
		begun = time.Now()
		key, err := one.admin.CreateKey(ctx, "default", name, access.NewKey{Name: "bench"})
		if err != nil {
			return nil, err
		}
		if err := two.accepts(ctx, key.Key, true); err != nil {
			return nil, err
		}
		made = append(made, float64(time.Since(begun))/1e6)
		begun = time.Now()
		if err := one.admin.RevokeKey(ctx, "default", name, "bench"); err != nil {
			return nil, err
		}
		if err := two.accepts(ctx, key.Key, false); err != nil {
			return nil, err
		}
		revoked = append(revoked, float64(time.Since(begun))/1e6)
	}
	return []report.Measure{
		{Name: "consumers-import", Title: "100,000 consumers, imported into the state store (SQLite) and served", Unit: "ms", Value: stats.Of([]float64{float64(imported) / 1e6})},
		{Name: "consumers-start", Title: "From start to serving 100,000 consumers of the state store", Unit: "ms", Value: stats.Of([]float64{float64(took) / 1e6})},
		{Name: "consumers-memory", Title: "Memory of 100,000 consumers with a key each", Unit: "MiB", Value: stats.Of([]float64{float64(full-empty) / (1 << 20)})},
		{Name: "key-made", Title: "A new key among 100,000 consumers is accepted by another gateway", Unit: "ms", Value: stats.Of(made)},
		{Name: "key-revoked", Title: "A revoked key among 100,000 consumers is refused by another gateway", Unit: "ms", Value: stats.Of(revoked)},
	}, nil
}
