package mesh

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// held is a connection that an application keeps open.
type held struct {
	net.Conn
	answers *bufio.Reader
}

func hold(t *testing.T, port string) *held {
	t.Helper()
	c, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &held{c, bufio.NewReader(c)}
}

// ask sends a request and reads its answer.
func (h *held) ask() error {
	if err := h.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := fmt.Fprint(h, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		return err
	}
	resp, err := http.ReadResponse(h.answers, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = bufio.NewReader(resp.Body).WriteTo(&strings.Builder{})
	return err
}

const only = `apiVersion: gridway.dev/v1alpha1
kind: AuthorizationPolicy
metadata: {name: db}
spec:
  targetRefs: [{group: "", kind: Service, name: db}]
  action: Allow
  DRY
  rules: [{name: one, identities: ["spiffe://cluster.local/ns/default/sa/WHO"]}]
---
apiVersion: gridway.dev/v1alpha1
kind: AuthorizationPolicy
metadata: {name: seen}
spec:
  targetRefs: [{group: "", kind: Service, name: db}]
  action: Audit
  rules: [{name: all, namespaces: [default]}]
`

func onlyFor(who, dry string) string {
	return strings.NewReplacer("WHO", who, "DRY", dry).Replace(only)
}

// A policy on a Service of TCP decides which connections open and, when it changes,
// which of them go on. The Service is one that the workload has made.
func TestAuthorizationOfConnections(t *testing.T) {
	m := newMesh(t, "")
	db := m.speaking("tcp", "db", "data", "--access-log", "stdout")
	cart, web := port(t), port(t)
	m.sidecar("cart", "cart", "--upstream", "db=:"+cart)
	m.sidecar("web", "web", "--upstream", "db=:"+web)
	from(t, cart, "data")
	from(t, web, "data")
	open := map[string]*held{"cart": hold(t, cart), "web": hold(t, web)}
	for who, h := range open {
		if err := h.ask(); err != nil {
			t.Fatal(who, err)
		}
	}
	m.write(onlyFor("web", "dryRun: true"))
	eventually(t, "what would be refused is in the log", func() error {
		if _, err := get(cart, "/"); err != nil {
			t.Fatalf("a dry policy refuses: %v", err)
		}
		for line := range strings.Lines(db.log.String()) {
			if strings.Contains(line, `"would_deny":"default/db"`) && strings.Contains(line, `"audited":"default/seen/all"`) && strings.Contains(line, "/sa/cart") {
				return nil
			}
		}
		return errors.New(db.log.String())
	})
	m.write(onlyFor("cart", ""))
	eventually(t, "web is refused", func() error {
		if _, err := get(web, "/"); err == nil {
			return errors.New("it is let in")
		}
		return nil
	})
	if err := open["web"].ask(); err == nil {
		t.Error("the connection of web goes on")
	}
	if err := open["cart"].ask(); err != nil {
		t.Errorf("the connection of cart was cut: %v", err)
	}
	from(t, cart, "data")
	eventually(t, "the refusal is in the log", func() error {
		for line := range strings.Lines(db.log.String()) {
			if strings.Contains(line, `"reason":"AccessDenied"`) && strings.Contains(line, `"policy":"default/db"`) && strings.Contains(line, "/sa/web") {
				return nil
			}
		}
		return errors.New(db.log.String())
	})
}
