package mesh

import (
	"crypto/tls"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

const ratings = `apiVersion: v1
kind: Service
metadata: {name: ratings}
spec: {ports: [{port: 80, appProtocol: http}]}
---
`

const imports = `apiVersion: gridway.dev/v1alpha1
kind: MeshPeer
metadata: {name: west}
spec:
  trustDomain: west.example
  addresses: ["WEST"]
  import:
  - {namespace: default, services: [ratings]}
  - {namespace: default, suffix: -west}
---
apiVersion: gridway.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: ratings}
spec:
  targetRefs: [{group: "", kind: Service, name: ratings}]
  retry: {attempts: 3, budget: {percent: 100}}
  outlierDetection: {consecutive5xx: 3, interval: 1s, baseEjection: 2s, maxPercent: 100}
---
`

const exports = `apiVersion: gridway.dev/v1alpha1
kind: MeshPeer
metadata: {name: east}
spec:
  trustDomain: east.example
  export: [{namespace: default, services: [ratings, details]}]
---
apiVersion: gridway.dev/v1alpha1
kind: AuthorizationPolicy
metadata: {name: details}
spec:
  targetRefs: [{group: "", kind: Service, name: details}]
  action: Allow
  rules: [{name: east, identities: ["spiffe://east.example/ns/default/sa/reviews"]}]
---
`

// pair are two meshes, of two trust domains that trust each other.
type pair struct {
	east, west *mesh
	door       string // of west, for east
	edge       *process
}

func newPair(t *testing.T) *pair {
	t.Helper()
	at := map[string]string{"east": port(t), "west": port(t)}
	p := &pair{
		east: newMesh(t, "", "--trust-domain", "east.example", "--bundle-endpoint", "127.0.0.1:"+at["east"]),
		west: newMesh(t, "", "--trust-domain", "west.example", "--bundle-endpoint", "127.0.0.1:"+at["west"]), door: port(t),
	}
	relation := func(of string, m *mesh) []string {
		return []string{"--federate", of + ".example=https://127.0.0.1:" + at[of] + "/,endpoint=spiffe://" + of + ".example/gridway/control,bundle=" + m.bundle()}
	}
	east, west := relation("east", p.east), relation("west", p.west)
	p.again(p.east, west...)
	p.again(p.west, east...)
	p.west.write(ratings + exports)
	p.east.write(ratings + strings.ReplaceAll(imports, "WEST", p.west.address))
	p.edge = p.open()
	return p
}

// again starts a control plane anew with more flags.
func (p *pair) again(m *mesh, flags ...string) {
	m.control.kill()
	m.flags = append(m.flags, flags...)
	m.start()
}

// open starts west's east-west edge.
func (p *pair) open() *process { return p.openAt(p.door) }

// openAt starts one at a port.
func (p *pair) openAt(door string) *process {
	e := run(p.west.t, []string{"GRIDWAY_JOIN_TOKEN=" + p.west.token}, "edge", "--control", p.west.address, "--state-dir", filepath.Join(p.west.dir, "edge"+door), "--access-log", "stdout", "--east-west", "127.0.0.1:"+door)
	e.said("in the mesh")
	return e
}

// Services of another mesh are used through its east-west edge: behind our own, in their
// place when those fail, and under names of their own; what is not exported is not there,
// and who asks is known there by an identity.
func TestPeer(t *testing.T) {
	p := newPair(t)
	p.west.sidecar("ratings", "west")
	p.west.sidecar("details", "details")
	p.west.sidecar("secret", "secret")
	ours := p.east.sidecar("ratings", "east")
	up, far, details := port(t), port(t), port(t)
	p.east.sidecar("reviews", "front", "--upstream", "ratings=:"+up, "--upstream", "ratings-west=:"+far, "--upstream", "details-west=:"+details)
	p.east.control.said("services of another mesh are used")
	from(t, far, "west")
	from(t, up, "east")
	from(t, details, "details") // by the policy there
	stranger := port(t)
	p.east.sidecar("stranger", "other", "--upstream", "details-west=:"+stranger)
	eventually(t, "a stranger is refused by the policy there", func() error {
		if a, err := get(stranger, "/"); a.status != 403 {
			return fmt.Errorf("%d, %w", a.status, err)
		}
		return nil
	})
	said := func(want string) {
		t.Helper()
		eventually(t, want, func() error {
			out, err := p.east.command("status")
			if err == nil && !strings.Contains(out, want) {
				err = fmt.Errorf("%s", out)
			}
			return err
		})
	}
	said("connected to " + p.west.address)
	if out, err := p.east.command("status", "-o", "json"); err != nil || strings.Contains(out, "secret") {
		t.Errorf("what is not exported is known: %v, %s", err, out)
	}
	if out := p.east.explain("reviews-front", "http://127.0.0.1:"+up+"/"); !strings.Contains(out, "priority 1, MeshPeer west") || strings.Count(out, "priority") != 1 {
		t.Error(out)
	}
	// Ours die: theirs answer, until ours are back. No request is lost.
	all := func(name string) {
		t.Helper()
		eventually(t, "all is answered by "+name, func() error {
			for range 20 {
				if a, err := get(up, "/"); err != nil || a.Name != name {
					return fmt.Errorf("%s answers, %w", a.Name, err)
				}
			}
			return nil
		})
	}
	load := newLoad(t, up, 4)
	ours.kill()
	all("west")
	p.east.sidecar("ratings", "back")
	all("back")
	load.none()
	// Their control plane is away: what it said last holds, and status says so.
	p.west.control.kill()
	said("what it said last holds")
	from(t, far, "west")
	p.west.start()
	said("connected to " + p.west.address)
	from(t, far, "west")
}

// With priority 0 both meshes share the requests; when the edge between them dies, ours
// have all, and when it is back, both. No request is lost.
func TestEdgeBetweenMeshesDies(t *testing.T) {
	p := newPair(t)
	p.east.write(ratings + strings.NewReplacer("WEST", p.west.address, "services: [ratings]", "services: [ratings], priority: 0").Replace(imports))
	p.west.sidecar("ratings", "west")
	p.east.sidecar("ratings", "east")
	up := port(t)
	p.east.sidecar("reviews", "front", "--upstream", "ratings=:"+up)
	both := func() {
		t.Helper()
		seen := map[string]int{}
		eventually(t, "both answer", func() error {
			a, err := get(up, "/")
			if seen[a.Name]++; err == nil && (seen["east"] < 3 || seen["west"] < 3) {
				err = fmt.Errorf("%v", seen)
			}
			return err
		})
	}
	both()
	load := newLoad(t, up, 4)
	p.edge.kill()
	eventually(t, "ours have all", func() error {
		for range 20 {
			if a, err := get(up, "/"); err != nil || a.Name != "east" {
				return fmt.Errorf("%s answers, %w", a.Name, err)
			}
		}
		return nil
	})
	p.open()
	both()
	load.none()
}

// What is not exported is refused at the edge, whoever asks.
func TestEastWestEdge(t *testing.T) {
	p := newPair(t)
	p.west.sidecar("ratings", "west")
	p.west.sidecar("secret", "secret", "--port", port(t)+"/http")
	ask := func(name string) error {
		return handshake(p.door, name)
	}
	eventually(t, "the exported one is there", func() error {
		if err := ask("80.ratings.default.mesh"); err == nil || !strings.Contains(err.Error(), "certificate required") {
			return fmt.Errorf("%w", err)
		}
		return nil
	})
	for _, name := range []string{"80.secret.default.mesh", "80.nobody.default.mesh", "", "81.ratings.default.mesh"} {
		if err := ask(name); err == nil || strings.Contains(err.Error(), "certificate") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// handshake asks at a port for a server name, without a certificate, and returns what
// became of it: who is behind wants one.
func handshake(port, name string) error {
	c, err := tls.Dial("tcp", "127.0.0.1:"+port, &tls.Config{ServerName: name, InsecureSkipVerify: true, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS13})
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Read(make([]byte, 1))
	return err
}
