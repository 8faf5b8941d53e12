package hostname_test

import (
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/mesh/hostname"
)

// FuzzService reads hosts as clients write them. What is read is a name that all forms
// of it lead to.
func FuzzService(f *testing.F) {
	for _, host := range []string{"ratings", "ratings:9080", "a.b.lab.svc.cluster.local.", "[::1]:80", "10.0.0.1", ".svc", "www.example.com"} {
		f.Add(host, "shop")
	}
	f.Fuzz(func(t *testing.T, host, from string) {
		ns, name, ok := hostname.Service(host, from, "cluster.local")
		if !ok {
			return
		}
		if ns == "" || name == "" || strings.ContainsAny(name, ":[]/") {
			t.Fatalf("%q is %q of %q", host, name, ns)
		}
		if strings.Contains(ns, ".") || !label(name) || !label(ns) {
			return
		}
		for _, suffix := range []string{".svc", ".svc.cluster.local", ".svc.cluster.local.", ".svc.cluster.local:80"} {
			again, same, ok := hostname.Service(name+"."+ns+suffix, from, "cluster.local")
			if !ok || again != ns || same != name {
				t.Fatalf("%q is %q of %q, and with %s %q of %q", host, name, ns, suffix, same, again)
			}
		}
	})
}

// label tells whether a name could be a service's: labels with dots between them.
func label(name string) bool {
	return !strings.ContainsFunc(name, func(r rune) bool { return r != '.' && r != '-' && (r < 'a' || r > 'z') && (r < '0' || r > '9') })
}
