package app_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gridway/gridway/internal/app"
	"github.com/gridway/gridway/internal/config/source/file"
	"github.com/gridway/gridway/internal/statedb/statetest"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
	"github.com/gridway/gridway/internal/testport"
)

func TestMain(m *testing.M) {
	// Idle keep-alive connections of the default client are no leak.
	goleak.VerifyTestMain(statetest.Stopping{TestingM: m}, goleak.Cleanup(func(code int) {
		http.DefaultClient.CloseIdleConnections()
		os.Exit(code)
	}))
}

// config is a gateway on the ports that sends everything to the upstream.
func config(upstream string, ports ...int) string {
	var listeners strings.Builder
	for i, p := range ports {
		fmt.Fprintf(&listeners, "  - {name: l%d, port: %d, protocol: HTTP}\n", i, p)
	}
	return fmt.Sprintf(`apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: gridway
  addresses: [{type: IPAddress, value: 127.0.0.1}]
  listeners:
%s---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: all}
spec:
  parentRefs: [{name: edge}]
  rules: [{backendRefs: [{group: gridway.dev, kind: Backend, name: up}]}]
---
apiVersion: gridway.dev/v1alpha1
kind: Backend
metadata: {name: up}
spec: {endpoints: [{address: %q}]}
`, listeners.String(), strings.TrimPrefix(upstream, "http://"))
}

type running struct {
	*app.Gateway
	path string
	api  *client.Client
	stop context.CancelFunc
	cut  context.CancelFunc
	done chan error
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func start(t *testing.T, text string, change func(*app.Options)) *running {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gateway.yaml")
	write(t, path, text)
	o := app.Options{Source: app.Files([]string{path}, file.Options{}), Admin: "127.0.0.1:0", DrainTimeout: 10 * time.Second, StateDir: filepath.Dir(path)}
	if change != nil {
		change(&o)
	}
	g, err := app.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	r := &running{Gateway: g, path: path, done: make(chan error, 1)}
	if r.api, err = client.New(client.Options{Address: g.AdminAddr().String()}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	cut, cutNow := context.WithCancel(context.Background())
	r.stop, r.cut = stop, cutNow
	go func() { r.done <- g.Run(ctx, cut) }()
	t.Cleanup(func() {
		r.api.Close()
		stop()
		cutNow()
		<-r.done
	})
	return r
}

// ended waits for Run and leaves its result for the cleanup.
func (r *running) ended(t *testing.T) error {
	t.Helper()
	select {
	case err := <-r.done:
		r.done <- err
		return err
	case <-time.After(20 * time.Second):
		t.Fatal("the gateway does not end")
		return nil
	}
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for !f() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: never", what)
		}
	}
}

func fetch(url string) (int, string) {
	resp, err := http.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(b)
}

func named(t *testing.T, name string) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, name) }))
	t.Cleanup(s.Close)
	return s
}

func (r *running) status(t *testing.T) *adminapi.Status {
	t.Helper()
	s, err := r.api.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestReloadsWithoutAFailedRequest(t *testing.T) {
	one, two := named(t, "one"), named(t, "two")
	port := testport.Free(t)
	url := fmt.Sprintf("http://127.0.0.1:%d/", port)
	r := start(t, config(one.URL, port), nil)
	var failed, sent atomic.Int64
	ctx, stopLoad := context.WithCancel(t.Context())
	loadEnded := make(chan struct{})
	go func() {
		defer close(loadEnded)
		for ctx.Err() == nil {
			sent.Add(1)
			if code, body := fetch(url); code != 200 || body != "one" && body != "two" {
				failed.Add(1)
				t.Errorf("%d %s", code, body)
			}
		}
	}()
	for i := range 10 {
		target := two
		if i%2 == 1 {
			target = one
		}
		write(t, r.path, config(target.URL, port))
		want := uint64(i + 2)
		eventually(t, fmt.Sprintf("revision %d", want), func() bool { return r.status(t).Revision.Number >= want })
	}
	stopLoad()
	<-loadEnded
	if failed.Load() > 0 || sent.Load() < 10 {
		t.Errorf("%d of %d requests failed", failed.Load(), sent.Load())
	}
}

func TestStartFailsAndGivesEverythingBack(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port, admin := taken.Addr().(*net.TCPAddr).Port, fmt.Sprintf("127.0.0.1:%d", testport.Free(t))
	try := func(text, admin string) error {
		path := filepath.Join(t.TempDir(), "gateway.yaml")
		write(t, path, text)
		_, err := app.Start(t.Context(), app.Options{Source: app.Files([]string{path}, file.Options{}), Admin: admin})
		return err
	}
	if err := try(config("http://127.0.0.1:1", port), admin); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("port taken: %v", err)
	}
	if ln, err := net.Listen("tcp", admin); err != nil {
		t.Errorf("the admin address was not given back: %v", err)
	} else {
		ln.Close()
	}
	if err := try(config("http://127.0.0.1:1", testport.Free(t)), taken.Addr().String()); !errors.Is(err, app.ErrAdminTaken) {
		t.Errorf("admin address taken: %v", err)
	}
	var bad *app.StartError
	if err := try(config("http://127.0.0.1:1", testport.Free(t))+"---\nkind: Nothing\n", admin); !errors.As(err, &bad) {
		t.Errorf("broken document: %v", err)
	}
	if err := try("", admin); !errors.Is(err, app.ErrNoListener) {
		t.Errorf("no listener: %v", err)
	}
}

func TestAListenerThatCannotOpenLaterIsTold(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	up, port := named(t, "up"), testport.Free(t)
	r := start(t, config(up.URL, port), nil)
	write(t, r.path, config(up.URL, port, taken.Addr().(*net.TCPAddr).Port))
	eventually(t, "revision 2", func() bool { return r.status(t).Revision.Number == 2 })
	s := r.status(t)
	if s.LastFailure == nil || len(s.Listeners) != 2 {
		t.Fatalf("%+v", s)
	}
	failed := 0
	for _, l := range s.Listeners {
		if l.State == "failed" {
			failed++
			if !strings.Contains(l.Error, "in use") {
				t.Errorf("%s failed with %q", l.Name, l.Error)
			}
		}
	}
	if failed != 1 {
		t.Errorf("%d listeners failed: %+v", failed, s.Listeners)
	}
	conditions := map[string]string{}
	for _, o := range s.Statuses {
		for _, c := range o.Conditions {
			if c.Type == "Programmed" {
				conditions[c.Of] = c.Status
			}
		}
	}
	if conditions["listener l0"] != "True" || conditions["listener l1"] != "False" {
		t.Errorf("Programmed: %v", conditions)
	}
	if code, _ := fetch(fmt.Sprintf("http://127.0.0.1:%d/", port)); code != 200 {
		t.Errorf("the listener that works answers %d", code)
	}

	eventually(t, "it is tried again", func() bool {
		for _, l := range r.status(t).Listeners {
			if l.Tries > 0 && l.State == "failed" && time.Until(l.NextTry) < time.Minute {
				return true
			}
		}
		return false
	})
	// A change that has nothing to do with it does not make it forget why.
	write(t, r.path, "# a comment\n"+config(up.URL, port, taken.Addr().(*net.TCPAddr).Port))
	taken.Close()
	eventually(t, "it opens once the port is free, and nothing is wrong any more", func() bool {
		s = r.status(t)
		return s.LastFailure == nil && s.Listeners[0].State == "listening" && s.Listeners[1].State == "listening"
	})
	if code, _ := fetch("http://" + taken.Addr().String() + "/"); code != 200 {
		t.Errorf("the listener that opened late answers %d", code)
	}
	for _, o := range s.Statuses {
		for _, c := range o.Conditions {
			if c.Type == "Programmed" && c.Status != "True" {
				t.Errorf("%s %s: %+v", o.Object, c.Of, c)
			}
		}
	}
}

// slow is an upstream whose answers wait for release.
func slow(t *testing.T) (s *httptest.Server, arrived chan struct{}, release chan struct{}) {
	arrived, release = make(chan struct{}, 1), make(chan struct{})
	s = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		select {
		case <-release:
			fmt.Fprint(w, "done")
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(s.Close)
	return s, arrived, release
}

func TestDrainLetsRequestsFinish(t *testing.T) {
	up, arrived, release := slow(t)
	port := testport.Free(t)
	r := start(t, config(up.URL, port), nil)
	answer := make(chan string, 1)
	go func() {
		code, body := fetch(fmt.Sprintf("http://127.0.0.1:%d/", port))
		answer <- fmt.Sprint(code, body)
	}()
	<-arrived
	r.stop()
	eventually(t, "draining", func() bool { s, err := r.api.Status(t.Context()); return err == nil && s.State == adminapi.Draining })
	close(release)
	if got := <-answer; got != "200done" {
		t.Errorf("the request under way got %s", got)
	}
	if err := r.ended(t); err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestCutEndsADrainAtOnce(t *testing.T) {
	up, arrived, _ := slow(t)
	port := testport.Free(t)
	r := start(t, config(up.URL, port), func(o *app.Options) { o.DrainTimeout = time.Hour })
	answer := make(chan int, 1)
	go func() {
		code, _ := fetch(fmt.Sprintf("http://127.0.0.1:%d/", port))
		answer <- code
	}()
	<-arrived
	r.stop()
	r.cut()
	if err := r.ended(t); err == nil {
		t.Error("a request was cut off and Run says nothing")
	}
	if code := <-answer; code == 200 {
		t.Error("the request was answered 200")
	}
}

func TestReopenLogs(t *testing.T) {
	up, port := named(t, "up"), testport.Free(t)
	log := filepath.Join(t.TempDir(), "access.json")
	r := start(t, config(up.URL, port), func(o *app.Options) { o.AccessLog = log })
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	holds := func(path, text string) func() bool {
		return func() bool {
			b, err := os.ReadFile(path)
			return err == nil && strings.Contains(string(b), text)
		}
	}
	fetch(url + "/before")
	eventually(t, "first entry", holds(log, "/before"))
	if err := os.Rename(log, log+".1"); err != nil {
		t.Fatal(err)
	}
	if err := r.ReopenLogs(t.Context()); err != nil {
		t.Fatal(err)
	}
	fetch(url + "/after")
	eventually(t, "entry in the new file", holds(log, "/after"))
	if holds(log+".1", "/after")() {
		t.Error("the old file is still written")
	}
}
