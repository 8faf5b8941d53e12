package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/statedb/statetest"
	"github.com/gridway/gridway/test/built"
)

// process is `gridway run` as a user starts it: the built binary, files, and
// ports of its own.
type process struct {
	t    *testing.T
	dir  string
	cmd  *exec.Cmd
	log  *lockedBuffer
	api  *http.Client
	done chan struct{}
	err  error // of Wait, once done is closed
}

// binary is gridway, the same for all tests.
var binary = built.Gridway

func TestMain(m *testing.M) {
	allowExtendedConnect()
	code := statetest.Stopping{TestingM: m}.Run()
	_ = built.Remove()
	os.Exit(code)
}

// start runs `gridway run` with the documents until it serves.
func start(t *testing.T, yaml string, flags ...string) *process {
	t.Helper()
	return startWith(t, yaml, func(*exec.Cmd) {}, flags...)
}

// startWith is start with a change of the command, such as its outputs.
func startWith(t *testing.T, yaml string, change func(*exec.Cmd), flags ...string) *process {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "e2e") // short: a socket's path must be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &process{t: t, dir: dir, log: &lockedBuffer{}, done: make(chan struct{})}
	p.write(yaml)
	socket := filepath.Join(dir, "admin")
	p.api = &http.Client{Timeout: onBusy, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}}
	t.Cleanup(p.api.CloseIdleConnections)
	flags = append([]string{"run", p.file(), "--admin", "unix:" + socket, "--access-log", filepath.Join(dir, "access"), "--log-level", "debug", "--upgrade-socket", "off"}, flags...)
	p.cmd = exec.Command(path, flags...)
	p.cmd.Stderr = p.log
	change(p.cmd)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.done
		if t.Failed() {
			t.Logf("log of gridway:\n%s", p.log)
		}
	})
	eventually(t, "gridway is ready", func() bool {
		select {
		case <-p.done:
			t.Fatalf("gridway ended: %v\n%s", p.err, p.log)
		default:
		}
		resp, err := p.api.Get("http://localhost/readyz")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil && resp.StatusCode == 200
	})
	return p
}

func (p *process) file() string { return filepath.Join(p.dir, "gridway.yaml") }

// write replaces the file as editors do: the new one is renamed over the old.
func (p *process) write(yaml string) {
	p.t.Helper()
	next := filepath.Join(p.dir, ".next")
	if err := os.WriteFile(next, []byte(yaml), 0o600); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Rename(next, p.file()); err != nil {
		p.t.Fatal(err)
	}
}

// reload writes the documents and waits until they serve.
func (p *process) reload(yaml string) {
	p.t.Helper()
	before := p.revision()
	p.write(yaml)
	eventually(p.t, "the change serves", func() bool { return p.revision() > before })
}

func (p *process) admin(path string) string {
	p.t.Helper()
	resp, err := p.api.Get("http://localhost" + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		p.t.Fatalf("admin API: %s: %d %v", path, resp.StatusCode, err)
	}
	return string(b)
}

func (p *process) revision() uint64 {
	p.t.Helper()
	var s struct {
		Revision struct{ Number uint64 }
	}
	if err := json.Unmarshal([]byte(p.admin("/v1/status")), &s); err != nil {
		p.t.Fatal(err)
	}
	return s.Revision.Number
}

// metric is the sum of the samples of a family whose labels contain all of with.
func (p *process) metric(family string, with ...string) float64 {
	p.t.Helper()
	return sumOf(p.t, p.admin("/metrics"), family, with)
}

// accessed waits for an access log entry that contains all of with.
func (p *process) accessed(with ...string) string {
	p.t.Helper()
	var found string
	eventually(p.t, fmt.Sprintf("an access log entry with %q", with), func() bool {
		b, _ := os.ReadFile(filepath.Join(p.dir, "access"))
		found = lineWith(string(b), with)
		return found != ""
	})
	return found
}

// said waits for a line of the log that contains all of with.
func (p *process) said(with ...string) string {
	p.t.Helper()
	var found string
	eventually(p.t, fmt.Sprintf("a line of the log with %q", with), func() bool {
		found = lineWith(p.log.String(), with)
		return found != ""
	})
	return found
}

func lineWith(text string, with []string) string {
	for line := range strings.Lines(text) {
		if !slices.ContainsFunc(with, func(s string) bool { return !strings.Contains(line, s) }) {
			return line
		}
	}
	return ""
}

// terminate sends SIGTERM.
func (p *process) terminate() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
}

// ended waits for the process to end, and returns its exit code.
func (p *process) ended(within time.Duration) int {
	p.t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(max(within, onBusy)):
		p.t.Fatalf("gridway has not ended within %v", max(within, onBusy))
		return -1
	}
}

var portsTaken atomic.Int64

// ownPort is a port that is free and that the kernel gives to nobody by
// itself: it is below the range of ephemeral ports.
func ownPort(t *testing.T) int {
	t.Helper()
	for range 1000 {
		port := 20000 + (os.Getpid()*37+int(portsTaken.Add(1)))%12000
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}

// dialPort opens a raw connection.
func dialPort(t *testing.T, port int) *wire {
	t.Helper()
	c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), patience)
	if err != nil {
		t.Fatal(err)
	}
	return newWire(t, c)
}

// gatewayOn is a Gateway whose listeners are given, one YAML flow mapping each.
func gatewayOn(more string, listeners ...string) string {
	return `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: gridway
  listeners:
  - ` + strings.Join(listeners, "\n  - ") + "\n" + indent(2, more)
}

// plainOn is a Gateway with one HTTP listener.
func plainOn(port int) string {
	return gatewayOn("", fmt.Sprintf("{name: http, port: %d, protocol: HTTP}", port))
}
