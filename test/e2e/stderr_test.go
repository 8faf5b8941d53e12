package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// stuck is a pipe that nobody reads.
func stuck(t *testing.T) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return w
}

// A log that nobody reads costs lines: no request, no change of the
// configuration and not the end of the process wait for it.
func TestAFullLogBlocksNothing(t *testing.T) {
	port := ownPort(t)
	app := serve(t, ok)
	// Each change is some hundred new warnings in the log.
	config := func(i int) string {
		docs := []string{
			plainOn(port), routeDoc("app", ""), backendDoc("app", app.addr),
			policyDoc("app", "HTTPRoute", "app", fmt.Sprintf("timeouts: {request: %ds}", 10+i)),
		}
		for j := range 500 {
			docs = append(docs, policyDoc(fmt.Sprintf("p%d", j), "HTTPRoute", fmt.Sprintf("missing-%d-%s", i, strings.Repeat("x", 200)), "timeouts: {request: 5s}"))
		}
		return documents(docs...)
	}
	p := startWith(t, config(0), func(c *exec.Cmd) { c.Stderr = stuck(t) })
	c := dialPort(t, port)
	ask := func() {
		t.Helper()
		began := time.Now()
		c.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if resp, _ := c.mustRespond("GET"); resp.StatusCode != 200 {
			t.Fatalf("status %d", resp.StatusCode)
		}
		if d := time.Since(began); d > patience/2 {
			t.Errorf("a request took %v", d)
		}
	}
	change := func(i int) {
		t.Helper()
		before := p.metric("gridway_config_revision")
		p.write(config(i))
		eventually(t, "the change serves", func() bool { return p.metric("gridway_config_revision") > before })
	}
	last := 0
	for p.metric("gridway_log_lines_total", `result="dropped"`) == 0 {
		if last++; last == 20 {
			t.Fatal("nothing was dropped")
		}
		change(last)
		ask()
	}
	change(last + 1)
	ask()
	p.terminate()
	if code := p.ended(patience); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// Neither does an error at the end.
func TestAFullLogAndASecondSignal(t *testing.T) {
	entered := make(chan struct{}, 1)
	w := stuck(t)
	w.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	for { // fill it
		if _, err := w.WriteString(strings.Repeat("z", 4096)); err != nil {
			break
		}
	}
	p, port := one(t, func(_ http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		<-r.Context().Done()
	}, func(c *exec.Cmd) { c.Stderr = w }, "--drain-timeout", "1h")
	c := dialPort(t, port)
	c.send("GET /hangs HTTP/1.1\r\nHost: x\r\n\r\n")
	<-entered
	p.terminate()
	eventually(t, "it drains", func() bool { return strings.Contains(p.admin("/healthz"), "draining") })
	p.terminate()
	if code := p.ended(patience); code != 1 {
		t.Errorf("exit code %d", code)
	}
}
