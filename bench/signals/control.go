package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gridway/gridway/bench/proc"
	"github.com/gridway/gridway/internal/mesh/signals"
	"github.com/gridway/gridway/internal/testport"
)

// control is the process that is measured.
type control struct {
	cmd    *exec.Cmd
	folder string
	mesh   string
	client *http.Client
	token  string
}

const objects = `apiVersion: v1
kind: Service
metadata: {name: NAME, namespace: shop}
spec: {ports: [{port: 80, appProtocol: http}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: NAME, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, name: NAME}]
  rules:
  - {name: RULE, backendRefs: [{name: NAME, port: 80}]}
---
`

// write writes the configuration: all services, each with a route, that of the first with a
// rule of a name that proxies know again.
func (c *control) write(s size, rule string) error {
	var text strings.Builder
	for i := range s.services {
		name := rule
		if i > 0 {
			name = "all"
		}
		text.WriteString(strings.NewReplacer("NAME", service(i), "RULE", name).Replace(objects))
	}
	next := filepath.Join(c.folder, ".next")
	return errors.Join(os.WriteFile(next, []byte(text.String()), 0o600), os.Rename(next, filepath.Join(c.folder, "mesh.yaml")))
}

func startControl(ctx context.Context, s size, folder string) (*control, error) {
	binary := filepath.Join(folder, "gridway")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "github.com/gridway/gridway/cmd/gridway").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build gridway: %w\n%s", err, out)
	}
	port, free, err := testport.Take()
	if err != nil {
		return nil, err
	}
	defer free()
	socket := filepath.Join(folder, "admin")
	c := &control{folder: folder, mesh: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}
	c.client = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	if err := c.write(s, "all"); err != nil {
		return nil, err
	}
	state := filepath.Join(folder, "state")
	c.cmd = exec.CommandContext(ctx, binary, "control", filepath.Join(folder, "mesh.yaml"), "--mesh", c.mesh, "--trust-domain", trustDomain, "--state-dir", state,
		"--admin", "unix:"+socket, "--upgrade-socket", "off", "--signals-memory", strconv.Itoa(s.memory), "--log-level", "error",
		"--ca-cert", filepath.Join(folder, "root.pem"), "--ca-key", filepath.Join(folder, "root.key"), "--ca-root", filepath.Join(folder, "root.pem"))
	log, err := os.Create(filepath.Join(folder, "control.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	c.cmd.Stderr = log
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	err = until(ctx, func() error {
		text, err := os.ReadFile(filepath.Join(state, "first-tokens"))
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			if role, token, _ := strings.Cut(strings.TrimSpace(line), " "); role == "admin" {
				c.token = strings.TrimSpace(token)
			}
		}
		_, err = c.get(ctx, "/v1/status")
		return err
	})
	if err != nil {
		c.stop()
		said, _ := os.ReadFile(log.Name())
		return nil, fmt.Errorf("the control plane does not come up: %w\n%s", err, said)
	}
	return c, nil
}

func (c *control) stop() {
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	killed := time.AfterFunc(20*time.Second, func() { _ = c.cmd.Process.Kill() })
	_ = c.cmd.Wait()
	killed.Stop()
}

func (c *control) pid() int { return c.cmd.Process.Pid }

func (c *control) cpu() time.Duration {
	d, err := proc.CPU(c.pid())
	if err != nil {
		fmt.Fprintln(os.Stderr, "signals:", err)
	}
	return d
}

// open asks the admin API.
func (c *control) open(ctx context.Context, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost"+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	resp, err := c.client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
		return nil, fmt.Errorf("%s: %s: %s", path, resp.Status, text)
	}
	return resp, nil
}

func (c *control) get(ctx context.Context, path string) ([]byte, error) {
	resp, err := c.open(ctx, path)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// graph asks for the service graph; query is that of the request.
func (c *control) graph(ctx context.Context, query string) (*signals.Graph, error) {
	text, err := c.get(ctx, "/v1/graph?"+query)
	if err != nil {
		return nil, err
	}
	var g signals.Graph
	return &g, json.Unmarshal(text, &g)
}

// heap is what is in use of the control plane's, in bytes.
func (c *control) heap(ctx context.Context) (int64, error) {
	text, err := c.get(ctx, "/metrics")
	if err != nil {
		return 0, err
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), "go_memstats_heap_alloc_bytes "); ok {
			n, err := strconv.ParseFloat(rest, 64)
			return int64(n), err
		}
	}
	return 0, cmp.Or(lines.Err(), errors.New("there is no go_memstats_heap_alloc_bytes among the metrics"))
}

// settle waits until the graph has all edges, or no more come.
func (c *control) settle(ctx context.Context, s size) (edges int, err error) {
	want := s.edges()
	err = until(ctx, func() error {
		g, err := c.graph(ctx, "window=5m")
		if err != nil {
			return err
		}
		edges = len(g.Edges)
		if edges < want && g.State.Folded == 0 {
			return fmt.Errorf("%d of %d edges", edges, want)
		}
		return nil
	})
	return edges, err
}

// until waits until something is so.
func until(ctx context.Context, is func() error) error {
	end := time.Now().Add(2 * time.Minute)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := is()
		if err == nil {
			return nil
		}
		if time.Now().After(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}
