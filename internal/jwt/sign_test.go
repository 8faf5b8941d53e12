package jwt_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/gridway/gridway/internal/jwt"
)

func pemOf(t testing.TB, kind string, der []byte, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// Whoever reads tokens otherwise agrees with what is signed here, and with how keys
// are called.
func TestSign(t *testing.T) {
	ec, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	long, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8 := func(key any) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		return pemOf(t, "PRIVATE KEY", der, err)
	}
	sec1, err := x509.MarshalECPrivateKey(ec)
	params := pemOf(t, "EC PARAMETERS", []byte{6, 1, 0}, nil)
	for _, c := range []struct {
		name string
		text []byte
		alg  jwt.Algorithm
	}{
		{"ES256", pkcs8(ec), jwt.ES256},
		{"ES256 in SEC 1", append(params, pemOf(t, "EC PRIVATE KEY", sec1, err)...), jwt.ES256},
		{"EdDSA", pkcs8(ed), jwt.EdDSA},
		{"RS256", pkcs8(long), jwt.RS256},
		{"PS256 in PKCS#1", pemOf(t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(long), nil), jwt.PS256},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := jwt.NewSigner(c.text, c.alg, "at+jwt")
			if err != nil {
				t.Fatal(err)
			}
			var public jose.JSONWebKey
			if err := json.Unmarshal([]byte(s.JWK()), &public); err != nil {
				t.Fatal(err)
			}
			print, err := public.Thumbprint(crypto.SHA256)
			if got := base64.RawURLEncoding.EncodeToString(print); err != nil || got != s.ID() || public.KeyID != s.ID() {
				t.Errorf("the key is called %q and %q, want %q (%v)", s.ID(), public.KeyID, got, err)
			}
			set, skipped, err := jwt.ParseSet(jwt.PublicSet([]*jwt.Signer{s}))
			if err != nil || len(skipped) > 0 {
				t.Fatal(err, skipped)
			}
			const claims = `{"iss":"https://a.example","n":1}`
			text, err := s.Sign("at+jwt", []byte(claims))
			if err != nil {
				t.Fatal(err)
			}
			theirs, err := jose.ParseSignedCompact(string(text), []jose.SignatureAlgorithm{jose.SignatureAlgorithm(c.alg.String())})
			if err != nil {
				t.Fatal(err)
			}
			if got, err := theirs.Verify(public); err != nil || string(got) != claims {
				t.Errorf("%q, %v", got, err)
			}
			if theirs.Signatures[0].Header.ExtraHeaders["typ"] != "at+jwt" {
				t.Error(theirs.Signatures[0].Header)
			}
			parsed, err := jwt.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := set.Verify(parsed, jwt.All); err != nil {
				t.Error(err)
			}
			if _, err := s.Sign("JWT", []byte(claims)); err == nil {
				t.Error("it signs types that it was not told")
			}
		})
	}
}

func TestNewSignerRefuses(t *testing.T) {
	ec, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	other, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	der, err := x509.MarshalPKCS8PrivateKey(ec)
	good := pemOf(t, "PRIVATE KEY", der, err)
	der, err = x509.MarshalPKCS8PrivateKey(other)
	wrong := pemOf(t, "PRIVATE KEY", der, err)
	der, err = x509.MarshalPKIXPublicKey(ec.Public())
	public := pemOf(t, "PUBLIC KEY", der, err)
	for _, c := range []struct {
		name string
		text []byte
		alg  jwt.Algorithm
		want string
	}{
		{"nothing", nil, jwt.ES256, "no private key in PEM"},
		{"other text", []byte("secret"), jwt.ES256, "no private key in PEM"},
		{"a public key", public, jwt.ES256, `"PUBLIC KEY"`},
		{"two keys", append(append([]byte(nil), good...), wrong...), jwt.ES256, "more than one key"},
		{"another curve", wrong, jwt.ES256, "P-384"},
		{"another kind", good, jwt.RS256, "openssl genrsa"},
		{"another algorithm", good, jwt.ES512, "cannot sign by ES512"},
		{"a passphrase", pemOf(t, "ENCRYPTED PRIVATE KEY", []byte{1}, nil), jwt.ES256, "passphrase"},
		{"rubbish", pemOf(t, "PRIVATE KEY", []byte{1, 2}, nil), jwt.ES256, "cannot be read"},
	} {
		if _, err := jwt.NewSigner(c.text, c.alg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
