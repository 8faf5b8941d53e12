package netx

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/gridway/gridway/internal/wire/bufpool"
	"github.com/gridway/gridway/internal/wire/proxyproto"
)

// ErrUntrustedProxy refuses a connection that must begin with a PROXY header
// from an address that may not send one.
var ErrUntrustedProxy = errors.New("netx: the PROXY protocol is required, but the peer is not a trusted proxy")

// ReadProxyHeader reads the PROXY protocol header that a fresh connection
// begins with and replaces its addresses by what the header says. Bytes behind
// the header stay for the next read. It is called before TLS, with SetReadBy
// set.
//
// Trusted names the peers that may send a header; none means any. If required,
// a connection without a header, or from another peer, is an error and must be
// closed. If not, a peer that is not trusted is left alone (so its header, if
// it sends one, is a bad request), and of a trusted one the first bytes decide:
// as soon as they cannot be a header they are left to be read. Nothing but
// bytes of the peer is ever waited for.
func (c *Conn) ReadProxyHeader(required bool, trusted []netip.Prefix) (proxyproto.Header, error) {
	if !trusts(trusted, c.remote.Addr()) {
		if required {
			return proxyproto.Header{}, ErrUntrustedProxy
		}
		return proxyproto.Header{}, nil
	}
	buf, n, err := c.ReadIdle(proxyproto.MaxV2)
	if err != nil {
		return proxyproto.Header{}, fmt.Errorf("netx: read PROXY header: %w", err)
	}
	defer buf.Release()
	for {
		h, size, err := proxyproto.Parse(buf.B[:n])
		switch {
		case err == nil:
			c.Unread(buf.B[size:n])
			c.SetAddrs(h.Source, h.Destination)
			return h, nil
		case err == proxyproto.ErrNone && !required:
			c.Unread(buf.B[:n])
			return h, nil
		case err != proxyproto.ErrMore:
			return h, err
		}
		m, err := c.readMore(buf, n)
		if err != nil && !required && IsGone(err) {
			c.Unread(buf.B[:n]) // the parser of what follows says what is wrong
			return h, nil
		}
		if err != nil {
			return h, fmt.Errorf("netx: read PROXY header: %w", err)
		}
		n += m
	}
}

// readMore reads behind the first n bytes of buf. Parse never asks for more
// than fits.
func (c *Conn) readMore(buf *bufpool.Buf, n int) (int, error) {
	if n >= len(buf.B) {
		return 0, &proxyproto.Error{Reason: "header too long"}
	}
	return c.Read(buf.B[n:])
}

func trusts(trusted []netip.Prefix, peer netip.Addr) bool {
	if len(trusted) == 0 {
		return true
	}
	for _, p := range trusted {
		if p.Contains(peer) {
			return true
		}
	}
	return false
}
