package e2e

import (
	"bufio"
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
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

const (
	pieces    = 64
	pieceTick = 25 * time.Millisecond // so that each of them lives through some upgrades
)

// longWork is a server of uploads, downloads and tunnels that take their time.
func longWork(t *testing.T) *server {
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/upload":
			n, err := io.Copy(io.Discard, r.Body)
			if err != nil {
				panic(http.ErrAbortHandler)
			}
			fmt.Fprint(w, n)
		case "/download":
			tick := time.NewTicker(pieceTick)
			defer tick.Stop()
			for i := range pieces {
				<-tick.C
				fmt.Fprintf(w, "%04d", i)
				w.(http.Flusher).Flush()
			}
		case "/tunnel":
			w.Header().Set("Connection", "upgrade")
			w.Header().Set("Upgrade", "echo")
			w.WriteHeader(101)
			c, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer c.Close()
			_, _ = io.Copy(c, rw)
		case "/websocket":
			s, err := acceptWS(w, r)
			if err != nil {
				return
			}
			defer s.closeWrite()
			for err == nil {
				var p []byte
				var op ws.OpCode
				if p, op, err = wsutil.ReadClientData(s); err == nil {
					err = wsutil.WriteServerMessage(s, op, p)
				}
			}
		default:
			_, _ = io.Copy(io.Discard, r.Body)
			io.WriteString(w, "a")
		}
	})
}

// repeat is a client that does something again and again, on a connection of
// its own each time.
func (l *load) repeat(port int, what string, f func(c net.Conn, r *bufio.Reader) error) {
	l.wg.Go(func() {
		for l.going() {
			c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), patience)
			if err == nil {
				c.SetDeadline(time.Now().Add(6 * patience))
				err = f(c, bufio.NewReader(c))
				c.Close()
			}
			if err != nil {
				l.failed.Add(1)
				l.t.Errorf("%s: %v", what, err)
				return
			}
			l.done.Add(1)
		}
	})
}

func upload(c net.Conn, r *bufio.Reader) error {
	fmt.Fprintf(c, "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", 4*pieces)
	tick := time.NewTicker(pieceTick)
	defer tick.Stop()
	for range pieces {
		<-tick.C
		if _, err := io.WriteString(c, "abcd"); err != nil {
			return err
		}
	}
	return answeredWith(r, 200, strconv.Itoa(4*pieces))
}

func download(c net.Conn, r *bufio.Reader) error {
	io.WriteString(c, "GET /download HTTP/1.1\r\nHost: a\r\n\r\n")
	var want strings.Builder
	for i := range pieces {
		fmt.Fprintf(&want, "%04d", i)
	}
	return answeredWith(r, 200, want.String())
}

func tunnel(c net.Conn, r *bufio.Reader) error {
	io.WriteString(c, "GET /tunnel HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
	if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != 101 {
		return fmt.Errorf("no tunnel: %v, %w", resp, err)
	}
	tick := time.NewTicker(pieceTick)
	defer tick.Stop()
	for i := range pieces {
		<-tick.C
		fmt.Fprintf(c, "line %d\n", i)
		if line, err := r.ReadString('\n'); err != nil || line != fmt.Sprintf("line %d\n", i) {
			return fmt.Errorf("line %d came back as %q, %w", i, line, err)
		}
	}
	return nil
}

// webSocket talks until a process that goes says so. Until then nothing is lost.
func webSocket(c net.Conn, r *bufio.Reader) error {
	io.WriteString(c, strings.Replace(handshake(goodKey, goodVersion), "GET / ", "GET /websocket ", 1))
	if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != 101 {
		return fmt.Errorf("no WebSocket: %v, %w", resp, err)
	}
	s := &socket{Reader: r, Writer: c}
	tick := time.NewTicker(pieceTick)
	defer tick.Stop()
	for i := range pieces {
		<-tick.C
		said := fmt.Sprintf("message %d", i)
		if err := s.say(ws.OpText, []byte(said)); err != nil {
			return fmt.Errorf("saying %d: %w", i, err)
		}
		op, p, err := s.hear()
		switch {
		case err != nil:
			return fmt.Errorf("message %d: %w", i, err)
		case op == ws.OpClose:
			if code, reason := ws.ParseCloseFrameData(p); code != ws.StatusGoingAway {
				return fmt.Errorf("closed: %d %q", code, reason)
			}
			if err := s.say(ws.OpClose, p); err != nil {
				return err
			}
			if _, err = io.Copy(io.Discard, s); err != nil {
				return fmt.Errorf("after the Close frame: %w", err)
			}
			return nil
		case string(p) != said:
			return fmt.Errorf("message %d came back as %q", i, p)
		}
	}
	return nil
}

func answeredWith(r *bufio.Reader, status int, want string) error {
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != status || string(body) != want {
		return fmt.Errorf("%d %q, %w", resp.StatusCode, body, err)
	}
	return nil
}

// http2 is a client of HTTP/2 with several requests at a time.
func (l *load) http2(port int) {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	tr := &http.Transport{Protocols: protocols}
	l.t.Cleanup(tr.CloseIdleConnections)
	client := &http.Client{Transport: tr, Timeout: 4 * patience}
	for range 4 {
		l.wg.Go(func() {
			for l.going() {
				resp, err := client.Post(fmt.Sprintf("http://127.0.0.1:%d/", port), "text/plain", strings.NewReader("hi"))
				var body []byte
				if err == nil {
					body, err = io.ReadAll(resp.Body)
					resp.Body.Close()
				}
				if err != nil || resp.StatusCode != 200 || string(body) != "a" || resp.ProtoMajor != 2 {
					l.failed.Add(1)
					l.t.Errorf("HTTP/2: %v %q %v", resp, body, err)
					return
				}
				l.done.Add(1)
			}
		})
	}
}

// Ten processes in a row, with clients of every kind: nobody notices.
func TestUpgradesUnderLoad(t *testing.T) { // not parallel: it takes the whole machine
	port := ownPort(t)
	g := startLineage(t, documents(plainOn(port), routeDoc("app", ""), backendDoc("app", longWork(t).addr)))
	l := newLoad(t)
	for _, keep := range []bool{true, true, true, false, false, false} {
		l.add(keep, port, nil, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", saying("a"))
		l.add(keep, port, nil, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", saying("a"))
	}
	l.http2(port)
	for range 3 {
		l.repeat(port, "slow upload", upload)
		l.repeat(port, "long download", download)
		l.repeat(port, "tunnel", tunnel)
		l.repeat(port, "WebSocket", webSocket)
	}
	for range 10 {
		l.passed(200)
		g.upgrade()
	}
	l.passed(200)
	t.Logf("%d requests, %d failed", l.end(), l.failed.Load())
	g.stop()
	if text := g.logged(); strings.Contains(text, "cut off") || strings.Contains(text, "level=ERROR") || strings.Contains(text, "panic") {
		t.Error("something went wrong")
	}
	if _, err := os.Stat(g.socket); err == nil {
		t.Error("the last process left its socket behind")
	}
}

// Connections that wait in the kernel's queue while the processes change are
// served, even when nobody accepts for a while.
func TestUpgradeKeepsTheQueue(t *testing.T) {
	t.Parallel()
	port := ownPort(t)
	g := startLineage(t, documents(plainOn(port), routeDoc("app", ""), backendDoc("app", named(t, "a").addr)))
	g.upgrade()
	var waiting []*wire
	for range 50 {
		waiting = append(waiting, dialPort(t, port))
	}
	g.upgrade()
	for range 50 {
		waiting = append(waiting, dialPort(t, port))
	}
	g.upgrade()
	// An old process begins to drain a moment after the new one serves.
	eventually(t, "three processes drain", func() bool { return strings.Count(g.logged(), "msg=draining") == 3 })
	for i, c := range waiting {
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if resp, body := c.mustRespond("GET"); resp.StatusCode != 200 || body != "a" || !resp.Close {
			t.Errorf("connection %d: %d %q, close %v", i, resp.StatusCode, body, resp.Close)
		}
	}
	g.stop()
}

// The binary, the configuration and the files that name the process are the
// new ones; sessions, the admin API's address and the access log go on.
func TestUpgradeToAnotherBinary(t *testing.T) {
	t.Parallel()
	servers, addrs := several(t, 4)
	port, other, gone := ownPort(t), ownPort(t), ownPort(t)
	before := documents(gatewayOn("", onPort("keep", port), onPort("gone", gone)), routeDoc("app", "sessionPersistence: {type: Cookie, sessionName: s}"), backendDoc("app", addrs...))
	after := documents(gatewayOn("", onPort("keep", port), onPort("other", other)), routeDoc("app", "sessionPersistence: {type: Cookie, sessionName: s}"), backendDoc("app", addrs...))
	pidFile := filepath.Join(t.TempDir(), "pid")
	g := startLineage(t, before, "--pid-file", pidFile)
	holds := func(pid int) {
		t.Helper()
		eventually(t, "the PID file names the process", func() bool {
			b, _ := os.ReadFile(pidFile)
			return string(b) == fmt.Sprintf("%d\n", pid)
		})
	}
	holds(g.pid())
	get := func(port int, cookie string) (*http.Response, string) {
		c := dialPort(t, port)
		c.send("GET /path HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + cookie + "\r\n")
		return c.mustRespond("GET")
	}
	first, name := get(port, "")
	cookie := "Cookie: " + strings.Split(first.Header.Get("Set-Cookie"), ";")[0] + "\r\n"
	if first.Header.Get("Set-Cookie") == "" || len(servers) == 0 {
		t.Fatal("no session")
	}
	newer := filepath.Join(t.TempDir(), "gridway")
	if out, err := exec.Command("go", "build", "-o", newer, "-ldflags", "-X github.com/gridway/gridway/internal/cli/command.version=v77", "../../cmd/gridway").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	copyFile(t, newer, g.bin)
	g.write(after)
	g.says("configuration in service", "revision=2")
	if version := g.upgrade(); version != "v77" {
		t.Errorf("version %q serves", version)
	}
	holds(g.pid())
	if s := g.admin("/v1/status"); !strings.Contains(s, `"version":"v77"`) && !strings.Contains(s, `"version": "v77"`) {
		t.Errorf("status: %.200s", s)
	}
	for range 8 {
		if _, body := get(port, cookie); body != name {
			t.Errorf("the session went from %q to %q", name, body)
		}
	}
	if resp, _ := get(other, ""); resp.StatusCode != 200 {
		t.Errorf("the new port answers %d", resp.StatusCode)
	}
	if _, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", gone)); err == nil {
		t.Error("the old port is still open")
	}
	b, err := os.ReadFile(filepath.Join(g.dir, "access"))
	if n := strings.Count(string(b), `"path":"/path"`); err != nil || n == 0 {
		t.Errorf("%d entries in the access log, %v", n, err)
	}
	g.stop()
	if _, err := os.Stat(pidFile); err == nil {
		t.Error("the PID file is left")
	}
}

func onPort(name string, port int) string {
	return fmt.Sprintf("{name: %s, port: %d, protocol: HTTP}", name, port)
}

// A tunnel stays with the process that it began in, which the new one knows of,
// until the upgrade's drain is over.
func TestUpgradeDrainsPolitely(t *testing.T) {
	t.Parallel()
	port := ownPort(t)
	g := startLineage(t, documents(plainOn(port), routeDoc("app", ""), backendDoc("app", longWork(t).addr)),
		"--drain-timeout", "100ms", "--upgrade-drain-timeout", "3s")
	c, idle := dialPort(t, port), dialPort(t, port)
	c.send("GET /tunnel HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
	if resp, err := http.ReadResponse(c.r, nil); err != nil || resp.StatusCode != 101 {
		t.Fatal(resp, err)
	}
	idle.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n") // a connection that only waits could be either process's
	if resp, _ := idle.mustRespond("GET"); resp.StatusCode != 200 || resp.Close {
		t.Fatalf("before the upgrade: %d, close %v", resp.StatusCode, resp.Close)
	}
	old := g.pid()
	begun := time.Now()
	g.upgrade()
	eventually(t, "the new process tells of the old one", func() bool {
		return strings.Contains(strings.ReplaceAll(g.admin("/v1/status"), " ", ""), fmt.Sprintf(`"predecessor":{"pid":%d,`, old))
	})
	c.send("over the upgrade\n")
	if line, err := c.r.ReadString('\n'); err != nil || line != "over the upgrade\n" {
		t.Errorf("%q, %v", line, err)
	}
	if gone(old) {
		t.Error("the old process ended although it had work")
	}
	eventually(t, "a connection that was idle is told to close", func() bool { // the old process begins to drain a moment after the new one serves
		idle.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		resp, _ := idle.mustRespond("GET")
		if resp.StatusCode != 200 {
			t.Fatalf("a connection that was idle: %d", resp.StatusCode)
		}
		return resp.Close
	})
	c.rest()
	if took := time.Since(begun); took < 2*time.Second {
		t.Errorf("the tunnel was cut after %v", took)
	}
	eventually(t, "the old process ends", func() bool { return gone(old) })
	eventually(t, "the new process forgets the old one", func() bool { return !strings.Contains(g.admin("/v1/status"), `"predecessor"`) })

	// A stop while an old process drains does not wait for the upgrade's time.
	c = dialPort(t, port)
	c.send("GET /tunnel HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
	if resp, err := http.ReadResponse(c.r, nil); err != nil || resp.StatusCode != 101 {
		t.Fatal(resp, err)
	}
	old = g.pid()
	g.upgrade()
	begun = time.Now()
	if err := syscall.Kill(old, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	c.rest()
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("the tunnel was cut after %v", took)
	}
	g.stop()
}
