package mesh

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
)

// serveHealth is a program that speaks gRPC.
func serveHealth(port string) {
	l, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err == nil {
		s := grpc.NewServer()
		grpc_health_v1.RegisterHealthServer(s, relayHealth{health.NewServer()})
		reflection.Register(s)
		err = s.Serve(l)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(3)
}

// callHealth calls it at a port of the host.
func callHealth(t *testing.T, port string) error {
	t.Helper()
	c, err := grpc.NewClient("127.0.0.1:"+port, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = grpc_health_v1.NewHealthClient(c).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	return err
}

func send(port, method, path string) error {
	req, err := http.NewRequest(method, "http://127.0.0.1:"+port+path, nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != 200 {
		return errors.New(resp.Status)
	}
	return nil
}

// Policies that are suggested from what was seen let the same through again, and nobody
// else, nor anything else: of HTTP, gRPC and TCP.
func TestPolicySuggest(t *testing.T) {
	m := newMesh(t, "")
	m.speaking("tcp", "db", "data")
	m.sidecar("orders", "orders")
	m.speaking("kubernetes.io/h2c", "calls", healthProgram)
	at := func() (db, orders, calls string, flags []string) {
		db, orders, calls = port(t), port(t), port(t)
		return db, orders, calls, []string{"--upstream", "db=:" + db, "--upstream", "orders=:" + orders, "--upstream", "calls=:" + calls}
	}
	db, orders, calls, flags := at()
	m.sidecar("cart", "cart", flags...)
	db2, orders2, calls2, flags := at()
	m.sidecar("web", "web", flags...)
	from(t, db, "data")
	from(t, orders, "orders")
	eventually(t, "calls answer", func() error { return callHealth(t, calls) })
	traffic := func() error {
		_, err := get(db, "/any")
		return errors.Join(err, send(orders, "GET", "/orders/17"), send(orders, "GET", "/orders/18"), send(orders, "POST", "/orders"), callHealth(t, calls))
	}
	if err := traffic(); err != nil {
		t.Fatal(err)
	}
	var policies string
	eventually(t, "policies are suggested", func() (err error) {
		if policies, err = m.command("policy", "suggest", "--since", "1h", "--enforce"); err != nil {
			return errors.New(policies)
		}
		for _, want := range []string{
			"suggested-db", "suggested-orders", "suggested-calls", `value: "/orders/[^/]+"`, `methods: ["POST"]`, `service: "grpc.health.v1.Health", method: "Check"`, "little evidence", "connections from 1 address",
		} {
			if !strings.Contains(policies, want) {
				return fmt.Errorf("no %q in\n%s", want, policies)
			}
		}
		return nil
	})
	m.write(policies)
	refused := func(what string, f func() error) {
		t.Helper()
		eventually(t, what+" is refused", func() error {
			if f() == nil {
				return errors.New("it is let in")
			}
			return nil
		})
	}
	refused("web at orders", func() error { return send(orders2, "GET", "/orders/17") })
	refused("web at db", func() error { _, err := get(db2, "/"); return err })
	refused("web at calls", func() error { return callHealth(t, calls2) })
	refused("another method", func() error { return send(orders, "DELETE", "/orders/17") })
	refused("another path", func() error { return send(orders, "GET", "/admin") })
	if err := traffic(); err != nil {
		t.Errorf("what was seen is refused: %v", err)
	}
	eventually(t, "refusals are told", func() error {
		out, err := m.command("policy", "suggest", "orders", "--since", "1h")
		if err == nil && !strings.Contains(out, "refused by default/suggested-orders") {
			err = errors.New("not there")
		}
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	// A control plane that starts again knows it still.
	m.control.end()
	m.start()
	again, err := m.command("policy", "suggest", "orders", "--enforce", "-o", "json")
	if err != nil || !strings.Contains(again, `"suggested-orders"`) {
		t.Errorf("after a restart: %v\n%s", err, again)
	}
}
