package e2e

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// talk is a stream that lives through some upgrades: lines that come back, then
// the end of the client's side, and the end of the server's.
func talk(config *tls.Config) func(net.Conn, *bufio.Reader) error {
	return func(raw net.Conn, _ *bufio.Reader) error {
		c := raw.(duplex)
		if config != nil {
			c = tls.Client(raw, config)
		}
		r := bufio.NewReader(c)
		tick := time.NewTicker(pieceTick)
		defer tick.Stop()
		for i := range pieces {
			<-tick.C
			fmt.Fprintf(c, "line %d\n", i)
			if line, err := r.ReadString('\n'); err != nil || line != fmt.Sprintf("line %d\n", i) {
				return fmt.Errorf("line %d came back as %q, %w", i, line, err)
			}
		}
		if err := c.CloseWrite(); err != nil {
			return err
		}
		rest, err := io.ReadAll(r)
		if len(rest) > 0 || err != nil {
			return fmt.Errorf("the end came with %q, %w", rest, err)
		}
		return nil
	}
}

// chat is a WebSocket that lives through some upgrades.
func (l *load) chat(port int, config *tls.Config) {
	l.wg.Go(func() {
		for l.going() {
			if err := l.conversation(port, config); err != nil {
				l.failed.Add(1)
				l.t.Errorf("WebSocket: %v", err)
				return
			}
			l.done.Add(1)
		}
	})
}

func (l *load) conversation(port int, config *tls.Config) error {
	s, err := openWS(l.t, fmt.Sprintf("127.0.0.1:%d", port), "/chat", config)
	if err != nil {
		return err
	}
	tick := time.NewTicker(pieceTick)
	defer tick.Stop()
	for i := range pieces {
		<-tick.C
		text := fmt.Sprint("message ", i)
		if err := s.say(ws.OpText, []byte(text)); err != nil {
			return err
		}
		if op, p, err := s.hear(); err != nil || op != ws.OpText || string(p) != text {
			return fmt.Errorf("%s came back as %v %q, %w", text, op, p, err)
		}
	}
	s.closeWrite()
	return nil
}

// program runs a program again and again, which must say want.
func (l *load) program(want, name string, args ...string) {
	l.wg.Go(func() {
		for l.going() {
			out, err := exec.Command(name, args...).CombinedOutput()
			if err != nil || string(out) != want {
				l.failed.Add(1)
				l.t.Errorf("%s: %v, %.300q", name, err, out)
				return
			}
			l.done.Add(1)
		}
	})
}

// Six processes in a row, with clients of everything that TestUpgradesUnderLoad
// has not: streams, with TLS and without, WebSockets, and curl, which makes
// connections all the time.
func TestUpgradesUnderLoadOfOtherKinds(t *testing.T) { // not parallel: it takes the whole machine
	ca := newAuthority(t, "ca")
	cert, key := ca.issue("web.test", "end.test")
	inner := &tls.Config{Certificates: []tls.Certificate{ca.pair("pass.test")}}
	tcp, tlsPort := ownPort(t), ownPort(t)
	listener := func(name, kind, hostname, mode string) string {
		return fmt.Sprintf("{name: %s, port: %d, protocol: %s, %stls: {%s}}", name, tlsPort, kind, hostname, mode)
	}
	const certified = "certificateRefs: [{name: web}]"
	g := startLineage(t, documents(
		gatewayOn("", on("tcp", "TCP", tcp), listener("web", "HTTPS", "", certified),
			listener("end", "TLS", "hostname: end.test, ", "mode: Terminate, "+certified), listener("pass", "TLS", "hostname: pass.test, ", "mode: Passthrough")),
		secretDoc("web", cert, key),
		streamRoute("TCPRoute", "tcp", "", "echo"), streamRoute("TLSRoute", "end", "hostnames: [end.test]\n", "echo"), backendDoc("echo", echoTCP(t)),
		streamRoute("TLSRoute", "pass", "hostnames: [pass.test]\n", "pass"), backendDoc("pass", serveTCP(t, func(raw *net.TCPConn) {
			c := tls.Server(raw, inner)
			_, _ = io.Copy(c, c)
			_ = c.CloseWrite()
		})),
		routeDoc("app", ""),
		strings.Replace(routeDoc("chat", "matches: [{path: {value: /chat}}]\n"), "metadata: {name: app}", "metadata: {name: chat}", 1), backendDoc("app", named(t, "a").addr), backendDoc("chat", serveWS(t, nil).addr),
	))
	config := func(name string) *tls.Config {
		return &tls.Config{ServerName: name, RootCAs: ca.pool, ClientSessionCache: tls.NewLRUClientSessionCache(8)}
	}
	l := newLoad(t)
	for range 3 {
		l.repeat(tcp, "TCP stream", talk(nil))
		l.repeat(tlsPort, "TLS stream, terminated", talk(config("end.test")))
		l.repeat(tlsPort, "TLS stream, passed through", talk(config("pass.test")))
		l.chat(tlsPort, config("web.test"))
	}
	for _, keep := range []bool{true, false} {
		l.add(keep, tlsPort, config("web.test"), "GET / HTTP/1.1\r\nHost: web.test\r\n\r\n", saying("a"))
	}
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(bundle, []byte(ca.pem), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, version := range []string{"--http1.1", "--http2"} {
		l.program("a2a2", program(t, "curl"), "-sS", version, "--cacert", bundle, "--resolve", fmt.Sprintf("web.test:%d:127.0.0.1", tlsPort),
			"-w", "2", fmt.Sprintf("https://web.test:%d/", tlsPort), fmt.Sprintf("https://web.test:%d/again", tlsPort), "-o", "-", "-o", "-")
	}
	for range 5 {
		l.passed(40)
		g.upgrade()
	}
	l.passed(40)
	t.Logf("%d done, %d failed", l.end(), l.failed.Load())
	g.stop()
	if text := g.logged(); strings.Contains(text, "cut off") || strings.Contains(text, "level=ERROR") || strings.Contains(text, "panic") {
		t.Error("something went wrong")
	}
}
