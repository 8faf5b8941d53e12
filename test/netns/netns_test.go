package netns_test

import (
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/test/netns"
)

// greet serves greetings on all addresses of a host.
func greet(h *netns.Host) (port string) {
	l := h.Listen("tcp", ":0")
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, h.Name)
			c.Close()
		}
	}()
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port
}

// How long to wait for what is to come, and for what is not.
const (
	patience = 20 * time.Second
	moment   = time.Second
)

// ask connects from a host and returns the greeting.
func ask(h *netns.Host, to netip.Addr, port string, within time.Duration) (string, error) {
	var c net.Conn
	var err error
	h.Do(func() { c, err = net.DialTimeout("tcp", net.JoinHostPort(to.String(), port), within) })
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	b, err := io.ReadAll(c)
	return string(b), err
}

func TestHostsReachEachOther(t *testing.T) {
	t.Parallel()
	n := netns.New(t)
	a, b := n.Host("a"), n.Host("b")
	port := greet(b)
	for _, to := range []netip.Addr{b.IP4, b.IP6} {
		if got, err := ask(a, to, port, patience); got != "b" || err != nil {
			t.Errorf("%s: %q, %v", to, got, err)
		}
	}
	b.Cut()
	if _, err := ask(a, b.IP4, port, moment); err == nil {
		t.Error("a host that is cut off was reached")
	}
	b.Join()
	if got, err := ask(a, b.IP4, port, patience); got != "b" || err != nil {
		t.Errorf("back again: %q, %v", got, err)
	}
}

// Two networks have the same addresses and know nothing of each other.
func TestNetworksAreApart(t *testing.T) {
	t.Parallel()
	one, two := netns.New(t), netns.New(t)
	a, _, c := one.Host("a"), one.Host("b"), two.Host("c")
	d := two.Host("d")
	if a.IP4 != c.IP4 {
		t.Fatal("the networks should be alike")
	}
	port := greet(d)
	if _, err := ask(a, d.IP4, port, moment); err == nil {
		t.Error("a host of another network was reached")
	}
	if got, err := ask(c, d.IP4, port, patience); got != "d" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestPrograms(t *testing.T) {
	t.Parallel()
	h := netns.New(t).Host("a")
	if out := h.MustRun("ip", "-br", "addr", "show", "eth0"); !strings.Contains(out, h.IP4.String()+"/24") {
		t.Errorf("a program is elsewhere: %q", out)
	}
	if _, err := h.Run("sh", "-c", "exit 3"); err == nil {
		t.Error("a program that failed was none")
	}
	if err := h.Start(h.Command("sleep", "1000")); err != nil { // ends with the test
		t.Fatal(err)
	}
}

func TestLoss(t *testing.T) {
	t.Parallel()
	n := netns.New(t)
	a, b := n.Host("a"), n.Host("b")
	port := greet(b)
	b.Impair(netns.Impairment{Loss: 1})
	if _, err := ask(a, b.IP4, port, moment); err == nil {
		t.Error("all packets were to be lost")
	}
	b.Impair(netns.Impairment{})
	if got, err := ask(a, b.IP4, port, patience); got != "b" || err != nil {
		t.Errorf("whole again: %q, %v", got, err)
	}
}

func TestDelay(t *testing.T) {
	t.Parallel()
	n := netns.New(t)
	a, b := n.Host("a"), n.Host("b")
	port := greet(b)
	b.Impair(netns.Impairment{Delay: 50 * time.Millisecond})
	began := time.Now()
	if got, err := ask(a, b.IP4, port, patience); got != "b" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if d := time.Since(began); d < 100*time.Millisecond {
		t.Errorf("there and back took %v", d)
	}
	b.Impair(netns.Impairment{})
	if got, err := ask(a, b.IP4, port, patience); got != "b" || err != nil {
		t.Errorf("quick again: %q, %v", got, err)
	}
}

func TestPart(t *testing.T) {
	t.Parallel()
	n := netns.New(t)
	a, b, c := n.Host("a"), n.Host("b"), n.Host("c")
	port := greet(b)
	a.Part(b)
	for _, to := range []netip.Addr{b.IP4, b.IP6} {
		if _, err := ask(a, to, port, moment); err == nil {
			t.Errorf("%s was reached", to)
		}
	}
	if got, err := ask(c, b.IP4, port, patience); got != "b" || err != nil {
		t.Errorf("another one: %q, %v", got, err)
	}
	a.Part()
	if got, err := ask(a, b.IP4, port, patience); got != "b" || err != nil {
		t.Errorf("together again: %q, %v", got, err)
	}
}
