package nameserver

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Bounds of what a host's configuration can ask for.
const (
	maxServers = 3 // as the C library has it
	maxSearch  = 32
	// checkEvery is how often it is looked whether the file has changed.
	checkEvery = time.Second
)

// hostConf is /etc/resolv.conf as it is now (resolv.conf(5)).
type hostConf struct {
	path string
	own  []netip.AddrPort // which are never asked

	mu      sync.Mutex
	checked time.Time // guarded by mu
	was     os.FileInfo
	now     resolvers // guarded by mu
}

// resolvers are whom this host asks.
type resolvers struct {
	servers []string // "IP:PORT"
	search  []string // in lower case, without dots at the ends
}

func (c *hostConf) get() resolvers {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.checked) >= checkEvery {
		c.checked = now
		if is, err := os.Stat(c.path); err == nil && (c.was == nil || !os.SameFile(is, c.was) || is.ModTime() != c.was.ModTime() || is.Size() != c.was.Size()) {
			if text, err := os.ReadFile(c.path); err == nil { // else what was known goes on
				c.was, c.now = is, parseResolvConf(string(text), c.own)
			}
		}
	}
	return c.now
}

func parseResolvConf(text string, own []netip.AddrPort) (r resolvers) {
	conf, err := dns.ClientConfigFromReader(strings.NewReader(text))
	if err != nil {
		return r
	}
	for _, s := range conf.Servers {
		ip, err := netip.ParseAddr(s)
		port := uint16(53)
		if err != nil || slices.Contains(own, netip.AddrPortFrom(ip, port)) || len(r.servers) == maxServers {
			continue
		}
		r.servers = append(r.servers, net.JoinHostPort(ip.String(), conf.Port))
	}
	for _, d := range conf.Search {
		if d = strings.ToLower(strings.Trim(d, ".")); d != "" && len(r.search) < maxSearch {
			r.search = append(r.search, d)
		}
	}
	return r
}

// forms are what a client can have meant by a name: that, or what is before one of
// the search domains.
func (c *hostConf) forms(name string) []string {
	forms := []string{name}
	for _, d := range c.get().search {
		if short, ok := strings.CutSuffix(name, "."+d); ok {
			forms = append(forms, short)
		}
	}
	return forms
}
