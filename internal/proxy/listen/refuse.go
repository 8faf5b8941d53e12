package listen

import (
	"crypto/tls"
	"errors"
	"net"
	"strconv"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/snapshot"
	"github.com/gridway/gridway/internal/wire/netx"
)

const (
	// maxRefusing bounds the connections over the limit that are told so before
	// they are closed.
	maxRefusing = 128
	// refusalTime is how long a refused client may take to read why.
	refusalTime = 250 * time.Millisecond
)

// refuse closes a connection over the limit. An HTTP client is told why.
func (l *Listener) refuse(conn *netx.Conn, s *snapshot.Listener) {
	if s.IR.Protocol != ir.HTTP || s.IR.Client.ProxyProtocol != ir.ProxyProtocolOff {
		conn.Kill()
		return
	}
	select {
	case l.refusing <- struct{}{}:
	default:
		conn.Kill()
		return
	}
	l.serving.Go(func() {
		defer func() { <-l.refusing }()
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(refusalTime))
		conn.Write([]byte("HTTP/1.1 503 Service Unavailable\r\nServer: gridway\r\nDate: " + string(s.Clock.Date()) +
			"\r\nX-Gridway-Reason: ConnectionLimit\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
		awaitEnd(conn)
	})
}

// awaitEnd reads until the client closes: a close with unread bytes would reset
// the connection, and the client might never see the answer (RFC 9112 §9.6).
func awaitEnd(conn net.Conn) {
	const most = 16
	half, ok := conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	var b [1 << 10]byte
	for range most {
		if _, err := conn.Read(b[:]); err != nil {
			return
		}
	}
}

// refusePlain answers a client that speaks HTTP where TLS is spoken.
func refusePlain(nc *netx.Conn, err error) {
	var bad tls.RecordHeaderError
	if !errors.As(err, &bad) || !looksLikeHTTP(bad.RecordHeader) {
		return
	}
	const body = "This port speaks HTTPS; the request came without TLS.\n"
	nc.SetDeadline(time.Now().Add(refusalTime))
	nc.Write([]byte("HTTP/1.1 400 Bad Request\r\nServer: gridway\r\nX-Gridway-Reason: BadRequest\r\n" +
		"Content-Type: text/plain\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\nConnection: close\r\n\r\n" + body))
	awaitEnd(nc)
}

// looksLikeHTTP tells whether five bytes begin as a request does.
func looksLikeHTTP(b [5]byte) bool {
	for _, c := range b {
		if (c < 'A' || c > 'Z') && c != ' ' && c != '/' {
			return false
		}
	}
	return true
}
