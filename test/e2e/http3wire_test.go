package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"

	"github.com/gridway/gridway/internal/wire/h3"
)

// h3wire is a client that says on an HTTP/3 connection what a test wants.
type h3wire struct {
	t    *testing.T
	conn *quic.Conn
}

func h3TLS(cache tls.ClientSessionCache) *tls.Config {
	return &tls.Config{ServerName: "a.example", InsecureSkipVerify: true, NextProtos: []string{"h3"}, ClientSessionCache: cache}
}

func dialH3(t *testing.T, addr string) *h3wire {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	conn, err := quic.DialAddr(ctx, addr, h3TLS(nil), &quic.Config{MaxIdleTimeout: 4 * patience})
	if err != nil {
		t.Fatal(err)
	}
	return newH3wire(t, conn)
}

// newH3wire opens the control stream.
func newH3wire(t *testing.T, conn *quic.Conn) *h3wire {
	t.Helper()
	t.Cleanup(func() { conn.CloseWithError(0x100, "") })
	w := &h3wire{t, conn}
	w.uni(h3.AppendSettings(h3.AppendVarint(nil, uint64(h3.StreamControl)), h3.Settings{}))
	return w
}

func (w *h3wire) uni(b []byte) *quic.SendStream {
	w.t.Helper()
	s, err := w.conn.OpenUniStream()
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := s.Write(b); err != nil {
		w.t.Fatal(err)
	}
	return s
}

func h3frame(t h3.FrameType, payload []byte) []byte {
	return append(h3.AppendFrameHeader(nil, t, len(payload)), payload...)
}

// h3head is a HEADERS frame of a request.
func h3head(method, path string, more ...string) []byte {
	return h3frame(h3.FrameHeaders, h3section(method, path, more...))
}

func h3section(method, path string, more ...string) []byte {
	var b bytes.Buffer
	e := qpack.NewEncoder(&b)
	fields := append([]string{":method", method, ":scheme", "https", ":authority", "a.example", ":path", path}, more...)
	for i := 0; i < len(fields); i += 2 {
		_ = e.WriteField(qpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return b.Bytes()
}

// open begins a request; it waits for a place.
func (w *h3wire) open(b []byte) (*quic.Stream, error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*patience)
	defer cancel()
	s, err := w.conn.OpenStreamSync(ctx)
	if err != nil {
		return nil, err
	}
	_, err = s.Write(b)
	return s, err
}

// send sends a whole request.
func (w *h3wire) send(b []byte) *quic.Stream {
	w.t.Helper()
	s, err := w.open(b)
	if err != nil {
		w.t.Fatal(err)
	}
	s.Close()
	return s
}

// response reads a whole response.
func (w *h3wire) response(s *quic.Stream) (status, content string, err error) {
	var r h3.Reader
	r.Reset(s)
	defer r.Release()
	for {
		t, length, err := r.Next()
		switch {
		case err == io.EOF:
			return status, content, nil
		case err != nil:
			return status, content, err
		case length == 0:
			continue
		}
		b, err := r.Payload(make([]byte, 0, length))
		if err != nil {
			return status, content, err
		}
		switch t {
		case h3.FrameHeaders:
			f, err := qpack.NewDecoder().Decode(b)()
			if err != nil {
				return status, content, err
			}
			if status == "" {
				status = f.Value
			}
		case h3.FrameData:
			content += string(b)
		}
	}
}

// closedWith waits for the end of the connection and returns its code.
func (w *h3wire) closedWith() h3.Code {
	w.t.Helper()
	select {
	case <-w.conn.Context().Done():
	case <-w.t.Context().Done():
	}
	var app *quic.ApplicationError
	if err := context.Cause(w.conn.Context()); !errors.As(err, &app) || !app.Remote {
		w.t.Fatalf("the connection ended with %v", err)
	}
	return h3.Code(app.ErrorCode)
}

// udpRelay stands between a client and a server, and can hold back what the server
// says.
type udpRelay struct {
	front *net.UDPConn
	addr  string
	// holding: what the server says to clients that come now is kept until release
	// is closed.
	holding atomic.Bool
	release chan struct{}
}

func newUDPRelay(t *testing.T, server string) *udpRelay {
	t.Helper()
	front, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	dst, err := net.ResolveUDPAddr("udp4", server)
	if err != nil {
		t.Fatal(err)
	}
	r := &udpRelay{front: front, addr: front.LocalAddr().String(), release: make(chan struct{})}
	done := make(chan struct{})
	var backs []*net.UDPConn
	go func() {
		defer close(done)
		clients := map[string]*net.UDPConn{}
		buf := make([]byte, 2048)
		for {
			n, from, err := front.ReadFromUDP(buf)
			if err != nil {
				return
			}
			back := clients[from.String()]
			if back == nil {
				if back, err = net.DialUDP("udp4", nil, dst); err != nil {
					return
				}
				clients[from.String()] = back
				backs = append(backs, back)
				go r.back(t.Context(), back, from)
			}
			back.Write(buf[:n])
		}
	}()
	t.Cleanup(func() {
		front.Close()
		<-done
		for _, b := range backs {
			b.Close()
		}
	})
	return r
}

// back returns what the server says, or keeps it until it may go on.
func (r *udpRelay) back(ctx context.Context, c *net.UDPConn, to *net.UDPAddr) {
	held := r.holding.Load()
	buf := make([]byte, 2048)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if held {
			select {
			case <-r.release: // the kernel keeps what comes meanwhile
				held = false
			case <-ctx.Done():
				return
			}
		}
		r.front.WriteToUDP(buf[:n], to)
	}
}
