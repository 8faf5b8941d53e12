package declared_test

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/mesh/declared"
)

const cart = `# the cart
namespace: shop
service: cart
name: blue
processes: {unit: cart.service}
address: 10.0.0.7
ports:
- {name: web, number: 8080, protocol: http}
- {name: admin, number: 9090}
health:
  http: {port: admin, path: /healthz}
  interval: 5s
  timeout: 500ms
labels: {tier: front}
version: "1.2"
weight: 3
zone: a
---
service: batch
processes: {user: batch}
`

func TestRead(t *testing.T) {
	list, err := declared.Read("cart.yaml", []byte(cart))
	if err != nil || len(list) != 2 {
		t.Fatalf("%d, %v", len(list), err)
	}
	w := list[0]
	if w.Key() != "shop/cart/blue" || w.Processes.String() != "unit cart.service" || w.Address.String() != "10.0.0.7" || len(w.Ports) != 2 ||
		w.Health != (declared.Health{Port: 9090, Path: "/healthz", Interval: 5 * time.Second, Timeout: 500 * time.Millisecond}) ||
		!reflect.DeepEqual(w.Labels, map[string]string{"tier": "front"}) || w.Version != "1.2" || w.Weight != 3 || w.Zone != "a" || w.Where != "cart.yaml:2:1" {
		t.Errorf("%+v", w)
	}
	if b := list[1]; b.Key() != "default/batch" || b.Health != (declared.Health{}) || b.Weight != 1 || b.Address.String() != "127.0.0.1" {
		t.Errorf("%+v", b)
	}
}

// What is wrong is said with its line, all of it at once.
func TestBad(t *testing.T) {
	const good = "service: cart\nprocesses: {user: cart}\n"
	for text, want := range map[string]string{
		"processes: {user: cart}":                                  "f.yaml:1:1: service is missing",
		"service: cart":                                            "f.yaml:1:1: processes is missing",
		"service: Cart\nprocesses: {user: cart}":                   "lower-case letters",
		good + "namespace: a.b":                                    "namespace",
		good + "name: A":                                           "name",
		good + "prots: []":                                         `f.yaml:3:1: a workload has no field "prots"; it may have address, except, health`,
		good + "service: again":                                    "f.yaml:3:1: service is there twice",
		good + "ports: 80":                                         "f.yaml:3:8: ports must be a list",
		good + "ports:\n- {number: 0}":                             "f.yaml:4:12: number \"0\": must be a number from 1 to 65535",
		good + "ports:\n- {name: web}":                             "f.yaml:4:3: a port needs its number",
		good + "ports: [{number: 1}, {number: 1}]":                 "the same number or name",
		good + "address: localhost":                                "must be the IP address",
		good + "address: 0.0.0.0":                                  "must be the IP address",
		good + "weight: -1":                                        "must be a number from 1 to 65535",
		good + "labels: [a]":                                       "labels must be",
		good + "health: {}":                                        "health needs a port",
		good + "ports: [{number: 1}]\nhealth: {tcp: {}, http: {}}": "by one of tcp and http",
		good + "health: {http: {port: web}}":                       "the name of one of the workload's ports",
		good + "health: {http: {port: 1, path: x}}":                "must begin with /",
		good + "health: {tcp: {port: 1}, interval: 1ms}":           "must be a time from 100ms to 1h0m0s",
		"service: cart\nprocesses: {user: a, unit: a.service}":     "one of unit, cgroup and user",
		"service: cart\nprocesses: {unit: a}":                      "the whole name of a unit",
		"service: cart\nprocesses: {unit: ../a.service}":           "the whole name of a unit",
		"service: cart\nprocesses: {cgroup: /}":                    "below the root",
		"service: cart\nprocesses: {cgroup: /a/../b}":              "below the root",
		"service: cart\nprocesses: {user: root}":                   "user root",
		"- service: cart":                                          "f.yaml:1:1: a workload must have fields",
		"service: [":                                               "f.yaml:1: did not find",
		"service: \"a\\u0000b\"\nprocesses: {user: a}":             "without control characters",
	} {
		if list, err := declared.Read("f.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) || list != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := declared.Read("f.yaml", make([]byte, declared.MaxFile+1)); err == nil {
		t.Error("a file of any size")
	}
	if _, err := declared.Read("f.yaml", []byte("service: cart\nprocesses: {user: a}\nweight: x\nzone: []\n")); err == nil || strings.Count(err.Error(), "f.yaml:") != 2 {
		t.Errorf("%v", err)
	}
}

// The cgroup of a service may be written as file systems have it.
func TestCgroup(t *testing.T) {
	list, err := declared.Read("f.yaml", []byte("service: cart\nprocesses: {cgroup: /sys/fs/cgroup/system.slice/cart.service/}\n"))
	if err != nil || list[0].Processes.Cgroup != "/system.slice/cart.service" {
		t.Errorf("%+v, %v", list, err)
	}
}

// Files come, change, break and go.
func TestFolder(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		next := filepath.Join(dir, ".next")
		if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	f := &declared.Folder{Path: dir}
	see := func(want, wrong string) {
		t.Helper()
		list, err := f.Read()
		var keys []string
		for _, w := range list {
			keys = append(keys, w.Key()+"="+w.Version)
		}
		text := ""
		if err != nil {
			text = err.Error()
		}
		if got := strings.Join(keys, " "); got != want || (wrong == "") != (text == "") || !strings.Contains(text, wrong) {
			t.Errorf("%q, %q", got, text)
		}
	}
	see("", "")
	write("a.yaml", "service: a\nversion: '1'\nprocesses: {user: a}\n")
	write("b.yml", "service: b\nprocesses: {user: b}\n")
	write("notes.txt", "service: c\n")
	write(".hidden.yaml", "service: c\n")
	see("default/a=1 default/b=", "")
	write("a.yaml", "service: a\nversion: '2'\nprocess: {user: a}\n")
	see("default/a=1 default/b=", "a.yaml:3:1: a workload has no field")
	see("default/a=1 default/b=", "a.yaml:3:1") // as long as it is so
	write("c.yaml", "service: a\nprocesses: {user: c}\n---\nservice: d\nprocesses: {user: b}\n")
	see("default/a=1 default/b=", "is declared already")
	write("c.yaml", "")
	write("a.yaml", "service: a\nversion: '2'\nprocesses: {user: a}\n")
	see("default/a=2 default/b=", "")
	if err := os.Remove(filepath.Join(dir, "b.yml")); err != nil {
		t.Fatal(err)
	}
	see("default/a=2", "")
	if err := os.Rename(dir, dir+"-gone"); err != nil {
		t.Fatal(err)
	}
	see("default/a=2", "no such file")
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.yaml"), []byte("service: a\nprocesses: {user: a}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	f := &declared.Folder{Path: dir}
	if err := f.Run(ctx, func(list []*declared.Workload) {
		if len(list) != 1 {
			t.Errorf("%d workloads", len(list))
		}
		cancel()
	}); err != nil {
		t.Error(err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(cart))
	f.Add([]byte("service: a\nprocesses: {cgroup: /a}\nhealth: {tcp: {port: 1}}\n"))
	f.Add([]byte("service: a\nprocesses: {user: a}\nports: [{number: 1}]\nexcept: {ports: [1], networks: [10.0.0.0/8, '::1'], outboundPorts: [2]}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := declared.Read("f.yaml", text)
		if err != nil && list != nil {
			t.Error("workloads of a file that is broken")
		}
		for _, w := range list {
			if w.Service == "" || w.Processes == (declared.Processes{}) || w.Weight == 0 || !w.Address.IsValid() {
				t.Errorf("%+v", w)
			}
			if e := w.Except; len(e.Networks)+len(e.OutboundPorts) > declared.MaxExceptions || slices.Contains(e.OutboundPorts, 0) ||
				slices.ContainsFunc(e.Networks, func(p netip.Prefix) bool { return p != p.Masked() || p.Addr().Is4In6() }) ||
				slices.ContainsFunc(e.Ports, func(n uint16) bool {
					return !slices.ContainsFunc(w.Ports, func(p declared.Port) bool { return p.Number == n })
				}) {
				t.Errorf("%+v", e)
			}
		}
	})
}
