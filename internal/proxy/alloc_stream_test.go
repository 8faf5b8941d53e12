package proxy_test

import (
	"bufio"
	"io"
	"net"
	"testing"
	"time"
)

// A message there and back over a connection of TCP allocates nothing, whether it
// is copied or spliced.
func TestStreamAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	back := servePeer(t, func(c net.Conn, r *bufio.Reader) {
		buf := make([]byte, 64<<10)
		for {
			n, err := r.Read(buf)
			if err != nil {
				return
			}
			if _, err := c.Write(buf[:n]); err != nil {
				return
			}
		}
	})
	t.Run("small messages", func(t *testing.T) {
		c := start(t, nil, streams([]string{back})).connect()
		c.SetDeadline(time.Now().Add(12 * patience))
		out, in := make([]byte, 100), make([]byte, 100)
		bounded(t, mallocs(func() { exchanged(t, c, c, out, in) }))
	})
	t.Run("bulk", func(t *testing.T) {
		c := start(t, nil, streams([]string{back})).connect()
		c.SetDeadline(time.Now().Add(12 * patience))
		const size, pieces = 64 << 10, 4
		in := make([]byte, size)
		go func() { // the echo has to be read while it is written
			out := make([]byte, size)
			for {
				if _, err := c.Write(out); err != nil {
					return
				}
			}
		}()
		got := mallocsOf(1000, func() {
			for range pieces {
				if _, err := io.ReadFull(c, in); err != nil {
					t.Fatal(err)
				}
			}
		})
		c.Close()
		bounded(t, got)
	})
}

// exchanged writes and reads until in is full.
func exchanged(t *testing.T, w io.Writer, r io.Reader, out, in []byte) {
	if _, err := w.Write(out); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, in); err != nil {
		t.Fatal(err)
	}
}

// So does a datagram there and back.
func TestDatagramAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	pc, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	go func() {
		buf := make([]byte, 2048)
		for {
			n, from, err := pc.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			_, _ = pc.WriteToUDPAddrPort(buf[:n], from)
		}
	}()
	c := start(t, nil, datagrams([]string{pc.LocalAddr().String()})).udp()
	c.SetDeadline(time.Now().Add(12 * patience))
	out, in := make([]byte, 500), make([]byte, 2048)
	bounded(t, mallocsOf(2000, func() {
		if _, err := c.Write(out); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(in); n != len(out) || err != nil {
			t.Fatal(n, err)
		}
	}))
}
