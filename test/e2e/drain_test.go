package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// gated is a server whose /held responses have begun, and end on release.
type gated struct {
	*server
	release chan struct{}
}

func startGated(t *testing.T) *gated {
	g := &gated{release: make(chan struct{})}
	g.server = serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if r.URL.Path == "/held" {
			io.WriteString(w, "begun,")
			w.(http.Flusher).Flush()
			select {
			case <-g.release:
			case <-r.Context().Done():
				return
			}
		}
		fmt.Fprintf(w, "%s", body)
	})
	return g
}

// SIGTERM: what is under way ends well, idle connections are closed soon, and
// the process ends with 0 as soon as nothing is left.
func TestDrain(t *testing.T) {
	t.Parallel()
	app := startGated(t)
	port := ownPort(t)
	p := start(t, documents(plainOn(port), routeDoc("app", ""), backendDoc("app", app.addr)), "--drain-timeout", "8s")

	idle, late, held, upload, pipelined := dialPort(t, port), dialPort(t, port), dialPort(t, port), dialPort(t, port), dialPort(t, port)
	for _, c := range []*wire{idle, late} {
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		c.mustRespond("GET")
	}
	silent := dialPort(t, port)
	held.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
	upload.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf,\r\n")
	pipelined.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\nGET /held?second HTTP/1.1\r\nHost: a\r\n\r\n")
	eventually(t, "three requests are under way", func() bool { return app.requests.Load() == 5 })
	eventually(t, "all are connected", func() bool { return p.metric("gridway_listener_connections") == 6 })

	// A request that crosses the signal: both wait for the process to go on.
	p.signal(syscall.SIGSTOP)
	late.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	p.terminate()
	p.signal(syscall.SIGCONT)
	p.said("draining")
	if resp, _ := late.mustRespond("GET"); resp.StatusCode != 200 {
		t.Errorf("a request that crossed the signal: %d", resp.StatusCode)
	}
	if rest := late.rest(); rest != "" {
		t.Errorf("behind it came %q", rest)
	}
	resp, err := p.api.Get("http://localhost/readyz")
	if err != nil || resp.StatusCode != 503 {
		t.Errorf("readyz: %v %v", resp, err)
	}
	begun := time.Now()
	for name, c := range map[string]*wire{"idle": idle, "silent": silent} {
		if rest := c.rest(); rest != "" {
			t.Errorf("%s: %q", name, rest)
		}
	}
	if took := time.Since(begun); took > 4*time.Second {
		t.Errorf("idle connections were closed after %v", took)
	}
	eventually(t, "the port is closed", func() bool {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	upload.send("5\r\nwhole\r\n0\r\n\r\n")
	if resp, body := upload.mustRespond("POST"); body != "half,whole" || !resp.Close {
		t.Errorf("the upload: %q, close %v", body, resp.Close)
	}
	select {
	case <-p.done:
		t.Fatal("ended with requests under way")
	default:
	}
	close(app.release)
	if _, body := held.mustRespond("GET"); body != "begun," {
		t.Errorf("the long response: %q", body)
	}
	if _, body := pipelined.mustRespond("GET"); body != "begun," {
		t.Errorf("the pipelined response: %q", body)
	}
	if code := p.ended(patience); code != 0 {
		t.Errorf("exit code %d", code)
	}
	p.accessed(`"path":"/held"`, `"status":200`)
	if strings.Contains(p.log.String(), "cut off") {
		t.Error("something was cut off")
	}
}

// Work that does not end is cut off at the deadline, visibly for both sides.
func TestDrainDeadline(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{}, 2)
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "begun,")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		gone <- struct{}{}
	})
	echo := startPeer(t, func(c *peerConn) {
		c.head()
		c.say("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
		c.untilClosed()
		gone <- struct{}{}
	})
	port := ownPort(t)
	p := start(t, documents(plainOn(port), backendDoc("app", app.addr), backendDoc("echo", echo.addr), ruleDoc(`
- {matches: [{path: {value: /echo}}], backendRefs: [{group: gridway.dev, kind: Backend, name: echo}]}
- {backendRefs: [{group: gridway.dev, kind: Backend, name: app}]}`)), "--drain-timeout", "700ms")
	c, tunnel := dialPort(t, port), dialPort(t, port)
	c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	tunnel.send("GET /echo HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
	if resp, err := http.ReadResponse(tunnel.r, nil); err != nil || resp.StatusCode != 101 {
		t.Fatal(resp, err)
	}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	p.terminate()
	if body, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("the response looks whole: %q", body)
	}
	tunnel.rest()
	if took := time.Since(begun); took < 600*time.Millisecond || took > 4*time.Second {
		t.Errorf("cut off after %v", took)
	}
	if code := p.ended(patience); code == 0 {
		t.Error("exit code 0 although work was cut off")
	}
	for range 2 {
		select {
		case <-gone:
		case <-time.After(onBusy):
			t.Fatal("an endpoint still waits")
		}
	}
	p.said("cut off")
	p.accessed(`"path":"/"`)
}

// A second signal does not wait.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	app := startGated(t)
	port := ownPort(t)
	p := start(t, documents(plainOn(port), routeDoc("app", ""), backendDoc("app", app.addr)), "--drain-timeout", "1m")
	c := dialPort(t, port)
	c.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
	eventually(t, "it is under way", func() bool { return app.requests.Load() == 1 })
	p.terminate()
	p.said("draining")
	p.signal(syscall.SIGINT)
	if code := p.ended(patience); code != 1 {
		t.Errorf("exit code %d", code)
	}
}

// With --reuse-port a new process serves beside the old one, which then ends
// while requests go on: none fails.
func TestSharedPortUnderLoad(t *testing.T) { // not parallel: it takes the whole machine
	app := named(t, "a")
	port := ownPort(t)
	yaml := documents(plainOn(port), routeDoc("app", ""), backendDoc("app", app.addr))
	old := start(t, yaml, "--reuse-port")
	l := newLoad(t)
	for _, keep := range []bool{true, true, false, false} {
		l.add(keep, port, nil, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", saying("a"))
	}
	for range 3 {
		l.passed(100)
		next := start(t, yaml, "--reuse-port")
		l.passed(100)
		old.terminate()
		if code := old.ended(2 * patience); code != 0 {
			t.Errorf("exit code %d", code)
		}
		old = next
	}
	l.passed(100)
	l.end()
}

// A client that keeps its connection busy is told that it closes, and cannot
// hold the drain up.
func TestBusyConnectionDoesNotHoldTheDrain(t *testing.T) { // not parallel: it takes the whole machine
	port := ownPort(t)
	p := start(t, documents(plainOn(port), routeDoc("app", ""), backendDoc("app", named(t, "a").addr)))
	c := dialPort(t, port)
	stop, sent := make(chan struct{}), make(chan struct{})
	go func() { // a deaf client: it goes on sending whatever it is told
		defer close(sent)
		w := bufio.NewWriter(c.Conn)
		for {
			select {
			case <-stop:
				return
			default:
				io.WriteString(w, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
				if w.Flush() != nil {
					return
				}
			}
		}
	}()
	for range 50 {
		c.mustRespond("GET")
	}
	p.terminate()
	io.Copy(io.Discard, c.r)
	if code := p.ended(patience); code != 0 {
		t.Errorf("exit code %d", code)
	}
	close(stop)
	<-sent
}
