// Package meshtest makes identities of a mesh for tests: an authority that issues
// SVIDs, and tlsx.Identities that have some of them. Tests alone import it.
package meshtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/wire/tlsx"
)

// Authority issues SVIDs of one trust domain.
type Authority struct {
	t    testing.TB
	root *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewAuthority makes one with a root of its own.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{t: t, key: newKey(t)}
	template := &x509.Certificate{
		SerialNumber: serial(t), Subject: pkix.Name{CommonName: "mesh root"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	a.root = a.sign(template, template, a.key.Public(), a.key)
	return a
}

// Root is its certificate.
func (a *Authority) Root() *x509.Certificate { return a.root }

// Issue makes an SVID that is valid for a time; less than zero is one that was.
func (a *Authority) Issue(id string, valid time.Duration) *tls.Certificate {
	a.t.Helper()
	u, err := url.Parse(id)
	if err != nil {
		a.t.Fatal(err)
	}
	key := newKey(a.t)
	leaf := a.sign(&x509.Certificate{
		SerialNumber: serial(a.t), URIs: []*url.URL{u}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		NotBefore:   time.Now().Add(-time.Hour), NotAfter: time.Now().Add(valid),
	}, a.root, key.Public(), a.key)
	return &tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}
}

func (a *Authority) sign(template, parent *x509.Certificate, public, key any) *x509.Certificate {
	a.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func serial(t testing.TB) *big.Int {
	t.Helper()
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Identities are those of one process. The zero value has none and trusts nobody.
type Identities struct {
	mu       sync.Mutex // guards what follows
	own      string
	svids    map[string]*tls.Certificate
	roots    *x509.CertPool
	denied   map[string]bool // SPIFFE IDs and serial numbers
	watchers map[int]func(func(id, serial string) bool)
	next     int
}

// New makes the identities of a process that is called own, with an SVID of an hour
// for it, and that trusts the authority.
func New(a *Authority, own string, others ...string) *Identities {
	i := &Identities{own: own}
	i.Trust(a)
	for _, id := range append([]string{own}, others...) {
		i.Add(id, a.Issue(id, time.Hour))
	}
	return i
}

// Add makes a certificate the newest of an identity.
func (i *Identities) Add(id string, svid *tls.Certificate) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.svids == nil {
		i.svids = map[string]*tls.Certificate{}
	}
	i.svids[id] = svid
}

// Trust makes the roots of these authorities the trust bundle.
func (i *Identities) Trust(list ...*Authority) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.roots = x509.NewCertPool()
	for _, a := range list {
		i.roots.AddCert(a.root)
	}
}

// Deny adds SPIFFE IDs or serial numbers to the deny list, and tells the watchers.
func (i *Identities) Deny(list ...string) {
	i.mu.Lock()
	if i.denied == nil {
		i.denied = map[string]bool{}
	}
	for _, d := range list {
		i.denied[d] = true
	}
	all := make([]func(func(id, serial string) bool), 0, len(i.watchers))
	for _, f := range i.watchers {
		all = append(all, f)
	}
	i.mu.Unlock()
	for _, f := range all {
		f(i.isDenied)
	}
}

func (i *Identities) isDenied(id, serial string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.denied[id] || i.denied[serial]
}

// Certificate implements tlsx.Identities, as do the methods that follow.
func (i *Identities) Certificate(id string) (*tls.Certificate, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if id == "" {
		id = i.own
	}
	if c := i.svids[id]; c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("there is no SVID of %q", id)
}

// VerifyPeer verifies against the roots and the deny list.
func (i *Identities) VerifyPeer(chain []*x509.Certificate) (id string, err error) {
	if len(chain) == 0 || len(chain[0].URIs) != 1 {
		return "", errors.New("an SVID has one URI")
	}
	id = chain[0].URIs[0].String()
	i.mu.Lock()
	roots := i.roots
	i.mu.Unlock()
	if roots == nil {
		roots = x509.NewCertPool()
	}
	if _, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		return id, err
	}
	if i.isDenied(id, tlsx.Serial(chain[0])) {
		return id, errors.New("it is denied")
	}
	return id, nil
}

// WatchDenied calls f from Deny.
func (i *Identities) WatchDenied(f func(denied func(id, serial string) bool)) (stop func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.watchers == nil {
		i.watchers = map[int]func(func(id, serial string) bool){}
	}
	n := i.next
	i.next++
	i.watchers[n] = f
	return func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		delete(i.watchers, n)
	}
}

var _ tlsx.Identities = (*Identities)(nil)
