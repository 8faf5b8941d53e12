package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// foreign are clients that others wrote, which ask over HTTP/2 while connections
// are ended: curl, which opens another one when it is told to, and h2load, which
// does not.
type foreign struct {
	t       *testing.T
	url, ca string
	taken   *atomic.Int64 // requests of h2load that have reached the endpoint
	done    atomic.Int64  // curl's that were answered
	failed  atomic.Bool
	stop    context.Context
	end     context.CancelFunc
	wg      sync.WaitGroup
}

func newForeign(t *testing.T, port int, ca string, taken *atomic.Int64) *foreign {
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, []byte(ca), 0o600); err != nil {
		t.Fatal(err)
	}
	f := &foreign{t: t, url: fmt.Sprintf("https://a.example:%d", port), ca: file, taken: taken}
	f.stop, f.end = context.WithCancel(t.Context())
	t.Cleanup(f.finish)
	return f
}

func (f *foreign) finish() {
	f.end()
	f.wg.Wait()
}

// curls asks for one URL after the other, in several programs. Every one must be
// answered: curl tries nothing again but what was not taken.
func (f *foreign) curls(n int) {
	program := tool(f.t, "curl")
	for range n {
		f.wg.Go(func() {
			for f.stop.Err() == nil {
				args := []string{
					"-sS", "--http2", "--cacert", f.ca, "--resolve", strings.TrimPrefix(f.url, "https://") + ":127.0.0.1",
					"-o", os.DevNull, "-w", "%{http_code} %{http_version}\n", f.url + "/[1-50]",
				}
				out, err := exec.Command(program, args...).CombinedOutput()
				if good := strings.Count(string(out), "200 2\n"); err != nil || good != 50 {
					f.failed.Store(true)
					f.t.Errorf("curl after %d requests: %v, %d of 50 were answered:\n%s", f.done.Load(), err, good, out)
					return
				}
				f.done.Add(50)
			}
		})
	}
}

var h2loadSummary = regexp.MustCompile(`(\d+) succeeded`)

// h2load asks until all of its connections are told to end. What it has not sent
// by then it counts as failed, and also what GOAWAY says was not taken. So
// that nothing is lost means that it has an answer to all that was taken.
func (f *foreign) h2load(first int64, endConnections func()) {
	f.t.Helper()
	before := f.taken.Load()
	ctx, cancel := context.WithTimeout(f.t.Context(), 4*patience)
	defer cancel()
	out := &lockedBuffer{}
	cmd := exec.CommandContext(ctx, tool(f.t, "h2load"), "-n", "10000000", "-c", "4", "-m", "8", "--connect-to", "127.0.0.1:"+f.url[strings.LastIndexByte(f.url, ':')+1:], f.url+"/h2load")
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	eventually(f.t, "h2load's requests come", func() bool { return f.taken.Load() >= before+first })
	endConnections()
	if err := cmd.Wait(); err != nil && !errors.As(err, new(*exec.ExitError)) || ctx.Err() != nil {
		f.t.Fatalf("h2load: %v\n%s", err, out)
	}
	m := h2loadSummary.FindStringSubmatch(out.String())
	if m == nil {
		f.t.Fatalf("h2load says\n%s", out)
	}
	answered, _ := strconv.ParseInt(m[1], 10, 64)
	if taken := f.taken.Load() - before; answered != taken {
		f.t.Errorf("of %d requests that were taken h2load has an answer to %d\n%s", taken, answered, out)
	}
}

// passed waits until n more of curl's requests were answered.
func (f *foreign) passed(n int64) {
	f.t.Helper()
	most := f.done.Load() + n
	tick, over := time.NewTicker(5*time.Millisecond), time.After(6*patience) // programs start slowly on a busy machine
	defer tick.Stop()
	for f.done.Load() < most && !f.failed.Load() {
		select {
		case <-tick.C:
		case <-over:
			f.t.Fatal("curl makes no progress")
		}
	}
}

// Drains lose no request of clients that others wrote.
func TestHTTP2DrainsForeignClients(t *testing.T) { // not parallel: it takes the whole machine
	ca, clients := newAuthority(t, "servers"), newAuthority(t, "clients")
	cert, key := ca.issue("a.example")
	var taken atomic.Int64
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/h2load" {
			taken.Add(1)
		}
		io.WriteString(w, strings.Repeat("x", 3000))
	})
	yaml := func(port int, more, policy string) string {
		return documents(gatewayOn(more, fmt.Sprintf("{name: https, port: %d, protocol: HTTPS, tls: {certificateRefs: [{name: a}]}}", port)),
			secretDoc("a", cert, key), caDoc("clients", clients.pem), routeDoc("app", ""), backendDoc("app", app.addr), clientPolicyDoc(policy))
	}
	t.Run("a process ends", func(t *testing.T) {
		port := ownPort(t)
		doc := yaml(port, "", "http2: true")
		old := start(t, doc, "--reuse-port")
		f := newForeign(t, port, ca.pem, &taken)
		f.curls(2)
		f.h2load(100, func() {
			start(t, doc, "--reuse-port")
			f.passed(100)
			old.terminate()
		})
		if code := old.ended(4 * patience); code != 0 {
			t.Errorf("exit code %d", code)
		}
		f.passed(100)
		f.finish()
	})
	t.Run("a listener changes", func(t *testing.T) {
		port := ownPort(t)
		doc := func(n int) string {
			if n%2 == 0 {
				return yaml(port, "", "http2: true")
			}
			return yaml(port, "tls: {frontend: {default: {validation: {mode: AllowInsecureFallback, caCertificateRefs: [{group: \"\", kind: ConfigMap, name: clients}]}}}}", "http2: true")
		}
		p := start(t, doc(0))
		f := newForeign(t, port, ca.pem, &taken)
		f.curls(2)
		for n := range 3 {
			f.h2load(100, func() { p.reload(doc(n + 1)) })
			f.passed(50)
		}
		f.finish()
		eventually(t, "connections have been told", func() bool {
			return p.metric("gridway_listener_http2_goaways_total", `reason="ListenerChanged"`) >= 12
		})
	})
	t.Run("connections are old", func(t *testing.T) {
		port := ownPort(t)
		p := start(t, yaml(port, "", "timeouts: {maxConnectionDuration: 300ms}"))
		f := newForeign(t, port, ca.pem, &taken)
		f.curls(2)
		f.h2load(0, func() {})
		f.passed(100)
		f.finish()
		eventually(t, "connections have been told", func() bool {
			return p.metric("gridway_listener_http2_goaways_total", `reason="MaxConnectionDuration"`) >= 4
		})
	})
}
