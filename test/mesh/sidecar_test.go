package mesh

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// from waits until the program of a name answers at a port.
func from(t *testing.T, port, name string) answer {
	t.Helper()
	var got answer
	eventually(t, name+" answers", func() (err error) {
		got, err = get(port, "/")
		if err == nil && got.Name != name {
			err = fmt.Errorf("%s answers", got.Name)
		}
		return err
	})
	return got
}

// Two programs find each other by nothing but the names of their services, and know
// of no mesh.
func TestSidecars(t *testing.T) {
	m := newMesh(t, "")
	m.sidecar("ratings", "one")
	up := port(t)
	reviews := m.sidecar("reviews", "front", "--upstream", "ratings=:"+up)
	from(t, up, "one")
	// A second workload of the service takes its share.
	two := m.sidecar("ratings", "two")
	seen := map[string]int{}
	eventually(t, "both take a share", func() error {
		a, err := get(up, "/")
		if seen[a.Name]++; err == nil && (seen["one"] == 0 || seen["two"] == 0) {
			err = fmt.Errorf("%v", seen)
		}
		return err
	})
	// One that leaves takes no request with it.
	var failed, asked atomic.Int64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
			}
			asked.Add(1)
			if _, err := get(up, "/"); err != nil {
				failed.Add(1)
				t.Log(err)
			}
		}
	}()
	if code := two.end(); code != 143 {
		t.Errorf("the sidecar ended with %d, and its program with 143", code)
	}
	close(stop)
	<-stopped
	if failed.Load() > 0 || asked.Load() == 0 {
		t.Errorf("%d of %d requests failed", failed.Load(), asked.Load())
	}
	if code := reviews.end(); code != 143 {
		t.Errorf("exit code %d", code)
	}
}

// Members go on without a control plane, and start again without one.
func TestControlPlaneGone(t *testing.T) {
	m := newMesh(t, "")
	ratings := m.sidecar("ratings", "one")
	up := port(t)
	reviews := m.sidecar("reviews", "front", "--upstream", "ratings=:"+up)
	from(t, up, "one")
	m.control.kill()
	from(t, up, "one")
	if code := reviews.end(); code != 143 {
		t.Errorf("exit code %d", code)
	}
	m.token = "" // nobody joins now
	reviews = m.sidecar("reviews", "front", "--upstream", "ratings=:"+up)
	reviews.said("kept on disk")
	from(t, up, "one")
	// The one that others know comes back at its place.
	ratings.kill()
	eventually(t, "nobody answers", func() error {
		if _, err := get(up, "/"); err == nil {
			return fmt.Errorf("somebody does")
		}
		return nil
	})
	m.start()
	m.sidecar("ratings", "one").said("connected to a control plane")
	from(t, up, "one")
}

const split = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: ratings}
spec:
  parentRefs: [{group: "", kind: Service, name: ratings}]
  rules:
  - matches: [{headers: [{name: x-canary, value: "yes"}]}]
    backendRefs: [{name: ratings-v2, port: PORT2}]
  - backendRefs: [{name: ratings, port: PORT1}]
`

func canary(r *http.Request) { r.Header.Set("X-Canary", "yes") }

// A route of a Service holds for all of its clients, as soon as it is written.
func TestMeshRoute(t *testing.T) {
	m := newMesh(t, "")
	one, two := m.sidecar("ratings", "one"), m.sidecar("ratings-v2", "two")
	up := port(t)
	m.sidecar("reviews", "front", "--upstream", "ratings=:"+up)
	from(t, up, "one")
	m.write(strings.NewReplacer("PORT1", one.port, "PORT2", two.port).Replace(split))
	eventually(t, "the canary answers", func() error {
		a, err := get(up, "/", canary)
		if err == nil && a.Name != "two" {
			err = fmt.Errorf("%s answers", a.Name)
		}
		return err
	})
	from(t, up, "one")
}

// A token lets in whom it is for, once.
func TestJoinToken(t *testing.T) {
	m := newMesh(t, "")
	m.token = m.join("--service", "ratings")
	m.sidecar("ratings", "one")
	refused := func(service, want string) {
		t.Helper()
		p := run(t, []string{"GRIDWAY_JOIN_TOKEN=" + m.token}, "sidecar", "--service", service, "--control", m.address, "--state-dir", filepath.Join(m.dir, "refused-"+service), "--", "true")
		if code := p.ended(); code != 1 || !strings.Contains(p.log.String(), want) {
			t.Errorf("%s: exit code %d, %s", service, code, p.log)
		}
	}
	refused("ratings", "joining the mesh")
	m.token = m.join("--service", "ratings", "--uses", "5")
	refused("billing", "joining the mesh")
}

// The control plane tells which proxies serve, and an identity that is denied is out
// at once.
func TestStatusAndDenial(t *testing.T) {
	m := newMesh(t, "")
	m.sidecar("ratings", "one")
	up := port(t)
	m.sidecar("reviews", "front", "--upstream", "ratings=:"+up)
	from(t, up, "one")
	eventually(t, "both serve", func() error {
		out, err := m.command("status")
		if err == nil && !strings.Contains(out, "2 of 2 proxies serve") {
			err = fmt.Errorf("%s", out)
		}
		return err
	})
	if out, err := m.command("identity", "deny", "spiffe://cluster.local/ns/default/sa/reviews", "--reason", "a test"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	m.control.said("the stream of a proxy is over") // of one that may have no configuration any more
	eventually(t, "who is denied is refused", func() error {
		if _, err := get(up, "/"); err == nil {
			return fmt.Errorf("it is let in")
		}
		return nil
	})
	if out, err := m.command("identity", "allow", "spiffe://cluster.local/ns/default/sa/reviews"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	from(t, up, "one")
}

// What a program asks its HTTP proxy for is of the mesh by its name, and of nobody
// else's.
func TestHTTPProxy(t *testing.T) {
	m := newMesh(t, "")
	one := m.sidecar("ratings", "one")
	p := run(t, []string{"GRIDWAY_JOIN_TOKEN=" + m.token}, "sidecar", "--service", "reports", "--control", m.address, "--http-proxy",
		"--state-dir", filepath.Join(m.dir, "reports"), "--",
		"sh", "-c", "curl -s http://ratings:"+one.port+"/by-name && curl -s -o /dev/null -w '%{http_code}' http://nobody.invalid/; env | grep -c GRIDWAY_JOIN_TOKEN; exit 5")
	if code := p.ended(); code != 5 {
		t.Errorf("exit code %d, of the program 5", code)
	}
	if out := p.log.String(); !strings.Contains(out, `"path":"/by-name"`) || !strings.Contains(out, "5020\n") {
		t.Error(out)
	}
}
