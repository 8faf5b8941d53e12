package jwt

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
)

// maxSigningRSA bounds RSA keys that sign: longer ones cost a processor many
// milliseconds for each token.
const maxSigningRSA = 4096

// Signer makes tokens with a private key. It may be used by any number of
// goroutines.
type Signer struct {
	algorithm Algorithm
	key       crypto.Signer
	id        string
	jwk       string
	headers   map[string][]byte // by type, encoded, with the dot after it
}

// Errors of NewSigner, about what the text is in the place of a private key.
var (
	errNoPEM      = errors.New("holds no private key in PEM: it begins with -----BEGIN PRIVATE KEY-----")
	errPassphrase = errors.New("is protected by a passphrase: write it without one, openssl pkey -in key.pem")
	errTwoKeys    = errors.New("holds more than one key: give each an entry of its own")
)

// NewSigner reads a private key in PEM (PKCS#8, SEC 1 or PKCS#1) that is to sign by
// an algorithm: ES256, EdDSA, RS256 or PS256. The error says what is wrong in words
// that may follow the name of the text, and nothing of the key itself. Types are the
// values of "typ" that tokens will have.
func NewSigner(text []byte, a Algorithm, types ...string) (*Signer, error) {
	key, err := privateKey(text)
	if err != nil {
		return nil, err
	}
	s := &Signer{algorithm: a, key: key, headers: make(map[string][]byte, len(types))}
	// RFC 7638 §3.3: the members that make the key, in the order of their names. They
	// are the whole of what is published, too, but for what the key is called and for.
	var members string
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		if a != ES256 || k.Curve != elliptic.P256() {
			return nil, unfit(a, "an ECDSA key on "+k.Params().Name)
		}
		point, err := k.PublicKey.Bytes() // RFC 7518 §6.2.1: of full length
		if err != nil {
			return nil, errors.New("holds a point that is not on its curve")
		}
		members = fmt.Sprintf(`"crv":"P-256","kty":"EC","x":%q,"y":%q`, encoding.EncodeToString(point[1:33]), encoding.EncodeToString(point[33:]))
	case ed25519.PrivateKey:
		if a != EdDSA {
			return nil, unfit(a, "an Ed25519 key")
		}
		members = fmt.Sprintf(`"crv":"Ed25519","kty":"OKP","x":%q`, encoding.EncodeToString(k.Public().(ed25519.PublicKey)))
	case *rsa.PrivateKey:
		bits := k.N.BitLen()
		switch {
		case a != RS256 && a != PS256:
			return nil, unfit(a, "an RSA key")
		case bits < minRSA || bits > maxSigningRSA:
			return nil, fmt.Errorf("holds an RSA key of %d bits, and one that signs has %d to %d", bits, minRSA, maxSigningRSA)
		}
		members = fmt.Sprintf(`"e":%q,"kty":"RSA","n":%q`, encoding.EncodeToString(big.NewInt(int64(k.E)).Bytes()), encoding.EncodeToString(k.N.Bytes()))
	default:
		return nil, unfit(a, "a key of another kind")
	}
	print := sha256.Sum256([]byte("{" + members + "}"))
	s.id = encoding.EncodeToString(print[:])
	s.jwk = fmt.Sprintf(`{%s,"use":"sig","alg":%q,"kid":%q}`, members, a, s.id)
	for _, t := range types {
		head := fmt.Appendf(nil, `{"typ":%q,"alg":%q,"kid":%q}`, t, a, s.id)
		s.headers[t] = append(encoding.AppendEncode(nil, head), '.')
	}
	return s, nil
}

func unfit(a Algorithm, is string) error {
	wants := map[Algorithm]string{
		ES256: "an ECDSA key on P-256: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256",
		EdDSA: "an Ed25519 key: openssl genpkey -algorithm ed25519",
		RS256: "an RSA key: openssl genrsa 3072", PS256: "an RSA key: openssl genrsa 3072",
	}
	if wants[a] == "" {
		return fmt.Errorf("cannot sign by %s here", a)
	}
	return fmt.Errorf("holds %s, and %s needs %s", is, a, wants[a])
}

func privateKey(text []byte) (crypto.Signer, error) {
	var found *pem.Block
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		switch block.Type {
		case "EC PARAMETERS": // which openssl ecparam writes before the key
			continue
		case "ENCRYPTED PRIVATE KEY":
			return nil, errPassphrase
		}
		if found != nil {
			return nil, errTwoKeys
		}
		found = block
	}
	switch {
	case found == nil:
		return nil, errNoPEM
	case found.Headers["DEK-Info"] != "":
		return nil, errPassphrase
	}
	var key any
	var err error
	switch found.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(found.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(found.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(found.Bytes)
	default:
		return nil, fmt.Errorf("holds a %.40q in the place of a private key", found.Type)
	}
	if err != nil {
		return nil, errors.New("holds a private key that cannot be read")
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("holds a key that does not sign")
	}
	return signer, nil
}

// ID is the key's "kid": its thumbprint (RFC 7638).
func (s *Signer) ID() string { return s.id }

// Algorithm is the one that it signs by.
func (s *Signer) Algorithm() Algorithm { return s.algorithm }

// JWK is the public side of the key (RFC 7517 §4).
func (s *Signer) JWK() string { return s.jwk }

// Sign makes a token of claims, which are a JSON object, and of a type that NewSigner
// was told.
func (s *Signer) Sign(typ string, claims []byte) ([]byte, error) {
	head, ok := s.headers[typ]
	if !ok {
		return nil, fmt.Errorf("jwt: no tokens of type %q are made with this key", typ)
	}
	out := make([]byte, 0, len(head)+encoding.EncodedLen(len(claims))+1+encoding.EncodedLen(maxSigningRSA/8))
	out = encoding.AppendEncode(append(out, head...), claims)
	signature, err := s.sign(out)
	if err != nil {
		return nil, fmt.Errorf("jwt: %w", err)
	}
	return encoding.AppendEncode(append(out, '.'), signature), nil
}

func (s *Signer) sign(text []byte) ([]byte, error) {
	if k, ok := s.key.(ed25519.PrivateKey); ok {
		return ed25519.Sign(k, text), nil
	}
	digest := sha256.Sum256(text)
	switch k := s.key.(type) {
	case *ecdsa.PrivateKey:
		r, v, err := ecdsa.Sign(rand.Reader, k, digest[:])
		if err != nil {
			return nil, err
		}
		var out [64]byte // RFC 7518 §3.4: both numbers in full length
		r.FillBytes(out[:32])
		v.FillBytes(out[32:])
		return out[:], nil
	case *rsa.PrivateKey:
		if s.algorithm == PS256 {
			return rsa.SignPSS(rand.Reader, k, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		}
		return rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, digest[:])
	}
	return nil, errors.New("a key of no kind")
}

// PublicSet is the JWK Set (RFC 7517 §5) of signers' public sides.
func PublicSet(list []*Signer) []byte {
	out := []byte(`{"keys":[`)
	for i, s := range list {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, s.jwk...)
	}
	return append(out, "]}"...)
}
