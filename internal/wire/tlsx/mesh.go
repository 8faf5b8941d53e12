package tlsx

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/gridway/gridway/internal/ir"
)

// meshALPN: whatever the application speaks, proxies speak HTTP/2 among themselves.
var meshALPN = []string{"h2"}

// ErrNoIdentity: the configuration is for a proxy of a mesh, and this one is in none.
var ErrNoIdentity = errors.New("tlsx: this proxy has no identity of a mesh")

// IdentityError says that the other side of a handshake is not who it must be.
type IdentityError struct {
	// Want is whose connection it was to be; empty for whoever may come in.
	Want string
	// Shown is the SPIFFE ID in the certificate; empty if it has none.
	Shown string
	// Err is why the certificate is not accepted; nil if it is sound but another's.
	Err error
}

func (e *IdentityError) Error() string {
	shown := e.Shown
	if shown == "" {
		shown = "nobody of a mesh"
	}
	switch {
	case e.Err == nil:
		return fmt.Sprintf("the peer is %s, not %s", shown, e.Want)
	case e.Want == "":
		return fmt.Sprintf("the peer, who shows the certificate of %s, is not accepted: %v", shown, e.Err)
	}
	return fmt.Sprintf("the peer, who is to be %s and shows the certificate of %s, is not accepted: %v", e.Want, shown, e.Err)
}

func (e *IdentityError) Unwrap() error { return e.Err }

// Peer is who is on the other side of a connection of the mesh.
type Peer struct {
	// ID is a SPIFFE ID, and SerialNumber that of its certificate (see Serial).
	ID, SerialNumber string
}

// PeerOf is the peer of a handshake that has verified it. It is the zero Peer where
// there is none.
func PeerOf(state *tls.ConnectionState) Peer {
	if state == nil || len(state.PeerCertificates) == 0 {
		return Peer{}
	}
	leaf := state.PeerCertificates[0]
	if len(leaf.URIs) != 1 {
		return Peer{}
	}
	return Peer{ID: leaf.URIs[0].String(), SerialNumber: Serial(leaf)}
}

// MeshClient is the configuration of one connection to an endpoint of the mesh that
// must prove the SPIFFE ID want. This side proves own, or the process's own identity
// if that is empty. There are no sessions to resume: connections are few and live for
// long, and each handshake verifies as of its own time.
func MeshClient(ids Identities, own, want, serverName string) *tls.Config {
	config := meshConfig()
	config.ServerName = serverName
	config.InsecureSkipVerify = true // which is about names; VerifyConnection does all of it
	config.VerifyConnection = func(state tls.ConnectionState) error {
		shown, err := verifyPeer(ids, &state)
		if err != nil || shown != want {
			return &IdentityError{Want: want, Shown: shown, Err: err}
		}
		return nil
	}
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return ownCertificate(ids, own) }
	return config
}

// MeshOptions of MeshServer.
type MeshOptions struct {
	Identities Identities
	// Unknown is told of clients that ask for a name of no section; it may be nil.
	Unknown func(hello *tls.ClientHelloInfo)
}

// MeshServer is the configuration of a listener of the mesh: the server name chooses
// the section, which shows its SVID and wants the client's. Whoever asks for another
// name gets the alert unrecognized_name (RFC 6066 §3).
func MeshServer(sections []*ir.Section, o MeshOptions) (*tls.Config, error) {
	if o.Identities == nil {
		return nil, ErrNoIdentity
	}
	byIdentity := map[string]*tls.Config{}
	byName := map[string]*tls.Config{}
	for _, s := range sections {
		for _, name := range s.ServerNames {
			if byName[name] != nil {
				continue
			}
			if byIdentity[s.Identity] == nil {
				byIdentity[s.Identity] = meshSection(o.Identities, s.Identity)
			}
			byName[name] = byIdentity[s.Identity]
		}
	}
	refuse := &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: meshALPN} // without a certificate crypto/tls sends that alert
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: meshALPN,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if config := byName[strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))]; config != nil {
				return config, nil
			}
			if o.Unknown != nil {
				o.Unknown(hello)
			}
			return refuse, nil
		},
	}, nil
}

func meshSection(ids Identities, own string) *tls.Config {
	config := meshConfig()
	config.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return ownCertificate(ids, own) }
	config.ClientAuth = tls.RequireAnyClientCert // which VerifyConnection verifies
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if shown, err := verifyPeer(ids, &state); err != nil {
			return &IdentityError{Shown: shown, Err: err}
		}
		return nil
	}
	return config
}

func meshConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: meshALPN, SessionTicketsDisabled: true,
		// Small records first would be a system call each.
		DynamicRecordSizingDisabled: true,
	}
}

func ownCertificate(ids Identities, own string) (*tls.Certificate, error) {
	cert, err := ids.Certificate(own)
	if err != nil {
		if own == "" {
			own = "this proxy"
		}
		return nil, fmt.Errorf("tlsx: no certificate for %s: %w", own, err)
	}
	return cert, nil
}

func verifyPeer(ids Identities, state *tls.ConnectionState) (shown string, err error) {
	if len(state.PeerCertificates) == 0 {
		return "", errors.New("it has sent no certificate")
	}
	return ids.VerifyPeer(state.PeerCertificates)
}

// Verified makes the state of a handshake of the mesh what others are used to: its
// chain is a verified one.
func Verified(state *tls.ConnectionState) {
	if len(state.VerifiedChains) == 0 && len(state.PeerCertificates) > 0 {
		state.VerifiedChains = [][]*x509.Certificate{state.PeerCertificates}
	}
}
