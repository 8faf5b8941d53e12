package h2_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/wire/h2"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// pipe is a connection over the loopback, whose ends both can write at once.
func pipe(t *testing.T) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		c, _ := l.Accept()
		accepted <- c
	}()
	if a, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	b = <-accepted
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// echo answers each request with its own method, path, content and fields.
func echo(t *testing.T, nc net.Conn, cfg h2.Config) *driver {
	var d *driver
	d = drive(t, nc, func(now int64) *h2.Conn { return h2.NewServer(cfg, now) }, func(ev *h2.Event) {
		s := ev.Stream
		if s == nil {
			return
		}
		if ev.Kind == h2.EventRequest {
			s.User = &exchange{req: ev.Request}
			ev.Request = nil
		}
		x := s.User.(*exchange)
		x.take(d, ev)
		if ev.Kind == h2.EventReset || !x.done {
			return
		}
		resp := &httpmsg.Response{Status: 200, Body: httpmsg.BodyLength, Length: int64(len(x.body))}
		resp.Header.Add([]byte("X-Method"), x.req.Method)
		resp.Header.Add([]byte("X-Path"), x.req.AppendPathAndQuery(nil))
		for i := range x.req.Header.Len() {
			if f := x.req.Header.At(i); strings.HasPrefix(string(f.Name), "x-") {
				resp.Header.AddField(f.Name, f.Value, f.ID)
			}
		}
		if err := d.c.SendResponse(s, &httpmsg.Response{Status: 103}, false); err != nil {
			t.Error(err)
		}
		x.trailer = new(httpmsg.Header)
		for _, f := range x.gotTrailer {
			x.trailer.Add([]byte(f[0]), []byte(f[1]))
		}
		if x.req.MethodID == httpmsg.MethodHead {
			x.body = nil
		}
		if err := d.c.SendResponse(s, resp, false); err != nil {
			t.Error(err)
		}
		x.pending, x.end = x.body, true
		d.pump(s)
	})
	return d
}

func unencrypted() *http.Protocols {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	return p
}

// oneConn is a listener that accepts one connection.
type oneConn struct {
	conn   chan net.Conn
	closed sync.Once
}

func (l *oneConn) Accept() (net.Conn, error) {
	if c, ok := <-l.conn; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error {
	l.closed.Do(func() { close(l.conn) })
	return nil
}

func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

func random(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, 1))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// The client of x/net sends requests of all sizes at once; ours answers.
func TestServerWithOracleClient(t *testing.T) {
	for name, cfg := range map[string]h2.Config{
		"defaults":      {HeaderBytes: 256 << 10},
		"narrow":        {MaxStreams: 3, StreamWindow: 1000, HeaderBytes: 256 << 10},
		"one window":    {StreamWindow: 100000, ConnWindow: 65535, HeaderBytes: 256 << 10},
		"no table":      {HeaderTableSize: -1, NoHuffman: true, HeaderBytes: 256 << 10},
		"small windows": {StreamWindow: 1, MaxStreams: 10, HeaderBytes: 256 << 10, ControlBurst: 1 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := pipe(t)
			d := echo(t, b, cfg)
			tr := &http.Transport{
				Protocols: unencrypted(), DisableCompression: true,
				DialContext: func(context.Context, string, string) (net.Conn, error) { return a, nil },
			}
			cc, err := tr.NewClientConn(context.Background(), "http", "example.com:80")
			if err != nil {
				t.Fatal(err)
			}
			defer cc.Close()
			oracleRequest(t, cc, 0, nil) // after an answer the client knows our settings
			slots := make(chan struct{}, cmp.Or(cfg.MaxStreams, 100))
			largest := 150000
			if name == "small windows" {
				largest = 300
			}
			var wg sync.WaitGroup
			for i := range 30 {
				wg.Go(func() {
					slots <- struct{}{}
					oracleRequest(t, cc, i, random(uint64(i), largest*(i%7)/6))
					<-slots
				})
			}
			wg.Wait()
			d.mu.Lock()
			defer d.mu.Unlock()
			if d.err != nil || d.c.Streams() != 0 {
				t.Errorf("%v, %d streams are open", d.err, d.c.Streams())
			}
		})
	}
}

func oracleRequest(t *testing.T, cc *http.ClientConn, i int, content []byte) {
	method := []string{"POST", "GET", "HEAD", "PUT"}[i%4]
	if method == "GET" || method == "HEAD" {
		content = nil
	}
	path := fmt.Sprintf("/path/%d?q=%d", i, i)
	req, err := http.NewRequestWithContext(context.Background(), method, "http://example.com"+path, bytes.NewReader(content))
	if err != nil {
		t.Error(err)
		return
	}
	if i%3 == 0 && len(content) > 0 {
		req.ContentLength = -1
		req.Trailer = http.Header{"X-Sum": {fmt.Sprint(i)}}
	}
	long := strings.Repeat("long ", 8000*(i%5/4)+1) + "end"
	req.Header.Set("X-Long", long)
	resp, err := cc.RoundTrip(req)
	if err != nil {
		t.Error(err)
		return
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("request %d: %d of %d bytes, %v", i, len(got), len(content), err)
	}
	h := resp.Header
	if resp.StatusCode != 200 || h.Get("X-Method") != method || h.Get("X-Path") != path || h.Get("X-Long") != long {
		t.Errorf("request %d: %d %.100v", i, resp.StatusCode, h)
	}
	if req.Trailer != nil && resp.Trailer.Get("X-Sum") != fmt.Sprint(i) {
		t.Errorf("request %d: trailer %v", i, resp.Trailer)
	}
}

// Our client sends requests of all sizes at once; the server of x/net answers.
func TestClientWithOracleServer(t *testing.T) {
	for name, cfg := range map[string]h2.Config{
		"defaults":   {HeaderBytes: 256 << 10},
		"narrow":     {StreamWindow: 1000, HeaderBytes: 256 << 10, ControlBurst: 1 << 20},
		"no Huffman": {NoHuffman: true, HeaderBytes: 256 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := pipe(t)
			served := make(chan struct{})
			l := &oneConn{conn: make(chan net.Conn, 1)}
			l.conn <- b
			srv := &http.Server{
				Protocols: unencrypted(), Handler: http.HandlerFunc(oracleHandler), MaxHeaderBytes: 256 << 10,
				HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 20}, ReadHeaderTimeout: time.Minute,
			}
			go func() {
				defer close(served)
				srv.Serve(l)
			}()
			var d *driver
			d = drive(t, a, func(now int64) *h2.Conn { return h2.NewClient(cfg, now) }, func(ev *h2.Event) {
				if ev.Stream != nil {
					ev.Stream.User.(*exchange).take(d, ev)
				}
			})
			d.mu.Lock()
			for i := range 50 {
				d.await(t, func() bool { return d.c.Peer().MaxConcurrentStreams == 20 && d.c.Capacity() > 0 })
				clientRequest(t, d, i)
			}
			d.await(t, func() bool { return d.c.Streams() == 0 })
			d.c.Leave()
			done := d.c.Done()
			d.cond.Broadcast()
			d.mu.Unlock()
			if !done {
				t.Error("not done")
			}
			srv.Close()
			<-served
		})
	}
}

func oracleHandler(w http.ResponseWriter, r *http.Request) {
	content, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(http.StatusEarlyHints)
	w.Header().Set("X-Method", r.Method)
	w.Header().Set("X-Path", r.URL.RequestURI())
	w.Header().Set("X-Long", r.Header.Get("X-Long"))
	w.Header().Set("Trailer", "X-Sum")
	w.WriteHeader(http.StatusOK)
	w.Write(content)
	w.Header().Set("X-Sum", r.Trailer.Get("X-Sum"))
}

// clientRequest starts a request and, in the background, checks its answer.
func clientRequest(t *testing.T, d *driver, i int) {
	method := []string{"POST", "GET", "HEAD", "PUT"}[i%4]
	content := random(uint64(i), 150000*(i%7)/6)
	if method == "GET" || method == "HEAD" {
		content = nil
	}
	path := fmt.Sprintf("/path/%d", i)
	req := &httpmsg.Request{Method: []byte(method), MethodID: httpmsg.LookupMethod([]byte(method)), Host: []byte("example.com"), Path: []byte(path)}
	long := strings.Repeat("long ", 8000*(i%5/4)+1) + "end"
	req.Header.Add([]byte("X-Long"), []byte(long))
	x := &exchange{}
	switch {
	case content == nil:
		x.end = true
	case i%3 == 0:
		req.Body, req.Length = httpmsg.BodyChunked, -1
		req.Header.Add([]byte("Trailer"), []byte("X-Sum"))
		x.trailer = new(httpmsg.Header)
		x.trailer.Add([]byte("X-Sum"), []byte(fmt.Sprint(i)))
	default:
		req.Body, req.Length = httpmsg.BodyLength, int64(len(content))
	}
	s, err := d.c.Open(req, content == nil, &x.resp, &x.arena)
	if err != nil {
		t.Error(err)
		return
	}
	s.User = x
	if content != nil {
		x.pending, x.end = content, true
		d.pump(s)
	}
	d.cond.Broadcast()
	d.wg.Go(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		for !x.done && !d.ended {
			d.cond.Wait()
		}
		fields := map[string]string{}
		for _, f := range append(x.header, x.gotTrailer...) {
			fields[f[0]] = f[1]
		}
		want := content
		if method == "HEAD" {
			want = nil
		}
		if !x.done || x.status != 200 || !bytes.Equal(x.body, want) || fields["x-method"] != method || fields["x-path"] != path || fields["x-long"] != long {
			t.Errorf("request %d: done %v, status %d, %d of %d bytes, reset %v %v, connection %v", i, x.done, x.status, len(x.body), len(want), x.reset, x.err, d.err)
		}
		if x.trailer != nil && fields["x-sum"] != fmt.Sprint(i) {
			t.Errorf("request %d: trailer %v", i, x.gotTrailer)
		}
	})
}
