package hostname_test

import (
	"slices"
	"testing"

	"github.com/gridway/gridway/internal/mesh/hostname"
)

func TestService(t *testing.T) {
	for host, want := range map[string]string{
		"ratings": "shop/ratings", "ratings:9080": "shop/ratings", "ratings.lab": "lab/ratings", "Ratings.lab.svc": "lab/ratings",
		"ratings.lab.svc.cluster.local.": "lab/ratings", "a.b.lab.svc.cluster.local:80": "lab/a.b",
		"www.example.com": "", "example.com": "com/example", "10.0.0.1": "", "10.0.0.1:80": "", "[::1]:80": "", "::1": "", "": "", "a..b": "", ".svc": "", "ratings.svc": "", "x:http": "",
	} {
		ns, name, ok := hostname.Service(host, "shop", "cluster.local")
		got := ""
		if ok {
			got = ns + "/" + name
		}
		if got != want {
			t.Errorf("%q is %q, want %q", host, got, want)
		}
	}
}

// A service is what its own names mean.
func TestOf(t *testing.T) {
	for _, from := range []string{"shop", "lab"} {
		for _, h := range hostname.Of("shop", "ratings", from, "cluster.local") {
			if ns, name, ok := hostname.Service(h, from, "cluster.local"); !ok || ns != "shop" || name != "ratings" {
				t.Errorf("%s from %s is %s/%s", h, from, ns, name)
			}
		}
	}
	if slices.Contains(hostname.Of("shop", "ratings", "lab", "cluster.local"), "ratings") {
		t.Error("a short name is of another namespace")
	}
}
