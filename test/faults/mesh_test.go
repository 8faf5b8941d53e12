package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gridway/gridway/test/netns"
)

// Ports on each host.
const (
	meshPort     = "15010"
	programPort  = "9080"
	upstreamPort = "7001"
)

// upstream is where a client's sidecar has the service ratings.
const upstream = "http://127.0.0.1:" + upstreamPort + "/"

// mesh is a network with control planes.
type mesh struct {
	t   *testing.T
	net *netns.Network
	dir string
	// flags are those of each control plane.
	flags    []string
	replicas []*replica
	first    string // the folder of the first replica
	// traces numbers those of a test.
	traces atomic.Uint64
	token  string
}

// replica is a control plane on a host of its own.
type replica struct {
	*process
	m    *mesh
	host *netns.Host
	dir  string
	// env is of the process when it starts again.
	env []string
	// upgrades is its socket for upgrades; "off" is none.
	upgrades string
}

// newMesh makes a mesh without control planes, with a configuration.
func newMesh(t *testing.T, yaml string, flags ...string) *mesh {
	t.Helper()
	t.Parallel()
	dir, err := os.MkdirTemp("", "faults") // short: a socket's path must be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	m := &mesh{t: t, net: netns.New(t), dir: dir, flags: flags}
	m.write(yaml)
	return m
}

func (m *mesh) file() string { return filepath.Join(m.dir, "mesh.yaml") }

// write replaces the configuration.
func (m *mesh) write(yaml string) {
	m.t.Helper()
	next := filepath.Join(m.dir, ".next")
	if err := errors.Join(os.WriteFile(next, []byte(yaml), 0o600), os.Rename(next, m.file())); err != nil {
		m.t.Fatal(err)
	}
}

// control starts one more control plane.
func (m *mesh) control(env ...string) *replica {
	m.t.Helper()
	name := fmt.Sprintf("control%d", len(m.replicas)+1)
	r := &replica{m: m, host: m.net.Host(name), dir: filepath.Join(m.dir, name), env: env, upgrades: "off"}
	m.replicas = append(m.replicas, r)
	if m.first == "" {
		m.first = r.dir
	}
	r.start()
	if m.token == "" {
		m.token = r.joinToken(`{"services":["*"],"namespaces":["*"],"reusable":true}`)
	}
	return r
}

// start starts it, or starts it again.
func (r *replica) start() {
	r.m.t.Helper()
	r.process = run(r.m.t, r.host, r.env, append([]string{
		"control", r.m.file(), "--mesh", ":" + meshPort, "--state-dir", r.dir, "--admin", "unix:" + r.socket(), "--upgrade-socket", r.upgrades, "--log-level", "info",
	}, r.m.flags...)...)
	r.says("control plane")
}

func (r *replica) socket() string { return r.dir + ".admin" }

// api asks the admin API as an administrator.
func (r *replica) api(method, path, body string) (status int, reply []byte, err error) {
	req, err := r.request(method, path, body)
	if err != nil {
		return 0, nil, err
	}
	resp, err := r.client(patience).Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	reply, err = io.ReadAll(resp.Body)
	return resp.StatusCode, reply, err
}

func (r *replica) request(method, path, body string) (*http.Request, error) {
	folder := r.m.first
	if folder == "" {
		folder = r.m.replicas[0].dir
	}
	// Only the first to use a store was shown the tokens.
	first, err := os.ReadFile(filepath.Join(folder, "first-tokens"))
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(first)) {
		if role, token, _ := strings.Cut(strings.TrimSpace(line), " "); role == "admin" {
			req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(token))
		}
	}
	req.Header.Set("Content-Type", "application/json")
	return req, nil
}

// client is of the admin API; 0 waits for ever.
func (r *replica) client(timeout time.Duration) *http.Client {
	return &http.Client{Timeout: timeout, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", r.socket())
	}}}
}

// read reads JSON of the admin API.
func (r *replica) read(path string, into any) error {
	status, reply, err := r.api("GET", path, "")
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%d: %s", status, bytes.TrimSpace(reply))
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(reply, into)
}

// joinToken makes a join token.
func (r *replica) joinToken(ask string) string {
	r.m.t.Helper()
	status, reply, err := r.api("POST", "/v1/mesh/tokens", ask)
	var made struct{ Token string }
	if err == nil {
		err = json.Unmarshal(reply, &made)
	}
	if err != nil || status != http.StatusCreated {
		r.m.t.Fatalf("%d %v: %s", status, err, reply)
	}
	return made.Token
}

// proxies are those connected to it, by what they are called.
func (r *replica) proxies() (string, error) {
	var s struct {
		Mesh struct {
			Proxies []struct{ Name, State string }
		}
	}
	if err := r.read("/v1/status", &s); err != nil {
		return "", err
	}
	var b strings.Builder
	for _, p := range s.Mesh.Proxies {
		fmt.Fprintln(&b, p.Name, p.State)
	}
	return b.String(), nil
}

// member is a sidecar with its program.
type member struct {
	*process
	m       *mesh
	host    *netns.Host
	service string
	name    string
	env     []string
	flags   []string
}

// at lists the addresses of control planes.
func (m *mesh) at() string {
	var out []string
	for _, r := range m.replicas {
		out = append(out, net.JoinHostPort(r.host.IP4.String(), meshPort))
	}
	return strings.Join(out, ",")
}

// ratings starts a workload of ratings on a host of its own.
func (m *mesh) ratings(name string, flags ...string) *member {
	m.t.Helper()
	return m.member("ratings", name, flags...)
}

// reviews starts the client of ratings.
func (m *mesh) reviews() *member {
	m.t.Helper()
	return m.member("reviews", "client", "--upstream", "ratings=:"+upstreamPort)
}

func (m *mesh) member(service, name string, flags ...string) *member {
	m.t.Helper()
	x := m.prepare(service, name, flags...)
	x.start()
	return x
}

// prepare is member without the start.
func (m *mesh) prepare(service, name string, flags ...string) *member {
	m.t.Helper()
	return &member{m: m, host: m.net.Host(name), service: service, name: name, flags: flags}
}

// begin starts it, and waits for nothing.
func (x *member) begin() {
	x.m.t.Helper()
	args := append([]string{
		"sidecar", "--service", x.service, "--port", programPort + "/http", "--control", x.m.at(), "--log-level", "info",
		"--state-dir", x.state(), "--drain-timeout", "5s",
	}, x.flags...)
	x.process = run(x.m.t, x.host, append([]string{asProgram + "=" + x.name, "GRIDWAY_JOIN_TOKEN=" + x.m.token}, x.env...), append(args, "--", os.Args[0])...)
}

func (x *member) start() {
	x.m.t.Helper()
	x.begin()
	x.says("application listens")
}

func (x *member) state() string { return filepath.Join(x.m.dir, x.name) }

// served waits until a program answers the client.
func (x *member) served(name string) answer {
	x.m.t.Helper()
	var got answer
	c := client(x.host, true)
	eventually(x.m.t, name+" answers", func() (err error) {
		got, err = ask(c, upstream)
		if err == nil && got.Name != name {
			err = fmt.Errorf("%s answers", got.Name)
		}
		return err
	})
	return got
}

// load asks ratings from the client's host.
func (x *member) load() *load { return newLoad(x.m.t, x.host, upstream) }
