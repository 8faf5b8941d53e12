package e2e

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/gridway/gridway/internal/wire/h3"
)

// TestHTTP3Floods: what costs a client nothing to send is bounded. The one who
// sends too much of it is cut off, with little memory taken, and others notice
// nothing.
func TestHTTP3Floods(t *testing.T) {
	uni := func(w *h3wire, b []byte) error { // it may be cut off before all was said
		s, err := w.conn.OpenUniStream()
		if err == nil {
			_, err = s.Write(b)
		}
		return err
	}
	control := func(w *h3wire, b []byte) error {
		return uni(w, append(h3.AppendSettings([]byte{0}, h3.Settings{}), b...))
	}
	update := h3frame(h3.FramePriorityUpdate, []byte("\x00u=1"))
	for name, c := range map[string]struct {
		flood func(w *h3wire) error
		code  h3.Code // 0: it is borne
	}{
		"settings":       {func(w *h3wire) error { return control(w, bytes.Repeat(h3frame(h3.FrameSettings, nil), 10_000)) }, h3.FrameUnexpected},
		"large settings": {func(w *h3wire) error { return control(w, h3frame(h3.FrameSettings, make([]byte, 1<<20))) }, h3.FrameUnexpected},
		"priorities":     {func(w *h3wire) error { return control(w, bytes.Repeat(update, 100_000)) }, h3.ExcessiveLoad},
		"push limits":    {func(w *h3wire) error { return control(w, bytes.Repeat(h3frame(h3.FrameMaxPushID, []byte{5}), 10_000)) }, h3.ExcessiveLoad},
		"unknown frames": {func(w *h3wire) error { return control(w, bytes.Repeat([]byte{0x21, 0}, 10_000)) }, h3.ExcessiveLoad},
		"an endless one": {func(w *h3wire) error {
			return control(w, append(h3.AppendFrameHeader(nil, 0x21, 1<<40), make([]byte, 4<<20)...))
		}, h3.ExcessiveLoad},
		"in a request": {func(w *h3wire) error {
			_, err := w.open(append(h3head("POST", "/"), bytes.Repeat([]byte{0x21, 0}, 10_000)...))
			return err
		}, h3.ExcessiveLoad},
		"QPACK decoder":  {func(w *h3wire) error { return uni(w, append([]byte{3}, bytes.Repeat([]byte{0x41}, 1<<20)...)) }, 0},
		"QPACK encoder":  {func(w *h3wire) error { return uni(w, append([]byte{2}, bytes.Repeat([]byte{0x20}, 1<<20)...)) }, 0},
		"QPACK capacity": {func(w *h3wire) error { return uni(w, []byte{2, 0x3f, 0xe1, 0xff, 0xff, 0x7f}) }, h3.EncoderStreamError},
		"QPACK insertion": {func(w *h3wire) error {
			return uni(w, append([]byte{2}, bytes.Repeat([]byte{0xc0, 0x01, 'x'}, 10_000)...))
		}, h3.EncoderStreamError},
		"silent streams": {func(w *h3wire) error { // of no type, and never anything on them
			for range 1000 {
				s, err := w.conn.OpenUniStream()
				var full *quic.StreamLimitReachedError
				if errors.As(err, &full) {
					return nil // as many as there may be
				}
				if err == nil {
					_, err = s.Write([]byte{0x40})
				}
				if err != nil {
					return err
				}
			}
			return errors.New("there is no bound")
		}, 0},
		"streams of no use": {func(w *h3wire) error { // which make place for the next ones
			ctx, cancel := context.WithTimeout(w.t.Context(), 2*patience)
			defer cancel()
			for range 2000 {
				s, err := w.conn.OpenUniStreamSync(ctx)
				if err == nil {
					_, err = s.Write([]byte{0x21, 1, 2, 3})
				}
				if err != nil {
					return err
				}
				s.Close()
			}
			return nil
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			g := attackable(t, "http3: {}")
			stop := neighbour(t, g)
			conn, err := quic.DialAddr(t.Context(), g.addr, h3TLS(nil), &quic.Config{MaxIdleTimeout: 4 * patience})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.CloseWithError(0x100, "")
			w := &h3wire{t, conn}
			before := heapInUse()
			err = c.flood(w)
			if c.code != 0 {
				if code := w.closedWith(); code != c.code {
					t.Errorf("closed with %v, not %v", code, c.code)
				}
			} else {
				if err != nil {
					t.Error(err)
				}
				if status, content, err := w.response(w.send(h3head("GET", "/"))); status != "200" || content != "fine" {
					t.Errorf("afterwards: %s %q %v", status, content, err)
				}
			}
			if grown := int64(heapInUse()) - int64(before); grown > 24<<20 {
				t.Errorf("the heap has grown by %d MiB", grown>>20)
			}
			if stop() == 0 {
				t.Error("the neighbour got no answer")
			}
		})
	}
}

// deaf is a socket whose owner does not hear what is answered.
type deaf struct {
	net.PacketConn
	closed chan struct{}
}

func (d deaf) ReadFrom([]byte) (int, net.Addr, error) {
	<-d.closed
	return 0, nil, net.ErrClosed
}

// TestHTTP3InitialFlood: many handshakes begin that never end, as if from addresses
// that are not their sender's. From some number on their clients have to prove
// their address, for which nothing is kept; others get in.
func TestHTTP3InitialFlood(t *testing.T) {
	g := attackable(t, "http3: {}")
	stop := neighbour(t, g)
	server, err := net.ResolveUDPAddr("udp4", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	before := heapInUse()
	ctx, cancel := context.WithCancel(t.Context())
	var flood sync.WaitGroup
	for range 8 {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		d := deaf{c, make(chan struct{})}
		tr := &quic.Transport{Conn: d}
		for range 50 {
			flood.Go(func() { _, _ = tr.Dial(ctx, server, h3TLS(nil), &quic.Config{HandshakeIdleTimeout: time.Minute}) })
		}
		defer func() { c.Close(); tr.Close() }()
		defer close(d.closed)
	}
	eventually(t, "clients to be asked for a proof", func() bool { return g.metric("gridway_listener_http3_retries_total") > 100 })
	for range 10 { // with a proof
		w := dialH3(t, g.addr)
		if status, content, err := w.response(w.send(h3head("GET", "/"))); status != "200" || content != "fine" {
			t.Errorf("in the flood: %s %q %v", status, content, err)
		}
	}
	if grown := int64(heapInUse()) - int64(before); grown > 64<<20 {
		t.Errorf("the heap has grown by %d MiB", grown>>20)
	}
	if n := g.metric("gridway_listener_connections"); n > 64+20 {
		t.Errorf("%v connections are kept", n)
	}
	cancel()
	flood.Wait()
	if stop() == 0 {
		t.Error("the neighbour got no answer")
	}
}
