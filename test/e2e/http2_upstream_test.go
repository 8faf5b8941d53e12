package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/wire/h2"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// h2Server takes HTTP/2 with prior knowledge, at most streams at a time on a
// connection, and counts connections.
func h2Server(t *testing.T, streams int, h http.HandlerFunc) (addr string, conns *atomic.Int64) {
	t.Helper()
	return h2ServerWith(t, &http.HTTP2Config{MaxConcurrentStreams: streams}, h)
}

// h2ServerWith has windows of its own too.
func h2ServerWith(t *testing.T, config *http.HTTP2Config, h http.HandlerFunc) (addr string, conns *atomic.Int64) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conns = new(atomic.Int64)
	srv := &http.Server{
		Handler: h, Protocols: new(http.Protocols), HTTP2: config,
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				conns.Add(1)
			}
		},
	}
	srv.Protocols.SetUnencryptedHTTP2(true)
	go srv.Serve(ln)
	t.Cleanup(func() { srv.Close() })
	return ln.Addr().String(), conns
}

func h2Backend(name, addr string) string {
	return fmt.Sprintf("apiVersion: gridway.dev/v1alpha1\nkind: Backend\nmetadata: {name: %s}\nspec: {protocol: h2c, endpoints: [{address: %q}]}\n", name, addr)
}

// TestHTTP2Endpoints: HTTP/1 and HTTP/2 clients share a few connections to an
// endpoint, which are made as they are needed.
func TestHTTP2Endpoints(t *testing.T) {
	t.Parallel()
	const streams, parallel = 5, 20
	var together sync.WaitGroup
	together.Add(parallel)
	addr, conns := h2Server(t, streams, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.URL.Path == "/together" {
			together.Done()
			together.Wait()
		}
		w.Header().Set("Trailer", "X-Sum")
		fmt.Fprintf(w, "%s %s %d %s", r.Proto, r.Method, len(body), r.Trailer.Get("X-End"))
		w.(http.Flusher).Flush() // a length would leave HTTP/1 no place for the trailer
		w.Header().Set("X-Sum", fmt.Sprint(len(body)))
	})
	port := ownPort(t)
	start(t, documents(plainOn(port), routeDoc("app", ""), h2Backend("app", addr)))
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	http1 := &http.Client{Timeout: 20 * time.Second}
	t.Cleanup(http1.CloseIdleConnections)
	clients := []*http.Client{http1, overHTTP2(t, nil)}
	for _, size := range []int{0, 10, 300_000} {
		for _, client := range clients {
			body := bytes.NewReader(make([]byte, size))
			r, _ := http.NewRequest("POST", url, struct{ io.Reader }{body})
			r.Trailer = http.Header{"X-End": {"yes"}}
			resp, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			want := fmt.Sprintf("HTTP/2.0 POST %d yes", size)
			if string(got) != want && string(got)+"yes" != want || err != nil || resp.Trailer.Get("X-Sum") != fmt.Sprint(size) {
				t.Errorf("%d bytes over %s: %q, trailer %v, %v", size, resp.Proto, got, resp.Trailer, err)
			}
		}
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections for requests one after the other", n)
	}
	var all sync.WaitGroup
	for i := range parallel {
		all.Go(func() {
			resp, err := clients[i%2].Get(url + "/together")
			if err != nil {
				t.Error(err)
				return
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode != 200 {
				t.Errorf("answered %s", resp.Status)
			}
		})
	}
	all.Wait()
	if n := conns.Load(); n < parallel/streams || n > parallel/streams+2 {
		t.Errorf("%d connections for %d requests at a time, %d on each", n, parallel, streams)
	}
}

// h2Script is an HTTP/2 server that a test plays.
type h2Script struct {
	t     *testing.T
	addr  string
	conns atomic.Int64
	// on answers a request; n counts those of all connections from 1. What it
	// returns is sent as it is.
	on func(c *h2.Conn, s *h2.Stream, r *httpmsg.Request, n int64) []byte
	n  atomic.Int64
}

func scripted(t *testing.T, on func(c *h2.Conn, s *h2.Stream, r *httpmsg.Request, n int64) []byte) *h2Script {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &h2Script{t: t, addr: ln.Addr().String(), on: on}
	var playing sync.WaitGroup
	playing.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			p.conns.Add(1)
			playing.Go(func() { p.play(c) })
			t.Cleanup(func() { c.Close() })
		}
	})
	t.Cleanup(func() { ln.Close() })
	return p
}

func (p *h2Script) play(nc net.Conn) {
	defer nc.Close()
	begun := time.Now()
	now := func() int64 { return int64(time.Since(begun)) + 1 }
	c := h2.NewServer(h2.Config{}, now())
	buf, w := make([]byte, 64<<10), 0
	var ev h2.Event
	for {
		if b := c.Take(); b != nil {
			_, err := nc.Write(b.B)
			b.Release()
			if err != nil {
				return
			}
		}
		if c.Done() {
			return
		}
		n, err := nc.Read(buf[w:])
		w += n
		if err != nil {
			return
		}
		for in := buf[:w]; ; {
			used, err := c.Next(in, now(), &ev)
			in = in[used:]
			if err != nil {
				return
			}
			switch ev.Kind {
			case h2.EventNone:
				w = copy(buf, in)
			case h2.EventRequest:
				raw := p.on(c, ev.Stream, ev.Request, p.n.Add(1))
				ev.Request = nil
				if _, err := nc.Write(raw); err != nil {
					return
				}
			case h2.EventData:
				c.Consume(ev.Stream, len(ev.Data))
			}
			if ev.Kind == h2.EventNone {
				break
			}
		}
	}
}

func answer(c *h2.Conn, s *h2.Stream, status int, body string, end bool) {
	r := &httpmsg.Response{Status: status, Body: httpmsg.BodyChunked, Length: -1}
	c.SendResponse(s, r, false)
	c.SendData(s, []byte(body), end)
}

// TestRefusedStreams: what an endpoint has not touched is sent again, also what
// must not be sent twice (RFC 9113 §8.7).
func TestRefusedStreams(t *testing.T) {
	t.Parallel()
	for name, refuse := range map[string]func(c *h2.Conn, s *h2.Stream) []byte{
		"REFUSED_STREAM": func(c *h2.Conn, s *h2.Stream) []byte { c.Reset(s, h2.RefusedStream); return nil },
		"GOAWAY":         func(*h2.Conn, *h2.Stream) []byte { return h2.AppendGoAway(nil, 0, h2.NoError, "") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := scripted(t, func(c *h2.Conn, s *h2.Stream, _ *httpmsg.Request, n int64) []byte {
				if n%2 == 1 {
					return refuse(c, s)
				}
				answer(c, s, 200, "at last", true)
				return nil
			})
			port := ownPort(t)
			start(t, documents(plainOn(port), routeDoc("app", ""), h2Backend("app", p.addr)))
			for range 5 {
				resp, err := http.Post(fmt.Sprintf("http://127.0.0.1:%d/", port), "text/plain", bytes.NewReader([]byte("once")))
				if err != nil {
					t.Fatal(err)
				}
				got, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if resp.StatusCode != 200 || string(got) != "at last" {
					t.Errorf("answered %s %q", resp.Status, got)
				}
			}
		})
	}
}

// TestEndpointResetsStreams: a client can tell that a response is not complete,
// and what else the connection carries goes on.
func TestEndpointResetsStreams(t *testing.T) {
	t.Parallel()
	p := scripted(t, func(c *h2.Conn, s *h2.Stream, r *httpmsg.Request, _ int64) []byte {
		switch string(r.Path) {
		case "/cut":
			answer(c, s, 200, "the beginning", false)
			c.Reset(s, h2.InternalError)
		case "/reset":
			c.Reset(s, h2.InternalError)
		default:
			answer(c, s, 200, "ok", true)
		}
		return nil
	})
	port := ownPort(t)
	start(t, documents(plainOn(port), routeDoc("app", ""), h2Backend("app", p.addr)))
	for _, client := range []*http.Client{{Timeout: 20 * time.Second}, overHTTP2(t, nil)} {
		get := func(path string) (*http.Response, string, error) {
			resp, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d%s", port, path))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			return resp, string(body), err
		}
		if resp, body, err := get("/cut"); err == nil {
			t.Errorf("over %s a response that was cut looks whole: %q", resp.Proto, body)
		}
		if resp, body, _ := get("/reset"); resp.StatusCode != 502 || resp.Header.Get("X-Gridway-Reason") != "UpstreamReset" {
			t.Errorf("over %s a reset was answered %s %q", resp.Proto, resp.Status, body)
		}
		if resp, body, err := get("/"); resp.StatusCode != 200 || body != "ok" || err != nil {
			t.Errorf("over %s after that: %s %q %v", resp.Proto, resp.Status, body, err)
		}
	}
	if n := p.conns.Load(); n != 1 {
		t.Errorf("%d connections; the resets were of streams alone", n)
	}
}
