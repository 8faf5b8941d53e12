package dns

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	mdns "github.com/miekg/dns"
)

const (
	defaultTimeout = 2 * time.Second
	// maxFile bounds the system's files in bytes.
	maxFile = 4 << 20
)

// resolver knows the system's files. They are read at each lookup, so that a
// change counts from the next one on.
type resolver struct {
	resolvConf, hosts string
	reachable         func(netip.Addr) bool
}

func newResolver(o Options) *resolver {
	r := &resolver{resolvConf: o.ResolvConf, hosts: o.Hosts, reachable: o.Reachable}
	if r.resolvConf == "" {
		r.resolvConf = "/etc/resolv.conf"
	}
	if r.hosts == "" {
		r.hosts = "/etc/hosts"
	}
	return r
}

// systemConf is what resolv.conf(5) says.
type systemConf struct {
	servers  []string // "IP:PORT"
	list     func(name string) []string
	timeout  time.Duration
	attempts int
}

// system reads resolv.conf; as in resolv.conf(5), without one the local host is asked.
func (r *resolver) system() systemConf {
	parsed, err := mdns.ClientConfigFromReader(bytes.NewReader(readFile(r.resolvConf)))
	if err != nil {
		parsed = &mdns.ClientConfig{Port: "53", Ndots: 1, Timeout: 2, Attempts: 2}
	}
	conf := systemConf{
		list:     parsed.NameList,
		timeout:  min(max(time.Duration(parsed.Timeout)*time.Second, time.Second), defaultTimeout),
		attempts: min(max(parsed.Attempts, 1), 3),
	}
	for _, server := range parsed.Servers[:min(len(parsed.Servers), 3)] {
		if _, _, err := net.SplitHostPort(server); err != nil {
			server = net.JoinHostPort(server, parsed.Port)
		}
		conf.servers = append(conf.servers, server)
	}
	if len(conf.servers) == 0 {
		conf.servers = []string{"127.0.0.1:53"}
	}
	return conf
}

// candidates are the absolute names to try for a name.
func (c systemConf) candidates(name string) []string { return c.list(name) }

func readFile(path string) []byte {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	b, _ := io.ReadAll(io.LimitReader(f, maxFile))
	return b
}

// local answers from the hosts file, and for names of the local host (RFC 6761
// §6.3), without DNS.
func (r *resolver) local(ctx context.Context, name string, port uint16) []netip.Addr {
	addrs := parseHosts(readFile(r.hosts), name)
	if len(addrs) == 0 && isLocalhost(name) {
		addrs = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	}
	if isLocalhost(name) && len(addrs) > 1 {
		return listening(ctx, addrs, port)
	}
	return addrs
}

func isLocalhost(name string) bool {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}

// listening leaves out the loopback addresses at which nobody listens, unless
// that is all: programs that serve "localhost" often take one family only, and
// a balancer, unlike a browser, would send every other request to the other.
func listening(ctx context.Context, addrs []netip.Addr, port uint16) []netip.Addr {
	dialer := net.Dialer{Timeout: 200 * time.Millisecond}
	var list []netip.Addr
	for _, a := range addrs {
		conn, err := dialer.DialContext(ctx, "tcp", netip.AddrPortFrom(a, port).String())
		if err == nil {
			conn.Close()
			list = append(list, a)
		}
	}
	if len(list) == 0 {
		return addrs
	}
	return list
}

// parseHosts finds the addresses of a name in the text of a hosts(5) file.
func parseHosts(text []byte, name string) []netip.Addr {
	name = strings.TrimSuffix(name, ".")
	var addrs []netip.Addr
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		line, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		for _, alias := range fields[1:] {
			if !strings.EqualFold(strings.TrimSuffix(alias, "."), name) {
				continue
			}
			if a, err := netip.ParseAddr(fields[0]); err == nil && a.Zone() == "" {
				addrs = append(addrs, a.Unmap())
			}
			break
		}
	}
	return addrs
}

// routed asks the kernel for a route, which connecting a datagram socket does
// without sending anything.
func routed(a netip.Addr) bool {
	var d net.Dialer
	conn, err := d.DialContext(context.Background(), "udp", net.JoinHostPort(a.String(), strconv.Itoa(9)))
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}
