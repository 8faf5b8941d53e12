package grpc

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"net"
	"sync"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/proto"
)

// badServer speaks HTTP/2 frame by frame, and answers UnaryCall with a large
// message in the ways of gRPC's negative interoperability cases.
type badServer struct {
	t       *testing.T
	address string
	tls     *tls.Config // nil is clear text
	// maxStreams is announced, and answer sends the response to a request that is complete.
	maxStreams uint32
	answer     func(*badConn, uint32)

	mu    sync.Mutex
	conns int // guarded by mu
	used  int // guarded by mu; connections that brought a request
	wrong []string
}

// badConn is one connection of it.
type badConn struct {
	s    *badServer
	nc   net.Conn
	mu   sync.Mutex // guards what follows, and writing
	more sync.Cond
	fr   *http2.Framer
	open map[uint32]bool
	// window is that of the connection, and streams have initial and what came.
	window, initial int64
	streams         map[uint32]int64
	acked           int
	settled         bool // the limits of streams are known to the other side
	used, over      bool
}

func (s *badServer) start(t *testing.T) *badServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.t, s.address = t, l.Addr().String()
	if s.tls != nil {
		config := s.tls.Clone()
		config.NextProtos = []string{"h2"}
		l = tls.NewListener(l, config)
	}
	var wg sync.WaitGroup
	var open sync.Map
	wg.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns++
			s.mu.Unlock()
			open.Store(nc, true)
			wg.Go(func() { s.serve(nc) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		open.Range(func(nc, _ any) bool { nc.(net.Conn).Close(); return true })
		wg.Wait()
		for _, w := range s.wrong {
			t.Error(w)
		}
	})
	return s
}

func (s *badServer) complain(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrong = append(s.wrong, what)
}

func (s *badServer) serve(nc net.Conn) {
	defer nc.Close()
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := readFull(nc, preface); err != nil || string(preface) != http2.ClientPreface {
		return // the gateway may connect and have no use for it
	}
	c := &badConn{s: s, nc: nc, fr: http2.NewFramer(nc, nc), open: map[uint32]bool{}, streams: map[uint32]int64{}, window: 65535, initial: 65535}
	c.more.L = &c.mu
	var settings []http2.Setting
	if s.maxStreams > 0 {
		settings = append(settings, http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: s.maxStreams})
	}
	c.write(func() error { return c.fr.WriteSettings(settings...) })
	var wg sync.WaitGroup
	for {
		f, err := c.fr.ReadFrame()
		if err != nil {
			break
		}
		if id, complete := c.take(f); complete {
			wg.Go(func() { s.answer(c, id) })
		}
	}
	c.mu.Lock()
	c.over = true
	c.more.Broadcast()
	c.mu.Unlock()
	wg.Wait()
}

func readFull(nc net.Conn, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var k int
		k, err = nc.Read(b[n:])
		n += k
	}
	return n, err
}

// take takes a frame in. It returns the stream whose request it completes.
func (c *badConn) take(f http2.Frame) (id uint32, complete bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id = f.Header().StreamID
	switch f := f.(type) {
	case *http2.SettingsFrame:
		if f.IsAck() {
			c.settled = true
			return 0, false
		}
		if v, ok := f.Value(http2.SettingInitialWindowSize); ok {
			c.initial = int64(v)
		}
		c.fr.WriteSettingsAck()
	case *http2.WindowUpdateFrame:
		if id == 0 {
			c.window += int64(f.Increment)
		} else {
			c.streams[id] += int64(f.Increment)
		}
		c.more.Broadcast()
	case *http2.PingFrame:
		if f.IsAck() {
			c.acked++
			c.more.Broadcast()
		} else {
			c.fr.WritePing(true, f.Data)
		}
	case *http2.HeadersFrame:
		if c.s.maxStreams > 0 && len(c.open) >= int(c.s.maxStreams) {
			if c.settled {
				c.s.complain("more streams than were allowed")
			}
			c.fr.WriteRSTStream(id, http2.ErrCodeRefusedStream)
			return 0, false
		}
		c.open[id] = true
		if !c.used {
			c.used = true
			c.s.mu.Lock()
			c.s.used++
			c.s.mu.Unlock()
		}
		return id, f.StreamEnded()
	case *http2.DataFrame:
		if n := uint32(len(f.Data())); n > 0 {
			c.fr.WriteWindowUpdate(0, n)
			c.fr.WriteWindowUpdate(id, n)
		}
		return id, f.StreamEnded() && c.open[id]
	case *http2.RSTStreamFrame:
		delete(c.open, id)
	}
	return 0, false
}

func (c *badConn) write(f func() error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

func (c *badConn) headers(id uint32, end bool, fields ...string) {
	var b bytes.Buffer
	enc := hpack.NewEncoder(&b)
	for i := 0; i < len(fields); i += 2 {
		enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	c.write(func() error {
		if end {
			delete(c.open, id)
		}
		return c.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: b.Bytes(), EndHeaders: true, EndStream: end})
	})
}

// data sends bytes as flow control lets them go.
func (c *badConn) data(id uint32, b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(b) > 0 && !c.over {
		n := min(int64(len(b)), 16384, c.window, c.initial+c.streams[id])
		if n <= 0 {
			c.more.Wait()
			continue
		}
		c.window -= n
		c.streams[id] -= n
		c.fr.WriteData(id, false, b[:n])
		b = b[n:]
	}
}

func (c *badConn) reset(id uint32) { c.resetWith(id, http2.ErrCodeNo) }

func (c *badConn) resetWith(id uint32, code http2.ErrCode) {
	c.write(func() error {
		delete(c.open, id)
		return c.fr.WriteRSTStream(id, code)
	})
}

func (c *badConn) goAway(id uint32) {
	c.write(func() error { return c.fr.WriteGoAway(id, http2.ErrCodeNo, nil) })
}

// ping sends a PING and waits for its answer.
func (c *badConn) ping() {
	c.mu.Lock()
	defer c.mu.Unlock()
	want := c.acked + 1
	c.fr.WritePing(false, [8]byte{'p'})
	for c.acked < want && !c.over {
		c.more.Wait()
	}
	if c.over {
		c.s.complain("the connection ended before a PING was answered")
	}
}

func (c *badConn) head(id uint32) {
	c.headers(id, false, ":status", "200", "content-type", "application/grpc")
}

func (c *badConn) trailer(id uint32) { c.headers(id, true, "grpc-status", "0") }

// largeAnswer is the message that the cases expect, in its frame.
var largeAnswer = func() []byte {
	const size = 314159
	m, err := proto.Marshal(&testgrpc.SimpleResponse{Payload: &testgrpc.Payload{Body: make([]byte, size)}})
	if err != nil {
		panic(err)
	}
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(m))), m...)
}()
