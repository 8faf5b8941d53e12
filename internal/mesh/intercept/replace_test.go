package intercept_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/mesh/intercept"
	"github.com/gridway/gridway/test/netns"
)

// Rules are replaced by others of the same table, exceptions come and go.
func TestReplace(t *testing.T) {
	t.Parallel()
	n := netns.New(t)
	a, b := n.Host("a"), n.Host("b")
	server := greet(b, "server", ":0")
	outbound := both(a, "outbound")
	app, inbound := greet(a, "app", ":0"), greet(a, "inbound", ":0")
	c := intercept.Config{ID: "a", From: intercept.FromNamespace(), Outbound: outbound}
	rules := install(t, a, c)
	see := func(what, out, in string) {
		t.Helper()
		for _, from := range []struct {
			to, at netip.Addr
		}{{b.IP4, a.IP4}, {b.IP6, a.IP6}} {
			var sent, came string
			a.Do(func() { sent, _ = dial(on(from.to, server), 0, patience) })
			b.Do(func() { came, _ = dial(on(from.at, app), 0, patience) })
			if !strings.HasPrefix(sent, out+" ") || !strings.HasPrefix(came, in+" ") {
				t.Errorf("%s: to others it is %q, to it %q; want %s and %s", what, sent, came, out, in)
			}
		}
	}
	replace := func(c intercept.Config) (err error) {
		a.Do(func() { err = rules.Replace(c) })
		return err
	}
	see("at first", "outbound", "app")
	except := c
	except.Inbound = []intercept.Redirect{{From: app, To: inbound}}
	except.Except.Ports = []uint16{server}
	if err := replace(except); err != nil {
		t.Fatal(err)
	}
	see("a port is excepted, and what comes is taken", "server", "inbound")

	for want, bad := range map[string]intercept.Config{
		"cannot replace":              {ID: "b", From: intercept.FromNamespace(), Outbound: outbound},
		"nothing is to be redirected": {ID: "a", From: intercept.FromNamespace()},
		"not said whose":              {ID: "a", Outbound: outbound},
	} {
		if err := replace(bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	see("after errors", "server", "inbound")

	except.Inbound, except.Except = nil, intercept.Except{Networks: []netip.Prefix{netip.PrefixFrom(b.IP4, 24), netip.PrefixFrom(b.IP6, 64)}}
	if err := replace(except); err != nil {
		t.Fatal(err)
	}
	see("networks are excepted, and nothing that comes is taken", "server", "app")
	if err := replace(c); err != nil {
		t.Fatal(err)
	}
	see("as at first", "outbound", "app")
	if got := tables(t, a); !slices.Equal(got, []string{"gridway_a"}) {
		t.Errorf("tables %q", got)
	}
	if err := rules.Close(); err != nil {
		t.Fatal(err)
	}
	if got := tables(t, a); len(got) != 0 {
		t.Errorf("tables %q", got)
	}
	see("closed", "server", "app")
}
