package extauthz

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long anything may take that should happen soon.
const patience = 60 * time.Second

var program string

func TestMain(m *testing.M) {
	// It stays, so that the suites after this one need not link it again.
	var err error
	if program, err = filepath.Abs("../../bin/gridway-race"); err != nil {
		panic(err)
	}
	build := exec.Command("go", "build", "-race", "-o", program, "./cmd/gridway")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// gridway is a running `gridway run`.
type gridway struct {
	t    *testing.T
	dir  string
	cmd  *exec.Cmd
	log  *buffer
	api  *http.Client
	done chan struct{}
	err  error // of Wait, once done is closed
}

// start runs the documents.
func start(t *testing.T, yaml string) *gridway {
	t.Helper()
	dir, err := os.MkdirTemp("", "authz") // short: a socket's path must be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	g := &gridway{t: t, dir: dir, log: &buffer{}, done: make(chan struct{})}
	g.write(yaml)
	socket := filepath.Join(dir, "admin")
	g.api = &http.Client{Timeout: patience, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}}
	t.Cleanup(g.api.CloseIdleConnections)
	g.cmd = exec.Command(program, "run", g.file(), "--admin", "unix:"+socket, "--access-log", filepath.Join(dir, "access.log"),
		"--drain-timeout", "2s")
	g.cmd.Stderr = g.log
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		g.err = g.cmd.Wait()
		close(g.done)
	}()
	t.Cleanup(func() {
		g.cmd.Process.Kill()
		<-g.done
		if strings.Contains(g.log.String(), "DATA RACE") {
			t.Error("a data race")
		}
		if t.Failed() {
			t.Logf("log of gridway:\n%s", g.log)
		}
	})
	if !eventually(func() bool {
		select {
		case <-g.done:
			t.Fatalf("gridway ended: %v", g.err)
		default:
		}
		resp, err := g.api.Get("http://localhost/readyz")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil && resp.StatusCode == 200
	}) {
		t.Fatal("gridway is not ready")
	}
	return g
}

func (g *gridway) file() string { return filepath.Join(g.dir, "gridway.yaml") }

func (g *gridway) write(yaml string) {
	g.t.Helper()
	next := filepath.Join(g.dir, ".next")
	if err := errors.Join(os.WriteFile(next, []byte(yaml), 0o600), os.Rename(next, g.file())); err != nil {
		g.t.Fatal(err)
	}
}

func (g *gridway) accessLog() string {
	text, _ := os.ReadFile(filepath.Join(g.dir, "access.log"))
	return string(text)
}

// freePort is one that nobody listened on a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// eventually polls until f is true; false if it never was.
func eventually(f func() bool) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-timeout.C:
			return false
		}
	}
	return true
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
