package e2e

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	mdns "github.com/miekg/dns"
)

// streamRoute is a TCPRoute, TLSRoute or UDPRoute to Backends of equal weight.
// more is YAML of the spec.
func streamRoute(kind, name, more string, backends ...string) string {
	var refs strings.Builder
	for _, b := range backends {
		fmt.Fprintf(&refs, "\n    - {group: gridway.dev, kind: Backend, name: %s}", b)
	}
	return fmt.Sprintf(`apiVersion: gateway.networking.k8s.io/v1
kind: %s
metadata: {name: %s}
spec:
  parentRefs: [{name: edge, sectionName: %s}]
%s  rules:
  - backendRefs:%s
`, kind, name, name, indent(2, more), refs.String())
}

// lateDNS answers every query, some of them late: so that many are under way
// when the process changes.
func lateDNS(t *testing.T) string {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &mdns.Server{PacketConn: pc, Handler: mdns.HandlerFunc(func(w mdns.ResponseWriter, q *mdns.Msg) {
		a := new(mdns.Msg).SetReply(q)
		name := q.Question[0].Name
		a.Answer = []mdns.RR{&mdns.TXT{Hdr: mdns.RR_Header{Name: name, Rrtype: mdns.TypeTXT, Class: mdns.ClassINET}, Txt: []string{name}}}
		if strings.HasPrefix(name, "late") {
			<-time.After(700 * time.Millisecond)
		}
		_ = w.WriteMsg(a)
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.ActivateAndServe()
	}()
	t.Cleanup(func() {
		_ = s.Shutdown()
		<-done
	})
	return pc.LocalAddr().String()
}

// query is a client of DNS, on one socket or a new one for each question, that
// asks once and waits.
func (l *load) query(port int, name string, keep bool) {
	address := fmt.Sprintf("127.0.0.1:%d", port)
	client := &mdns.Client{Timeout: 4 * patience}
	l.wg.Go(func() {
		var c *mdns.Conn
		for i := 0; l.going(); i++ {
			var err error
			if c == nil {
				if c, err = client.Dial(address); err != nil {
					l.t.Error(err)
					return
				}
			}
			name := fmt.Sprintf("%s-%d.example.", name, i)
			a, _, err := client.ExchangeWithConn(new(mdns.Msg).SetQuestion(name, mdns.TypeTXT), c)
			if err != nil || len(a.Answer) != 1 || a.Answer[0].(*mdns.TXT).Txt[0] != name {
				l.failed.Add(1)
				l.t.Errorf("%s was answered with %v, %v", name, a, err)
				c.Close()
				return
			}
			l.done.Add(1)
			if !keep {
				c.Close()
				c = nil
			}
		}
		if c != nil {
			c.Close()
		}
	})
}

// Five processes in a row answer queries over UDP: none is lost, whether its
// answer is waited for in the old process or the new one reads it.
func TestUpgradesLoseNoDatagram(t *testing.T) {
	t.Parallel()
	port := ownPort(t)
	g := startLineage(t, documents(gatewayOn("", fmt.Sprintf("{name: dns, port: %d, protocol: UDP}", port)),
		streamRoute("UDPRoute", "dns", "", "dns"), backendDoc("dns", lateDNS(t))), "--upgrade-drain-timeout", "4s")
	l := newLoad(t)
	for i := range 4 {
		l.query(port, fmt.Sprint("soon", i), i%2 == 0)
	}
	for i := range 40 {
		l.query(port, fmt.Sprint("late", i), i%2 == 0)
	}
	for range 5 {
		l.passed(100)
		g.upgrade()
	}
	l.passed(100)
	t.Logf("%d queries, %d failed", l.end(), l.failed.Load())
	g.stop()
	if text := g.logged(); strings.Contains(text, "level=ERROR") || strings.Contains(text, "panic") {
		t.Error("something went wrong")
	}
}

// A TCP stream stays with the process that it began in, until it ends or the
// drain does; new ones are the new process's.
func TestUpgradeKeepsStreams(t *testing.T) {
	t.Parallel()
	port := ownPort(t)
	g := startLineage(t, documents(gatewayOn("", fmt.Sprintf("{name: echo, port: %d, protocol: TCP}", port)),
		streamRoute("TCPRoute", "echo", "", "echo"), backendDoc("echo", echoTCP(t))), "--upgrade-drain-timeout", "3s")
	echoes := func(c *wire, line string) {
		t.Helper()
		c.send(line)
		if got, err := c.r.ReadString('\n'); err != nil || got != line {
			t.Errorf("%q came back as %q, %v", line, got, err)
		}
	}
	ends, stays := dialPort(t, port), dialPort(t, port)
	echoes(ends, "one\n")
	echoes(stays, "one\n")
	old := g.pid()
	g.upgrade()
	echoes(ends, "two\n")
	echoes(stays, "two\n")
	third := dialPort(t, port)
	echoes(third, "three\n")
	if gone(old) {
		t.Error("the old process ended although it had streams")
	}
	if err := ends.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(ends.r); len(rest) > 0 || err != nil {
		t.Errorf("the end of a stream: %q, %v", rest, err)
	}
	if b, err := stays.r.ReadByte(); err == nil { // the drain is over
		t.Errorf("a byte %q from nowhere", b)
	}
	eventually(t, "the old process ends", func() bool { return gone(old) })
	third.Close() // the new process would wait for it
	g.stop()
}

// echoTCP is a TCP server that sends back what it gets.
func echoTCP(t *testing.T) string {
	t.Helper()
	return serveTCP(t, func(c *net.TCPConn) { _, _ = io.Copy(c, c) })
}

// serveTCP gives each connection to f, after which it is closed.
func serveTCP(t *testing.T, f func(c *net.TCPConn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				f(c.(*net.TCPConn))
			}()
		}
	}()
	return l.Addr().String()
}
