package acme

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long anything may take that should happen soon: an authority
// is asked again after five seconds at the earliest.
const patience = 40 * time.Second

var program string

func TestMain(m *testing.M) {
	// Pebble looks at once, does not rely on what it has seen before, and finds
	// fault with every fifth good nonce.
	os.Setenv("PEBBLE_VA_NOSLEEP", "1")
	os.Setenv("PEBBLE_AUTHZREUSE", "0")
	os.Setenv("PEBBLE_WFE_NONCEREJECT", "20")
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

// start runs the documents with a folder of state.
func start(t *testing.T, yaml, state string) *gridway {
	t.Helper()
	dir, err := os.MkdirTemp("", "acme") // short: a socket's path must be
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
	g.cmd = exec.Command(program, "run", g.file(), "--admin", "unix:"+socket, "--access-log", "off",
		"--state-dir", state, "--drain-timeout", "2s")
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

// stop ends the process as a user does.
func (g *gridway) stop() {
	g.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-g.done:
	case <-time.After(patience):
		g.t.Error("gridway does not end")
		g.cmd.Process.Kill()
		<-g.done
	}
}

// get reads a path of the admin API.
func (g *gridway) get(path string) string {
	g.t.Helper()
	resp, err := g.api.Get("http://localhost" + path)
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		g.t.Fatalf("%s: %d %v %s", path, resp.StatusCode, err, text)
	}
	return string(text)
}

type certificate struct {
	Secret, Phase, Error string
	Names                []string
	Valid                bool
	NotAfter, NextTry    time.Time
	Failures             int
}

// certificates are what the status shows.
func (g *gridway) certificates() []certificate {
	g.t.Helper()
	var s struct{ Certificates []certificate }
	if err := json.Unmarshal([]byte(g.get("/v1/status")), &s); err != nil {
		g.t.Fatal(err)
	}
	return s.Certificates
}

// reaches waits until the only certificate is in a phase.
func (g *gridway) reaches(phase string) certificate {
	g.t.Helper()
	var list []certificate
	if !eventually(func() bool {
		list = g.certificates()
		return len(list) == 1 && list[0].Phase == phase
	}) {
		g.t.Fatalf("not %s: %+v", phase, list)
	}
	return list[0]
}

// metric returns the value of the sample whose labels contain with.
func (g *gridway) metric(name, with string) float64 {
	g.t.Helper()
	for line := range strings.Lines(g.get("/metrics")) {
		if strings.HasPrefix(line, name+"{") && strings.Contains(line, with) {
			v, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]), 64)
			if err != nil {
				g.t.Fatal(err)
			}
			return v
		}
	}
	g.t.Fatalf("no metric %s with %s", name, with)
	return 0
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

// ports returns free ports for a listener of HTTP and one of HTTPS.
func ports(t *testing.T) (plain, secure int) {
	t.Helper()
	var out []int
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		out = append(out, l.Addr().(*net.TCPAddr).Port)
	}
	return out[0], out[1]
}

func local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// secrets lists what is stored and must be told to nobody.
func secrets(t *testing.T, state string) (lines []string) {
	t.Helper()
	err := filepath.WalkDir(state, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var v struct{ Key string }
		if json.Unmarshal(text, &v) == nil && v.Key != "" {
			for line := range strings.Lines(v.Key) {
				if line = strings.TrimSpace(line); !strings.HasPrefix(line, "-----") {
					lines = append(lines, line)
				}
			}
		}
		return nil
	})
	if err != nil || len(lines) < 4 {
		t.Fatalf("%d lines of keys are stored, %v", len(lines), err)
	}
	return lines
}
