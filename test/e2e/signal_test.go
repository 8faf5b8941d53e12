package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// one is a process with one listener in front of one backend.
func one(t *testing.T, to http.HandlerFunc, change func(*exec.Cmd), flags ...string) (*process, int) {
	t.Helper()
	port := ownPort(t)
	app := serve(t, to)
	return startWith(t, documents(plainOn(port), routeDoc("app", ""), backendDoc("app", app.addr)), change, flags...), port
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

func unchanged(*exec.Cmd) {}

func ok(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") }

func TestHangupOpensTheAccessLogAnew(t *testing.T) {
	p, port := one(t, ok, unchanged)
	c := dialPort(t, port)
	ask := func(path string) {
		c.send("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n")
		if resp, _ := c.mustRespond("GET"); resp.StatusCode != 200 {
			t.Fatalf("%s: %d", path, resp.StatusCode)
		}
	}
	ask("/before")
	p.accessed("/before")
	path := filepath.Join(p.dir, "access")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	ask("/between")
	eventually(t, "the log has it", func() bool { // which is a moment after the client has its answer
		text, err := os.ReadFile(path + ".1")
		return err == nil && strings.Contains(string(text), "/between")
	})
	p.signal(syscall.SIGHUP)
	eventually(t, "the log is opened anew", func() bool {
		_, err := os.Stat(path)
		return err == nil
	})
	ask("/after")
	p.accessed("/after")
	old, err := os.ReadFile(path + ".1")
	if err != nil {
		t.Fatal(err)
	}
	now, _ := os.ReadFile(path)
	if !strings.Contains(string(old), "/between") || strings.Contains(string(old), "/after") || strings.Contains(string(now), "/between") {
		t.Errorf("old log:\n%s\nnew log:\n%s", old, now)
	}
	p.terminate()
	if code := p.ended(patience); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestFirstSignalDrainsSecondEndsAtOnce(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			entered := make(chan struct{}, 1)
			p, port := one(t, func(_ http.ResponseWriter, r *http.Request) {
				entered <- struct{}{}
				<-r.Context().Done()
			}, unchanged, "--drain-timeout", "1h")
			c := dialPort(t, port)
			c.send("GET /hangs HTTP/1.1\r\nHost: x\r\n\r\n")
			<-entered
			p.signal(sig)
			p.said("draining")
			eventually(t, "readiness ends while health goes on", func() bool {
				ready, err := p.api.Get("http://localhost/readyz")
				if err != nil {
					return false
				}
				ready.Body.Close()
				return ready.StatusCode == 503 && strings.Contains(p.admin("/healthz"), "draining")
			})
			eventually(t, "new connections are refused", func() bool {
				n, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), patience)
				if err == nil {
					n.Close()
				}
				return err != nil
			})
			select {
			case <-p.done:
				t.Fatal("it ended with a request under way")
			default:
			}
			p.signal(sig)
			if code := p.ended(patience); code != 1 {
				t.Errorf("exit code %d", code)
			}
			p.said("error: requests were cut off by a second signal")
			if rest := c.rest(); strings.HasPrefix(rest, "HTTP/1.1 200") {
				t.Errorf("the client was told %q", rest)
			}
		})
	}
}

func TestAFirstSignalLetsWorkFinish(t *testing.T) {
	entered, leave := make(chan struct{}, 1), make(chan struct{})
	p, port := one(t, func(w http.ResponseWriter, _ *http.Request) {
		entered <- struct{}{}
		<-leave
		fmt.Fprint(w, "finished")
	}, unchanged)
	c := dialPort(t, port)
	c.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	<-entered
	p.terminate()
	p.said("draining")
	close(leave)
	if resp, body := c.mustRespond("GET"); body != "finished" || !resp.Close {
		t.Errorf("%d %q, close: %v", resp.StatusCode, body, resp.Close)
	}
	if code := p.ended(patience); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// An access log that nobody reads costs entries, not requests, and does not
// keep the process from ending.
func TestAFullAccessLogBlocksNothing(t *testing.T) {
	for _, kind := range []string{"stdout", "named pipe"} {
		t.Run(kind, func(t *testing.T) {
			var change func(*exec.Cmd)
			target := "stdout"
			switch kind {
			case "stdout":
				r, w, err := os.Pipe()
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { r.Close(); w.Close() })
				change = func(c *exec.Cmd) { c.Stdout = w }
			case "named pipe":
				target = filepath.Join(t.TempDir(), "pipe")
				if err := syscall.Mkfifo(target, 0o600); err != nil {
					t.Fatal(err)
				}
				change = unchanged
			}
			p, port := one(t, ok, change, "--access-log", target)
			c := dialPort(t, port)
			path := "/" + strings.Repeat("long", 400)
			slowest := time.Duration(0)
			dropped := func() bool {
				return p.metric("gridway_access_log_entries_total", `result="dropped"`) > 0
			}
			// 2 MB of log fill what each processor has; the output takes none of it.
			for i := 0; (i%500 != 0 || !dropped()) && i < 2000*runtime.NumCPU(); i++ {
				began := time.Now()
				c.send("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n")
				if resp, _ := c.mustRespond("GET"); resp.StatusCode != 200 {
					t.Fatalf("status %d", resp.StatusCode)
				}
				slowest = max(slowest, time.Since(began))
			}
			if slowest > patience/2 {
				t.Errorf("a request took %v", slowest)
			}
			eventually(t, "dropped entries are counted", dropped)
			p.signal(syscall.SIGHUP)
			p.terminate()
			p.ended(2 * patience)
		})
	}
}

// The end of the program that reads the log is not the end of the gateway.
func TestAClosedAccessLogBlocksNothing(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p, port := one(t, ok, func(c *exec.Cmd) { c.Stdout = w }, "--access-log", "stdout")
	w.Close()
	r.Close()
	c := dialPort(t, port)
	eventually(t, "a failed write is counted", func() bool {
		c.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if resp, _ := c.mustRespond("GET"); resp.StatusCode != 200 {
			t.Fatalf("status %d", resp.StatusCode)
		}
		return p.metric("gridway_access_log_entries_total", `result="error"`) > 0
	})
	p.terminate()
	p.ended(patience)
}
