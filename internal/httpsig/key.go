package httpsig

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
	"math/big"
	"sync"
)

// The algorithms of RFC 9421 §3.3 that keys may be for.
const (
	HMACSHA256      = "hmac-sha256"
	Ed25519         = "ed25519"
	ECDSAP256SHA256 = "ecdsa-p256-sha256"
	RSAPSSSHA512    = "rsa-pss-sha512"
	RSAV15SHA256    = "rsa-v1_5-sha256"
)

// Sizes of RSA keys, in bits.
const (
	leastRSA = 2048
	mostRSA  = 4096
)

// Key verifies signatures of one algorithm. What it does never changes.
type Key struct {
	algorithm string
	secret    []byte
	public    crypto.PublicKey
	macs      sync.Pool // of *mac
}

// mac is what a secret is verified with. One that is reset keeps what it has made of
// the secret.
type mac struct {
	hash.Hash
	sum [sha256.Size]byte
}

// NewSecret makes a key for hmac-sha256, which keeps secret.
func NewSecret(secret []byte) *Key { return &Key{algorithm: HMACSHA256, secret: secret} }

// Algorithm is what the key is for.
func (k *Key) Algorithm() string { return k.algorithm }

// ParsePEM reads a public key as ParsePublicKey does, and gives its DER, too.
func ParsePEM(text []byte, algorithm string) (*Key, []byte, error) {
	block, rest := pem.Decode(text)
	switch {
	case block == nil:
		return nil, nil, errors.New("is not PEM")
	case block.Type != "PUBLIC KEY":
		return nil, nil, fmt.Errorf("is %q in PEM, and must be PUBLIC KEY", block.Type)
	case len(trimLines(rest)) > 0:
		return nil, nil, errors.New("has something after the public key")
	}
	k, err := ParsePublicKey(block.Bytes, algorithm)
	return k, block.Bytes, err
}

func trimLines(b []byte) []byte {
	for len(b) > 0 && (b[0] == '\n' || b[0] == '\r' || b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	return b
}

// ParsePublicKey reads a SubjectPublicKeyInfo in DER. Without an algorithm it is what
// the key is for: of RSA keys that is rsa-pss-sha512.
func ParsePublicKey(der []byte, algorithm string) (*Key, error) {
	public, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, errors.New("is not a public key of RSA, ECDSA or Ed25519")
	}
	var fits string
	switch p := public.(type) {
	case ed25519.PublicKey:
		fits = Ed25519
	case *ecdsa.PublicKey:
		if p.Curve != elliptic.P256() {
			return nil, errors.New("is a key of ECDSA, but not on the curve P-256")
		}
		fits = ECDSAP256SHA256
	case *rsa.PublicKey:
		if n := p.N.BitLen(); n < leastRSA || n > mostRSA {
			return nil, fmt.Errorf("is an RSA key of %d bits, and must have %d to %d", n, leastRSA, mostRSA)
		}
		fits = RSAPSSSHA512
		if algorithm == RSAV15SHA256 {
			fits = RSAV15SHA256
		}
	default:
		return nil, errors.New("is not a public key of RSA, ECDSA or Ed25519")
	}
	if algorithm != "" && algorithm != fits {
		return nil, fmt.Errorf("is a key for %s, not for %s", fits, algorithm)
	}
	return &Key{algorithm: fits, public: public}, nil
}

// Verify tells whether signature is the key's, over base: RFC 9421 §3.3. A secret's is
// compared in constant time.
func (k *Key) Verify(base, signature []byte) bool {
	switch k.algorithm {
	case HMACSHA256:
		m, _ := k.macs.Get().(*mac)
		if m == nil {
			m = &mac{Hash: hmac.New(sha256.New, k.secret)}
		}
		m.Reset()
		m.Write(base)
		ok := hmac.Equal(m.Sum(m.sum[:0]), signature)
		k.macs.Put(m)
		return ok
	case Ed25519:
		return ed25519.Verify(k.public.(ed25519.PublicKey), base, signature)
	case ECDSAP256SHA256:
		if len(signature) != 64 { // §3.3.4: r and s, 32 bytes each
			return false
		}
		digest := sha256.Sum256(base)
		r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
		return ecdsa.Verify(k.public.(*ecdsa.PublicKey), digest[:], r, s)
	case RSAPSSSHA512:
		digest := sha512.Sum512(base)
		return rsa.VerifyPSS(k.public.(*rsa.PublicKey), crypto.SHA512, digest[:], signature, &rsa.PSSOptions{SaltLength: 64}) == nil
	case RSAV15SHA256:
		digest := sha256.Sum256(base)
		return rsa.VerifyPKCS1v15(k.public.(*rsa.PublicKey), crypto.SHA256, digest[:], signature) == nil
	}
	return false
}
