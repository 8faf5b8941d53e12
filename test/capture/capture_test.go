package capture

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/intercept"
	"github.com/gridway/gridway/test/netns"
)

// world is a host with servers, and one whose applications want to reach them.
type world struct {
	client, server   *netns.Host
	web, cache, mail string
}

// newWorld starts python's http.server, Redis, and a server that speaks first.
func newWorld(t *testing.T) world {
	t.Helper()
	n := netns.New(t)
	w := world{client: n.Host("client"), server: n.Host("server")}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "page"), []byte("hello from python"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.web = w.start(t, 8000, need(t, "python3"), "-m", "http.server", "8000", "--bind", "0.0.0.0", "--directory", folder)
	w.cache = w.start(t, 6379, need(t, "redis-server"), "--port", "6379", "--protected-mode", "no", "--save", "", "--dir", folder)
	mail := w.server.Listen("tcp", ":25")
	go func() {
		for {
			c, err := mail.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, "220 mail speaks first\r\n")
			c.Close()
		}
	}()
	w.mail = w.at(25)
	return w
}

func (w *world) at(port uint16) string { return netip.AddrPortFrom(w.server.IP4, port).String() }

// start starts a server and waits until it listens.
func (w *world) start(t *testing.T, port uint16, name string, args ...string) string {
	t.Helper()
	c := w.server.Command(name, args...)
	if err := w.server.Start(c); err != nil {
		t.Fatal(err)
	}
	listens := fmt.Sprintf(":%d ", port)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); !strings.Contains(w.server.MustRun("ss", "-ltnH"), listens); <-tick.C {
		if time.Now().After(end) {
			t.Fatal(name, "does not listen")
		}
	}
	return w.at(port)
}

// mesh has three services with virtual addresses and names that no resolver knows.
func (w *world) mesh(egress ir.Egress) ir.Config {
	return config(egress,
		service{"web", ir.HTTP, w.web, []string{"240.0.0.1:80", "[fd00:9::1]:80"}, []string{"web.shop"}},
		service{"cache", ir.TCP, w.cache, []string{"240.0.0.2:6379"}, []string{"cache.shop:6379"}},
		service{"mail", ir.TCP, w.mail, []string{"240.0.0.3:25", "[fd00:9::3]:25"}, []string{"mail.shop:25"}},
		service{"either", ir.Detect, w.web, []string{"240.0.0.4:80"}, []string{"either.shop"}},
		service{"quiet", ir.Detect, w.mail, []string{"240.0.0.4:25"}, []string{"quiet.shop:25"}},
	)
}

// services are what the mesh's names lead to.
var services = map[string][]netip.Addr{
	"web.shop":   {netip.MustParseAddr("240.0.0.1"), netip.MustParseAddr("fd00:9::1")},
	"cache.shop": {netip.MustParseAddr("240.0.0.2")},
}

// greeting has bash print the first line that comes from "HOST|PORT".
func greeting(address string) []string {
	host, port, _ := strings.Cut(address, "|")
	return []string{"bash", "-c", "exec 3<>/dev/tcp/" + host + "/" + port + " && read -t 10 line <&3 && echo $line"}
}

func TestIntercepted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cgroup, err := intercept.NewCgroup()
	if err != nil {
		t.Skip("no cgroups here:", err)
	}
	_ = cgroup.Close()
	curl := func(args ...string) []string { return append([]string{need(t, "curl"), "-sS", "-m", "20"}, args...) }
	for _, c := range []struct {
		name    string
		command []string
		want    string
		route   string
	}{
		{"HTTP", curl("http://240.0.0.1/page"), "hello from python", "HTTPRoute/default/web"},
		{"HTTP, IPv6", curl("http://[fd00:9::1]/page"), "hello from python", "HTTPRoute/default/web"},
		{"HTTP/2 with prior knowledge", curl("--http2-prior-knowledge", "http://240.0.0.1/page"), "hello from python", "HTTPRoute/default/web"},
		{"Redis", []string{need(t, "redis-cli"), "-h", "240.0.0.2", "ping"}, "PONG\n", "TCPRoute/default/cache"},
		{"server speaks first", greeting("240.0.0.3|25"), "220 mail speaks first\r\n", "TCPRoute/default/mail"},
		{"server speaks first, IPv6", greeting("fd00:9::3|25"), "220 mail speaks first\r\n", "TCPRoute/default/mail"},
		{"detected HTTP", curl("http://240.0.0.4/page"), "hello from python", "HTTPRoute/default/either"},
		{"detected silence", greeting("240.0.0.4|25"), "220 mail speaks first\r\n", "TCPRoute/default/quiet"},
		{"outside", curl("http://" + w.web + "/page"), "hello from python", "Egress/-/127.0.0.1:15001"},
		{"the proxy asked by name", curl("-x", "http://127.0.0.1:15001", "http://web.shop/page"), "hello from python", "HTTPRoute/default/web"},
		{"HTTP by name", curl("http://web.shop/page"), "hello from python", "HTTPRoute/default/web"},
		{"HTTP by name, IPv6", curl("-6", "http://web.shop/page"), "hello from python", "HTTPRoute/default/web"},
		{"Redis by name", []string{need(t, "redis-cli"), "-h", "cache.shop", "ping"}, "PONG\n", "TCPRoute/default/cache"},
		{"exit code", []string{"bash", "-c", "curl -sS http://240.0.0.1/page; exit 7"}, "hello from python", "HTTPRoute/default/web"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, log, err := beside(t, w.client, setup{Config: w.mesh(ir.EgressAllow), Intercept: true, Names: services}, c.command...)
			if out != c.want || err != nil && (c.name != "exit code" || err.Error() != "exit status 7") {
				t.Errorf("it says %q, %v; want %q", out, err, c.want)
			}
			if !slices.ContainsFunc(log, func(l string) bool { return strings.Contains(l, strconv.Quote(c.route)) }) {
				t.Errorf("no route %s in %q", c.route, log)
			}
		})
	}
	t.Run("denied", func(t *testing.T) {
		out, log, err := beside(t, w.client, setup{Config: w.mesh(ir.EgressDeny), Intercept: true}, curl("http://"+w.web+"/page")...)
		if err == nil || !strings.Contains(strings.Join(log, ""), `"reason":"EgressDenied"`) || !strings.Contains(strings.Join(log, ""), `"destination":"`+w.web+`"`) {
			t.Errorf("it says %q, %v; %q", out, err, log)
		}
	})
	t.Run("nothing is left", func(t *testing.T) {
		if out := w.client.MustRun("curl", "-sS", "-m", "20", "http://"+w.web+"/page"); out != "hello from python" {
			t.Error(out)
		}
	})
}

func TestThroughProxyVariables(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	curl := func(args ...string) []string { return append([]string{need(t, "curl"), "-sS", "-m", "20"}, args...) }
	for _, c := range []struct {
		name    string
		command []string
		want    string
	}{
		{"a service", curl("http://web.shop/page"), "hello from python"},
		{"a tunnel to a service", curl("-p", "http://web.shop/page"), "hello from python"},
		{"a tunnel to TCP", curl("-x", "http://127.0.0.1:15001", "-p", "telnet://mail.shop:25"), "220 mail speaks first\r\n"},
		{"outside", curl("http://" + w.web + "/page"), "hello from python"},
		{"python", []string{need(t, "python3"), "-c", "import urllib.request as r; print(r.urlopen('http://web.shop/page').read().decode(), end='')"}, "hello from python"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, log, err := beside(t, w.client, setup{Config: w.mesh(ir.EgressAllow)}, c.command...)
			if out != c.want || err != nil {
				t.Errorf("it says %q, %v; want %q; %q", out, err, c.want, log)
			}
		})
	}
	t.Run("denied", func(t *testing.T) {
		out, _, err := beside(t, w.client, setup{Config: w.mesh(ir.EgressDeny)}, curl("-o", "/dev/null", "-w", "%{http_code} %header{x-gridway-reason}", "http://"+w.web+"/page")...)
		if out != "502 EgressDenied" || err != nil {
			t.Errorf("it says %q, %v", out, err)
		}
	})
}
