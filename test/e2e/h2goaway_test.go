package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/wire/h2"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// h2load is clients that send requests over HTTP/2 without pause, several at a
// time on each connection, half of them with a body, and count what fails.
type h2load struct {
	t      *testing.T
	wg     sync.WaitGroup
	stop   chan struct{}
	once   sync.Once
	done   atomic.Int64
	failed atomic.Int64
}

func loadHTTP2(t *testing.T, url string, want func(sent int, resp *http.Response, body []byte) bool) *h2load {
	l := &h2load{t: t, stop: make(chan struct{})}
	t.Cleanup(l.end)
	for range 2 {
		client := overHTTP2(t, nil)
		for n := range 4 {
			l.wg.Go(func() {
				for l.going() {
					if err := l.ask(client, url, n%2*20_000, want); err != nil {
						l.failed.Add(1)
						t.Errorf("after %d requests: %v", l.done.Load(), err)
						return
					}
					l.done.Add(1)
				}
			})
		}
	}
	return l
}

func (l *h2load) going() bool {
	select {
	case <-l.stop:
		return false
	default:
		return true
	}
}

func (l *h2load) ask(client *http.Client, url string, size int, want func(int, *http.Response, []byte) bool) error {
	resp, err := client.Post(url, "text/plain", bytes.NewReader(make([]byte, size)))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if !want(size, resp, body) {
		return fmt.Errorf("answered %d %s %.100q", resp.StatusCode, resp.Header.Get("X-Gridway-Reason"), body)
	}
	return nil
}

// passed waits until n more requests were answered.
func (l *h2load) passed(n int64) {
	l.t.Helper()
	most := l.done.Load() + n
	eventually(l.t, "requests go on", func() bool { return l.done.Load() >= most || l.failed.Load() > 0 })
}

func (l *h2load) end() {
	l.once.Do(func() { close(l.stop) })
	l.wg.Wait()
}

func counted(w http.ResponseWriter, r *http.Request) {
	n, _ := io.Copy(io.Discard, r.Body)
	fmt.Fprint(w, n)
}

func isCounted(sent int, resp *http.Response, body []byte) bool {
	return resp.StatusCode == 200 && string(body) == fmt.Sprint(sent)
}

// No drain of Gridway's loses a request: not that of a process beside which
// another has begun, nor that of connections that are old.
func TestHTTP2DrainsUnderLoad(t *testing.T) { // not parallel: it takes the whole machine
	app := serve(t, counted)
	t.Run("a process ends", func(t *testing.T) {
		port := ownPort(t)
		yaml := documents(plainOn(port), routeDoc("app", ""), backendDoc("app", app.addr))
		old := start(t, yaml, "--reuse-port")
		l := loadHTTP2(t, fmt.Sprintf("http://127.0.0.1:%d/", port), isCounted)
		for range 3 {
			l.passed(50)
			next := start(t, yaml, "--reuse-port")
			l.passed(50)
			old.terminate()
			if code := old.ended(2 * patience); code != 0 {
				t.Errorf("exit code %d", code)
			}
			old = next
		}
		l.passed(50)
		l.end()
	})
	t.Run("connections are old", func(t *testing.T) {
		g := serveYAML(t, documents(plainOn(80), routeDoc("app", ""), backendDoc("app", app.addr),
			clientPolicyDoc("timeouts: {maxConnectionDuration: 100ms}")))
		l := loadHTTP2(t, "http://"+g.addr+"/", isCounted)
		eventually(t, "ten connections have been told", func() bool {
			return g.metric("gridway_listener_http2_goaways_total", `reason="MaxConnectionDuration"`) >= 10
		})
		l.end()
	})
	t.Run("connections to the endpoint are old", func(t *testing.T) {
		addr, conns := h2Server(t, 100, counted)
		g := serveYAML(t, documents(plainOn(80), routeDoc("app", ""), h2Backend("app", addr),
			policyDoc("app", "Backend", "app", "connectionPool: {maxLifetime: 100ms}")))
		l := loadHTTP2(t, "http://"+g.addr+"/", isCounted)
		eventually(t, "ten connections were made", func() bool { return conns.Load() >= 10 })
		l.end()
	})
}

// No drain of an endpoint's loses a request, whatever its way to say GOAWAY.
func TestHTTP2EndpointsDrainUnderLoad(t *testing.T) { // not parallel: it takes the whole machine
	t.Run("Go", func(t *testing.T) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		relay := newTurns(t, ln)
		g := serveYAML(t, documents(plainOn(80), routeDoc("app", ""), h2Backend("app", ln.Addr().String())))
		l := loadHTTP2(t, "http://"+g.addr+"/", isCounted)
		for range 10 {
			l.passed(50)
			relay.next()
		}
		l.passed(50)
		l.end()
	})
	for name, server := range map[string]string{
		"NGINX counts requests": "keepalive_requests 20;",
		"NGINX counts time":     "keepalive_time 50ms;",
	} {
		t.Run(name, func(t *testing.T) {
			port := ownPort(t)
			addr := nginxWith(t, port, fmt.Sprintf(`listen 127.0.0.1:%d http2; %s location / { return 200 "ok"; }`, port, server))
			g := serveYAML(t, documents(plainOn(80), routeDoc("app", ""), h2Backend("app", addr)))
			l := loadHTTP2(t, "http://"+g.addr+"/", func(_ int, resp *http.Response, body []byte) bool {
				return resp.StatusCode == 200 && string(body) == "ok"
			})
			l.passed(500)
			l.end()
		})
	}
	t.Run("NGINX reloads", func(t *testing.T) {
		port := ownPort(t)
		dir := t.TempDir()
		user := ""
		if os.Getuid() == 0 {
			user = "user root;"
		}
		conf := filepath.Join(dir, "nginx.conf")
		text := fmt.Sprintf(`%s daemon off; master_process on; worker_processes 2; pid %s/pid; error_log /dev/null;
events {}
http {
  access_log off; client_body_temp_path %[2]s; proxy_temp_path %[2]s; fastcgi_temp_path %[2]s; uwsgi_temp_path %[2]s; scgi_temp_path %[2]s;
  server { listen 127.0.0.1:%[3]d http2; location / { return 200 "ok"; } }
}`, user, dir, port)
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		pid, addr := nginxMaster(t, conf, port)
		g := serveYAML(t, documents(plainOn(80), routeDoc("app", ""), h2Backend("app", addr)))
		l := loadHTTP2(t, "http://"+g.addr+"/", func(_ int, resp *http.Response, body []byte) bool {
			return resp.StatusCode == 200 && string(body) == "ok"
		})
		for range 5 {
			l.passed(100)
			if err := syscall.Kill(pid, syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
		}
		l.passed(100)
		l.end()
	})
}

// turns are HTTP/2 servers that have one address, one after the other.
type turns struct {
	t   *testing.T
	mu  sync.Mutex
	srv *http.Server // guarded by mu
	in  *handed      // guarded by mu
	wg  sync.WaitGroup
}

// handed is a listener that is given its connections.
type handed struct {
	net.Listener
	conns chan net.Conn
	over  chan struct{}
	once  sync.Once
}

func (h *handed) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.over:
		return nil, net.ErrClosed
	}
}

func (h *handed) Close() error {
	h.once.Do(func() { close(h.over) })
	return nil
}

func newTurns(t *testing.T, ln net.Listener) *turns {
	r := &turns{t: t}
	r.begin(ln)
	r.wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			for given := false; !given; {
				r.mu.Lock()
				in := r.in
				r.mu.Unlock()
				select {
				case in.conns <- c:
					given = true
				case <-in.over:
				}
			}
		}
	})
	t.Cleanup(func() {
		ln.Close()
		r.mu.Lock()
		r.srv.Close()
		r.mu.Unlock()
		r.wg.Wait()
	})
	return r
}

func (r *turns) begin(ln net.Listener) (before *http.Server) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before = r.srv
	in := &handed{Listener: ln, conns: make(chan net.Conn), over: make(chan struct{})}
	srv := &http.Server{Handler: http.HandlerFunc(counted), Protocols: new(http.Protocols)}
	srv.Protocols.SetUnencryptedHTTP2(true)
	r.srv, r.in = srv, in
	r.wg.Go(func() { srv.Serve(in) })
	return before
}

// next lets another server go on and ends the one before politely.
func (r *turns) next() {
	before := r.begin(r.in.Listener)
	ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
	defer cancel()
	if err := before.Shutdown(ctx); err != nil {
		r.t.Errorf("the endpoint's end: %v", err)
	}
}

// nginxMaster runs NGINX with workers, and returns its process's number.
func nginxMaster(t *testing.T, conf string, port int) (pid int, addr string) {
	t.Helper()
	cmd := exec.Command(tool(t, "nginx"), "-e", "/dev/null", "-c", conf) // without pipes, which workers would keep
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	})
	addr = fmt.Sprintf("127.0.0.1:%d", port)
	eventually(t, "NGINX listens", func() bool {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return cmd.Process.Pid, addr
}

// A client that goes in the middle of its upload: the endpoint is told so, by a
// reset where it speaks HTTP/2, and nothing of it is left.
func TestHTTP2UploadGivenUp(t *testing.T) {
	t.Parallel()
	begun, ended := make(chan struct{}, 1), make(chan error, 1)
	handler := func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadFull(r.Body, make([]byte, 1000)); err != nil {
			t.Errorf("the beginning: %v", err)
		}
		begun <- struct{}{}
		_, err := io.Copy(io.Discard, r.Body)
		ended <- err
	}
	addr, conns := h2Server(t, 100, handler)
	for version, app := range map[string]string{"h1": backendDoc("app", serve(t, handler).addr), "h2": h2Backend("app", addr)} {
		g := serveYAML(t, documents(plainOn(80), routeDoc("app", ""), app))
		for _, leave := range []func(c *h2wire, id uint32){
			func(c *h2wire, id uint32) { c.write(h2.AppendRSTStream(nil, id, h2.Cancel)) },
			func(c *h2wire, _ uint32) { c.Close() },
		} {
			c := dialH2(t, g.addr)
			id, b := c.request("POST", "/", false)
			c.write(h2.AppendData(b, id, make([]byte, 2000), false))
			<-begun
			leave(c, id)
			select {
			case err := <-ended:
				if err == nil {
					t.Errorf("%s: half an upload looks whole", version)
				}
			case <-time.After(onBusy):
				t.Fatalf("%s: the endpoint goes on", version)
			}
			eventually(t, "nothing of it is left", func() bool {
				return g.metric("gridway_listener_http2_streams") == 0 && g.underWay() == 0
			})
			g.logged(`"protocol":"HTTP/2"`, "ClientGone")
			g.entries.reset()
		}
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections to the endpoint: a stream's end is not its connection's", n)
	}
}

// An endpoint that has answered may end the request that it does not want to
// read (RFC 9113 §8.1): the answer arrives whole, however slowly it is taken.
func TestHTTP2EndpointAnswersEarly(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("x", 50_000)
	p := scripted(t, func(c *h2.Conn, s *h2.Stream, _ *httpmsg.Request, _ int64) []byte {
		answer(c, s, 403, body, true)
		b := c.Take()
		defer b.Release()
		return h2.AppendRSTStream(bytes.Clone(b.B), s.ID(), h2.NoError)
	})
	g := serveYAML(t, documents(plainOn(80), routeDoc("app", ""), h2Backend("app", p.addr)))
	for range 20 {
		c := dialH2(t, g.addr, h2.Setting{ID: h2.SettingInitialWindowSize, Value: 100})
		id, b := c.request("POST", "/", false)
		c.write(h2.AppendData(b, id, make([]byte, 16<<10), false))
		c.until("the head", func(f frame) bool { return f.Type == h2.FrameHeaders && f.StreamID == id })
		c.write(h2.AppendWindowUpdate(nil, id, 1<<20))
		got := 0
		c.until("the end", func(f frame) bool {
			if f.Type == h2.FrameData {
				got += len(f.payload)
			}
			return f.Type == h2.FrameData && f.Flags.Has(h2.FlagEndStream) || f.Type == h2.FrameRSTStream
		})
		if got != len(body) {
			t.Errorf("%d of %d bytes of the answer", got, len(body))
		}
		c.Close()
	}
	for range 20 { // from a client of HTTP/1
		resp, got := g.post("/", strings.Repeat("y", 300_000))
		if resp.StatusCode != 403 || got != body {
			t.Errorf("%d with %d bytes", resp.StatusCode, len(got))
		}
	}
	if n := p.conns.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}
