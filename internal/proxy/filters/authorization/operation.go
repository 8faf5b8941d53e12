package authorization

import (
	"bytes"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/netset"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/wire/grpc"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

type method struct{ texts }

func (m method) holds(x *filter.Exchange) bool { return m.hasBytes(x.Req.Method) }

// hosts are compared as routes compare them: without the port, in lower case.
type hosts struct {
	exact  texts
	suffix []string // with the dot in front
}

func newHosts(list []string) *hosts {
	var exact, suffix []string
	for _, h := range list {
		if strings.HasPrefix(h, "*.") {
			suffix = append(suffix, h[1:])
		} else {
			exact = append(exact, h)
		}
	}
	return &hosts{newTexts(exact), suffix}
}

func (h *hosts) holds(x *filter.Exchange) bool { return h.has(withoutPort(x.Req.Host)) }

func (h *hosts) has(host []byte) bool {
	if h.exact.hasBytes(host) {
		return true
	}
	for _, s := range h.suffix {
		if n := len(host) - len(s); n > 0 && string(host[n:]) == s {
			return true
		}
	}
	return false
}

// serverNames are those of TLS handshakes.
type serverNames struct{ *hosts }

func (s serverNames) holds(x *filter.Exchange) bool {
	var scratch [256]byte // a name of the DNS has 253 bytes
	name := scratch[:0]
	for _, c := range []byte(strings.TrimSuffix(x.ServerName(), ".")) {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		name = append(name, c)
	}
	return len(name) > 0 && s.has(name)
}

// ports are those of Services and listeners.
type ports []uint16

func (p ports) holds(x *filter.Exchange) bool { return slices.Contains(p, x.Port()) }

func withoutPort(host []byte) []byte {
	if i := bytes.LastIndexByte(host, ':'); i >= 0 && bytes.IndexByte(host[i:], ']') < 0 {
		return host[:i]
	}
	return host
}

// paths are compared in normal form.
type paths struct {
	exact    texts
	prefix   []string // without the slash at the end
	patterns []*regexp.Regexp
}

func newPaths(list []ir.PathMatch) (*paths, error) {
	p := &paths{}
	var exact []string
	for _, m := range list {
		switch m.Type {
		case ir.Exact:
			exact = append(exact, m.Value)
		case ir.Regex:
			re, err := whole(m.Value)
			if err != nil {
				return nil, err
			}
			p.patterns = append(p.patterns, re)
		default:
			p.prefix = append(p.prefix, strings.TrimRight(m.Value, "/"))
		}
	}
	p.exact = newTexts(exact)
	return p, nil
}

func (p *paths) holds(x *filter.Exchange) bool {
	path := x.Req.Path
	if p.exact.hasBytes(path) {
		return true
	}
	for _, s := range p.prefix {
		if len(path) >= len(s) && string(path[:len(s)]) == s && (len(path) == len(s) || path[len(s)] == '/') {
			return true
		}
	}
	for _, re := range p.patterns {
		if re.Match(path) {
			return true
		}
	}
	return false
}

type grpcMethods []ir.GRPCMethodPattern

func (g grpcMethods) holds(x *filter.Exchange) bool {
	path := x.Req.Path
	if x.CallPathOf != nil {
		if p := x.CallPathOf(x); p != nil {
			path = p
		}
	}
	service, method, ok := grpc.SplitPath(path)
	if !ok {
		return false
	}
	for i := range g {
		if (g[i].Service == "" || string(service) == g[i].Service) && (g[i].Method == "" || string(method) == g[i].Method) {
			return true
		}
	}
	return false
}

// header compares each of a header's values.
type header struct {
	id   httpmsg.Name
	name []byte
	comparison
}

func newHeader(c *ir.ValueCondition) (*header, error) {
	compare, err := newComparison(c)
	name := []byte(c.Name)
	return &header{httpmsg.LookupName(name), name, compare}, err
}

func (h *header) holds(x *filter.Exchange) bool {
	fields := &x.Req.Header
	for i := range fields.Len() {
		f := fields.At(i)
		if f.ID == h.id && (h.id != httpmsg.NameOther || httpmsg.EqualFold(f.Name, h.name)) && h.bytes(f.Value) {
			return true
		}
	}
	return false
}

// networks are where a client may be.
type networks struct{ set *netset.Set }

func newNetworks(list []netip.Prefix) networks { return networks{netset.Of(list...)} }

func (n networks) holds(x *filter.Exchange) bool { return n.set.Contains(x.Client) }

// windows are stretches of time.
type windows []window

type window struct {
	ir.TimeWindow
	zone *time.Location
}

func newWindows(list []ir.TimeWindow) (windows, error) {
	var out windows
	for _, w := range list {
		zone, err := time.LoadLocation(w.TimeZone)
		if err != nil {
			return nil, err
		}
		out = append(out, window{w, zone})
	}
	return out, nil
}

func (w windows) holds(x *filter.Exchange) bool {
	for i := range w {
		if w[i].has(x.Start) {
			return true
		}
	}
	return false
}

func (w *window) has(at time.Time) bool {
	if !w.NotBefore.IsZero() && at.Before(w.NotBefore) || !w.NotAfter.IsZero() && at.After(w.NotAfter) {
		return false
	}
	local := at.In(w.zone)
	day := local.Weekday()
	if w.From == 0 && w.Until == 0 {
		return w.on(day)
	}
	minute := local.Hour()*60 + local.Minute()
	switch {
	case w.From < w.Until:
		return w.From <= minute && minute < w.Until && w.on(day)
	case minute >= w.From:
		return w.on(day)
	case minute < w.Until:
		return w.on((day + 6) % 7)
	}
	return false
}

func (w *window) on(day time.Weekday) bool { return w.Days == 0 || w.Days&(1<<day) != 0 }
