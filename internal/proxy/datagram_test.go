package proxy_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/testport"
)

// datagrams is streams for UDP.
func datagrams(backends ...[]string) func(*ir.Config) {
	return func(cfg *ir.Config) {
		streams(backends...)(cfg)
		cfg.Listeners[0].Protocol = ir.UDP
		for _, c := range cfg.Clusters {
			c.Protocol = ir.UDP
		}
		cfg.Streams[0].Idle = time.Minute
	}
}

// answers is a server that answers each datagram with its name and the sender's address.
func answers(t *testing.T, name string) string {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	go func() {
		buf := make([]byte, 65536)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			pc.WriteTo(fmt.Appendf(nil, "%s %s %d", name, from, n), from)
		}
	}()
	return pc.LocalAddr().String()
}

func (h *harness) udp() net.Conn {
	h.t.Helper()
	c, err := net.Dial("udp", h.addr)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { c.Close() })
	return c
}

// ask sends n bytes and waits for the answer; from is who the server saw.
func ask(c net.Conn, n int, patience time.Duration) (name, from string, err error) {
	c.Write(make([]byte, n))
	c.SetReadDeadline(time.Now().Add(patience))
	buf := make([]byte, 100)
	m, err := c.Read(buf)
	if err != nil {
		return "", "", err
	}
	var size int
	if _, err := fmt.Sscanf(string(buf[:m]), "%s %s %d", &name, &from, &size); err != nil || size != n {
		return "", "", fmt.Errorf("%q: %w", buf[:m], errors.Join(err, os.ErrInvalid))
	}
	return name, from, nil
}

func TestDatagramsKeepTheirSession(t *testing.T) {
	h := start(t, nil, datagrams([]string{answers(t, "a"), answers(t, "b")}))
	seen := map[string]bool{}
	for range 4 {
		c := h.udp()
		first, firstFrom := "", ""
		for i := range 20 {
			name, from, err := ask(c, i*3000, 10*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			if first == "" {
				first, firstFrom = name, from
			}
			if name != first || from != firstFrom {
				t.Fatalf("went from %s (%s) to %s (%s)", first, firstFrom, name, from)
			}
		}
		if seen[firstFrom] {
			t.Error("two clients share a socket")
		}
		seen[firstFrom] = true
	}
}

func TestDatagramWeights(t *testing.T) {
	h := start(t, nil, datagrams([]string{answers(t, "a")}, []string{answers(t, "b")}, []string{answers(t, "c")}), func(cfg *ir.Config) {
		r := cfg.Streams[0]
		r.Backends[0].Weight, r.Backends[1].Weight, r.Backends[2].Weight = 3, 0, 1
		r.Backends[2].Cluster = "" // does not resolve: its share is dropped
	})
	count := map[string]int{}
	for range 60 {
		name, _, err := ask(h.udp(), 1, 100*time.Millisecond)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		count[name]++
	}
	if count["b"] != 0 || count["c"] != 0 || count["a"] < 30 || count[""] < 4 {
		t.Errorf("%v", count)
	}
}

func TestDatagramSessionsEnd(t *testing.T) {
	h := start(t, nil, datagrams([]string{answers(t, "a")}), func(cfg *ir.Config) { cfg.Streams[0].Idle = 100 * time.Millisecond })
	c := h.udp()
	if _, _, err := ask(c, 1, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	if n := h.proxy.Connections()["127.0.0.1:0"]; n != 1 {
		t.Error(n, "sessions")
	}
	waitFor(t, "the session's end", func() bool { return h.proxy.Connections()["127.0.0.1:0"] == 0 })
	if _, _, err := ask(c, 1, 10*time.Second); err != nil {
		t.Error("after that:", err)
	}
}

// The bound holds: a new client gets a place only from one who is silent.
func TestDatagramSessionsAreBounded(t *testing.T) {
	h := start(t, nil, datagrams([]string{answers(t, "a")}), func(cfg *ir.Config) { cfg.Listeners[0].Client.MaxConnections = 2 })
	first, second, third := h.udp(), h.udp(), h.udp()
	for _, c := range []net.Conn{first, second} {
		if _, _, err := ask(c, 1, 10*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := ask(third, 1, 100*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("a third:", err)
	}
	waitFor(t, "a place", func() bool {
		ask(second, 1, time.Second)
		_, _, err := ask(third, 1, 100*time.Millisecond)
		return err == nil
	})
	if n := h.proxy.Connections()["127.0.0.1:0"]; n != 2 {
		t.Error(n, "sessions")
	}
}

// An endpoint at which nobody listens has the fewest sessions. It does not get every
// new one for that.
func TestDatagramsLeaveTheLeastLoadedAlone(t *testing.T) {
	dead := fmt.Sprintf("127.0.0.1:%d", testport.Free(t))
	h := start(t, nil, datagrams([]string{dead, answers(t, "well")}), func(cfg *ir.Config) {
		cfg.Clusters[0].Balance = ir.Balance{Algorithm: ir.LeastRequest, Choices: 2}
	})
	for range 12 { // whose sessions stay
		c := h.udp()
		waitFor(t, "an answer", func() bool {
			name, _, _ := ask(c, 1, 100*time.Millisecond)
			return name == "well"
		})
	}
}

// When nobody listens at an endpoint the client's next datagram gets another.
func TestDatagramsLeaveADeadEndpoint(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := pc.LocalAddr().String()
	pc.Close()
	h := start(t, nil, datagrams([]string{dead, answers(t, "well")}))
	for range 5 {
		c := h.udp()
		waitFor(t, "an answer", func() bool {
			name, _, _ := ask(c, 1, 100*time.Millisecond)
			return name == "well"
		})
	}
}
