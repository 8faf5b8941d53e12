package intercept_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/nftables"

	"github.com/gridway/gridway/internal/mesh/intercept"
	"github.com/gridway/gridway/internal/wire/netx"
	"github.com/gridway/gridway/test/netns"
)

// The test program is what runs beside a sidecar, too.
const role = "GRIDWAY_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "dial": // says what answers at an address
		got, err := dial(os.Args[1], 0, patience)
		if err != nil {
			fmt.Println("error:", err)
		}
		fmt.Println(got)
	case "capture": // captures everything, until it is killed
		rules, err := intercept.Install(intercept.Config{ID: os.Args[1], From: intercept.FromNamespace(), Outbound: 1})
		if err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		fmt.Println(rules.Table())
		select {}
	default:
		os.Exit(m.Run())
	}
}

// How long to wait for what is to come, and for what is not.
const (
	patience = 20 * time.Second
	moment   = time.Second
)

// dial returns what it is greeted with.
func dial(address string, mark uint32, within time.Duration) (string, error) {
	d := net.Dialer{Timeout: within, Control: netx.MarkControl(mark)}
	c, err := d.Dial("tcp", address)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	b, err := io.ReadAll(c)
	return string(b), err
}

// greet answers each connection to a port of a host with its name and where the
// connection was going.
func greet(h *netns.Host, name, address string) (port uint16) {
	l := h.Listen("tcp", address)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			to, ok := netx.New(c).OriginalDestination()
			if !ok {
				to = netip.AddrPort{}
			}
			fmt.Fprintf(c, "%s %s", name, to)
			c.Close()
		}
	}()
	return uint16(l.Addr().(*net.TCPAddr).Port)
}

func install(t *testing.T, h *netns.Host, c intercept.Config) *intercept.Rules {
	t.Helper()
	var rules *intercept.Rules
	var err error
	h.Do(func() { rules, err = intercept.Install(c) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rules.Close() })
	return rules
}

func tables(t *testing.T, h *netns.Host) (names []string) {
	t.Helper()
	h.Do(func() {
		conn, err := nftables.New()
		if err != nil {
			t.Error(err)
			return
		}
		all, err := conn.ListTables()
		if err != nil {
			t.Error(err)
		}
		for _, table := range all {
			names = append(names, table.Name)
		}
	})
	return names
}

const nowhere = "invalid AddrPort"

func on(ip netip.Addr, port uint16) string { return netip.AddrPortFrom(ip, port).String() }

// both listens on the loopback addresses of both families, at one port.
func both(h *netns.Host, name string) uint16 {
	port := greet(h, name, "127.0.0.1:0")
	greet(h, name, on(netip.IPv6Loopback(), port))
	return port
}

func TestOutbound(t *testing.T) {
	t.Parallel()
	n := netns.New(t)
	a, b := n.Host("a"), n.Host("b")
	plain := greet(b, "b", ":0")
	except := greet(b, "b", ":0")
	own := greet(a, "a", ":0")
	proxy := both(a, "proxy")
	rules := install(t, a, intercept.Config{
		ID: "a", From: intercept.FromNamespace(), Outbound: proxy,
		Except: intercept.Except{
			Ports:    []uint16{except},
			Networks: []netip.Prefix{netip.MustParsePrefix("10.78.0.0/15"), netip.MustParsePrefix("fd78::/16")},
		},
	})
	if rules.Lasting() {
		t.Error("the rules do not end with their process")
	}
	for _, c := range []struct {
		name, to string
		mark     uint32
		want     string
	}{
		{"another host", on(b.IP4, plain), 0, "proxy " + on(b.IP4, plain)},
		{"another host, IPv6", on(b.IP6, plain), 0, "proxy " + on(b.IP6, plain)},
		{"a virtual address", "240.0.0.1:80", 0, "proxy 240.0.0.1:80"},
		{"a virtual address, IPv6", "[fd00::1]:80", 0, "proxy [fd00::1]:80"},
		{"the sidecar's own", on(b.IP4, plain), intercept.Mark, "b " + nowhere},
		{"the sidecar's own, IPv6", on(b.IP6, plain), intercept.Mark, "b " + nowhere},
		{"a port that is excepted", on(b.IP4, except), 0, "b " + nowhere},
		{"loopback", on(netip.AddrFrom4([4]byte{127, 0, 0, 1}), own), 0, "a " + nowhere},
		{"loopback, IPv6", on(netip.IPv6Loopback(), own), 0, "a " + nowhere},
		{"its own address", on(a.IP4, own), 0, "a " + nowhere},
		{"its own address, IPv6", on(a.IP6, own), 0, "a " + nowhere},
		{"the proxy itself", on(a.IP4, own), 0, "a " + nowhere},
		{"a network that is excepted", "10.79.1.1:80", 0, ""},
		{"a network that is excepted, IPv6", "[fd78::1]:80", 0, ""},
	} {
		within := patience
		if c.want == "" {
			within = moment
		}
		var got string
		a.Do(func() { got, _ = dial(c.to, c.mark, within) })
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if err := rules.Close(); err != nil {
		t.Fatal(err)
	}
	var got string
	a.Do(func() { got, _ = dial(on(b.IP4, plain), 0, patience) })
	if got != "b "+nowhere || len(tables(t, a)) != 0 {
		t.Errorf("after the end: %q, %q", got, tables(t, a))
	}
}

func TestInbound(t *testing.T) {
	t.Parallel()
	n := netns.New(t)
	a, b := n.Host("a"), n.Host("b")
	app := greet(a, "app", ":0")
	proxy := greet(a, "proxy", ":0")
	install(t, a, intercept.Config{ID: "a", From: intercept.FromNamespace(), Inbound: []intercept.Redirect{{From: app, To: proxy}}})
	for _, ip := range []netip.Addr{a.IP4, a.IP6} {
		var got, itself string
		b.Do(func() { got, _ = dial(on(ip, app), 0, patience) })
		if want := "proxy " + on(ip, app); got != want {
			t.Errorf("from another host: %q, want %q", got, want)
		}
		a.Do(func() { itself, _ = dial(on(ip, app), 0, patience) })
		if itself != "app "+nowhere {
			t.Errorf("from this host: %q", itself)
		}
	}
}

func TestDNS(t *testing.T) {
	t.Parallel()
	a := netns.New(t).Host("a")
	var responder net.PacketConn
	a.Do(func() { responder, _ = net.ListenPacket("udp4", "127.0.0.1:0") })
	defer responder.Close()
	go func() {
		b := make([]byte, 512)
		for {
			n, from, err := responder.ReadFrom(b)
			if err != nil {
				return
			}
			responder.WriteTo(append([]byte("answer to "), b[:n]...), from)
		}
	}()
	port := uint16(responder.LocalAddr().(*net.UDPAddr).Port)
	greet(a, "responder", on(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port))
	install(t, a, intercept.Config{ID: "a", From: intercept.FromNamespace(), DNS: port})
	for _, server := range []string{"10.77.0.254:53", "127.0.0.53:53"} {
		var got string
		a.Do(func() {
			c, err := net.Dial("udp", server) // takes answers of that address alone
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(patience))
			io.WriteString(c, "question")
			b := make([]byte, 512)
			n, _ := c.Read(b)
			got = string(b[:n])
		})
		if got != "answer to question" {
			t.Errorf("%s by UDP: %q", server, got)
		}
		a.Do(func() { got, _ = dial(server, 0, patience) })
		if got != "responder "+server {
			t.Errorf("%s by TCP: %q", server, got)
		}
	}
}

// run runs the test program as another on a host.
func run(t *testing.T, h *netns.Host, attr func(*syscall.SysProcAttr), what string, args ...string) string {
	t.Helper()
	c := program(t, h, what, args...)
	if attr != nil {
		attr(c.SysProcAttr)
	}
	var out strings.Builder
	c.Stdout = &out
	if err := h.Start(c); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
	return strings.TrimSpace(out.String())
}

// program is the test program as another, not started yet.
func program(t *testing.T, h *netns.Host, what string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := h.Command(self, args...)
	c.Env = append(os.Environ(), role+"="+what)
	return c
}

func TestUser(t *testing.T) {
	t.Parallel()
	n := netns.New(t)
	a, b := n.Host("a"), n.Host("b")
	port, proxy := greet(b, "b", ":0"), both(a, "proxy")
	install(t, a, intercept.Config{
		ID: "a", From: intercept.FromUser(uint32(os.Getuid())), Outbound: proxy,
		Except: intercept.Except{UIDs: []uint32{12345}},
	})
	if got := run(t, a, nil, "dial", on(b.IP4, port)); got != "proxy "+on(b.IP4, port) {
		t.Errorf("the user: %q", got)
	}
	install(t, b, intercept.Config{ID: "b", From: intercept.FromUser(12345), Outbound: both(b, "proxy")})
	if got := run(t, b, nil, "dial", on(a.IP4, greet(a, "a", ":0"))); got != "a "+nowhere {
		t.Errorf("another user: %q", got)
	}
}

// Two sidecars on one host capture each its own application.
func TestCgroups(t *testing.T) {
	t.Parallel()
	cgroup, err := intercept.NewCgroup()
	if err != nil {
		t.Skip("no cgroups here:", err)
	}
	t.Cleanup(func() {
		if err := cgroup.Close(); err != nil {
			t.Error(err)
		}
	})
	n := netns.New(t)
	a, b := n.Host("a"), n.Host("b")
	port, proxy, other := greet(b, "b", ":0"), both(a, "proxy"), both(a, "other")
	install(t, a, intercept.Config{ID: "one", From: intercept.FromCgroup(cgroup), Outbound: proxy})
	install(t, a, intercept.Config{ID: "two", From: intercept.FromUser(12345), Outbound: other})
	inside := func(attr *syscall.SysProcAttr) { attr.UseCgroupFD, attr.CgroupFD = true, int(cgroup.Folder().Fd()) }
	if got := run(t, a, inside, "dial", on(b.IP4, port)); got != "proxy "+on(b.IP4, port) {
		t.Errorf("inside: %q", got)
	}
	if got := run(t, a, nil, "dial", on(b.IP4, port)); got != "b "+nowhere {
		t.Errorf("outside: %q", got)
	}
}

// However the process ends that made them, rules end with it.
func TestKilled(t *testing.T) {
	t.Parallel()
	a := netns.New(t).Host("a")
	for range 2 { // the second finds nothing of the first
		c := program(t, a, "capture", "killed")
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Start(c); err != nil {
			t.Fatal(err)
		}
		if line, _ := bufio.NewReader(out).ReadString('\n'); line != "gridway_killed\n" {
			t.Fatalf("it says %q", line)
		}
		if got := tables(t, a); len(got) != 1 {
			t.Fatal("tables:", got)
		}
		// Nobody else takes its name, or captures everything as well.
		for id, want := range map[string]string{"killed": "another process", "other": "another sidecar"} {
			a.Do(func() {
				if _, err := intercept.Install(intercept.Config{ID: id, From: intercept.FromNamespace(), Outbound: 1}); err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%s: %v", id, err)
				}
			})
		}
		_ = c.Process.Kill()
		_ = c.Wait()
		if got := tables(t, a); len(got) != 0 {
			t.Error("left behind:", got)
		}
	}
}

// A user namespace of its own gives a process no rights in the network namespace of
// others, whatever it is called inside.
func TestWithoutRights(t *testing.T) {
	t.Parallel()
	a := netns.New(t).Host("a")
	c := program(t, a, "capture", "x")
	mappings := []syscall.SysProcIDMap{{Size: 1}}
	c.SysProcAttr.Cloneflags, c.SysProcAttr.UidMappings, c.SysProcAttr.GidMappings = syscall.CLONE_NEWUSER, mappings, mappings
	var out strings.Builder
	c.Stdout = &out
	if err := a.Start(c); err != nil {
		t.Skip("no user namespaces here:", err)
	}
	_ = c.Wait()
	if got := out.String(); !strings.Contains(got, "CAP_NET_ADMIN") || !strings.Contains(got, "HTTP_PROXY") {
		t.Errorf("unclear: %q", got)
	}
}

func TestConfigIsChecked(t *testing.T) {
	many := make([]uint16, 300)
	for want, c := range map[string]intercept.Config{
		"cannot name rules":  {ID: "A b", From: intercept.FromNamespace(), Outbound: 1},
		"nothing is to be":   {ID: "a", From: intercept.FromNamespace()},
		"whose connections":  {ID: "a", Outbound: 1},
		"cannot be redirect": {ID: "a", From: intercept.FromNamespace(), Inbound: []intercept.Redirect{{From: 80, To: 80}}},
		"too many":           {ID: "a", From: intercept.FromNamespace(), Outbound: 1, Except: intercept.Except{Ports: many}},
	} {
		if _, err := intercept.Install(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
