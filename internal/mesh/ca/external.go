package ca

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/statedb"
)

// External is an authority outside, by files that may be replaced while it is in use.
type External struct {
	// ChainFile has the certificate that signs, and then those between it and the root.
	ChainFile string
	// KeyFile has the key of the first of them.
	KeyFile string
	// RootFile has the root, or several: all are in the bundle of trust. A new root is added
	// here first, and ChainFile changed when it has been in the bundle for longer than SVIDs
	// live.
	RootFile string
	// Leave has Gridway's own root take over from it: it signs until that one has been in
	// the bundle for long enough. Then the files may go.
	Leave bool
}

const (
	// maxExternal bounds a file in bytes.
	maxExternal = 1 << 20
	maxRoots    = 8
)

// externalFiles is what they have. What is broken leaves what was before.
type externalFiles struct {
	text   [3][]byte
	roots  []*x509.Certificate
	root   *x509.Certificate // of roots, that which the chain leads to
	chain  []*x509.Certificate
	signer crypto.Signer
}

// read reads the files if they have changed.
func (x *externalFiles) read(e *External, td identity.TrustDomain, now time.Time) error {
	if e == nil {
		return nil
	}
	var text [3][]byte
	for i, path := range []string{e.ChainFile, e.KeyFile, e.RootFile} {
		var err error
		if text[i], err = os.ReadFile(path); err != nil {
			return fmt.Errorf("authority outside: %w", err)
		}
		if len(text[i]) > maxExternal {
			return fmt.Errorf("authority outside: %s has more than %d bytes", path, maxExternal)
		}
	}
	same := x.signer != nil
	for i := range text {
		same = same && bytes.Equal(text[i], x.text[i])
	}
	if same {
		return x.check(e, td, now)
	}
	read, err := parseExternal(e, text)
	if err == nil {
		err = read.check(e, td, now)
	}
	if err != nil {
		return err
	}
	*x = *read
	return nil
}

func parseExternal(e *External, text [3][]byte) (*externalFiles, error) {
	chain, err := parseChain(text[0])
	if err != nil {
		return nil, fmt.Errorf("authority outside: %s: %w", e.ChainFile, err)
	}
	roots, err := parseChain(text[2])
	if err == nil && len(roots) > maxRoots {
		err = fmt.Errorf("has %d certificates, at most %d are allowed", len(roots), maxRoots)
	}
	if err != nil {
		return nil, fmt.Errorf("authority outside: %s: %w", e.RootFile, err)
	}
	pair, err := tls.X509KeyPair(text[0], text[1])
	if err != nil {
		return nil, fmt.Errorf("authority outside: the key in %s does not fit the first certificate in %s: %w", e.KeyFile, e.ChainFile, err)
	}
	signer, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("authority outside: the key in %s does not sign", e.KeyFile)
	}
	x := &externalFiles{text: text, roots: roots, chain: chain, signer: signer}
	last := chain[len(chain)-1]
	for _, r := range roots {
		if last.Equal(r) { // many write it down too
			x.root, x.chain = r, chain[:len(chain)-1]
			break
		}
		if last.CheckSignatureFrom(r) == nil {
			x.root = r
		}
	}
	if x.root == nil {
		return nil, fmt.Errorf("authority outside: the last certificate in %s was signed by none in %s", e.ChainFile, e.RootFile)
	}
	return x, nil
}

func parseChain(text []byte) (out []*x509.Certificate, err error) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, errors.New("has no certificate in PEM form")
	}
	return out, nil
}

// parent is the certificate that signs.
func (x *externalFiles) parent() *x509.Certificate {
	if len(x.chain) > 0 {
		return x.chain[0]
	}
	return x.root
}

// check has it sign for a workload, and verifies that as any peer would: path lengths,
// constraints of names, usages and times are all in that.
func (x *externalFiles) check(e *External, td identity.TrustDomain, now time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	parent := x.parent()
	where := "authority outside: " + e.ChainFile
	switch {
	case !parent.IsCA || parent.KeyUsage != 0 && parent.KeyUsage&x509.KeyUsageCertSign == 0:
		return fmt.Errorf("%s: the first certificate may not sign certificates (basicConstraints CA, keyUsage keyCertSign)", where)
	case now.After(parent.NotAfter.Add(-MinLifetime)):
		return fmt.Errorf("%s: the first certificate ends at %s: replace the files", where, parent.NotAfter.UTC().Format(time.RFC3339))
	}
	trial, err := leaf(identity.Workload(td, "default", "trial"), now, MinLifetime)
	if err != nil {
		return err
	}
	der, err := x509.CreateCertificate(rand.Reader, trial, parent, key.Public(), x.signer)
	if err != nil {
		return fmt.Errorf("%s: cannot sign: %w", where, err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	bundle, err := identity.NewBundle(identity.BundleParts{TrustDomain: td, Roots: []*x509.Certificate{x.root}})
	if err == nil {
		_, err = identity.Verify(append([]*x509.Certificate{c}, x.chain...), func(identity.TrustDomain) *identity.Bundle { return bundle }, now)
	}
	if err != nil {
		return fmt.Errorf("%s: what it signs for %s would not be trusted by the root in %s: %w", where, td, e.RootFile, err)
	}
	return nil
}

// signsOutside tells whether the authority outside signs at a time: it does once its root
// has been in the bundle for long enough and, if it is being left, until our own root has.
func (a *Authority) signsOutside(rows []row, now time.Time) bool {
	if a.opt.External == nil || a.external.signer == nil {
		return false
	}
	r := signing(of(rows, purposeExternal), now)
	if r == nil {
		return false
	}
	own := signing(of(rows, purposeX509), now)
	if a.opt.External.Leave {
		return own == nil || own.SignsFrom.After(now)
	}
	return own == nil || !r.SignsFrom.After(now)
}

// signer is the row that signs certificates, or nil.
func (a *Authority) signer(rows []row, now time.Time, outside bool) *row {
	if outside {
		return signing(of(rows, purposeExternal), now)
	}
	return signing(of(rows, purposeX509), now)
}

// announce makes rows of roots of the authority outside that have none yet: they sign when
// they have been in the bundle for long enough, or at once if nobody else can.
func (a *Authority) announce(rows []row, now time.Time) (out []statedb.MeshAuthority) {
	serial, others := int64(0), signing(of(rows, purposeX509), now) != nil
	for _, r := range of(rows, purposeExternal) {
		serial, others = r.Serial, true
	}
	for _, root := range a.external.roots {
		if a.opt.External == nil || slices.ContainsFunc(of(rows, purposeExternal), func(r *row) bool { return r.root.Equal(root) }) {
			continue
		}
		serial++
		m := statedb.MeshAuthority{
			TrustDomain: a.opt.TrustDomain.Name(), Purpose: purposeExternal, Serial: serial, SignsFrom: now, Lifetime: a.opt.Lifetime,
			Public: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw})),
		}
		if others {
			m.SignsFrom = now.Add(ahead(rows, a.opt.Lifetime))
		}
		m.KeptUntil = m.SignsFrom.Add(lease + m.Lifetime + slack)
		out = append(out, m)
	}
	return out
}

// configured tells whether a row is of a root in our files.
func (x *externalFiles) configured(r *row) bool {
	return r.Purpose == purposeExternal && slices.ContainsFunc(x.roots, func(c *x509.Certificate) bool { return c.Equal(r.root) })
}
