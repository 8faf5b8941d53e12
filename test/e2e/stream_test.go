package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// counting answers with how many bytes came, once the client has ended its stream.
func counting(t *testing.T) string {
	t.Helper()
	return serveTCP(t, func(c *net.TCPConn) {
		n, err := io.Copy(io.Discard, c)
		if err == nil {
			fmt.Fprint(c, n)
		}
	})
}

// greeter says who it is, then sends back what it gets.
func greeter(t *testing.T, name string) string {
	t.Helper()
	return serveTCP(t, func(c *net.TCPConn) {
		fmt.Fprintf(c, "220 %s\r\n", name)
		_, _ = io.Copy(c, c)
	})
}

func (c *wire) line() string {
	c.t.Helper()
	s, err := c.r.ReadString('\n')
	if err != nil {
		c.t.Errorf("%q, %v", s, err)
	}
	return strings.TrimRight(s, "\r\n")
}

// ends reads to the end of the stream: after nothing more, by a reset or not.
func (c *wire) ends(reset bool) {
	c.t.Helper()
	rest, err := io.ReadAll(c.r)
	if len(rest) > 0 || errors.Is(err, syscall.ECONNRESET) != reset || err != nil && !reset {
		c.t.Errorf("the stream ended with %q, %v; a reset is %v", rest, err, reset)
	}
}

// refusedAt is a connection that is reset before anything comes; that may be
// while it is still being made.
func refusedAt(t *testing.T, port int) {
	t.Helper()
	c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), patience)
	if err == nil {
		newWire(t, c).ends(true)
	} else if !errors.Is(err, syscall.ECONNRESET) {
		t.Error(err)
	}
}

// A server that speaks first on a port that detects protocols is heard once the
// client was silent for the bound; who speaks first does not wait for it.
func TestServerFirstOnASharedPort(t *testing.T) {
	t.Parallel()
	short, long := ownPort(t), ownPort(t)
	start(t, documents(
		gatewayOn("", on("web", "HTTP", short), on("mail", "TCP", short)),
		policyDoc("short", "Gateway", "edge", "client: {protocolDetection: {timeout: 300ms}}"),
		routeDoc("app", ""), backendDoc("app", named(t, "web").addr),
		streamRoute("TCPRoute", "mail", "", "mail"), backendDoc("mail", greeter(t, "mail.test")),
		strings.Replace(gatewayOn("", on("web", "HTTP", long), on("mail2", "TCP", long)), "name: edge", "name: patient", 1),
		policyDoc("long", "Gateway", "patient", "client: {protocolDetection: {timeout: 1m}}"),
		strings.Replace(streamRoute("TCPRoute", "mail2", "", "mail"), "name: edge", "name: patient", 1),
		strings.Replace(strings.Replace(routeDoc("app", ""), "name: edge", "name: patient", 1), "metadata: {name: app}", "metadata: {name: app2}", 1),
	))
	begun := time.Now()
	c := dialPort(t, short)
	if got := c.line(); got != "220 mail.test" {
		t.Errorf("the server said %q", got)
	}
	if d := time.Since(begun); d < 300*time.Millisecond {
		t.Errorf("it was heard after %v already", d)
	}
	c = dialPort(t, long)
	c.send("EHLO client.test\r\n") // what is not HTTP is known at once
	if got := c.line() + "|" + c.line(); got != "220 mail.test|EHLO client.test" {
		t.Errorf("the server said %q", got)
	}
	c = dialPort(t, long)
	c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if resp, body := c.mustRespond("GET"); resp.StatusCode != 200 || body != "web" {
		t.Errorf("HTTP: %d %q", resp.StatusCode, body)
	}
}

// The end of one direction leaves the other open for as long as it likes.
func TestHalfClose(t *testing.T) {
	t.Parallel()
	late := make(chan struct{})
	port, other := ownPort(t), ownPort(t)
	start(t, documents(gatewayOn("", on("late", "TCP", port), on("early", "TCP", other)),
		streamRoute("TCPRoute", "late", "", "late"),
		backendDoc("late", serveTCP(t, func(c *net.TCPConn) {
			b, _ := io.ReadAll(c)
			<-late
			fmt.Fprintf(c, "got %s", b)
		})),
		streamRoute("TCPRoute", "early", "", "early"),
		backendDoc("early", serveTCP(t, func(c *net.TCPConn) { // the server ends first
			fmt.Fprint(c, "bye\n")
			_ = c.CloseWrite()
			b, _ := io.ReadAll(c)
			if string(b) == "still here" {
				close(late)
			}
		})),
	))
	c := dialPort(t, port)
	c.send("question")
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	d := dialPort(t, other)
	if got, err := io.ReadAll(d.r); err != nil || string(got) != "bye\n" {
		t.Errorf("%q, %v", got, err)
	}
	d.send("still here")
	if err := d.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c.r); err != nil || string(got) != "got question" {
		t.Errorf("%q, %v", got, err)
	}
}

// Endpoints that refuse, hang and die.
func TestStreamEndpointsThatFail(t *testing.T) {
	t.Parallel()
	dying := serveTCP(t, func(c *net.TCPConn) {
		fmt.Fprintln(c, "hello")
		_, _ = c.Read(make([]byte, 1))
		_ = c.SetLinger(0)
	})
	ports := map[string]int{}
	var docs, listeners []string
	for name, endpoints := range map[string][]string{
		"refuses": {refused(t)}, "other": {refused(t), greeter(t, "other")}, "hangs": {blackhole(t), greeter(t, "answers")}, "dies": {dying},
	} {
		ports[name] = ownPort(t)
		listeners = append(listeners, on(name, "TCP", ports[name]))
		docs = append(docs, streamRoute("TCPRoute", name, "", name), backendDoc(name, endpoints...),
			policyDoc(name, "TCPRoute", name, "timeouts: {connect: 200ms}\nloadBalancer: {algorithm: RoundRobin}"))
	}
	p := start(t, documents(append(docs, gatewayOn("", listeners...))...))
	refusedAt(t, ports["refuses"])
	p.accessed(`"route":"TCPRoute/default/refuses"`, `"reason":"UpstreamConnectFailure"`)
	for range 4 {
		if got := dialPort(t, ports["other"]).line(); got != "220 other" {
			t.Errorf("beside an endpoint that refuses: %q", got)
		}
		if got := dialPort(t, ports["hangs"]).line(); got != "220 answers" {
			t.Errorf("beside an endpoint that hangs: %q", got)
		}
	}
	c := dialPort(t, ports["dies"])
	c.line()
	c.send("x")
	c.ends(true)
	p.accessed(`"route":"TCPRoute/default/dies"`, `"flags":"UpstreamReset"`)
}

// An endpoint that a health check finds away gets no streams until it is back.
func TestStreamHealth(t *testing.T) {
	t.Parallel()
	port := ownPort(t)
	flapping := startFlapping(t, http.NotFound)
	p := start(t, documents(gatewayOn("", on("db", "TCP", port)), streamRoute("TCPRoute", "db", "", "db"), backendDoc("db", flapping.addr),
		policyDoc("health", "TCPRoute", "db", "retry: {attempts: 0}\nloadBalancer: {panicThreshold: 0}\nhealthCheck: {tcp: {}, interval: 100ms, timeout: 5s, unhealthyThreshold: 1, healthyThreshold: 1}")))
	healthy := func() float64 { return p.metric("gridway_cluster_endpoints", `state="healthy"`, "default/db") }
	eventually(t, "the endpoint is found healthy", func() bool { return healthy() == 1 })
	flapping.off()
	eventually(t, "the endpoint is found away", func() bool { return healthy() == 0 })
	refusedAt(t, port)
	p.accessed(`"route":"TCPRoute/default/db"`, `"reason":"NoHealthyEndpoint"`)
	flapping.on()
	eventually(t, "the endpoint is back", func() bool { return healthy() == 1 })
	c := dialPort(t, port)
	c.send("GET / HTTP/1.0\r\n\r\n")
	if got := c.line(); !strings.HasPrefix(got, "HTTP/1.0 404") {
		t.Errorf("%q", got)
	}
}

// Limits of connections, silence and life.
func TestStreamLimits(t *testing.T) {
	t.Parallel()
	idle, life, few := ownPort(t), ownPort(t), ownPort(t)
	p := start(t, documents(
		gatewayOn("", on("idle", "TCP", idle), on("life", "TCP", life), on("few", "TCP", few)),
		backendDoc("app", greeter(t, "app")),
		streamRoute("TCPRoute", "idle", "", "app"), policyDoc("idle", "TCPRoute", "idle", "timeouts: {idle: 300ms}"),
		streamRoute("TCPRoute", "life", "", "app"), policyDoc("life", "TCPRoute", "life", "timeouts: {maxStream: 1s}"),
		streamRoute("TCPRoute", "few", "", "app"),
		strings.Replace(policyDoc("few", "Gateway", "edge", "client: {limits: {connections: 2}}"), "name: edge", "name: edge, sectionName: few", 1),
	))
	c := dialPort(t, idle)
	c.line()
	c.ends(false)
	p.accessed(`"route":"TCPRoute/default/idle"`, `"flags":"IdleTimeout"`)
	begun := time.Now()
	c = dialPort(t, life)
	c.line()
	for alive := true; alive; { // it is busy all the time
		_, err := io.WriteString(c.Conn, "x")
		if err == nil {
			_, err = c.r.ReadByte()
		}
		alive = err == nil
	}
	if d := time.Since(begun); d < time.Second {
		t.Errorf("a stream ended after %v", d)
	}
	p.accessed(`"route":"TCPRoute/default/life"`, `"flags":"StreamTimeout"`)
	one, two := dialPort(t, few), dialPort(t, few)
	one.line()
	two.line()
	if c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", few), patience); err == nil {
		if _, err := newWire(t, c).r.ReadByte(); err == nil {
			t.Error("a third connection was served")
		}
	}
	one.Close()
	eventually(t, "there is room again", func() bool {
		c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", few), patience)
		if err != nil {
			return false
		}
		s, err := newWire(t, c).r.ReadString('\n')
		return err == nil && s == "220 app\r\n"
	})
}

// A reload leaves streams where they are; a drain lets them end, for a while.
func TestStreamsOverReloadsAndDrains(t *testing.T) {
	t.Parallel()
	port := ownPort(t)
	gateway := gatewayOn("", on("app", "TCP", port))
	one, two := greeter(t, "one"), greeter(t, "two")
	config := func(backend string) string {
		return documents(gateway, streamRoute("TCPRoute", "app", "", backend), backendDoc("one", one), backendDoc("two", two))
	}
	p := start(t, config("one"), "--drain-timeout", "2s")
	old := dialPort(t, port)
	if got := old.line(); got != "220 one" {
		t.Errorf("%q", got)
	}
	p.reload(config("two"))
	if got := dialPort(t, port).line(); got != "220 two" {
		t.Errorf("a new stream goes to %q", got)
	}
	old.send("still\n")
	if got := old.line(); got != "still" {
		t.Errorf("%q", got)
	}
	leaves := dialPort(t, port)
	leaves.line()
	begun := time.Now()
	p.terminate()
	p.said("draining")
	leaves.send("last\n")
	if got := leaves.line(); got != "last" {
		t.Errorf("%q", got)
	}
	leaves.Close()
	old.ends(true)
	if d := time.Since(begun); d < 2*time.Second {
		t.Errorf("a stream was cut after %v", d)
	}
	p.ended(4 * patience)
	p.accessed(`"route":"TCPRoute/default/app"`, `"flags":"Draining"`)
}
