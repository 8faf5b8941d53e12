package jwt

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"slices"
)

// Bounds of RSA keys: what is shorter can be broken (RFC 7518 §3.3), what is longer
// makes verifying expensive.
const (
	minRSA      = 2048
	maxRSA      = 8192
	maxExponent = 1<<31 - 1
)

// Thumbprint tells keys apart: the SHA-256 of their parameters.
type Thumbprint [sha256.Size]byte

// Key is a public key that verifies signatures of certain algorithms.
type Key struct {
	id         string
	algorithms Algorithms
	thumbprint Thumbprint

	rsa   *rsa.PublicKey
	ec    *ecdsa.PublicKey
	width int // of a number in a signature of ec, in bytes
	ed    ed25519.PublicKey
}

// ID is "kid", empty if the key has none.
func (k *Key) ID() string { return k.id }

// Algorithms are those that the key is for.
func (k *Key) Algorithms() Algorithms { return k.algorithms }

// Thumbprint tells it from other keys.
func (k *Key) Thumbprint() Thumbprint { return k.thumbprint }

// fits tells whether a token may be verified with the key.
func (k *Key) fits(a Algorithm, id string, hasID bool) bool {
	return k.algorithms.Has(a) && (!hasID || k.id == "" || k.id == id)
}

// verify tells whether the signature is the key's.
func (k *Key) verify(t *Token) bool {
	d := &details[t.Algorithm]
	if d.family == edwards {
		return k.ed != nil && ed25519.Verify(k.ed, t.signed, t.signature)
	}
	h := d.hash.New()
	h.Write(t.signed)
	digest := h.Sum(make([]byte, 0, crypto.SHA512.Size()))
	switch {
	case d.family == pkcs1 && k.rsa != nil:
		return rsa.VerifyPKCS1v15(k.rsa, d.hash, digest, t.signature) == nil
	case d.family == pss && k.rsa != nil: // RFC 7518 §3.5: the salt is as long as the hash
		return rsa.VerifyPSS(k.rsa, d.hash, digest, t.signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: d.hash}) == nil
	case d.family == ecdsaFamily && k.ec != nil && len(t.signature) == 2*k.width: // RFC 7518 §3.4
		r, s := new(big.Int).SetBytes(t.signature[:k.width]), new(big.Int).SetBytes(t.signature[k.width:])
		return ecdsa.Verify(k.ec, digest, r, s)
	}
	return false
}

// Why a key of a set is not one to verify with.
var (
	errShared  = errors.New("it is a shared secret, and tokens are verified with public keys alone")
	errPrivate = errors.New("it holds a private key: who reads it can sign")
	errUse     = errors.New("it is not for signatures")
	errKind    = errors.New("it is of a kind that is not known here")
)

// readKey makes a key of a JWK (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2).
func readKey(m map[string]any) (*Key, error) {
	k := &Key{}
	var err error
	text := func(name string) string {
		v, has := m[name]
		s, ok := v.(string)
		if has && !ok {
			err = fmt.Errorf("its %q is not text", name)
		}
		return s
	}
	number := func(name string) []byte {
		b, bad := encoding.DecodeString(text(name))
		if bad != nil || len(b) == 0 {
			err = fmt.Errorf("its %q is not in base64url", name)
		}
		return b
	}
	kind, curve, use := text("kty"), text("crv"), text("use")
	_, hasName := m["alg"]
	k.id = text("kid")
	_, private := m["d"]
	switch {
	case err != nil:
		return nil, err
	case kind == "oct":
		return nil, errShared
	case private:
		return nil, errPrivate
	case use != "" && use != "sig" || !verifies(m["key_ops"]):
		return nil, errUse
	case len(k.id) > maxKeyID:
		return nil, fmt.Errorf("its \"kid\" has more than %d bytes", maxKeyID)
	}
	var first, second []byte
	set := k.setRSA
	switch kind {
	case "RSA":
		first, second = number("n"), number("e")
	case "EC":
		first, second = number("x"), number("y")
		set = func(x, y []byte) error { return k.setEC(curve, x, y) }
	case "OKP":
		first = number("x")
		set = func(x, _ []byte) error { return k.setEdwards(curve, x) }
	default:
		return nil, errKind
	}
	if err == nil {
		err = set(first, second)
	}
	if err != nil {
		return nil, err
	}
	if hasName { // RFC 7517 §4.4: it is for this one alone
		a, bad := ParseAlgorithm(text("alg"))
		if bad != nil || !k.algorithms.Has(a) {
			return nil, errUse
		}
		k.algorithms = Of(a)
	}
	return k, nil
}

// verifies tells whether "key_ops", if it is there, allows to verify.
func verifies(v any) bool {
	if v == nil {
		return true
	}
	list, _ := v.([]any)
	return slices.Contains(list, any("verify"))
}

func (k *Key) setRSA(n, e []byte) error {
	if len(n) > maxRSA/8+1 || len(e) > 8 {
		return fmt.Errorf("it has more than %d bits", maxRSA)
	}
	modulus, exponent := new(big.Int).SetBytes(n), new(big.Int).SetBytes(e)
	switch bits := modulus.BitLen(); {
	case bits < minRSA || bits > maxRSA:
		return fmt.Errorf("it has %d bits, and RSA keys have %d to %d", bits, minRSA, maxRSA)
	case modulus.Bit(0) == 0 || exponent.Bit(0) == 0 || exponent.Cmp(big.NewInt(3)) < 0 || exponent.Cmp(big.NewInt(maxExponent)) > 0:
		return errors.New("it is not an RSA key")
	}
	k.rsa = &rsa.PublicKey{N: modulus, E: int(exponent.Int64())}
	k.algorithms = Of(RS256, RS384, RS512, PS256, PS384, PS512)
	k.sum("RSA", modulus.Bytes(), exponent.Bytes())
	return nil
}

func (k *Key) setEC(name string, x, y []byte) (err error) {
	var curve elliptic.Curve
	switch name {
	case "P-256":
		curve, k.algorithms = elliptic.P256(), Of(ES256)
	case "P-384":
		curve, k.algorithms = elliptic.P384(), Of(ES384)
	case "P-521":
		curve, k.algorithms = elliptic.P521(), Of(ES512)
	default:
		return errKind
	}
	k.width = (curve.Params().BitSize + 7) / 8
	if len(x) != k.width || len(y) != k.width { // RFC 7518 §6.2.1.2
		return fmt.Errorf("its numbers do not have %d bytes each", k.width)
	}
	if k.ec, err = ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, x, y)); err != nil {
		return errors.New("it is not a point of its curve")
	}
	k.sum(name, x, y)
	return nil
}

func (k *Key) setEdwards(curve string, x []byte) error {
	switch {
	case curve != ed25519Name:
		return errKind
	case len(x) != ed25519.PublicKeySize:
		return fmt.Errorf("its number does not have %d bytes", ed25519.PublicKeySize)
	}
	if smallOrder(x) {
		return errors.New("it is a point of small order, by which anybody can sign")
	}
	k.ed, k.algorithms = x, Of(EdDSA)
	k.sum(curve, x)
	return nil
}

func (k *Key) sum(kind string, parts ...[]byte) {
	h := sha256.New()
	h.Write([]byte(kind))
	for _, p := range parts {
		fmt.Fprintf(h, ".%d.", len(p))
		h.Write(p)
	}
	h.Sum(k.thumbprint[:0])
}
