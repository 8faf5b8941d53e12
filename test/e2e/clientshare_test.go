package e2e

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// One client can have so many connections, and no more, whatever it speaks; a
// PROXY header says which client it is, and proxies are nobody.
func TestConnectionsPerClient(t *testing.T) {
	t.Parallel()
	plain, tcp, proxied, trusting := ownPort(t), ownPort(t), ownPort(t), ownPort(t)
	const few = "limits: {perClient: {connections: 2}}"
	section := func(name, more string) string {
		return strings.Replace(policyDoc(name, "Gateway", "edge", "client: {"+few+more+"}"), "name: edge", "name: edge, sectionName: "+name, 1)
	}
	p := start(t, documents(
		gatewayOn("", on("plain", "HTTP", plain), on("tcp", "TCP", tcp), on("proxied", "HTTP", proxied), on("trusting", "HTTP", trusting)),
		backendDoc("app", saysOK(t)), routeDoc("app", ""), streamRoute("TCPRoute", "tcp", "", "greeter"), backendDoc("greeter", greeter(t, "app")),
		section("plain", ""), section("tcp", ""), section("proxied", ", proxyProtocol: Required"), section("trusting", ", forwarded: {trustedProxies: [127.0.0.0/8]}"),
	))
	const request = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
	served := func(c *wire, before string) bool {
		if _, err := fmt.Fprint(c.Conn, before+request); err != nil {
			return false
		}
		resp, err := http.ReadResponse(c.r, nil)
		return err == nil && resp.StatusCode == 200
	}
	keep := func(port int, before string) *wire {
		t.Helper()
		c := dialPort(t, port)
		if !served(c, before) {
			t.Errorf("port %d: a connection within the limit is not served", port)
		}
		return c
	}
	first := keep(plain, "")
	keep(plain, "")
	resp, err := http.ReadResponse(dialPort(t, plain).r, nil)
	if err != nil || resp.StatusCode != 503 || resp.Header.Get("X-Gridway-Reason") != "ConnectionLimit" {
		t.Errorf("a third connection: %v, %v", resp, err)
	}
	first.Close()
	eventually(t, "there is room again", func() bool { return served(dialPort(t, plain), "") })

	dialPort(t, tcp).line()
	dialPort(t, tcp).line()
	if line, err := dialPort(t, tcp).r.ReadString('\n'); err == nil {
		t.Errorf("a third connection is told %q", line)
	}

	for i := range 3 {
		proxy := fmt.Sprintf("PROXY TCP4 192.0.2.%d 10.0.0.1 1234 80\r\n", i)
		keep(proxied, proxy)
		keep(proxied, proxy)
		if served(dialPort(t, proxied), proxy) {
			t.Errorf("client %d has three connections", i)
		}
	}
	for range 5 {
		keep(trusting, "")
	}
	if n := p.metric("gridway_listener_connections_rejected_total", `reason="client_limit"`); n < 5 {
		t.Errorf("%v were counted", n)
	}
}

// So many may come at once, and then as many as the rate says.
func TestNewConnectionsPerClient(t *testing.T) {
	t.Parallel()
	g := serveYAML(t, edgeWith("client: {limits: {perClient: {newConnections: 1/m, burst: 4}}}", "", []string{saysOK(t)}))
	got := map[bool]int{}
	for range 10 {
		c, err := net.DialTimeout("tcp", g.addr, patience)
		if err != nil {
			t.Fatal(err)
		}
		w := newWire(t, c)
		fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
		resp, err := http.ReadResponse(w.r, nil)
		got[err == nil && resp.StatusCode == 200]++
		c.Close()
	}
	if got[true] != 4 {
		t.Errorf("%d of ten connections were served, want 4", got[true])
	}
}

func TestHTTP3ConnectionsPerClient(t *testing.T) {
	t.Parallel()
	g := http3Edge(t, "http3: {}, limits: {perClient: {connections: 2}}", routeDoc("app", ""), backendDoc("app", saysOK(t)))
	get := func() error {
		resp, err := overHTTP3(t, "a.example").Get("https://" + g.addr + "/")
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
	for i := range 4 {
		if err := get(); (err == nil) != (i < 2) {
			t.Errorf("connection %d: %v", i, err)
		}
	}
}

// Addresses that are denied reach no endpoint of a TCPRoute, TLSRoute or UDPRoute.
func TestShieldStreams(t *testing.T) {
	t.Parallel()
	tcp, open, udp, through := ownPort(t), ownPort(t), ownPort(t), ownPort(t)
	answers := func() net.Addr {
		c, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		go func() {
			b := make([]byte, 100)
			for {
				n, from, err := c.ReadFrom(b)
				if err != nil {
					return
				}
				_, _ = c.WriteTo(b[:n], from)
			}
		}()
		return c.LocalAddr()
	}()
	const denies = "addresses: {deny: [{cidrs: [127.0.0.0/8]}]}"
	config := func(udpShield string) string {
		return documents(
			gatewayOn("", on("tcp", "TCP", tcp), on("open", "TCP", open), on("udp", "UDP", udp), on("through", "TLS, tls: {mode: Passthrough}", through)),
			backendDoc("greeter", greeter(t, "app")), backendDoc("echo", answers.String()),
			streamRoute("TCPRoute", "tcp", "", "greeter"), streamRoute("TCPRoute", "open", "", "greeter"), streamRoute("UDPRoute", "udp", "", "echo"),
			streamRoute("TLSRoute", "through", "hostnames: [a.example]\n", "greeter"),
			shieldDoc("tcp", "TCPRoute", "tcp", denies), shieldDoc("tls", "TLSRoute", "through", "addresses: {allow: [{cidrs: [192.0.2.0/24]}]}"),
			strings.Replace(shieldDoc("udp", "Gateway", "edge", udpShield), "name: edge", "name: edge, sectionName: udp", 1),
		)
	}
	p := start(t, config(denies))
	refusedAt(t, tcp)
	p.accessed(`"route":"TCPRoute/default/tcp"`, `"reason":"AddressDenied"`, `"policy":"default/tcp"`, `"policy_rule":"addresses.deny"`)
	dialPort(t, open).line()
	c := dialPort(t, through)
	_, _ = c.Write(clientHello(t))
	c.ends(true)
	ask := func(within time.Duration) bool {
		c, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", udp))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(within))
		_, _ = c.Write([]byte("ping"))
		b := make([]byte, 10)
		n, _ := c.Read(b)
		return string(b[:n]) == "ping"
	}
	if ask(300 * time.Millisecond) {
		t.Error("a datagram got through")
	}
	p.accessed(`"route":"UDPRoute/default/udp"`, `"reason":"AddressDenied"`, `"policy":"default/udp"`)
	p.reload(config("addresses: {allow: [{cidrs: [127.0.0.1]}]}"))
	eventually(t, "datagrams get through", func() bool { return ask(200 * time.Millisecond) })
	if n := p.metric("gridway_policy_decisions_total", `policy="ShieldPolicy/default/tcp"`, `decision="denied"`); n != 1 {
		t.Errorf("%v denied", n)
	}
}
