package join_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/mesh/admit"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/identity/identitytest"
	"github.com/gridway/gridway/internal/mesh/join"
)

// A grant that is taken away stops the renewals of who joined by it, and the workloads of
// nodes, at each control plane; one that is given back lets them go on.
func TestGrantsTakenAway(t *testing.T) {
	const (
		all = `
- {id: "spiffe://west.example/host/*", namespaces: [shop], services: ["cart*"]}
- {id: "spiffe://west.example/host/*", role: node, nodes: [rack1], namespaces: [shop], services: [batch, front]}
`
		less = `
- {id: "spiffe://west.example/host/*", namespaces: [shop], services: [other]}
- {id: "spiffe://west.example/host/*", role: node, nodes: [rack1], namespaces: [shop], services: [front]}
`
		none = "[]\n"
	)
	each(t, func(t *testing.T, p *plane) {
		file := filepath.Join(t.TempDir(), "grants.yaml")
		write := func(text string) {
			t.Helper()
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write(all)
		grants, err := admit.OpenGrants(file)
		if err != nil {
			t.Fatal(err)
		}
		west := identitytest.New(t, "west.example")
		trust := func() {
			p.ca.Keyring().Apply(identity.Change{Bundles: []*identity.Bundle{p.ca.Bundle(), west.Bundle()}})
		}
		trust()
		nodes := admit.NewNodes(p.db, grants, nil)
		told := 0
		nodes.OnChange(func() { told++ })
		o := admit.Options{Authority: p.ca, Tokens: p.tokens, Nodes: nodes, SVIDs: grants, Issued: p.ca.Via}
		address := serve(t, admit.ServerTLS(p.ca.Keyring()), admit.NewServer(o))
		other := serve(t, admit.ServerTLS(p.ca.Keyring()), admit.NewServer(o)) // remembers nothing of what the first did
		host, err := identity.Parse("spiffe://west.example/host/a")
		if err != nil {
			t.Fatal(err)
		}
		held := &join.Held{SVID: west.SVID(host, time.Hour), Bundles: []*identity.Bundle{west.Bundle()}}
		enter := func(as identity.Name, at string, k *identity.Keyring, h *join.Held) *join.Client {
			t.Helper()
			c, err := join.NewClient(join.ClientOptions{
				Addresses: []string{at}, Keyring: k, As: as,
				SVID: func(context.Context) (*join.Held, error) { return h, nil }, Bundle: func() (*identity.Bundle, error) { return p.ca.Bundle(), nil },
			})
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		joined := func(as identity.Name, h *join.Held) (here, there *join.Client, k *identity.Keyring) {
			t.Helper()
			k = identity.NewKeyring(identity.Options{})
			here, there = enter(as, address, k, h), enter(as, other, k, h)
			if err := here.Join(t.Context()); err != nil {
				t.Fatal(err)
			}
			return here, there, k
		}
		renew := func(c *join.Client, k *identity.Keyring) error {
			t.Helper()
			v, err := c.Renew(t.Context())
			if err == nil {
				k.Apply(identity.Change{Put: []*identity.SVID{v}})
			}
			return err
		}
		cartName := identity.Name{Role: identity.RoleWorkload, Namespace: "shop", Service: "cart"}
		here, there, k := joined(cartName, held)
		for range 2 { // by renewals it is still known
			if err := renew(here, k); err != nil {
				t.Fatal(err)
			}
			p.ca.Look(t.Context()) // what was issued is in the store
			trust()
			if err := renew(there, k); err != nil {
				t.Fatal(err)
			}
		}
		// So it is of who joins as itself, by what was given by a grant.
		itself, _, itsKeys := joined(cartName, &join.Held{SVID: k.SVID(k.Own()), Bundles: []*identity.Bundle{p.ca.Bundle()}})
		onNode, onNodeThere, nodeKeys := joined(identity.Name{Role: identity.RoleNode, Node: "rack1"}, held)
		byToken, tokenKeys := proxy(t, address, p.token(1).Text(), "reviews")
		if err := byToken.Join(t.Context()); err != nil {
			t.Fatal(err)
		}
		front, batch := identity.Workload(td, "shop", "front"), identity.Workload(td, "shop", "batch")
		for _, id := range []identity.ID{front, batch} {
			if _, err := onNode.Delegate(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}

		log := slog.New(slog.DiscardHandler)
		write(less)
		before := told
		grants.Reload(log, nodes.Changed)
		if told != before+1 {
			t.Errorf("told %d times", told-before)
		}
		for name, err := range map[string]error{"here": renew(here, k), "there": renew(there, k), "as itself": renew(itself, itsKeys)} {
			if !join.Refused(err) || !strings.Contains(err.Error(), "joined by the SVID of spiffe://west.example/host/a, and no grant") {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := itself.Join(t.Context()); !join.Refused(err) {
			t.Errorf("it joins as itself: %v", err)
		}
		if err := renew(byToken, tokenKeys); err != nil {
			t.Errorf("who joined by a token: %v", err)
		}
		if err := renew(onNode, nodeKeys); err != nil {
			t.Errorf("a node that is still granted: %v", err)
		}
		if _, err := onNode.Delegate(t.Context(), front); err != nil {
			t.Errorf("a workload that is still granted: %v", err)
		}
		if _, err := onNode.Delegate(t.Context(), batch); !join.Refused(err) {
			t.Errorf("a workload that is not: %v", err)
		}
		if is, err := admit.NewNodes(p.db, grants, nil).May(nodeKeys.Own(), batch); is || err != nil {
			t.Errorf("%v, %v", is, err)
		}

		write("- {id: spiffe://west.example/host/*, servces: [cart]}\n")
		grants.Reload(log, func() { t.Error("a broken file changes something") })
		if s := grants.State(); !strings.Contains(s.Error, "grants.yaml:1:") || s.Grants != 2 {
			t.Errorf("%+v", s)
		}
		write(none)
		grants.Reload(log, nodes.Changed)
		if err := renew(onNodeThere, nodeKeys); !join.Refused(err) {
			t.Errorf("a node without any grant: %v", err)
		}
		if is, err := nodes.May(nodeKeys.Own(), front); is || err != nil {
			t.Errorf("%v, %v", is, err)
		}
		write(all)
		grants.Reload(log, nodes.Changed)
		if err := renew(here, k); err != nil {
			t.Errorf("granted again: %v", err)
		}
		if _, err := onNode.Delegate(t.Context(), batch); err != nil {
			t.Errorf("granted again: %v", err)
		}
	})
}

// The file is read when it changes, goes and comes back.
func TestGrantsFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "grants.yaml")
	if _, err := admit.OpenGrants(file); err == nil {
		t.Error("a file that is not there")
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	write("- {id: spiffe://w/a, services: [a]}\n")
	g, err := admit.OpenGrants(file)
	if err != nil {
		t.Fatal(err)
	}
	changed := make(chan struct{}, 100)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx, slog.New(slog.DiscardHandler), func() { changed <- struct{}{} }) }()
	becomes := func(what string, is func(admit.GrantsState) bool) {
		t.Helper()
		deadline := time.After(30 * time.Second)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for !is(g.State()) {
			select {
			case <-deadline:
				t.Fatalf("%s: %+v", what, g.State())
			case <-tick.C:
			}
		}
	}
	write("- {id: spiffe://w/a, services: [a]}\n- {id: spiffe://w/b, services: [b]}\n")
	becomes("two grants", func(s admit.GrantsState) bool { return s.Grants == 2 && s.Error == "" })
	<-changed
	write("- x\n")
	becomes("broken", func(s admit.GrantsState) bool { return s.Grants == 2 && strings.Contains(s.Error, "grants.yaml:1:3") })
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	becomes("gone", func(s admit.GrantsState) bool { return s.Grants == 2 && strings.Contains(s.Error, "no such file") })
	write("")
	becomes("empty", func(s admit.GrantsState) bool { return s.Grants == 0 && s.Error == "" })
	<-changed
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	var nothing *admit.SVIDGrants
	if err := nothing.Run(t.Context(), nil, nil); err != nil {
		t.Error(err)
	}
}
