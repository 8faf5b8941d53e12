package netx

import (
	"net"
	"testing"
	"time"
)

// The time counts from when a write blocks, not from when it was set.
func TestSetWriteWithin(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	out, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	in, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	c := New(out)
	const limit = 100 * time.Millisecond
	c.SetWriteWithin(limit)
	deadline := time.NewTimer(2 * limit)
	<-deadline.C // longer ago than the limit
	if _, err := c.Write(make([]byte, 1<<10)); err != nil {
		t.Fatal(err)
	}
	blocked := make(chan error, 1)
	begun := time.Now()
	go func() {
		for {
			begun = time.Now()
			if _, err := c.Write(make([]byte, 1<<20)); err != nil {
				blocked <- err
				return
			}
		}
	}()
	select {
	case err := <-blocked:
		if !IsTimeout(err) || time.Since(begun) < limit {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
	case <-time.After(5 * time.Second):
		t.Error("the write went on waiting")
	}
}
