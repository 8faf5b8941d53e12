package netx_test

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/wire/netx"
)

// The two benchmarks do the same work, a request and an answer with a deadline
// for each read and write, once as the net package would and once with netx.
func BenchmarkPingPongNet(b *testing.B) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	a, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer a.Close()
	peer, err := ln.Accept()
	if err != nil {
		b.Fatal(err)
	}
	go echo(peer)
	msg, in := make([]byte, 200), make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		_ = a.SetWriteDeadline(time.Now().Add(time.Minute))
		_, _ = a.Write(msg)
		_ = a.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := a.Read(in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPingPongNetx(b *testing.B) {
	a, peer := pair(b)
	go echo(peer)
	msg := make([]byte, 200)
	b.ReportAllocs()
	for b.Loop() {
		a.SetWriteBy(netx.After(time.Minute))
		_, _ = a.Write(msg)
		a.SetReadBy(netx.After(time.Minute))
		buf, _, err := a.ReadIdle(4096)
		if err != nil {
			b.Fatal(err)
		}
		buf.Release()
	}
}

func BenchmarkPingPongTLS(b *testing.B) {
	a, peer := tlsPair(b, 0)
	go echo(peer)
	msg := make([]byte, 200)
	b.ReportAllocs()
	for b.Loop() {
		a.SetWriteBy(netx.After(time.Minute))
		_, _ = a.Write(msg)
		a.SetReadBy(netx.After(time.Minute))
		buf, _, err := a.ReadIdle(4096)
		if err != nil {
			b.Fatal(err)
		}
		buf.Release()
	}
}

func echo(c net.Conn) {
	defer c.Close()
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if _, err := c.Write(buf[:n]); err != nil && err != io.EOF {
			return
		}
	}
}
