package acme

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"time"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/issuance"
)

// bundle is a certificate with its chain and key, as it is stored. One value
// holds all, so that nobody can see a certificate with another one's key.
type bundle struct {
	Names     []string  `json:"names"`
	Directory string    `json:"directory"`
	Issued    time.Time `json:"issued"`
	Chain     string    `json:"chain"`
	Key       string    `json:"key"`

	leaf   *x509.Certificate
	stored [sha256.Size]byte // digest of the stored form; zero if it was not read
}

// newBundle checks that key and chain belong together and are for the order.
func newBundle(o *issuance.Order, chain []byte, key crypto.Signer, now time.Time) (*bundle, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	b := &bundle{
		Names: o.Names, Directory: o.Directory, Issued: now, Chain: string(chain),
		Key: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	}
	return b, b.check(o)
}

// check reads the certificate and finds out whether it serves the order.
func (b *bundle) check(o *issuance.Order) error {
	pair, err := tls.X509KeyPair([]byte(b.Chain), []byte(b.Key))
	if err != nil {
		return fmt.Errorf("the certificate cannot be used: %w", err)
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return fmt.Errorf("the certificate cannot be used: %w", err)
	}
	for _, name := range o.Names {
		if leaf.VerifyHostname(name) != nil {
			return fmt.Errorf("the certificate is not for %s", name)
		}
	}
	b.leaf = leaf
	return nil
}

// serial is the certificate's number in hexadecimal.
func (b *bundle) serial() string { return serialText(b.leaf.SerialNumber) }

func serialText(n *big.Int) string { return fmt.Sprintf("%x", n) }

// renewAt is when the certificate is to be renewed if the authority does not
// say: after two thirds of its life, and up to a fiftieth earlier, which depends
// on the certificate, so that those that were issued together part.
func (b *bundle) renewAt() time.Time {
	life := b.leaf.NotAfter.Sub(b.leaf.NotBefore)
	sum := sha256.Sum256(b.leaf.Raw)
	early := time.Duration(float64(life) / 50 * float64(binary.BigEndian.Uint32(sum[:4])) / (1 << 32))
	return b.leaf.NotBefore.Add(life*2/3 - early)
}

func certificateKey(o *issuance.Order) string { return "certificates/" + o.ID() + ".json" }

// loadBundle returns the stored certificate for an order; nil if there is none,
// or if it is known.
func loadBundle(ctx context.Context, s Storage, o *issuance.Order, known *bundle) (*bundle, error) {
	text, err := s.Load(ctx, certificateKey(o))
	if errors.Is(err, fs.ErrNotExist) || err == nil && known != nil && sha256.Sum256(text) == known.stored {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	b := &bundle{stored: sha256.Sum256(text)}
	if json.Unmarshal(text, b) != nil { // its error may quote what is secret
		return nil, fmt.Errorf("%s: %w", certificateKey(o), errDamaged)
	}
	if err := b.check(o); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", certificateKey(o), errDamaged, err)
	}
	return b, nil
}

// setback remembers that the last try failed, so that neither a restart nor
// another edge asks again at once.
type setback struct {
	// Tries failed in a row, of which the authority refused some.
	Tries   int       `json:"tries"`
	Refused int       `json:"refused,omitempty"`
	Failed  time.Time `json:"failed"`
	Error   string    `json:"error"`
	// Next is when to try again. Binding says that the authority has asked for
	// the wait.
	Next    time.Time `json:"next"`
	Binding bool      `json:"binding,omitempty"`
}

func setbackKey(o *issuance.Order) string { return "failures/" + o.ID() + ".json" }

// advice is the authority's renewal information for a certificate (RFC 9773).
type advice struct {
	Serial string `json:"serial"`
	// Renew is the time that was chosen within the suggested window.
	Renew       time.Time `json:"renew"`
	Explanation string    `json:"explanation,omitempty"`
	// Again is when to ask again.
	Again time.Time `json:"again"`
}

func adviceKey(o *issuance.Order) string { return "renewal/" + o.ID() + ".json" }

// errDamaged: what is stored is not what we have stored.
var errDamaged = errors.New("what is stored is damaged")

// load reads a stored value; nil if there is none.
func load[T any](ctx context.Context, s Storage, key string) (*T, error) {
	text, err := s.Load(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	v := new(T)
	if json.Unmarshal(text, v) != nil { // its error may quote what is secret
		return nil, fmt.Errorf("%s: %w", key, errDamaged)
	}
	return v, nil
}

func save(ctx context.Context, s Storage, key string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return s.Store(ctx, key, text)
}

// newKey makes the private key of a certificate.
func newKey(kind string) (crypto.Signer, error) {
	switch v1alpha1.CertificateKeyType(kind) {
	case v1alpha1.KeyECDSA256, "":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case v1alpha1.KeyECDSA384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case v1alpha1.KeyRSA2048:
		return rsa.GenerateKey(rand.Reader, 2048)
	case v1alpha1.KeyRSA3072:
		return rsa.GenerateKey(rand.Reader, 3072)
	case v1alpha1.KeyRSA4096:
		return rsa.GenerateKey(rand.Reader, 4096)
	}
	return nil, fmt.Errorf("keys of type %q are not known", kind)
}
