// Package mesh has tests of whole meshes: a control plane, sidecars with programs, and
// edges, each a process of the built binary, on loopback.
package mesh

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
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

	"github.com/gridway/gridway/internal/testport"
	"github.com/gridway/gridway/test/built"
	"github.com/gridway/gridway/test/netns"
)

const patience = 30 * time.Second

// asProgram is the variable that makes the test's own binary the program beside a sidecar.
const asProgram = "GRIDWAY_TEST_PROGRAM"

// healthProgram is the name of a program that speaks gRPC.
const healthProgram = "health"

func TestMain(m *testing.M) {
	if text := os.Getenv(asProgram); text != "" {
		program(text)
	}
	code := m.Run()
	_ = built.Remove()
	os.Exit(code)
}

// program answers on a port with its name and what it was asked: "NAME PORT", or
// "NAME ADDRESS:PORT…".
func program(text string) {
	name, at, _ := strings.Cut(text, " ")
	if name == healthProgram {
		serveHealth(at)
	}
	if name == connectProgram {
		if err := connectTo(at); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		os.Exit(0)
	}
	if name == statusesProgram {
		serveStatuses(at)
	}
	if name == "load" {
		loadProgram(at)
	}
	if name == "spiffe" {
		fmt.Fprintln(os.Stderr, spiffeProgram(at))
		os.Exit(3)
	}
	if !strings.Contains(at, ":") {
		at = "127.0.0.1:" + at
	}
	answers := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if relay(w, r) || openWebSocket(w, r) {
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"name": name, "path": r.URL.Path, "host": r.Host, "header": r.Header})
	})
	first, others, _ := strings.Cut(at, " ")
	for _, other := range strings.Fields(others) {
		go func() { fmt.Fprintln(os.Stderr, http.ListenAndServe(other, answers)) }()
	}
	fmt.Fprintln(os.Stderr, http.ListenAndServe(first, answers))
	os.Exit(3)
}

var binary = built.Gridway

// process is a running gridway.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	log  *buffer
	done chan struct{}
	port string // of the program, if there is one
}

type buffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func run(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	return runOn(t, nil, env, args...)
}

// runOn is run on a host of a network; nil is this one.
func runOn(t *testing.T, host *netns.Host, env []string, args ...string) *process {
	t.Helper()
	return runBinary(t, "", host, env, args...)
}

// runBinary is runOn with another binary than gridway's, if path is not empty.
func runBinary(t *testing.T, path string, host *netns.Host, env []string, args ...string) *process {
	t.Helper()
	if path == "" {
		var err error
		if path, err = binary(); err != nil {
			t.Fatal(err)
		}
	}
	p := &process{t: t, cmd: exec.Command(path, args...), log: &buffer{}, done: make(chan struct{})}
	start := p.cmd.Start
	if host != nil {
		p.cmd = host.Command(path, args...)
		start = func() (err error) {
			host.Do(func() { err = p.cmd.Start() })
			return err
		}
	}
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.Env = append(append(os.Environ(), "GRIDWAY_CONTROL=", "GRIDWAY_STATE="), env...)
	if err := start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
		if t.Failed() {
			t.Logf("%s\n%s", strings.Join(args, " "), p.log)
		}
	})
	return p
}

// said waits until the process has written a text.
func (p *process) said(text string) {
	p.t.Helper()
	eventually(p.t, fmt.Sprintf("%q in the log of %s", text, p.cmd.Args[1]), func() error {
		select {
		case <-p.done:
			if !strings.Contains(p.log.String(), text) {
				p.t.Fatalf("it ended: %s\n%s", p.cmd.ProcessState, p.log)
			}
		default:
		}
		if !strings.Contains(p.log.String(), text) {
			return errors.New(p.log.String())
		}
		return nil
	})
}

// end asks the process to, and returns its exit code.
func (p *process) end() int {
	p.t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	return p.ended()
}

func (p *process) ended() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatal("it does not end")
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

func eventually(t *testing.T, what string, f func() error) {
	t.Helper()
	within(t, patience, what, f)
}

func within(t *testing.T, limit time.Duration, what string, f func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if err = f(); err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}

// mesh is a control plane with its files.
type mesh struct {
	t       *testing.T
	host    *netns.Host // nil is this one
	dir     string
	address string
	control *process
	token   string
	flags   []string // of the control plane
	with    string   // path of the binary that members run; empty is gridway's
}

// newMesh starts a control plane with a configuration, and flags of its own.
func newMesh(t *testing.T, yaml string, flags ...string) *mesh {
	t.Helper()
	return newMeshOn(t, nil, "127.0.0.1:"+port(t), yaml, flags...)
}

// newMeshOn is newMesh on a host, where proxies find it at an address.
func newMeshOn(t *testing.T, host *netns.Host, address, yaml string, flags ...string) *mesh {
	t.Helper()
	dir, err := os.MkdirTemp("", "mesh")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	m := &mesh{t: t, host: host, dir: dir, address: address, flags: flags}
	m.write(yaml)
	m.start()
	m.token = m.join("--service", "*", "--namespace", "*", "--reusable")
	return m
}

func (m *mesh) state() string { return filepath.Join(m.dir, "control") }

func (m *mesh) start() {
	m.t.Helper()
	args := []string{"control", filepath.Join(m.dir, "mesh.yaml"), "--mesh", m.address, "--state-dir", m.state(), "--admin", "unix:" + filepath.Join(m.dir, "admin"), "--upgrade-socket", "off"}
	m.control = runOn(m.t, m.host, nil, append(args, m.flags...)...)
	m.control.said("control plane")
}

func (m *mesh) write(yaml string) {
	m.t.Helper()
	next := filepath.Join(m.dir, ".next")
	if err := errors.Join(os.WriteFile(next, []byte(yaml), 0o600), os.Rename(next, filepath.Join(m.dir, "mesh.yaml"))); err != nil {
		m.t.Fatal(err)
	}
}

// command runs a command of gridway at the control plane, and returns what it prints.
func (m *mesh) command(args ...string) (string, error) {
	m.t.Helper()
	path, err := binary()
	if err != nil {
		m.t.Fatal(err)
	}
	first, err := os.ReadFile(filepath.Join(m.state(), "first-tokens"))
	if err != nil {
		m.t.Fatal(err)
	}
	cmd := exec.Command(path, append(args, "--admin", "unix:"+filepath.Join(m.dir, "admin"))...)
	for line := range strings.Lines(string(first)) {
		if role, token, _ := strings.Cut(strings.TrimSpace(line), " "); role == "admin" {
			cmd.Env = append(os.Environ(), "GRIDWAY_TOKEN="+strings.TrimSpace(token))
		}
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// join makes a join token.
func (m *mesh) join(flags ...string) string {
	m.t.Helper()
	out, err := m.command(append([]string{"identity", "token", "create"}, flags...)...)
	_, rest, found := strings.Cut(out, "token ")
	if err != nil || !found {
		m.t.Fatalf("%v: %s", err, out)
	}
	token, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(token)
}

// sidecar starts a workload: a program of a name that serves, and a sidecar with
// flags beside it.
func (m *mesh) sidecar(service, name string, flags ...string) *process {
	m.t.Helper()
	return m.speaking("http", service, name, flags...)
}

// speaking is sidecar for a program whose port is said to speak a protocol.
func (m *mesh) speaking(protocol, service, name string, flags ...string) *process {
	m.t.Helper()
	at := port(m.t)
	args := append([]string{
		"sidecar", "--service", service, "--port", at + "/" + protocol, "--control", m.address, "--log-level", "info", "--state-dir", filepath.Join(m.dir, service+"-"+name),
	}, flags...)
	p := runBinary(m.t, m.with, nil, []string{asProgram + "=" + name + " " + at, "GRIDWAY_JOIN_TOKEN=" + m.token}, append(args, "--", os.Args[0])...)
	p.port = at
	p.said("application listens")
	return p
}

// answer is what a program says.
type answer struct {
	status int
	Name   string
	Path   string
	Host   string
	Header http.Header
}

// get asks at a port of the host, over a connection of its own.
func get(port, path string, edits ...func(*http.Request)) (answer, error) {
	req, err := http.NewRequest("GET", "http://127.0.0.1:"+port+path, nil)
	if err != nil {
		return answer{}, err
	}
	for _, edit := range edits {
		edit(req)
	}
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return a, err
	}
	if resp.StatusCode != 200 {
		return a, fmt.Errorf("%s: %s", resp.Status, body)
	}
	return a, json.Unmarshal(body, &a)
}

// port is one that nobody has until the test ends.
func port(t *testing.T) string {
	t.Helper()
	return strconv.Itoa(testport.Free(t))
}
