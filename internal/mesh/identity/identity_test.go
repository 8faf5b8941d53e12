package identity_test

import (
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/mesh/identity"
)

func domain(t testing.TB, name string) identity.TrustDomain {
	t.Helper()
	td, err := identity.ParseTrustDomain(name)
	if err != nil {
		t.Fatal(err)
	}
	return td
}

func TestIdentities(t *testing.T) {
	td := domain(t, "prod.example.com")
	for want, got := range map[string]identity.ID{
		"spiffe://prod.example.com/ns/shop/sa/reviews":         identity.Workload(td, "shop", "reviews"),
		"spiffe://prod.example.com/ns/shop/sa/reviews.v1-beta": identity.Workload(td, "shop", "reviews.v1-beta"),
		"spiffe://prod.example.com/gridway/control":            identity.Control(td),
		"spiffe://prod.example.com/gridway/node/host-7.rack":   identity.Node(td, "host-7.rack"),
	} {
		if got.String() != want {
			t.Errorf("%q, want %q", got, want)
		}
		if again, err := identity.Parse(want); err != nil || again != got {
			t.Errorf("%q is read as %q, %v", want, again, err)
		}
	}
	for text, want := range map[string]identity.Name{
		"/ns/shop/sa/reviews":     {Role: identity.RoleWorkload, Namespace: "shop", Service: "reviews"},
		"/gridway/control":        {Role: identity.RoleControl},
		"/gridway/node/host":      {Role: identity.RoleNode, Node: "host"},
		"/gridway/control/x":      {Role: identity.RoleOther},
		"/gridway/node/a/b":       {Role: identity.RoleOther},
		"/ns/shop/sa/reviews/v1":  {Role: identity.RoleOther},
		"/ns/shop/pod/x":          {Role: identity.RoleOther},
		"/ns/Shop/sa/reviews":     {Role: identity.RoleOther},
		"/ns/shop/sa/a/sa/b":      {Role: identity.RoleOther},
		"/ns/gridway/sa/control":  {Role: identity.RoleWorkload, Namespace: "gridway", Service: "control"},
		"/spire/agent/join_token": {Role: identity.RoleOther},
	} {
		id, err := identity.Parse("spiffe://td" + text)
		if got := identity.NameOf(id); err != nil || got != want {
			t.Errorf("%s is %+v, %v", text, got, err)
		}
	}
}

func TestNamesThatAreRefused(t *testing.T) {
	td := domain(t, "td")
	long := strings.Repeat("a", 64)
	for _, c := range [][2]string{
		{"", "a"},
		{"a", ""},
		{"A", "a"},
		{"a", "B"},
		{"a.b", "a"},
		{"a/b", "a"},
		{"a", "a/b"},
		{"-a", "b"},
		{"a-", "b"},
		{"..", "a"},
		{"a", ".."},
		{"a", "b."},
		{long, "a"},
		{"a", long},
		{"a", strings.Repeat("a.", 127)},
		{"a", "b_c"},
		{"a", "ü"},
		{"a", "b*"},
		{"a", "b\n"},
	} {
		err := identity.CheckWorkload(c[0], c[1])
		if err == nil || !identity.Workload(td, c[0], c[1]).IsZero() {
			t.Errorf("%q: accepted", c)
		} else if !strings.Contains(err.Error(), "lower-case letters") {
			t.Errorf("%q: %v", c, err)
		}
	}
	if !identity.Node(td, "a/b").IsZero() || !identity.Workload(identity.TrustDomain{}, "a", "b").IsZero() {
		t.Error("an identity of nobody")
	}
	for _, name := range []string{"", "Prod", "a b", "a:8080", "spiffe://a", "a/b", "user@a", "ü", strings.Repeat("a", 256)} {
		if _, err := identity.ParseTrustDomain(name); err == nil || !strings.Contains(err.Error(), "trust domain") {
			t.Errorf("%.20q: %v", name, err)
		}
	}
	for _, text := range []string{
		"", "http://td/a", "spiffe://td", "spiffe://td/", "spiffe:///a", "spiffe://td/a/../b", "spiffe://td//a", "spiffe://td/a?b", "spiffe://td/a#b",
		"spiffe://td/a%2f", "spiffe://u@td/a", "spiffe://td:1/a", "spiffe://TD/a", "spiffe://td/" + strings.Repeat("a", 2048), "spiffe://" + strings.Repeat("a", 256) + "/a",
	} {
		if id, err := identity.Parse(text); err == nil {
			t.Errorf("%.40q is read as %q", text, id)
		}
	}
}

func TestSerials(t *testing.T) {
	for text, want := range map[string]string{"0A:bC:01": "abc01", "0x00ff": "ff", " 1f ": "1f"} {
		if got, err := identity.ParseSerial(text); err != nil || got != want {
			t.Errorf("%q is %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "0", "xyz", "1 2", strings.Repeat("1", 41)} {
		if got, err := identity.ParseSerial(text); err == nil {
			t.Errorf("%q is %q", text, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"spiffe://td/ns/a/sa/b", "spiffe://td/gridway/node/x", "spiffe://td/ns/a/sa/b/sa/c", "spiffe://td/%61"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, err := identity.Parse(text)
		if err != nil {
			return
		}
		if id.String() != text {
			t.Errorf("%q became %q", text, id)
		}
		n := identity.NameOf(id)
		made := id
		switch n.Role {
		case identity.RoleWorkload:
			made = identity.Workload(id.TrustDomain(), n.Namespace, n.Service)
		case identity.RoleNode:
			made = identity.Node(id.TrustDomain(), n.Node)
		case identity.RoleControl:
			made = identity.Control(id.TrustDomain())
		}
		if made != id {
			t.Errorf("%q says %+v, which is %q", id, n, made)
		}
	})
}
