package harness

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Gateway is a running "gridway run".
type Gateway struct {
	*Program
	// Dir has its files.
	Dir string
	// API asks its admin API, whose host may be any.
	API *http.Client

	t testing.TB
}

// Start runs the documents, with flags beside those that every test has.
func Start(t testing.TB, yaml string, flags ...string) *Gateway {
	t.Helper()
	program, err := Binary()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "gridway") // short: a socket's path must be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	g := &Gateway{Dir: dir, t: t}
	g.Write(yaml)
	socket := filepath.Join(dir, "admin")
	g.API = &http.Client{Timeout: Patience, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}}
	t.Cleanup(g.API.CloseIdleConnections)
	args := append([]string{
		"run", g.File(), "--admin", "unix:" + socket, "--access-log", filepath.Join(dir, "access.log"),
		"--state-dir", filepath.Join(dir, "state"), "--drain-timeout", "2s",
	}, flags...)
	g.Program = Run(t, g.ready, nil, program, args...)
	return g
}

func (g *Gateway) ready() bool {
	resp, err := g.API.Get("http://localhost/readyz")
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// File is that of its documents.
func (g *Gateway) File() string { return filepath.Join(g.Dir, "gridway.yaml") }

// Write replaces its documents.
func (g *Gateway) Write(yaml string) {
	g.t.Helper()
	next := filepath.Join(g.Dir, ".next")
	if err := errors.Join(os.WriteFile(next, []byte(yaml), 0o600), os.Rename(next, g.File())); err != nil {
		g.t.Fatal(err)
	}
}

// AccessLog is what it has logged until now.
func (g *Gateway) AccessLog() string {
	text, _ := os.ReadFile(filepath.Join(g.Dir, "access.log"))
	return string(text)
}

// Get reads a path of the admin API.
func (g *Gateway) Get(path string) string {
	g.t.Helper()
	return g.text(g.API.Get("http://localhost" + path))
}

// PostJSON posts a document to a path of the admin API, and returns the answer.
func (g *Gateway) PostJSON(path, body string) string {
	g.t.Helper()
	return g.text(g.API.Post("http://localhost"+path, "application/json", strings.NewReader(body)))
}

func (g *Gateway) text(resp *http.Response, err error) string {
	g.t.Helper()
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		g.t.Fatalf("%s: %d %v %s", resp.Request.URL.Path, resp.StatusCode, err, text)
	}
	return string(text)
}

// Metric returns the value of the sample whose labels contain with.
func (g *Gateway) Metric(name, with string) float64 {
	g.t.Helper()
	for line := range strings.Lines(g.Get("/metrics")) {
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
