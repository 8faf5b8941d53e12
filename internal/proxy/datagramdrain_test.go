package proxy_test

import (
	"context"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/proxy"
)

// copyOf is the socket as another process would get it.
func copyOf(t *testing.T, s syscall.Conn) *net.UDPConn {
	t.Helper()
	rc, err := s.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	fd := -1
	if cerr := rc.Control(func(old uintptr) { fd, err = syscall.Dup(int(old)) }); cerr != nil || err != nil {
		t.Fatal(cerr, err)
	}
	f := os.NewFile(uintptr(fd), "socket")
	defer f.Close()
	pc, err := net.FilePacketConn(f)
	if err != nil {
		t.Fatal(err)
	}
	return pc.(*net.UDPConn)
}

// A successor reads from the socket, and an answer that was still owed leaves
// from the process that was asked.
func TestDatagramSocketIsHandedOver(t *testing.T) {
	t.Parallel()
	asked, release := make(chan struct{}), make(chan struct{})
	late, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { late.Close() })
	go func() {
		b := make([]byte, 10)
		_, from, err := late.ReadFrom(b)
		if err != nil {
			return
		}
		close(asked)
		<-release
		late.WriteTo([]byte("late x 1"), from)
	}()
	h := start(t, nil, datagrams([]string{late.LocalAddr().String()}))
	waiting := h.udp()
	waiting.Write([]byte("?"))
	<-asked

	const name = "127.0.0.1:0"
	next := proxy.New(proxy.Options{Held: true, InheritedDatagrams: map[string]*net.UDPConn{name: copyOf(t, h.proxy.Sockets()[name]), "unwanted": copyOf(t, h.proxy.Sockets()[name])}})
	cfg := config()
	datagrams([]string{answers(t, "next")})(cfg)
	if err := next.Apply(context.Background(), cfg); err != nil {
		t.Fatal(err)
	}
	if got := next.Inherited(); len(got) != 1 || got[0] != name || next.Listening()[name] != h.proxy.Listening()[name] {
		t.Fatalf("inherited %v, listening at %v", got, next.Listening())
	}
	if err := next.Begin(); err != nil {
		t.Fatal(err)
	}
	h.proxy.Yield([]string{name}, 50*time.Millisecond)
	ended := make(chan error)
	go func() { ended <- h.proxy.Shutdown(context.Background()) }()
	waitFor(t, "an answer by way of the successor", func() bool {
		got, _, err := ask(h.udp(), 1, 100*time.Millisecond) // the first ones may still be read by the old one
		return err == nil && got == "next" && next.Connections()[name] > 0
	})
	next.Own()
	close(release)
	b := make([]byte, 10)
	waiting.SetReadDeadline(time.Now().Add(10 * time.Second))
	if n, err := waiting.Read(b); err != nil || string(b[:n]) != "late x 1" {
		t.Errorf("the answer that was owed: %q, %v", b[:n], err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if got, _, err := ask(h.udp(), 1, 10*time.Second); err != nil || got != "next" {
		t.Errorf("after the old one has ended: %q, %v", got, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := next.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

// Clients that come while a drain begins get a session or none, and the drain
// ends once.
func TestDatagramDrainBesideNewClients(t *testing.T) {
	for range 20 {
		h := start(t, nil, datagrams([]string{answers(t, "a")}))
		var clients sync.WaitGroup
		stop := make(chan struct{})
		for range 2 {
			clients.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					if c, err := net.Dial("udp", h.addr); err == nil {
						c.Write([]byte("x"))
						c.Close()
					}
				}
			})
		}
		waitFor(t, "sessions", func() bool { return h.proxy.Connections()["127.0.0.1:0"] > 3 })
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		_ = h.proxy.Shutdown(ctx) // cuts them off
		cancel()
		close(stop)
		clients.Wait()
	}
}
