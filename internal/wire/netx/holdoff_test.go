package netx

import (
	"context"
	"net"
	"testing"
	"time"
)

func TestHoldOffKeepsWhatHasBegun(t *testing.T) {
	ln, err := Listen(context.Background(), "127.0.0.1:0", ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	before, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer before.Close()
	if err := HoldOff(ln.(*net.TCPListener)); err != nil {
		t.Fatal(err)
	}
	if late, err := net.DialTimeout("tcp", ln.Addr().String(), 100*time.Millisecond); err == nil {
		late.Close()
		t.Error("a connection was made after HoldOff")
	}
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	// The filter is inherited; it must not touch what is connected.
	if _, err := before.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	if n, err := c.Read(make([]byte, 1)); n != 1 {
		t.Fatalf("%d bytes, %v", n, err)
	}
}
