package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/config/compile"
	"github.com/gridway/gridway/internal/config/source/file"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy"
	"github.com/gridway/gridway/internal/telemetry/accesslog"
	"github.com/gridway/gridway/internal/telemetry/metric"
)

const (
	// patience is how long anything may take that should happen soon.
	patience = 10 * time.Second
	// onBusy is how long it is waited for that: busy machines need more at times.
	onBusy = 3 * patience
)

// gateway is a data plane that serves YAML.
type gateway struct {
	t       *testing.T
	proxy   *proxy.Proxy
	metrics *metric.Registry
	log     *accesslog.Logger
	entries *lockedBuffer
	// addr is the first listener's address.
	addr   string
	client *http.Client

	dir  string
	last *compile.Output
}

type option func(*proxy.Options)

func inZone(zone string) option { return func(o *proxy.Options) { o.Zone = zone } }

// serveYAML starts a data plane with the documents.
func serveYAML(t *testing.T, yaml string, opts ...option) *gateway {
	t.Helper()
	g := &gateway{t: t, entries: &lockedBuffer{}, dir: t.TempDir()}
	g.metrics = proxy.NewMetrics(metric.Build{}, metric.Settings{})
	g.log = accesslog.New(g.entries, accesslog.Options{})
	o := proxy.Options{Metrics: g.metrics, AccessLog: g.log, IdleGrace: 20 * time.Millisecond, LeaveWithin: 20 * time.Millisecond, DrainTimeout: patience}
	if testing.Verbose() && os.Getenv("E2E_LOG") != "" {
		o.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	for _, f := range opts {
		f(&o)
	}
	g.proxy = proxy.New(o)
	transport := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	g.client = &http.Client{
		Transport: transport, Timeout: 4 * patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
		defer cancel()
		if err := g.proxy.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		g.log.Close(ctx)
	})
	g.apply(yaml)
	return g
}

// apply makes the documents the configuration.
func (g *gateway) apply(yaml string) {
	g.t.Helper()
	for _, p := range g.applyAnyway(yaml) {
		if p.Severity == store.Error {
			g.t.Fatalf("configuration: %s", p)
		}
	}
}

// applyAnyway is apply whatever is wrong with the documents.
func (g *gateway) applyAnyway(yaml string) []store.Problem {
	g.t.Helper()
	path := filepath.Join(g.dir, "gridway.yaml")
	if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
		g.t.Fatal(err)
	}
	set, problems, err := file.Load([]string{path}, file.Options{})
	if err != nil {
		g.t.Fatal(err)
	}
	out := compile.Compile(compile.Input{Set: set, Now: time.Now(), SessionKey: []byte("0123456789abcdef0123456789abcdef")}, g.last)
	g.last = out
	err = g.proxy.Apply(context.Background(), onLoopback(out.Config))
	var closed *proxy.ListenError
	if errors.As(err, &closed) { // somebody's client has the UDP port of the number that TCP got
		eventually(g.t, "listeners to open", func() bool { return g.proxy.Reopen(context.Background()) == nil })
	} else if err != nil {
		g.t.Fatalf("apply: %v", err)
	}
	if g.addr == "" { // sockets stay open over reloads, and so does this
		open := g.proxy.Listening()[out.Config.Listeners[0].Name]
		g.addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(int(open.Port())))
	}
	return append(problems, out.Problems...)
}

// onLoopback opens each listener on a free port of the loopback interface,
// whatever port the YAML asks for: tests must not meet on a port.
func onLoopback(cfg *ir.Config) *ir.Config {
	local := *cfg
	local.Listeners = nil
	for _, l := range cfg.Listeners {
		l := *l
		l.Address, l.Port = "127.0.0.1", 0
		local.Listeners = append(local.Listeners, &l)
	}
	return &local
}

// do sends a request and reads the whole answer.
func (g *gateway) do(req *http.Request) (*http.Response, string, error) {
	resp, err := g.client.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

// edit changes a request before it is sent.
type edit func(*http.Request)

func header(name, value string) edit {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func host(name string) edit { return func(r *http.Request) { r.Host = name } }

func (g *gateway) request(method, path string, body io.Reader, edits ...edit) *http.Request {
	g.t.Helper()
	req, err := http.NewRequestWithContext(g.t.Context(), method, "http://"+g.addr+path, body)
	if err != nil {
		g.t.Fatal(err)
	}
	for _, f := range edits {
		f(req)
	}
	return req
}

// get is a GET that must be answered.
func (g *gateway) get(path string, edits ...edit) (*http.Response, string) {
	g.t.Helper()
	resp, body, err := g.do(g.request("GET", path, nil, edits...))
	if err != nil {
		g.t.Fatalf("GET %s: %v", path, err)
	}
	return resp, body
}

// post sends a body that must be answered.
func (g *gateway) post(path, body string, edits ...edit) (*http.Response, string) {
	g.t.Helper()
	resp, got, err := g.do(g.request("POST", path, strings.NewReader(body), edits...))
	if err != nil {
		g.t.Fatalf("POST %s: %v", path, err)
	}
	return resp, got
}

// want checks a status and the reason that Gridway gives for it ("" for none).
func want(t *testing.T, resp *http.Response, status int, reason string) {
	t.Helper()
	if got := resp.Header.Get("X-Gridway-Reason"); resp.StatusCode != status || got != reason {
		t.Fatalf("got %d %q, want %d %q", resp.StatusCode, got, status, reason)
	}
}

// tally counts the bodies of n GETs, sent by as many workers.
func (g *gateway) tally(n, workers int, path string, edits ...edit) map[string]int {
	g.t.Helper()
	var mu sync.Mutex
	counts := map[string]int{}
	g.parallel(n, workers, func(int) {
		resp, body, err := g.do(g.request("GET", path, nil, edits...))
		if err != nil {
			body = err.Error()
		} else if resp.StatusCode != 200 {
			body = fmt.Sprintf("%d %s", resp.StatusCode, resp.Header.Get("X-Gridway-Reason"))
		}
		mu.Lock()
		counts[body]++
		mu.Unlock()
	})
	return counts
}

// parallel calls f for 0 to n-1 on several goroutines.
func (g *gateway) parallel(n, workers int, f func(i int)) {
	var wg sync.WaitGroup
	next := make(chan int)
	for range workers {
		wg.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}

// dial opens a raw connection to the first listener.
func (g *gateway) dial() *wire {
	g.t.Helper()
	c, err := net.Dial("tcp", g.addr)
	if err != nil {
		g.t.Fatal(err)
	}
	return newWire(g.t, c)
}

// eventually polls until f is true.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	timeout := time.NewTimer(onBusy)
	defer timeout.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-timeout.C:
			t.Fatalf("not within %v: %s", onBusy, what)
		}
	}
}

// metric returns the sum of the samples of a family whose labels contain all of with.
func (g *gateway) metric(family string, with ...string) float64 {
	g.t.Helper()
	w := httptest.NewRecorder()
	g.metrics.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return sumOf(g.t, w.Body.String(), family, with)
}

// underWay is how many tries have not ended.
func (g *gateway) underWay() (n int) {
	for _, c := range g.proxy.Upstreams().Clusters() {
		for _, e := range c.Snapshot().Endpoints {
			n += e.Active
		}
	}
	return n
}

func sumOf(t *testing.T, exposition, family string, with []string) float64 {
	t.Helper()
	sum := 0.0
	for line := range strings.Lines(exposition) {
		m := sample.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil || m[1] != family || slices.ContainsFunc(with, func(s string) bool { return !strings.Contains(m[2], s) }) {
			continue
		}
		v, err := strconv.ParseFloat(m[3], 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += v
	}
	return sum
}

var sample = regexp.MustCompile(`^([a-z_0-9]+)(\{.*\})? ([-+.eE0-9]+|NaN|\+Inf)$`)

// logged waits for an access log entry that contains all of with.
func (g *gateway) logged(with ...string) string {
	g.t.Helper()
	var found string
	eventually(g.t, fmt.Sprintf("access log entry with %q in %s", with, g.entries), func() bool {
		for line := range strings.Lines(g.entries.String()) {
			if !slices.ContainsFunc(with, func(s string) bool { return !strings.Contains(line, s) }) {
				found = line
				return true
			}
		}
		return false
	})
	return found
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func (b *lockedBuffer) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.b.Reset()
}

// wire is a raw connection.
type wire struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func newWire(t *testing.T, c net.Conn) *wire {
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(onBusy))
	return &wire{t: t, Conn: c, r: bufio.NewReader(c)}
}

func (c *wire) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, s); err != nil {
		c.t.Fatal(err)
	}
}

// response reads one response to a request of that method, with its body.
func (c *wire) response(method string) (*http.Response, string, error) {
	resp, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		return nil, "", err
	}
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

func (c *wire) mustRespond(method string) (*http.Response, string) {
	c.t.Helper()
	resp, body, err := c.response(method)
	if err != nil {
		c.t.Fatalf("no whole response: %v (body %q)", err, body)
	}
	return resp, body
}

// rest reads until the proxy closes.
func (c *wire) rest() string {
	b, _ := io.ReadAll(c.r)
	return string(b)
}
