package mesh

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// tapped is an event of "gridway tap -o json".
type tapped struct {
	Type, Proxy, Direction, Method, Path, Protocol, Policy, Query, Why, RequestID string

	Status              int
	GRPC                *struct{ Method, Status string }
	Source, Destination struct {
		Service string
		MTLS    bool
	}
	RequestHeaders []struct{ Name, Value string }
	Limited, Lost  uint64
}

// tapping is a tap that looks.
type tapping struct {
	*process
	t *testing.T
}

// tap begins to look at an admin API, by default the control plane's.
func (m *mesh) tap(flags ...string) *tapping {
	m.t.Helper()
	args := append([]string{"tap", "-o", "json", "--for", "5m"}, flags...)
	env := []string{}
	if !strings.Contains(strings.Join(flags, " "), "--admin") {
		args = append(args, "--admin", "unix:"+filepath.Join(m.dir, "admin"))
	}
	first, err := os.ReadFile(filepath.Join(m.state(), "first-tokens"))
	if err != nil {
		m.t.Fatal(err)
	}
	for line := range strings.Lines(string(first)) {
		if role, token, _ := strings.Cut(strings.TrimSpace(line), " "); role == "operator" {
			env = append(env, "GRIDWAY_TOKEN="+strings.TrimSpace(token))
		}
	}
	return &tapping{runOn(m.t, nil, env, args...), m.t}
}

// events are those that it has shown.
func (p *tapping) events() (out []tapped) {
	text := p.log.String()
	for line := range strings.Lines(text) {
		var e tapped
		if strings.HasSuffix(line, "\n") {
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				p.t.Fatalf("%v: %s", err, line)
			}
			out = append(out, e)
		}
	}
	return out
}

// shows waits for an event, while traffic goes on.
func (p *tapping) shows(what string, traffic func() error, is func(e tapped) bool) tapped {
	p.t.Helper()
	var found tapped
	eventually(p.t, what, func() error {
		if err := traffic(); err != nil {
			return err
		}
		for _, e := range p.events() {
			if is(e) {
				found = e
				return nil
			}
		}
		return errors.New(p.log.String())
	})
	return found
}

const denyAdmin = `
apiVersion: gridway.dev/v1alpha1
kind: AuthorizationPolicy
metadata: {name: nobody-in-admin, namespace: default}
spec:
  targetRefs: [{group: "", kind: Service, name: orders}]
  action: Deny
  rules: [{name: closed, paths: [{type: PathPrefix, value: /admin}]}]
`

// One tap at the control plane shows what all sidecars see, of HTTP, gRPC and TCP, as far as
// filters want it, and nothing of what is secret.
func TestTap(t *testing.T) {
	m := newMesh(t, denyAdmin)
	m.sidecar("orders", "orders")
	m.speaking("kubernetes.io/h2c", "calls", healthProgram)
	m.speaking("tcp", "db", "data")
	orders, calls, db := port(t), port(t), port(t)
	m.sidecar("web", "web", "--upstream", "orders=:"+orders, "--upstream", "calls=:"+calls, "--upstream", "db=:"+db)
	from(t, orders, "orders")
	from(t, db, "data")
	eventually(t, "calls answer", func() error { return callHealth(t, calls) })
	traffic := func() error {
		_, err := get(orders, "/orders/17?token=sesame", func(r *http.Request) {
			r.Header.Set("Authorization", "Bearer sesame")
			r.Header.Set("X-Tenant", "blue")
		})
		_, _ = get(orders, "/admin/keys") // which is refused
		_, err2 := get(db, "/any")
		return errors.Join(err, err2, callHealth(t, calls))
	}
	all := m.tap("--show", "x-tenant", "--show", "authorization")
	denied := m.tap("--denied")
	in := all.shows("an exchange into a workload", traffic, func(e tapped) bool {
		return e.Direction == "inbound" && e.Path == "/orders/17" && strings.HasPrefix(e.Proxy, "default/orders/")
	})
	if in.Source.Service != "web" || !in.Source.MTLS || in.Destination.Service != "orders" || in.Status != 200 || in.Query != "token=*" {
		t.Errorf("%+v", in)
	}
	if fmt.Sprint(in.RequestHeaders) != "[{x-tenant blue} {authorization *}]" {
		t.Errorf("%+v", in.RequestHeaders)
	}
	out := all.shows("the same out of the other", traffic, func(e tapped) bool {
		return e.Direction == "outbound" && e.Path == "/orders/17" && strings.HasPrefix(e.Proxy, "default/web/")
	})
	if out.Source.Service != "web" || out.Destination.Service != "orders" || !out.Destination.MTLS {
		t.Errorf("%+v", out)
	}
	all.shows("a call of gRPC", traffic, func(e tapped) bool { return e.GRPC != nil && e.GRPC.Method == "Check" && e.GRPC.Status == "OK" })
	all.shows("a stream that opens", traffic, func(e tapped) bool { return e.Type == "open" && e.Destination.Service == "db" })
	all.shows("a stream that ends", traffic, func(e tapped) bool {
		return e.Type == "stream" && e.Direction == "inbound" && e.Source.Service == "web" && e.Destination.Service == "db"
	})
	denied.shows("what was refused", traffic, func(e tapped) bool { return e.Policy == "default/nobody-in-admin" && e.Status == 403 })
	for _, e := range denied.events() {
		if e.Path != "/admin/keys" {
			t.Errorf("not asked for: %+v", e)
		}
	}
	if text := all.log.String(); strings.Contains(text, "sesame") {
		t.Error("a secret is shown")
	}
	own := m.tap("--admin", "unix:"+filepath.Join(m.dir, "orders-orders", "admin.sock"), "--max", "2")
	own.shows("what one sidecar sees", traffic, func(e tapped) bool { return e.Direction == "inbound" })
	if err := traffic(); err != nil { // the second that it waits for
		t.Error(err)
	}
	if code := own.ended(); code != 0 || len(own.events()) != 2 {
		t.Errorf("exit code %d, %s", code, own.log)
	}
	audit, err := m.command("audit", "--object", "traffic")
	if err != nil || !strings.Contains(audit, "tap") {
		t.Errorf("%v: %s", err, audit)
	}
}

// Streams show when they begin, and again when they end; with --open every request does.
func TestTapShowsWhatBegins(t *testing.T) {
	m := newMesh(t, "")
	m.sidecar("orders", "orders")
	m.speaking("kubernetes.io/h2c", "calls", healthProgram)
	orders, calls := port(t), port(t)
	m.sidecar("web", "web", "--upstream", "orders=:"+orders, "--upstream", "calls=:"+calls)
	from(t, orders, "orders")
	eventually(t, "calls answer", func() error { return callHealth(t, calls) })
	all := m.tap("--open", "--show", "x-tenant")
	byDefault := m.tap("--to", "orders")
	traffic := func() error {
		_, err := get(orders, "/orders/17", func(r *http.Request) { r.Header.Set("X-Tenant", "blue") })
		return err
	}
	begun := all.shows("a request that begins", traffic, func(e tapped) bool {
		return e.Type == "open" && e.Direction == "inbound" && e.Path == "/orders/17"
	})
	if begun.Status != 0 || begun.Source.Service != "web" || begun.Destination.Service != "orders" || fmt.Sprint(begun.RequestHeaders) != "[{x-tenant blue}]" {
		t.Errorf("%+v", begun)
	}
	all.shows("the same request's end", traffic, func(e tapped) bool {
		return e.Type == "exchange" && e.Direction == "inbound" && e.RequestID == begun.RequestID && e.Status == 200
	})
	byDefault.shows("a request's end", traffic, func(e tapped) bool { return e.Type == "exchange" })
	for _, e := range byDefault.events() {
		if e.Type == "open" {
			t.Errorf("nobody has asked for what begins: %+v", e)
		}
	}
	// The server of a call says one thing, and keeps it open.
	c, err := grpc.NewClient("127.0.0.1:"+calls, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	watch, err := grpc_health_v1.NewHealthClient(c).Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	if err == nil {
		_, err = watch.Recv()
	}
	if err != nil {
		t.Fatal(err)
	}
	isWatch := func(e tapped) bool { return e.Direction == "outbound" && e.GRPC != nil && e.GRPC.Method == "Watch" }
	all.shows("a call that begins", traffic, func(e tapped) bool { return e.Type == "open" && isWatch(e) })
	for _, e := range all.events() {
		if e.Type == "exchange" && isWatch(e) {
			t.Errorf("the call goes on: %+v", e)
		}
	}
	c.Close()
	all.shows("the call's end", traffic, func(e tapped) bool { return e.Type == "exchange" && isWatch(e) })
}

// A tap of everything under load, whose reader takes nothing, changes nothing for traffic
// and for the control plane.
func TestATapOfEverythingDisturbsNobody(t *testing.T) {
	m := newMesh(t, "")
	m.sidecar("orders", "orders")
	orders := port(t)
	m.sidecar("web", "web", "--upstream", "orders=:"+orders)
	from(t, orders, "orders")
	stuck := m.tap("--rate", "5000", "--show", "user-agent")
	shown := m.tap("--rate", "5")
	shown.shows("something", func() error { _, err := get(orders, "/"); return err }, func(e tapped) bool { return e.Type == "exchange" })
	_ = stuck.cmd.Process.Signal(syscall.SIGSTOP)
	client := &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 4}}
	defer client.CloseIdleConnections()
	var load sync.WaitGroup
	failed := make(chan error, 4)
	until := time.Now().Add(2 * time.Second)
	for range 4 {
		load.Go(func() {
			for time.Now().Before(until) {
				resp, err := client.Get("http://127.0.0.1:" + orders + "/load")
				if err == nil {
					resp.Body.Close()
					if resp.StatusCode != 200 {
						err = errors.New(resp.Status)
					}
				}
				if err != nil {
					failed <- err
					return
				}
			}
		})
	}
	slowest := time.Duration(0)
	for time.Now().Before(until) {
		began := time.Now()
		if out, err := m.command("status"); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		slowest = max(slowest, time.Since(began))
	}
	load.Wait()
	select {
	case err := <-failed:
		t.Error(err)
	default:
	}
	if slowest > 5*time.Second {
		t.Errorf("the control plane took %s to say its status", slowest)
	}
	eventually(t, "what was left out is told", func() error {
		for _, e := range shown.events() {
			if e.Type == "left-out" && e.Limited > 0 {
				return nil
			}
		}
		return errors.New(shown.log.String())
	})
}
