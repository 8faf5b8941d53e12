package upstream

import (
	"bytes"
	"net/netip"
	"slices"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/upstream/lb"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// hashSource is an ir.HashKey made ready. Exactly one field is set.
type hashSource struct {
	header, cookie, query []byte
	sourceIP              bool
}

func hashSources(keys []ir.HashKey) []hashSource {
	out := make([]hashSource, len(keys))
	for i, k := range keys {
		out[i].sourceIP = k.SourceIP
		if k.Header != "" {
			out[i].header = []byte(k.Header)
		}
		if k.Cookie != "" {
			out[i].cookie = []byte(k.Cookie)
		}
		if k.Query != "" {
			out[i].query = []byte(k.Query)
		}
	}
	return out
}

// HashOf hashes the first source of the cluster's HashOn that the request has;
// without any it is false and the exchange goes anywhere. Without HashOn the
// client's address is the source. Query parameters are compared and hashed as
// they were sent, without decoding.
func (c *Cluster) HashOf(r *httpmsg.Request, client netip.Addr) (uint64, bool) {
	if a := c.lbConfig.Balance.Algorithm; a != ir.RingHash && a != ir.Maglev {
		return 0, false
	}
	if len(c.hashOn) == 0 {
		return hashAddr(client), client.IsValid()
	}
	for i := range c.hashOn {
		s := &c.hashOn[i]
		var value []byte
		switch {
		case s.sourceIP:
			if client.IsValid() {
				return hashAddr(client), true
			}
		case s.header != nil:
			value = r.Header.GetName(s.header)
			if len(value) == 0 && bytes.EqualFold(s.header, hostName) {
				value = r.Host
			}
		case s.cookie != nil:
			value = cookieOf(&r.Header, s.cookie)
		case s.query != nil:
			value = queryOf(r.Query, s.query)
		}
		if len(value) > 0 {
			return lb.HashBytes(value), true
		}
	}
	return 0, false
}

// HashOfClient is HashOf for what has no request.
func (c *Cluster) HashOfClient(client netip.Addr) (uint64, bool) {
	if a := c.lbConfig.Balance.Algorithm; a != ir.RingHash && a != ir.Maglev || !client.IsValid() {
		return 0, false
	}
	if len(c.hashOn) == 0 || slices.ContainsFunc(c.hashOn, func(s hashSource) bool { return s.sourceIP }) {
		return hashAddr(client), true
	}
	return 0, false
}

var hostName = []byte("host")

func hashAddr(a netip.Addr) uint64 {
	b := a.As16()
	return lb.HashBytes(b[:])
}

// cookieOf finds a cookie (RFC 6265 §4.2.1) in all Cookie fields.
func cookieOf(h *httpmsg.Header, name []byte) []byte {
	if !h.Has(httpmsg.NameCookie) {
		return nil
	}
	for i := range h.Len() {
		f := h.At(i)
		if f.ID != httpmsg.NameCookie {
			continue
		}
		rest := f.Value
		for len(rest) > 0 {
			var pair []byte
			pair, rest, _ = bytes.Cut(rest, []byte{';'})
			if k, v, ok := bytes.Cut(httpmsg.TrimOWS(pair), []byte{'='}); ok && bytes.Equal(k, name) {
				return v
			}
		}
	}
	return nil
}

// queryOf finds a query parameter.
func queryOf(query, name []byte) []byte {
	for len(query) > 0 {
		var pair []byte
		pair, query, _ = bytes.Cut(query, []byte{'&'})
		if k, v, ok := bytes.Cut(pair, []byte{'='}); ok && bytes.Equal(k, name) {
			return v
		}
	}
	return nil
}
