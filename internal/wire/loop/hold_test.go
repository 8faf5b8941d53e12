package loop

import (
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// The pulse ends a wait that has no end of its own, and a second one in which
// no task has run ends the hold.
func TestPulse(t *testing.T) {
	l, err := newLoop(&Group{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	l.pulse.waits = streak
	for turn := range uint64(3) {
		l.turn.Store(2 * (turn + 1))
		for waited := 0; ; waited++ { // a signal may end a wait too
			if !l.hold() {
				t.Fatal("not held although a task has run")
			}
			if !l.pulse.armed {
				t.Fatal("held without a pulse")
			}
			l.collect()
			if !l.pulse.armed {
				break
			}
			if waited == 1000 {
				t.Fatal("the pulse does not come")
			}
		}
		if l.rests < often {
			t.Error("goroutines get no turn with the pulse")
		}
		l.rests = 0
	}
	if l.hold() {
		t.Error("held for another pulse although nothing came")
	}
	if l.pulse.waits != 0 || l.pulse.armed {
		t.Errorf("after the hold: %+v", l.pulse)
	}
}

// echoOnce answers each piece that comes.
type echoOnce struct{ s *Sock }

func (e *echoOnce) Resume(t *Task) bool {
	e.s.Bind(t)
	n := 0
	p := make([]byte, 64)
	_ = e.s.Read(func(fd uintptr) bool {
		n, _ = syscall.Read(int(fd), p)
		return n >= 0
	})
	if n > 0 {
		_ = e.s.Write(func(fd uintptr) bool {
			_, err := syscall.Write(int(fd), p[:n])
			return err != syscall.EAGAIN
		})
		return true
	}
	e.s.Close()
	return false
}

// A loop that waits without end while traffic is dense parks when it is over,
// and does so again and again.
func TestHoldEndsWithTheTraffic(t *testing.T) {
	g, err := NewGroup(1)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener, err := g.Listen(ln.(*net.TCPListener), func(s *Sock) {
		s.SetHandler(&echoOnce{s})
		s.Idle()
	}, func(error) time.Duration { return time.Millisecond })
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if err := listener.Start(); err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for round := range 3 {
		p := make([]byte, 1)
		for range 20 * streak {
			if _, err := c.Write(p); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(c, p); err != nil {
				t.Fatal(err)
			}
		}
		for limit := time.Now().Add(10 * time.Second); g.parked.Load() == 0; <-tick.C {
			if time.Now().After(limit) {
				t.Fatalf("round %d: the loop does not park", round)
			}
		}
	}
}
