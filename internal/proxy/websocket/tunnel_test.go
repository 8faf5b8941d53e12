package websocket_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gridway/gridway/internal/proxy/websocket"
	"github.com/gridway/gridway/internal/telemetry/metric"
	"github.com/gridway/gridway/internal/wire/netx"
	"github.com/gridway/gridway/internal/wire/ws"
)

const patience = 30 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a tunnel between two connections whose other ends a test holds.
type rig struct {
	t                *testing.T
	client, endpoint *net.TCPConn
	tunnel           *websocket.Tunnel
	result           chan websocket.Result
	moved            [2]atomic.Int64
}

// connect makes both ends of a connection.
func connect(t *testing.T) (ours *net.TCPConn, tunnels *netx.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c := netx.New(b)
	t.Cleanup(func() { a.Close(); c.Close() })
	a.SetDeadline(time.Now().Add(patience))
	return a.(*net.TCPConn), c
}

// open starts a tunnel. Early is what its client and endpoint have sent before.
func open(t *testing.T, change func(*websocket.Options), early ...string) *rig {
	t.Helper()
	r := &rig{t: t, result: make(chan websocket.Result, 1)}
	client, c := connect(t)
	endpoint, e := connect(t)
	r.client, r.endpoint = client, endpoint
	early = append(early, "", "")
	o := websocket.Options{
		Client: websocket.OnConn(c, []byte(early[0])), Endpoint: websocket.OnConn(e, []byte(early[1])),
		Moved: func(from metric.Side, n int) { r.moved[from].Add(int64(n)) },
	}
	if change != nil {
		change(&o)
	}
	r.tunnel = websocket.New(o)
	go func() {
		res := r.tunnel.Run(nil)
		c.Close()
		e.Close()
		r.result <- res
	}()
	return r
}

// ends waits for the end, which is to be as told.
func (r *rig) ends(by metric.Side, code uint16, cause websocket.Cause) websocket.Result {
	r.t.Helper()
	select {
	case res := <-r.result:
		if res.By != by || res.Code != code || res.Cause != cause {
			r.t.Errorf("ended by %v with %d, cause %v (%v); want %v, %d, %v", res.By, res.Code, res.Cause, res.Err, by, code, cause)
		}
		return res
	case <-time.After(patience):
		r.t.Fatal("the tunnel does not end")
		return websocket.Result{}
	}
}

var someMask = &[4]byte{1, 2, 3, 4}

// frame builds any frame, also one that must not be.
func frame(first byte, payload []byte, mask *[4]byte) []byte {
	b := []byte{first}
	second := byte(0)
	if mask != nil {
		second = 0x80
	}
	switch n := len(payload); {
	case n < 126:
		b = append(b, second|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, second|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, second|127), uint64(n))
	}
	if mask == nil {
		return append(b, payload...)
	}
	b = append(b, mask[:]...)
	at := len(b)
	b = append(b, payload...)
	for i := range b[at:] {
		b[at+i] ^= mask[i&3]
	}
	return b
}

const (
	fin    = 0x80
	text   = byte(ws.OpText)
	binop  = byte(ws.OpBinary)
	cont   = byte(ws.OpContinuation)
	closer = byte(ws.OpClose)
	ping   = byte(ws.OpPing)
)

func (r *rig) send(to io.Writer, p []byte) {
	r.t.Helper()
	if _, err := to.Write(p); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) hear(from io.Reader, want []byte) {
	r.t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(from, got); err != nil || !bytes.Equal(got, want) {
		r.t.Fatalf("%d of %d bytes, %v; equal: %v", n, len(want), err, bytes.Equal(got, want))
	}
}

func (r *rig) end(from io.Reader) {
	r.t.Helper()
	if rest, err := io.ReadAll(from); err != nil || len(rest) > 0 {
		r.t.Errorf("instead of the end: %d bytes, %v", len(rest), err)
	}
}

// Whatever the peers say passes unchanged, also what they must not say: to judge
// it is theirs. Only what is a message counts as one.
func TestAllBytesPass(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		frames   [][]byte
		messages uint64
	}{
		"masked":                       {[][]byte{frame(fin|text, []byte("hello"), someMask)}, 1},
		"without a mask":               {[][]byte{frame(fin|text, []byte("hello"), nil)}, 1},
		"fragments and a ping":         {[][]byte{frame(binop, []byte("a"), someMask), frame(fin|ping, []byte("?"), someMask), frame(cont, nil, someMask), frame(fin|cont, []byte("b"), someMask)}, 1},
		"a ping in pieces":             {[][]byte{frame(ping, []byte("half"), someMask), frame(fin|ping, []byte("a ping"), someMask)}, 0},
		"a long ping":                  {[][]byte{frame(fin|ping, make([]byte, 126), someMask)}, 0},
		"reserved bits":                {[][]byte{frame(fin|0x70|text, []byte("compressed"), someMask)}, 1},
		"an unknown opcode":            {[][]byte{frame(fin|0x3, []byte("?"), someMask), frame(fin|0xb, []byte("?"), someMask)}, 1},
		"a continuation of nothing":    {[][]byte{frame(fin|cont, []byte("?"), someMask)}, 1},
		"sizes at the bounds":          {[][]byte{frame(fin|binop, make([]byte, 125), someMask), frame(fin|binop, make([]byte, 126), someMask), frame(fin|binop, make([]byte, 65535), someMask), frame(fin|binop, make([]byte, 65536), someMask)}, 4},
		"nothing in it":                {[][]byte{frame(fin|text, nil, someMask), frame(fin|binop, nil, nil)}, 2},
		"a length in more than needed": {[][]byte{{fin | binop, 126, 0, 1, 'x'}, {fin | binop, 127, 0, 0, 0, 0, 0, 0, 0, 1, 'x'}}, 2},
		"no frames at all":             {[][]byte{{fin | binop, 127, 0xff, 0, 0, 0, 0, 0, 0, 0}, []byte("anything")}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			for _, pieces := range []bool{false, true} {
				all := slices.Concat(c.frames...)
				r := open(t, nil)
				for _, way := range []struct{ from, to *net.TCPConn }{{r.client, r.endpoint}, {r.endpoint, r.client}} {
					if pieces && len(all) < 1000 {
						for i := range all {
							r.send(way.from, all[i:i+1])
							r.hear(way.to, all[i:i+1])
						}
						continue
					}
					go func() { _, _ = way.from.Write(all) }()
					r.hear(way.to, all)
				}
				r.client.CloseWrite()
				r.end(r.endpoint)
				r.endpoint.CloseWrite()
				r.end(r.client)
				res := r.ends(metric.Client, ws.CloseAbnormal, websocket.None)
				if res.Messages != [2]uint64{c.messages, c.messages} || res.Err != nil {
					t.Errorf("%v messages, %v; want %d", res.Messages, res.Err, c.messages)
				}
				for side := range r.moved {
					if n := r.moved[side].Load(); n != int64(len(all)) {
						t.Errorf("%d bytes counted from %d, want %d", n, side, len(all))
					}
				}
			}
		})
	}
}

// What came with the handshake comes first.
func TestEarlyBytes(t *testing.T) {
	r := open(t, nil, "from the client", "from the endpoint")
	r.hear(r.endpoint, []byte("from the client"))
	r.hear(r.client, []byte("from the endpoint"))
	r.client.CloseWrite()
	r.endpoint.CloseWrite()
	<-r.result
}

// Who closes first is who has ended it, with the code of the first Close frame.
func TestCloseFrames(t *testing.T) {
	withCode := func(code uint16) []byte { return binary.BigEndian.AppendUint16(nil, code) }
	for name, c := range map[string]struct {
		payload []byte
		code    uint16
	}{
		"normal":    {withCode(1000), 1000},
		"reason":    {append(withCode(4321), "because"...), 4321},
		"no code":   {nil, ws.CloseNoStatus},
		"half code": {[]byte{3}, ws.CloseNoStatus},
	} {
		t.Run(name, func(t *testing.T) {
			r := open(t, nil)
			first, second := frame(fin|closer, c.payload, someMask), frame(fin|closer, withCode(1002), nil)
			r.send(r.client, first)
			r.hear(r.endpoint, first)
			r.send(r.endpoint, second)
			r.hear(r.client, second)
			r.endpoint.Close()
			r.end(r.client)
			r.client.Close()
			if res := r.ends(metric.Client, c.code, websocket.None); res.Err != nil {
				t.Error(res.Err)
			}
			r = open(t, nil)
			r.send(r.endpoint, frame(fin|closer, c.payload, nil))
			r.hear(r.client, frame(fin|closer, c.payload, nil))
			r.endpoint.Close()
			r.client.Close()
			r.ends(metric.Endpoint, c.code, websocket.None)
		})
	}
}

// After both Close frames nobody keeps the tunnel by not ending its connection.
func TestEndAfterBothCloseFrames(t *testing.T) {
	t.Parallel()
	r := open(t, nil)
	bye := frame(fin|closer, []byte{3, 232}, someMask)
	r.send(r.client, bye)
	r.hear(r.endpoint, bye)
	r.send(r.endpoint, bye)
	r.hear(r.client, bye)
	r.ends(metric.Client, 1000, websocket.None)
}

// A limit, or a drain, waits for the end of the frame that is under way, and not
// for ever.
func TestGridwayEndsBetweenTwoFrames(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*websocket.Options)
		leave  time.Duration
		cause  websocket.Cause
		reason string
	}{
		"idle":            {func(o *websocket.Options) { o.Idle = 200 * time.Millisecond }, -1, websocket.Idle, "idle timeout"},
		"overdue":         {func(o *websocket.Options) { o.By = netx.After(200 * time.Millisecond) }, -1, websocket.Overdue, "maximum duration"},
		"drain":           {nil, 0, websocket.Drain, "going away"},
		"drain, a moment": {nil, 200 * time.Millisecond, websocket.Drain, "going away"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := open(t, c.change)
			message := frame(fin|text, []byte("from the endpoint"), nil)
			r.send(r.endpoint, message[:7])
			r.hear(r.client, message[:7])
			if c.leave >= 0 {
				r.tunnel.Leave(c.leave)
			}
			if c.cause == websocket.Drain && c.leave == 0 { // the rest comes first, and then what is too late
				r.send(r.endpoint, message[7:])
				r.hear(r.client, message[7:])
			} else { // the frame never ends: nothing can be said in the middle of it
				if n, err := r.client.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
					t.Errorf("%d bytes, %v: an end in the middle of a frame that looks like one", n, err)
				}
				if res := <-r.result; res.Cause != c.cause {
					t.Errorf("%+v", res)
				}
				return
			}
			r.hear(r.client, ws.AppendClose(nil, ws.CloseGoingAway, c.reason, nil))
			r.send(r.endpoint, message) // which is dropped
			last := slices.Concat(frame(fin|text, []byte("last words"), someMask), frame(fin|closer, []byte{3, 233}, someMask))
			r.send(r.client, last)
			r.hear(r.endpoint, last)
			r.client.CloseWrite()
			r.end(r.endpoint)
			r.endpoint.CloseWrite()
			r.end(r.client)
			if res := r.ends(metric.Gridway, ws.CloseGoingAway, c.cause); res.Err != nil || res.Messages != [2]uint64{1, 1} {
				t.Errorf("%+v", res)
			}
		})
	}
}

// Both are told when nobody has said anything: first the client, and the endpoint
// when the client does not answer.
func TestSilentClientIsToldBeforeTheEndpoint(t *testing.T) {
	t.Parallel()
	r := open(t, func(o *websocket.Options) { o.Idle = 100 * time.Millisecond })
	r.hear(r.client, ws.AppendClose(nil, ws.CloseGoingAway, "idle timeout", nil))
	head := make([]byte, 6)
	if _, err := io.ReadFull(r.endpoint, head); err != nil || head[0] != fin|closer || head[1]&0x80 == 0 {
		t.Fatalf("% x %v: no masked Close frame", head, err)
	}
	mask := [4]byte(head[2:])
	r.hear(r.endpoint, ws.AppendClose(nil, ws.CloseGoingAway, "idle timeout", &mask)[6:])
	r.ends(metric.Gridway, ws.CloseGoingAway, websocket.Idle)
}

// Leave after the end, twice, and from several goroutines does nothing more.
func TestLeaveAgain(t *testing.T) {
	r := open(t, nil)
	for range 4 {
		go r.tunnel.Leave(time.Duration(rand.N(3)))
	}
	r.hear(r.client, ws.AppendClose(nil, ws.CloseGoingAway, "going away", nil))
	r.client.Close()
	r.endpoint.Close()
	<-r.result
	r.tunnel.Leave(0)
	r.tunnel.Leave(time.Hour)
}

// A drain that leaves time does not wait for it when the sides end by themselves.
func TestLeaveLater(t *testing.T) {
	r := open(t, nil)
	r.tunnel.Leave(1000 * time.Hour)
	m := frame(fin|text, []byte("still here"), someMask)
	r.send(r.client, m)
	r.hear(r.endpoint, m)
	r.client.CloseWrite()
	r.end(r.endpoint)
	r.endpoint.CloseWrite()
	r.ends(metric.Client, ws.CloseAbnormal, websocket.None)
}

// Once both Close frames have passed, a side that is reset has ended, and the other one
// is not reset for it.
func TestResetAfterBothCloseFrames(t *testing.T) {
	for _, by := range []metric.Side{metric.Client, metric.Endpoint} {
		r := open(t, nil)
		r.send(r.client, frame(0x88, []byte{3, 232}, someMask))
		r.hear(r.endpoint, frame(0x88, []byte{3, 232}, someMask))
		r.send(r.endpoint, frame(0x88, []byte{3, 232}, nil))
		r.hear(r.client, frame(0x88, []byte{3, 232}, nil))
		one, other := r.client, r.endpoint
		if by == metric.Endpoint {
			one, other = other, one
		}
		one.SetLinger(0)
		one.Close()
		r.end(other)
		other.Close()
		if res := r.ends(metric.Client, 1000, websocket.None); res.Err != nil {
			t.Errorf("reset by %v: %v", by, res.Err)
		}
	}
}

// A side that is reset is so for the other one too.
func TestResetPasses(t *testing.T) {
	for _, by := range []metric.Side{metric.Client, metric.Endpoint} {
		r := open(t, nil)
		from, to := r.client, r.endpoint
		if by == metric.Endpoint {
			from, to = to, from
		}
		from.SetLinger(0)
		from.Close()
		if _, err := to.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("reset by %v: %v", by, err)
		}
		if res := r.ends(by, ws.CloseAbnormal, websocket.None); res.Err == nil {
			t.Error("no error")
		}
	}
}

// What one side sends faster than the other takes waits in the sockets: the
// tunnel takes no more than a buffer of it.
func TestSlowReaderHoldsTheSenderBack(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"to the client", "to the endpoint"} {
		t.Run(way, func(t *testing.T) {
			r := open(t, nil)
			from, to := r.endpoint, r.client
			if way == "to the endpoint" {
				from, to = to, from
			}
			for _, c := range []*net.TCPConn{from, to} { // so that little fits into them
				c.SetReadBuffer(64 << 10)
				c.SetWriteBuffer(64 << 10)
			}
			piece := frame(fin|binop, make([]byte, 32<<10), nil)
			const pieces = 1000
			var sent atomic.Int64
			done := make(chan error, 1)
			go func() {
				for range pieces {
					if _, err := from.Write(piece); err != nil {
						done <- err
						return
					}
					sent.Add(int64(len(piece)))
				}
				done <- from.CloseWrite()
			}()
			held := settle(&sent)
			if held >= pieces*int64(len(piece)) {
				t.Fatalf("all %d bytes were taken although nobody reads", held)
			}
			if n, err := io.Copy(io.Discard, to); err != nil || n != pieces*int64(len(piece)) {
				t.Errorf("%d bytes, %v", n, err)
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
			to.CloseWrite()
			<-r.result
		})
	}
}

// settle waits until a number has stopped to grow.
func settle(n *atomic.Int64) int64 {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	last, same := int64(-1), 0
	for same < 15 {
		<-tick.C
		if now := n.Load(); now == last {
			same++
		} else {
			last, same = now, 0
		}
	}
	return last
}

// Messages pass without an allocation.
func TestTunnelAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	r := open(t, func(o *websocket.Options) { o.Idle = time.Hour })
	message, got := frame(fin|text, make([]byte, 200), someMask), make([]byte, 206+2)
	there := func() {
		if _, err := r.client.Write(message); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(r.endpoint, got[:len(message)]); err != nil {
			t.Fatal(err)
		}
		if _, err := r.endpoint.Write(message); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(r.client, got[:len(message)]); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(500, there); n >= 1 {
		t.Errorf("%v allocations for a message each way", n)
	}
	r.client.Close()
	r.endpoint.Close()
	<-r.result
}
