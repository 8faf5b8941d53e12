package netx

import (
	"crypto/tls"
	"net"
	"os"
	"time"
)

// plain is the socket below TLS, as crypto/tls sees it. Its reads and writes
// honour the Conn's deadlines.
type plain Conn

func (p *plain) Read(b []byte) (int, error)  { return (*Conn)(p).readRaw(b) }
func (p *plain) Write(b []byte) (int, error) { return (*Conn)(p).writeRaw(b, nil) }
func (p *plain) Close() error                { return p.nc.Close() }
func (p *plain) LocalAddr() net.Addr         { return (*Conn)(p).LocalAddr() }
func (p *plain) RemoteAddr() net.Addr        { return (*Conn)(p).RemoteAddr() }

func (p *plain) SetDeadline(t time.Time) error      { return (*Conn)(p).SetDeadline(t) }
func (p *plain) SetReadDeadline(t time.Time) error  { return (*Conn)(p).SetReadDeadline(t) }
func (p *plain) SetWriteDeadline(t time.Time) error { return (*Conn)(p).SetWriteDeadline(t) }

// Detach says that a callback of the handshake will block; see loop.Task.
func (p *plain) Detach() {
	if p.sock != nil {
		p.sock.Detach()
	}
}

// HandshakeServer does the server's side of a TLS handshake, until the
// monotonic time by (0 = no bound), after which the Conn is encrypted. The
// deadlines that were set before are replaced by none. After an error the
// connection must be closed.
func (c *Conn) HandshakeServer(config *tls.Config, by int64) error {
	return c.handshake(tls.Server(c.Plain(), config), by)
}

// HandshakeClient does the client's side of a TLS handshake.
func (c *Conn) HandshakeClient(config *tls.Config, by int64) error {
	return c.handshake(tls.Client(c.Plain(), config), by)
}

func (c *Conn) handshake(t *tls.Conn, by int64) error {
	if by != 0 && by <= Monotonic() {
		return os.ErrDeadlineExceeded
	}
	c.SetReadBy(by)
	c.SetWriteBy(by)
	err := t.Handshake()
	c.SetReadBy(0)
	c.SetWriteBy(0)
	if err != nil {
		return err
	}
	c.SetTLS(t)
	return nil
}

// Plain returns the socket below TLS, for tls.Server and tls.Client.
func (c *Conn) Plain() net.Conn { return (*plain)(c) }

// SetTLS makes t, which was made over Plain and has finished its handshake,
// what Read and Write use.
func (c *Conn) SetTLS(t *tls.Conn) { c.tls, c.state = t, nil }

// IsTLS reports whether the connection is encrypted.
func (c *Conn) IsTLS() bool { return c.tls != nil }

// TLSState returns what the handshake agreed on, nil if the connection is
// plain. It is read-only and made at the first call.
func (c *Conn) TLSState() *tls.ConnectionState {
	if c.tls != nil && c.state == nil {
		s := c.tls.ConnectionState()
		c.state = &s
	}
	return c.state
}
