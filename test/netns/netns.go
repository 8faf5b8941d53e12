// Package netns is a small network for tests: hosts that are network namespaces of
// Linux, each with an address of IPv4 and one of IPv6, joined by a switch. Links
// can be cut, and made slow and lossy.
//
// Namespaces have no names: the kernel removes them, with all that is inside, as
// soon as the test's process is gone, however it ends; and tests that run at the
// same time do not meet. Programs that were started on hosts are killed with it.
//
// It needs root, and iproute2. Tests are skipped without them.
package netns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Network is a switch with hosts.
type Network struct {
	t    testing.TB
	hub  *namespace
	mu   sync.Mutex
	made int // guarded by mu: hosts
}

// Host is one of a network's.
type Host struct {
	Name string
	// IP4 is 10.77.0.N, IP6 is fd77::N. Addresses beyond the network lead to the
	// switch, which has none of them.
	IP4, IP6 netip.Addr

	t    testing.TB
	net  *Network
	ns   *namespace
	port string // of the switch
	// delayed is there while frames are. A host is impaired by one goroutine at a time.
	delayed *delayer
}

// New makes a network without hosts. It ends with the test.
func New(t testing.TB) *Network {
	t.Helper()
	need(t)
	n := &Network{t: t, hub: newNamespace(t)}
	n.hub.must(t, "ip", "link", "set", "lo", "up")
	n.hub.must(t, "ip", "link", "add", "br0", "type", "bridge")
	n.hub.must(t, "ip", "addr", "add", "10.77.0.254/24", "dev", "br0")
	n.hub.must(t, "ip", "-6", "addr", "add", "fd77::fe/64", "dev", "br0", "nodad")
	n.hub.must(t, "ip", "link", "set", "br0", "up")
	return n
}

// need skips the test where there can be no network.
func need(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root: run this test as root, as CI does")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("network namespaces need iproute2: scripts/setup installs it")
	}
}

// Host adds a host.
func (n *Network) Host(name string) *Host {
	n.t.Helper()
	n.mu.Lock()
	n.made++
	i := n.made
	n.mu.Unlock()
	if i > 250 {
		n.t.Fatal("a network has 250 hosts at most")
	}
	h := &Host{
		Name: name, t: n.t, net: n, ns: newNamespace(n.t), port: fmt.Sprintf("port%d", i),
		IP4: netip.AddrFrom4([4]byte{10, 77, 0, byte(i)}),
		IP6: netip.AddrFrom16([16]byte{0: 0xfd, 1: 0x77, 15: byte(i)}),
	}
	n.t.Cleanup(func() { h.undelay() })
	n.hub.must(n.t, "ip", "link", "add", h.port, "type", "veth", "peer", "name", "eth0", "netns", h.ns.path)
	n.hub.must(n.t, "ip", "link", "set", h.port, "master", "br0", "up")
	for _, command := range []string{
		"ip link set lo up",
		"ip addr add " + h.IP4.String() + "/24 dev eth0",
		"ip -6 addr add " + h.IP6.String() + "/64 dev eth0 nodad",
		"ip link set eth0 up",
		"ip route add default via 10.77.0.254",
		"ip -6 route add default via fd77::fe",
	} {
		h.ns.must(n.t, strings.Fields(command)...)
	}
	return h
}

// Do calls f on a thread that is in the host's namespace: what it opens, and the
// processes that it starts, belong to the host. It must not block for long, since
// the host has one such thread.
func (h *Host) Do(f func()) { h.ns.do(f) }

// Dial connects from the host. Clients that dial once more when the test has ended get
// net.ErrClosed.
func (h *Host) Dial(ctx context.Context, network, address string) (c net.Conn, err error) {
	d := net.Dialer{Timeout: 10 * time.Second}
	if !h.ns.do(func() { c, err = d.DialContext(ctx, network, address) }) {
		return nil, net.ErrClosed
	}
	return c, err
}

// Listen listens on the host.
func (h *Host) Listen(network, address string) net.Listener {
	h.t.Helper()
	var l net.Listener
	var err error
	h.Do(func() { l, err = new(net.ListenConfig).Listen(context.Background(), network, address) })
	if err != nil {
		h.t.Fatalf("%s: %v", h.Name, err)
	}
	h.t.Cleanup(func() { _ = l.Close() })
	return l
}

// Command is a program on the host, not started yet. It is killed with the test's
// process. Start it with Start: exec.Cmd's own methods would start it elsewhere.
func (h *Host) Command(name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(context.Background(), name, args...)
	// The signal comes when the thread ends, which is the host's.
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return c
}

// Start starts a command on the host. The caller waits for it; if it does not, it is
// killed at the end of the test.
func (h *Host) Start(c *exec.Cmd) error {
	var err error
	h.Do(func() { err = c.Start() })
	if err == nil {
		h.t.Cleanup(func() {
			if c.ProcessState == nil {
				_ = c.Process.Kill()
				_ = c.Wait()
			}
		})
	}
	return err
}

// Run runs a program on the host to its end and returns what it printed.
func (h *Host) Run(name string, args ...string) (string, error) {
	c := h.Command(name, args...)
	var out strings.Builder
	c.Stdout, c.Stderr = &out, &out
	if err := h.Start(c); err != nil {
		return "", err
	}
	err := c.Wait()
	return out.String(), err
}

// MustRun is Run for what has to succeed.
func (h *Host) MustRun(name string, args ...string) string {
	h.t.Helper()
	out, err := h.Run(name, args...)
	if err != nil {
		h.t.Fatalf("%s: %s %s: %v\n%s", h.Name, name, strings.Join(args, " "), err, out)
	}
	return out
}

// Cut takes the host off the network, and Join puts it back. Connections notice
// nothing but silence.
func (h *Host) Cut() { h.t.Helper(); h.net.hub.must(h.t, "ip", "link", "set", h.port, "nomaster") }

func (h *Host) Join() {
	h.t.Helper()
	h.net.hub.must(h.t, "ip", "link", "set", h.port, "master", "br0")
}

// namespace is a network namespace with a thread inside.
type namespace struct {
	path string // by which other processes reach it
	work chan func()
	over chan struct{} // closed when the test has ended
}

func newNamespace(t testing.TB) *namespace {
	t.Helper()
	ns := &namespace{work: make(chan func()), over: make(chan struct{})}
	made := make(chan error)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		// It is never unlocked, so that the thread ends with the goroutine and no
		// other runs in this namespace.
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			made <- fmt.Errorf("make a network namespace: %w", err)
			return
		}
		f, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			made <- err
			return
		}
		defer f.Close()
		ns.path = fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), f.Fd())
		made <- nil
		for {
			select {
			case f := <-ns.work:
				f()
			case <-ns.over:
				return
			}
		}
	}()
	switch err := <-made; {
	case errors.Is(err, os.ErrPermission), errors.Is(err, syscall.EINVAL):
		t.Skip("no network namespaces here: ", err)
	case err != nil:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		close(ns.over)
		<-ended
	})
	return ns
}

// do runs f inside, and tells whether it has: what comes after the test is not run.
func (ns *namespace) do(f func()) bool {
	done := make(chan struct{})
	select {
	case ns.work <- func() {
		defer close(done)
		f()
	}:
		<-done
		return true
	case <-ns.over:
		return false
	}
}

// try runs a command inside.
func (ns *namespace) try(args ...string) error {
	var err error
	ns.do(func() {
		var out []byte
		if out, err = exec.CommandContext(context.Background(), args[0], args[1:]...).CombinedOutput(); err != nil {
			err = fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
		}
	})
	return err
}

func (ns *namespace) must(t testing.TB, args ...string) {
	t.Helper()
	if err := ns.try(args...); err != nil {
		t.Fatal(err)
	}
}
