// Package issuance is what compile and the sources of certificates say to each
// other: Orders are the certificates that listeners want from an issuer, States
// what became of them. It is plain data and owns no goroutines; compile, the
// sources and app import it.
package issuance

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/config/store"
)

// Order is one certificate that listeners want.
type Order struct {
	// Secret is the key of the object that the certificate comes as. Its name
	// has a colon, which no name in a file may have.
	Secret store.Key
	Issuer store.Key
	// Names are DNS names in lower case, sorted.
	Names []string

	Directory string
	// CA is a PEM bundle that the directory is verified with; empty is the system's.
	CA      []byte
	Contact []string // e-mail addresses
	EAB     *EAB
	KeyType string // as CertificateIssuer has them
	// Challenges are the ways to prove the names, the preferred one first.
	Challenges []Challenge
	Profile    string

	// Hold says why the certificate cannot be asked for at present. One that
	// there is goes on serving.
	Hold string
}

// Challenge is the type of an ACME challenge, as on the wire.
type Challenge string

const (
	HTTP01    Challenge = "http-01"
	TLSALPN01 Challenge = "tls-alpn-01"
)

// EAB is an external account binding.
type EAB struct {
	KeyID string
	Key   []byte
}

// ParseKey reads the key of an external account binding: base64url, with or
// without padding.
func ParseKey(text []byte) ([]byte, error) {
	s := strings.TrimRight(strings.TrimSpace(string(text)), "=")
	key, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		key, err = base64.RawStdEncoding.DecodeString(s)
	}
	switch {
	case err != nil:
		return nil, errors.New("is not in base64url") // the error would quote the key
	case len(key) < 16:
		return nil, errors.New("is shorter than 16 bytes")
	}
	return key, nil
}

// ID names what is asked for: Orders with the same ID are satisfied by the same
// certificate, whoever places them.
func (o *Order) ID() string {
	parts := append([]string{o.Directory, o.KeyType, o.Profile}, o.Names...)
	first := o.Names[0]
	return first[:min(len(first), 100)] + "-" + hex.EncodeToString(digest(parts)[:8]) // it becomes the name of a file
}

// Account names the account that the order is placed by.
func (o *Order) Account() string {
	parts := append([]string{o.Directory}, slices.Sorted(slices.Values(o.Contact))...)
	if o.EAB != nil {
		parts = append(parts, "eab", o.EAB.KeyID, string(o.EAB.Key))
	}
	return hex.EncodeToString(digest(parts)[:8])
}

// Equal tells whether two orders are the same in every respect.
func (o *Order) Equal(p *Order) bool {
	return o.Secret == p.Secret && o.Issuer == p.Issuer && o.ID() == p.ID() && o.Account() == p.Account() &&
		string(o.CA) == string(p.CA) && slices.Equal(o.Challenges, p.Challenges) && o.Hold == p.Hold
}

func digest(parts []string) []byte {
	h := sha256.New()
	for _, p := range parts {
		_ = binary.Write(h, binary.BigEndian, uint64(len(p)))
		h.Write([]byte(p))
	}
	return h.Sum(nil)
}

// SecretKey is the key of the Secret with an issuer's certificate for names,
// which must be sorted.
func SecretKey(issuer store.Key, names []string) store.Key {
	name := issuer.Name + ":" + names[0]
	if more := len(names) - 1; more > 0 {
		name += fmt.Sprintf("+%d:%s", more, hex.EncodeToString(digest(names)[:3]))
	}
	return store.Key{Kind: "Secret", Namespace: issuer.Namespace, Name: name}
}

// Phase is where an order is.
type Phase string

const (
	// Pending: there is no certificate yet, and one is being asked for.
	Pending Phase = "Pending"
	// Issued: there is a certificate, and it is not time to renew it.
	Issued Phase = "Issued"
	// Renewing: there is a certificate, and the next one is being asked for.
	Renewing Phase = "Renewing"
	// Failing: the last try failed; there may be a certificate.
	Failing Phase = "Failing"
	// Held: nothing can be asked for; see Order.Hold.
	Held Phase = "Held"
)

// State is what became of an order.
type State struct {
	Order *Order
	Phase Phase
	// NotBefore and NotAfter are those of the certificate that serves; zero if
	// there is none.
	NotBefore, NotAfter time.Time
	// Serial is in hexadecimal.
	Serial string
	// Next is when the authority will be asked again: for a renewal, or for
	// another try.
	Next time.Time
	// Tries failed in a row; Error is why the last one did, at Failed.
	Tries  int
	Failed time.Time
	Error  string
}

// Valid tells whether there is a certificate that has not expired.
func (s *State) Valid(now time.Time) bool { return now.Before(s.NotAfter) }
