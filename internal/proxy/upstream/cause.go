package upstream

import (
	"errors"
	"net"
	"strings"

	"github.com/gridway/gridway/internal/proxy/upstream/http1"
	"github.com/gridway/gridway/internal/wire/h1"
	"github.com/gridway/gridway/internal/wire/h2"
	"github.com/gridway/gridway/internal/wire/h3"
)

// IsFraming tells errors of what was said on a connection from errors of the
// connection itself.
func IsFraming(err error) bool {
	var bad *h1.Error
	var bad2 *h2.Error
	var bad3 *h3.Error
	return errors.As(err, &bad) || errors.As(err, &bad2) || errors.As(err, &bad3) || errors.Is(err, http1.ErrResponseHeadTooLarge)
}

// RefusesCertificate recognises an endpoint that wants another client
// certificate: in TLS 1.3 it says so when the handshake is over for us
// (RFC 8446 §4.4.2.4). crypto/tls does not export the type of its alerts.
func RefusesCertificate(err error) bool {
	var remote *net.OpError
	return errors.As(err, &remote) && remote.Op == "remote error" && strings.Contains(remote.Err.Error(), "certificate")
}
