package clientcert

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"math/big"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/ir"
)

// maxSerial is how long serial numbers may be, in bytes: RFC 5280 §4.1.2.2.
const maxSerial = 20

type serial [maxSerial]byte

// Standing is what lists of revoked certificates say of one, the better before the worse.
type Standing uint8

const (
	// Good: it is on no list, and the lists are those of its issuers and of today.
	Good Standing = iota
	// Doubtful: some of the lists are missing or old, which does not matter by choice.
	Doubtful
	// Unknown: some of the lists are missing or old.
	Unknown
	// Revoked: an issuer has taken the certificate, or that of an authority, back.
	Revoked
)

// Revocations finds lists by the names of the methods that ask them. Lists change
// apart from snapshots: a method keeps its list, and the list gets another content.
type Revocations struct {
	mu    sync.Mutex             // guards what follows
	named map[string]*Revocation // by name
	read  map[*ir.CRL]*crl
}

// NewRevocations makes one without lists.
func NewRevocations() *Revocations { return &Revocations{named: map[string]*Revocation{}} }

// Apply gives the lists the content of a configuration, from now on.
func (r *Revocations) Apply(lists []*ir.RevocationLists) {
	r.mu.Lock()
	defer r.mu.Unlock()
	read, named := map[*ir.CRL]*crl{}, map[string]*Revocation{}
	for _, l := range lists {
		one := r.named[l.Name]
		if one == nil {
			one = &Revocation{}
		}
		named[l.Name] = one
		now := &revoked{broken: l.Broken}
		for _, c := range l.CRLs {
			if read[c] == nil {
				if read[c] = r.read[c]; read[c] == nil {
					read[c] = newCRL(c)
				}
			}
			now.lists = append(now.lists, read[c])
		}
		one.now.Store(now)
	}
	r.named, r.read = named, read
}

// Of is the list of a method, which is nil if there is none.
func (r *Revocations) Of(name string) *Revocation {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.named[name]
}

// Revocation is what a method knows of revoked certificates.
type Revocation struct{ now atomic.Pointer[revoked] }

type revoked struct {
	lists  []*crl
	broken bool
}

// crl is a list as its issuer has signed it.
type crl struct {
	*x509.RevocationList
	serials []serial
	mu      sync.Mutex                 // guards signers
	signers map[[sha256.Size]byte]bool // by public key: whether it has signed the list
}

// maxSigners bounds what is remembered of keys that may have signed a list.
const maxSigners = 64

// newCRL reads a list that compile has read before. One that cannot be read is of nobody.
func newCRL(c *ir.CRL) *crl {
	list, err := x509.ParseRevocationList(c.DER)
	if err != nil {
		return &crl{RevocationList: &x509.RevocationList{}}
	}
	out := &crl{RevocationList: list, serials: make([]serial, 0, len(list.RevokedCertificateEntries)), signers: map[[sha256.Size]byte]bool{}}
	for i := range list.RevokedCertificateEntries {
		if s, ok := serialOf(list.RevokedCertificateEntries[i].SerialNumber); ok {
			out.serials = append(out.serials, s)
		}
	}
	slices.SortFunc(out.serials, compareSerials)
	// Only serial numbers are asked for.
	list.RevokedCertificateEntries, list.RevokedCertificates = nil, nil //nolint:staticcheck // the older form holds as much
	return out
}

func serialOf(n *big.Int) (s serial, ok bool) {
	if n == nil || n.BitLen() > 8*maxSerial {
		return s, false
	}
	n.FillBytes(s[:])
	return s, true
}

func compareSerials(a, b serial) int { return bytes.Compare(a[:], b[:]) }

func (l *crl) has(cert *x509.Certificate) bool {
	s, ok := serialOf(cert.SerialNumber)
	if !ok {
		return false
	}
	_, found := slices.BinarySearchFunc(l.serials, s, compareSerials)
	return found
}

// signedBy tells whether an authority has signed the list. busy is called before what
// takes long: that is so once for each of them.
func (l *crl) signedBy(authority *x509.Certificate, busy func()) bool {
	key := sha256.Sum256(authority.RawSubjectPublicKeyInfo)
	l.mu.Lock()
	signed, known := l.signers[key]
	l.mu.Unlock()
	if known {
		return signed
	}
	busy()
	signed = l.CheckSignatureFrom(authority) == nil
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.signers) >= maxSigners {
		clear(l.signers)
	}
	l.signers[key] = signed
	return signed
}

// Check tells how the certificate stands that begins the chains by which it was
// verified; one chain that is good will do. busy is called before what takes long.
func (r *Revocation) Check(chains [][]*x509.Certificate, p *ir.Revocation, now time.Time, busy func()) Standing {
	if r == nil {
		return Unknown
	}
	known := r.now.Load()
	if known.broken {
		return Unknown
	}
	best := Revoked
	for _, chain := range chains {
		best = min(best, known.chain(chain, p, now, busy))
	}
	return best
}

func (r *revoked) chain(chain []*x509.Certificate, p *ir.Revocation, now time.Time, busy func()) Standing {
	worst := Good
	for i, cert := range chain {
		if i > 0 && p.LeafOnly {
			break
		}
		if i+1 < len(chain) {
			worst = max(worst, r.issued(cert, chain[i+1], p, now, busy))
		} else if !bytes.Equal(cert.RawIssuer, cert.RawSubject) && r.names(cert) {
			// What is trusted itself needs no list, but is not trusted against one.
			worst = Revoked
		}
	}
	return worst
}

// issued asks the newest list of an authority.
func (r *revoked) issued(cert, by *x509.Certificate, p *ir.Revocation, now time.Time, busy func()) Standing {
	var newest *crl
	for _, l := range r.lists {
		if !bytes.Equal(l.RawIssuer, by.RawSubject) || newest != nil && !l.ThisUpdate.After(newest.ThisUpdate) {
			continue
		}
		if l.signedBy(by, busy) {
			newest = l
		}
	}
	pass := Unknown
	switch {
	case newest == nil && p.PassMissing, newest != nil && p.PassStale:
		pass = Doubtful
	}
	switch {
	case newest == nil:
		return pass
	case newest.has(cert):
		return Revoked
	case !newest.NextUpdate.IsZero() && now.After(newest.NextUpdate):
		return pass
	}
	return Good
}

// names tells whether a list says that it is of the certificate's issuer, and has it.
func (r *revoked) names(cert *x509.Certificate) bool {
	return slices.ContainsFunc(r.lists, func(l *crl) bool { return bytes.Equal(l.RawIssuer, cert.RawIssuer) && l.has(cert) })
}
