package upstream_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/upstream"
	"github.com/gridway/gridway/internal/proxy/upstream/http1"
	"github.com/gridway/gridway/internal/wire/h2"
	"github.com/gridway/gridway/internal/wire/httpmsg"
	"github.com/gridway/gridway/internal/wire/netx"
)

// h2Endpoint is an HTTP/2 server that answers when release is closed.
type h2Endpoint struct {
	address string
	conns   atomic.Int64
	release chan struct{}
}

func newH2Endpoint(t *testing.T, streams int) *h2Endpoint {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &h2Endpoint{address: ln.Addr().String(), release: make(chan struct{})}
	srv := &http.Server{
		Protocols: new(http.Protocols), HTTP2: &http.HTTP2Config{MaxConcurrentStreams: streams},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			select {
			case <-p.release:
			case <-r.Context().Done():
			}
			io.WriteString(w, "done")
		}),
		ConnState: func(_ net.Conn, s http.ConnState) {
			if s == http.StateNew {
				p.conns.Add(1)
			}
		},
	}
	srv.Protocols.SetUnencryptedHTTP2(true)
	served := make(chan struct{})
	go func() { defer close(served); srv.Serve(ln) }()
	t.Cleanup(func() { srv.Close(); <-served })
	return p
}

// sharing is a cluster whose connections are shared.
func sharing(address string, hash uint64) *ir.Cluster {
	cfg := cluster(address)
	cfg.HTTP2, cfg.Hash = true, hash
	return cfg
}

// call is an exchange that has begun.
type call struct {
	t      *testing.T
	e      *upstream.Endpoint
	s      upstream.Stream
	reused bool
	resp   httpmsg.Response
}

func newRequest(body httpmsg.BodyKind) *httpmsg.Request {
	return &httpmsg.Request{Method: []byte("POST"), MethodID: httpmsg.MethodPost, Host: []byte("a"), Path: []byte("/"), Scheme: "http", Body: body, Length: -1}
}

// begin waits for the head of the answer.
func begin(t *testing.T, c *upstream.Cluster) *call {
	t.Helper()
	x := &call{t: t, e: pick(t, c, upstream.Query{})}
	var err error
	if x.s, x.reused, err = x.e.Open(&upstream.Ask{By: soon()}, new(http1.Stream)); err != nil {
		t.Fatal(err)
	}
	x.s.SetReadBy(soon())
	x.s.SetWriteBy(soon())
	if err := x.s.Send(newRequest(httpmsg.BodyNone), nil, true); err != nil {
		t.Fatal(err)
	}
	if err := x.s.ReadHead(&x.resp); err != nil || x.resp.Status != 200 {
		t.Fatal(x.resp.Status, err)
	}
	return x
}

// end reads the rest of the answer.
func (x *call) end() {
	x.t.Helper()
	got := ""
	for {
		piece, err := x.s.ReadBody()
		got += string(piece)
		if err != nil {
			if err != io.EOF || got != "done" {
				x.t.Errorf("the answer is %q, %v", got, err)
			}
			break
		}
	}
	x.e.Close(x.s, true, netx.Monotonic())
}

// More connections are made when those that there are carry all that the endpoint
// takes, and no earlier.
func TestSharedConnectionsGrow(t *testing.T) {
	p := newH2Endpoint(t, 3)
	cfg := sharing(p.address, 1)
	c := newLoopSet(t, cfg).Cluster(cfg.Name)
	var calls []*call
	for i, want := range []int64{1, 1, 1, 2, 2, 2, 3} {
		x := begin(t, c)
		if got := p.conns.Load(); got != want || x.reused != (i%3 != 0) {
			t.Errorf("call %d: %d connections, reused %v", i, got, x.reused)
		}
		calls = append(calls, x)
	}
	close(p.release)
	for _, x := range calls {
		x.end()
	}
	for range 20 {
		begin(t, c).end()
	}
	if got := p.conns.Load(); got != 3 {
		t.Errorf("%d connections", got)
	}
}

// Who finds no room, where no connection may be made any more, waits for a place
// until its time is over.
func TestPlacesOnSharedConnectionsAreWaitedFor(t *testing.T) {
	p := newH2Endpoint(t, 1)
	cfg := sharing(p.address, 1)
	cfg.Breaker = &ir.Breaker{MaxConnections: 1}
	c := newLoopSet(t, cfg).Cluster(cfg.Name)
	first := begin(t, c)
	if _, _, err := first.e.Open(&upstream.Ask{By: netx.After(50 * time.Millisecond)}, new(http1.Stream)); !errors.Is(err, upstream.ErrOverload) {
		t.Errorf("without a place: %v", err)
	}
	begun := make(chan *call, 5)
	for range cap(begun) {
		go func() {
			x := &call{t: t, e: first.e}
			var err error
			if x.s, x.reused, err = x.e.Open(&upstream.Ask{By: soon()}, new(http1.Stream)); err != nil {
				t.Error(err)
			}
			begun <- x
		}()
	}
	close(p.release)
	first.end()
	for range cap(begun) {
		x := <-begun
		if !x.reused {
			t.Error("a second connection")
		}
		x.e.Close(x.s, false, netx.Monotonic())
	}
	if got := p.conns.Load(); got != 1 {
		t.Errorf("%d connections", got)
	}
}

// An endpoint that takes nothing at first, and something later, is not left waiting.
func TestEndpointsMayTakeMoreLater(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	waits, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		nc.Write(h2.AppendSettingsAck(h2.AppendSettings(nil, h2.Setting{ID: h2.SettingMaxConcurrentStreams, Value: 0})))
		go func() {
			<-waits
			nc.Write(h2.AppendSettings(nil, h2.Setting{ID: h2.SettingMaxConcurrentStreams, Value: 2}))
		}()
		io.Copy(io.Discard, nc)
	}()
	cfg := sharing(ln.Addr().String(), 1)
	cfg.Breaker = &ir.Breaker{MaxConnections: 1}
	set := newLoopSet(t, cfg)
	e := pick(t, set.Cluster(cfg.Name), upstream.Query{})
	first, _, err := e.Open(&upstream.Ask{By: soon()}, new(http1.Stream)) // whose dial it is
	if err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	second, reused, err := e.Open(&upstream.Ask{By: soon(), Gone: func() bool { once.Do(func() { close(waits) }); return false }}, new(http1.Stream))
	if err != nil || !reused {
		t.Fatalf("reused %v, %v", reused, err)
	}
	e.Close(first, false, netx.Monotonic())
	e.Close(second, false, netx.Monotonic())
	set.Close()
	<-over
}

// A cluster that is rebuilt goes on with the connections of the one before, also
// with those that carry exchanges of that one.
func TestSharedConnectionsOutliveTheirCluster(t *testing.T) {
	p := newH2Endpoint(t, 100)
	cfg := sharing(p.address, 1)
	s := newLoopSet(t, cfg)
	before := s.Cluster(cfg.Name)
	old := begin(t, before)
	for hash := uint64(2); hash < 5; hash++ {
		next := sharing(p.address, hash)
		if err := s.Apply([]*ir.Cluster{next}); err != nil {
			t.Fatal(err)
		}
		if x := begin(t, s.Cluster(cfg.Name)); !x.reused {
			t.Error("a reload has cost a connection")
		} else {
			defer x.end()
		}
	}
	if n, m := before.Snapshot().Connections, s.Cluster(cfg.Name).Snapshot().Connections; n != 0 || m != 1 {
		t.Errorf("%d connections are counted for the old cluster, %d for the new one", n, m)
	}

	// A connection that was made for other bounds ends with what it carries.
	other := sharing(p.address, 5)
	other.Pool.IdleTimeout = time.Hour
	if err := s.Apply([]*ir.Cluster{other}); err != nil {
		t.Fatal(err)
	}
	x := begin(t, s.Cluster(cfg.Name))
	if x.reused || p.conns.Load() != 2 {
		t.Errorf("%d connections", p.conns.Load())
	}
	close(p.release)
	old.end()
	x.end()
}

// A limit that a rebuilt cluster has holds for what it takes over, too.
func TestSharedConnectionsOverTheHeirsLimit(t *testing.T) {
	p := newH2Endpoint(t, 1)
	cfg := sharing(p.address, 1)
	s := newLoopSet(t, cfg)
	before := s.Cluster(cfg.Name)
	calls := []*call{begin(t, before), begin(t, before), begin(t, before)}
	next := sharing(p.address, 2)
	next.Breaker = &ir.Breaker{MaxConnections: 2}
	if err := s.Apply([]*ir.Cluster{next}); err != nil {
		t.Fatal(err)
	}
	after := s.Cluster(cfg.Name)
	if n, m := before.Snapshot().Connections, after.Snapshot().Connections; n != 1 || m != 2 {
		t.Errorf("%d connections are counted for the old cluster, %d for the new one", n, m)
	}
	close(p.release)
	for _, x := range calls {
		x.end()
	}
	eventually(t, "the connection that is too many ends", func() bool { return before.Snapshot().Connections == 0 })
	if x := begin(t, after); !x.reused {
		t.Error("a connection was made beyond the limit")
	} else {
		x.end()
	}
}

// What an endpoint did not take in time is not sent later, and above all no end
// that would make what it has look whole.
func TestUnsentContentHasNoEnd(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	const window = 10
	reopened := make(chan struct{})
	events := make(chan string, 10)
	go func() {
		defer close(events)
		nc, err := ln.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		c := h2.NewServer(h2.Config{StreamWindow: window}, 1)
		var ev h2.Event
		buf, w := make([]byte, 4096), 0
		for {
			if b := c.Take(); b != nil {
				nc.Write(b.B)
				b.Release()
			}
			n, err := nc.Read(buf[w:])
			if err != nil {
				return
			}
			w += n
			for in := buf[:w]; ; {
				used, err := c.Next(in, 1, &ev)
				if in = in[used:]; err != nil {
					events <- err.Error()
					return
				}
				switch ev.Kind {
				case h2.EventData:
					if ev.End {
						events <- "end"
					}
					if ev.Stream.Unread() == window {
						<-reopened
						nc.Write(h2.AppendPing(h2.AppendWindowUpdate(nil, ev.Stream.ID(), 1000), [8]byte{1}, false))
					}
				case h2.EventPong:
					events <- "pong"
				case h2.EventReset:
					events <- ev.Code.String()
				}
				if ev.Kind == h2.EventNone {
					w = copy(buf, in)
					break
				}
			}
		}
	}()
	cfg := sharing(ln.Addr().String(), 1)
	e := pick(t, newLoopSet(t, cfg).Cluster(cfg.Name), upstream.Query{})
	s, _, err := e.Open(&upstream.Ask{By: soon()}, new(http1.Stream))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(newRequest(httpmsg.BodyChunked), nil, false); err != nil {
		t.Fatal(err)
	}
	s.SetWriteBy(netx.After(20 * time.Millisecond))
	if err := s.SendBody(make([]byte, 100), true, nil); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("sent through a shut window: %v", err)
	}
	close(reopened)
	if got := <-events; got != "pong" {
		t.Errorf("after the window opened: %s", got)
	}
	e.Close(s, false, netx.Monotonic())
	if got := <-events; got != h2.Cancel.String() {
		t.Errorf("at the end of the exchange: %s", got)
	}
}
