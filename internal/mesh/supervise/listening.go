package supervise

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Between two looks at what the application listens on.
const (
	firstPoll = 2 * time.Millisecond
	lastPoll  = 100 * time.Millisecond
)

// awaitPort waits until the application listens on its port, and returns where.
// It returns errEarly if the application ended before.
func (a *App) awaitPort(ctx context.Context, p *process) (netip.AddrPort, error) {
	timeout := time.NewTimer(a.StartTimeout)
	defer timeout.Stop()
	poll := firstPoll
	for {
		all, err := sockets(strconv.Itoa(p.pid))
		at := addressOf(all, a.Port)
		switch {
		case p.over(), ctx.Err() != nil:
			return netip.AddrPort{}, errEarly
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return netip.AddrPort{}, err
		case at.IsValid():
			return at, nil
		}
		select {
		case <-p.exited:
		case <-ctx.Done():
		case <-time.After(poll):
		case <-timeout.C:
			return netip.AddrPort{}, a.silent(p)
		}
		poll = min(2*poll, lastPoll)
	}
}

// lookAlso tells of the further ports on which the application listens by now.
func (a *App) lookAlso(p *process) {
	if len(a.awaited) == 0 || a.Listens == nil {
		return
	}
	all, _ := sockets(strconv.Itoa(p.pid)) // it may have ended
	a.awaited = slices.DeleteFunc(a.awaited, func(port uint16) bool {
		at := addressOf(all, port)
		if at.IsValid() {
			a.Log.Info("application listens", "address", at.String())
			a.Listens(at)
		}
		return at.IsValid()
	})
}

// awaitAlso waits for the further ports, until the application ends or has had the time
// that it may take to start.
func (a *App) awaitAlso(ctx context.Context, p *process) {
	ctx, cancel := context.WithTimeout(ctx, a.StartTimeout)
	defer cancel()
	poll := firstPoll
	for a.lookAlso(p); len(a.awaited) > 0 && a.Listens != nil; a.lookAlso(p) {
		select {
		case <-p.exited:
			return
		case <-ctx.Done():
			return
		case <-time.After(poll):
		}
		poll = min(2*poll, lastPoll)
	}
}

// silent says that the application did not listen, and where something began to meanwhile.
func (a *App) silent(p *process) error {
	var elsewhere []string
	now, _ := sockets(strconv.Itoa(p.pid))
	for _, at := range now {
		if !slices.Contains(a.before, at) && !slices.Contains(elsewhere, at.String()) {
			elsewhere = append(elsewhere, at.String())
		}
	}
	hint := "nothing on this host began to listen since it was started"
	if len(elsewhere) > 0 {
		hint = "since it was started something began to listen at " + strings.Join(elsewhere, ", ")
	}
	return fmt.Errorf("%s did not listen on port %d within %s; %s", a.Command[0], a.Port, a.StartTimeout, hint)
}

// addressOf is the address at which this host reaches the one of these sockets
// that has a port; invalid if none has. The loopback address is preferred, since
// nobody else can be meant by it, and IPv4.
func addressOf(all []netip.AddrPort, port uint16) (found netip.AddrPort) {
	for _, at := range all {
		if at.Port() != port {
			continue
		}
		if at = reachable(at); !found.IsValid() || at.Addr().IsLoopback() && !found.Addr().IsLoopback() ||
			at.Addr().Is4() && found.Addr() == netip.IPv6Loopback() {
			found = at
		}
	}
	return found
}

// reachable is at, or the loopback address if at is every address. Who listens at
// [::] is asked by IPv6, since it may take no IPv4 (IPV6_V6ONLY), unless this host
// has none.
func reachable(at netip.AddrPort) netip.AddrPort {
	v4 := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port())
	switch at.Addr() {
	case netip.IPv4Unspecified():
		return v4
	case netip.IPv6Unspecified():
		if off, err := os.ReadFile("/proc/sys/net/ipv6/conf/lo/disable_ipv6"); err != nil || string(off) == "1\n" {
			return v4
		}
		return netip.AddrPortFrom(netip.IPv6Loopback(), at.Port())
	}
	return at
}

// sockets are the TCP sockets that listen in the network namespace of a process.
func sockets(pid string) ([]netip.AddrPort, error) {
	var all []netip.AddrPort
	for _, name := range []string{"tcp", "tcp6"} {
		f, err := os.Open("/proc/" + pid + "/net/" + name)
		if name == "tcp6" && errors.Is(err, fs.ErrNotExist) {
			continue // a kernel without IPv6
		}
		if err != nil {
			return nil, fmt.Errorf("look for listening sockets: %w", err)
		}
		all, err = appendListening(all, f)
		_ = f.Close()
		if err != nil {
			return nil, fmt.Errorf("look for listening sockets: read %s: %w", f.Name(), err)
		}
	}
	return all, nil
}

// appendListening reads /proc/net/tcp or tcp6 (proc_net(5)).
func appendListening(all []netip.AddrPort, r io.Reader) ([]netip.AddrPort, error) {
	const stateListen = "0A"
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || fields[3] != stateListen {
			continue
		}
		if at, ok := parseAddress(fields[1]); ok {
			all = append(all, at)
		}
	}
	return all, lines.Err()
}

// parseAddress reads "0100007F:1F90": words of 32 bits in the order of the host,
// which is little-endian wherever Gridway runs, and the port as a number.
func parseAddress(s string) (netip.AddrPort, bool) {
	address, digits, _ := strings.Cut(s, ":")
	port, err := strconv.ParseUint(digits, 16, 16)
	if err != nil {
		return netip.AddrPort{}, false
	}
	b, err := hex.DecodeString(address)
	if err != nil || len(b) != 4 && len(b) != 16 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(b); i += 4 {
		slices.Reverse(b[i : i+4])
	}
	ip, _ := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(ip.Unmap(), uint16(port)), true
}
