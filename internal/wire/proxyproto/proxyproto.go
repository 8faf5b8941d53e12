// Package proxyproto reads and writes the header of the PROXY protocol,
// versions 1 and 2 (haproxy.org/download/3.2/doc/proxy-protocol.txt), which
// tells a server the addresses of the connection that a proxy in front of it
// accepted. It moves no bytes itself and owns no goroutines. It imports the
// standard library only; netx and the proxy import it.
package proxyproto

import (
	"bytes"
	"errors"
	"net/netip"
)

const (
	// MaxV1 is the longest version 1 header in bytes, CRLF included (§2.1).
	MaxV1 = 107
	// MaxV2 is the longest version 2 header in bytes that Parse accepts. The
	// format would allow 65,551; addresses take 232 at most, the rest is TLVs.
	MaxV2 = 4096
)

var (
	// ErrMore says that what there is may be the beginning of a header.
	ErrMore = errors.New("proxyproto: more bytes are needed")
	// ErrNone says that the bytes are not those of a PROXY header at all.
	ErrNone = errors.New("proxyproto: no PROXY protocol header")
)

// Error says what is wrong with a header.
type Error struct{ Reason string }

func (e *Error) Error() string { return "proxyproto: " + e.Reason }

// Header is what a PROXY header says.
type Header struct {
	// Version is 1 or 2.
	Version int
	// Local: the proxy speaks for itself (a health check), so the addresses of
	// the connection itself hold (version 2, LOCAL).
	Local bool
	// Source and Destination are zero if the header does not tell them: UNKNOWN,
	// UNSPEC, Unix sockets, datagrams, and LOCAL. IPv4-mapped ones are unmapped.
	Source, Destination netip.AddrPort
}

var (
	signature1 = []byte("PROXY ")
	signature2 = []byte("\r\n\r\n\x00\r\nQUIT\n")
)

// Parse reads the header that in begins with, and returns how many bytes it
// takes. It returns ErrMore as long as in may be the beginning of one, ErrNone
// as soon as it cannot be, and *Error for a header that is wrong. ErrMore never
// comes for MaxV2 bytes or more.
func Parse(in []byte) (Header, int, error) {
	switch {
	case beginsLike(in, signature1):
		return parseV1(in)
	case beginsLike(in, signature2):
		return parseV2(in)
	}
	return Header{}, 0, ErrNone
}

// beginsLike reports whether in begins with sig or is a beginning of it.
func beginsLike(in, sig []byte) bool {
	n := min(len(in), len(sig))
	return bytes.Equal(in[:n], sig[:n])
}

func malformed(reason string) (Header, int, error) {
	return Header{}, 0, &Error{Reason: reason}
}
