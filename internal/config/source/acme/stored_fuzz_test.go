package acme

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/config/issuance"
)

// one is a Storage that has the same under each key, and is only read.
type one struct {
	Storage
	text []byte
}

func (o one) Load(context.Context, string) ([]byte, error) { return o.text, nil }

// FuzzStored: what the storage has may be damaged, or somebody else's. Nothing of
// it is served that is not for the order, and the times that follow from it are
// within their bounds.
func FuzzStored(f *testing.F) {
	now := time.Now()
	order := &issuance.Order{Names: []string{"shop.example"}, Directory: "https://ca.example/dir"}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: order.Names,
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(90 * 24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		f.Fatal(err)
	}
	good, err := newBundle(order, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), key, now)
	if err != nil {
		f.Fatal(err)
	}
	for _, v := range []any{
		good,
		setback{Tries: 3, Refused: 1, Failed: now, Next: now.Add(time.Hour)},
		setback{Refused: 5, Binding: true},
		advice{Serial: good.serial(), Renew: now.Add(24 * time.Hour), Again: now.Add(time.Hour)},
		account{Directory: "x", Key: "y"},
	} {
		text, err := json.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, "120")
	}
	f.Add([]byte(`{"tries":9223372036854775807,"refused":-1,"next":"9999-12-31T23:59:59Z"}`), "Sat, 21 Nov 2026 12:00:30 GMT")
	f.Fuzz(func(t *testing.T, text []byte, after string) {
		if wait := retryAfter(after, now); wait < 0 || wait > 30*24*time.Hour {
			t.Fatalf("Retry-After %q: %v", after, wait)
		}
		storage := one{text: text}
		b, err := loadBundle(t.Context(), storage, order, nil)
		if err != nil && !errors.Is(err, errDamaged) {
			t.Fatal(err)
		}
		if err == nil && (b == nil || b.leaf.VerifyHostname("shop.example") != nil) {
			t.Fatalf("%q serves", text)
		}
		a, _ := load[advice](t.Context(), storage, "a")
		if due := dueAt(good, a); due.Before(good.leaf.NotBefore) || due.After(good.leaf.NotAfter) {
			t.Fatalf("%q: renewed at %v", text, due)
		}
		if s, _ := load[setback](t.Context(), storage, "s"); s != nil {
			usual.resumed(s)
			for _, err := range []error{errors.New("unreachable"), &setbackError{err: errors.New("no"), refused: true}} {
				next := usual.after(err, now, s)
				if wait := next.Next.Sub(now); wait <= 0 || wait > 2*usual.refusedMax || next.Tries < 1 || next.Refused < 0 || next.Refused > next.Tries {
					t.Fatalf("%q: %+v", text, next)
				}
			}
		}
		if acc, _ := load[account](t.Context(), storage, "c"); acc != nil {
			if open, err := acc.open(); err == nil && open.PrivateKey == nil {
				t.Fatalf("%q: an account without a key", text)
			}
		}
	})
}
