package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/wire/netx"
)

// A response that overtakes its request's body leaves a connection of which
// nobody can say where the next request begins: the client is told.
func TestOvertakenBodyEndsTheConnection(t *testing.T) {
	p := startPeer(t, func(c *peerConn) {
		c.head()
		c.say("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
		io.Copy(io.Discard, c.r)
	})
	h := start(t, []string{p.addr})
	for _, head := range []string{"Expect: 100-continue\r\nContent-Length: 4\r\n\r\n", "Content-Length: 4\r\n\r\nbo", "Transfer-Encoding: chunked\r\n\r\n4\r\n"} {
		c := h.dial()
		c.send("POST / HTTP/1.1\r\nHost: a\r\n" + head)
		if resp := c.want("POST", 401, ""); !resp.Close {
			t.Errorf("the client may believe that the connection stays: %q", head)
		}
		c.ended()
	}
}

func TestContinueIsSentOnce(t *testing.T) {
	var tries atomic.Int32
	p := startPeer(t, func(c *peerConn) {
		c.head()
		c.say("HTTP/1.1 100 Continue\r\n\r\n")
		c.take(4)
		if tries.Add(1) == 1 {
			c.say("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			return
		}
		c.say(okReply)
	})
	h := start(t, []string{p.addr}, func(cfg *ir.Config) {
		cfg.Routes[0].Rules[0].Policy.Retry = &ir.Retry{Attempts: 2, Statuses: []int{503}, MaxReplayBytes: 1 << 10}
	})
	c := h.dial()
	c.send("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
	if resp, err := http.ReadResponse(c.r, nil); err != nil || resp.StatusCode != 100 {
		t.Fatalf("%v %v", resp, err)
	}
	c.send("body")
	c.want("PUT", 200, "ok")
	if tries.Load() != 2 {
		t.Errorf("%d tries", tries.Load())
	}
}

// A response whose body hangs must not hold up the retry.
func TestRetryDoesNotWaitForTheBodyOfAFailure(t *testing.T) {
	over := make(chan struct{})
	p := startPeer(t,
		func(c *peerConn) {
			c.head()
			c.say("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 10\r\n\r\n")
			<-over
		},
		answerAll(okReply))
	h := start(t, []string{p.addr}, func(cfg *ir.Config) {
		cfg.Routes[0].Rules[0].Policy.Retry = &ir.Retry{Attempts: 1, Statuses: []int{503}}
	})
	defer close(over)
	c := h.dial()
	c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	c.want("GET", 200, "ok")
}

func TestSwitchInTheMiddleOfTheBodyIsRefused(t *testing.T) {
	p := startPeer(t, func(c *peerConn) {
		c.head()
		c.say("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
		io.Copy(io.Discard, c.r)
	})
	c := start(t, []string{p.addr}).dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\nContent-Length: 100\r\n\r\nx")
	c.want("POST", 502, "*")
}

// A client that resets its connection while the upstream takes nothing of its
// body is noticed, and the upstream is told at once.
func TestResetDuringAStalledUploadCancelsIt(t *testing.T) {
	gone := make(chan struct{})
	p := startPeer(t, func(c *peerConn) {
		// Nothing is read: only a reset gets through.
		conn := netx.New(c.Conn)
		look := time.NewTicker(5 * time.Millisecond)
		defer look.Stop()
		for range look.C {
			if conn.Gone() {
				close(gone)
				return
			}
		}
	})
	c := start(t, []string{p.addr}).dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
	c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
	block := bytes.Repeat([]byte("x"), 64<<10)
	for {
		if _, err := c.Write(block); err != nil {
			break
		}
	}
	c.Conn.(*net.TCPConn).SetLinger(0)
	c.Close()
	select {
	case <-gone:
	case <-time.After(patience):
		t.Fatal("the upstream connection stayed open")
	}
}

func TestResponsesHaveDateAndVia(t *testing.T) {
	p := startPeer(t, func(c *peerConn) {
		c.head()
		c.say(okReply)
		c.head()
		c.say("HTTP/1.0 200 OK\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nServer: up\r\nVia: 1.1 b\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok")
	})
	c := start(t, []string{p.addr}, func(cfg *ir.Config) { clientPolicy(cfg).Via = "edge" }).dial()
	c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	resp := c.want("GET", 200, "ok")
	if _, err := http.ParseTime(resp.Header.Get("Date")); err != nil || resp.Header.Get("Via") != "1.1 edge" || resp.Header.Get("Server") != "" {
		t.Errorf("%v", resp.Header)
	}
	c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	resp = c.want("GET", 200, "ok")
	if resp.Header.Get("Date") != "Mon, 01 Jan 2024 00:00:00 GMT" || resp.Header.Get("Via") != "1.1 b, 1.0 edge" || resp.Header.Get("Server") != "up" {
		t.Errorf("%v", resp.Header)
	}
}

func TestNotAllowedNamesWhatIs(t *testing.T) {
	c := start(t, []string{"127.0.0.1:1"}).dial()
	c.send("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n")
	if resp := c.want("CONNECT", 405, "*"); !strings.Contains(resp.Header.Get("Allow"), "GET") {
		t.Errorf("RFC 9110 §15.5.6 wants Allow: %v", resp.Header)
	}
}

func TestConnectionOverTheLimitIsToldWhy(t *testing.T) {
	p := startPeer(t, answerAll(okReply))
	h := start(t, []string{p.addr}, func(cfg *ir.Config) { clientPolicy(cfg).MaxConnections = 1 })
	first := h.dial()
	first.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	first.want("GET", 200, "ok")
	for range 20 { // a close with unread bytes would reset some of them
		c := h.dial()
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if resp := c.want("GET", 503, ""); resp.Header.Get("X-Gridway-Reason") != "ConnectionLimit" || !resp.Close {
			t.Fatalf("%v", resp.Header)
		}
		c.Close()
	}
	first.Close()
}

// Clients that connect anew and clients that keep their connections see no
// error but a refused connection when the proxy is shut down under load.
func TestShutdownUnderLoadResetsNobody(t *testing.T) {
	p := startPeer(t, answerAll(okReply))
	h := start(t, []string{p.addr})
	var (
		wg      sync.WaitGroup
		started = make(chan struct{}, 8)
		failed  atomic.Value
	)
	for i := range 8 {
		wg.Go(func() {
			request := "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
			if i%2 == 0 {
				request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
			}
			for n := 0; ; n++ {
				conn, err := net.DialTimeout("tcp", h.addr, patience)
				if err != nil {
					return
				}
				err = exchanges(conn, request)
				conn.Close()
				if err != nil {
					failed.Store(err)
					return
				}
				if n == 0 {
					started <- struct{}{}
				}
			}
		})
	}
	for range 4 {
		<-started // the others keep their first connection
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := h.proxy.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		t.Errorf("a client saw %v", err)
	}
}

// exchanges sends requests until the server says that the connection closes.
func exchanges(conn net.Conn, request string) error {
	conn.SetDeadline(time.Now().Add(patience))
	c := &client{Conn: conn, r: bufio.NewReader(conn)}
	for {
		if _, err := io.WriteString(conn, request); err != nil {
			return err
		}
		resp, _, err := c.response("GET")
		if err != nil {
			return err
		}
		if resp.Close {
			return nil
		}
	}
}

func TestPlainHTTPOnATLSPort(t *testing.T) {
	h := start(t, []string{"127.0.0.1:1"}, func(cfg *ir.Config) { cfg.Listeners[0].Protocol = ir.HTTPS })
	c := h.dial()
	c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	c.want("GET", 400, "*")
	c.ended()
	other := h.dial()
	other.send("\x00\x01garbage that is neither")
	if rest, _ := io.ReadAll(other.r); bytes.Contains(rest, []byte("HTTP")) {
		t.Errorf("not HTTP, but answered %q", rest)
	}
	if _, err := tls.Dial("tcp", h.addr, &tls.Config{InsecureSkipVerify: true}); err == nil {
		t.Error("a handshake without certificates succeeded")
	}
}

// A client that does not take its response is reset after the limit, so that
// not even the kernel keeps megabytes for it.
func TestSlowReaderIsReset(t *testing.T) {
	for _, framing := range []string{"Content-Length: 100000000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n5f5e100\r\n"} {
		cut := make(chan struct{})
		p := startPeer(t, func(c *peerConn) {
			defer close(cut)
			c.head()
			c.say("HTTP/1.1 200 OK\r\n%s", framing)
			block := bytes.Repeat([]byte("z"), 64<<10)
			for range 1500 {
				if _, err := c.Write(block); err != nil {
					return
				}
			}
		})
		c := start(t, []string{p.addr}, func(cfg *ir.Config) { clientPolicy(cfg).BodyIdleTimeout = 100 * time.Millisecond }).dial()
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		select {
		case <-cut:
		case <-time.After(patience):
			t.Fatal("the upstream was not let go")
		}
		if _, err := io.Copy(io.Discard, c.r); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the client saw %v, want a reset", err)
		}
	}
}
