package tlsx

import (
	"crypto/tls"
	"crypto/x509"
)

// Identities are who the process is in the mesh, and who others are. Handshakes ask
// each time, so that a renewed SVID or a new trust bundle takes effect with the next
// one, and connections that there are go on. All methods may be called from any
// goroutine, and none blocks.
type Identities interface {
	// Certificate is the newest SVID of a SPIFFE ID, with its key; "" is the process's
	// own. The error says why there is none that is valid now.
	Certificate(id string) (*tls.Certificate, error)
	// VerifyPeer verifies a chain, the leaf first, as an X.509-SVID (SPIFFE X.509-SVID
	// §5): against the trust bundle of its own trust domain, and the deny list, at this
	// moment. It returns the leaf's SPIFFE ID; with an error too, as far as there is one.
	VerifyPeer(chain []*x509.Certificate) (id string, err error)
	// WatchDenied calls f each time that identities or certificates were denied, one
	// call at a time, with a function that tells whether one is: by its SPIFFE ID, or by
	// the serial number of its certificate as Serial writes it. Once stop has returned f
	// is not called any more.
	WatchDenied(f func(denied func(id, serial string) bool)) (stop func())
}

// Serial is the serial number of a certificate in lower-case hexadecimal, without zeros
// before it.
func Serial(cert *x509.Certificate) string { return cert.SerialNumber.Text(16) }
