package issuance

import (
	"fmt"
	"slices"
	"time"

	"github.com/gridway/gridway/internal/config/store"
)

// SigningOrder asks for the keys of a TokenIssuer that are kept in the state store.
type SigningOrder struct {
	// Secret is the key of the object that they come as. Its name has a colon, which no
	// name in a file may have.
	Secret store.Key
	Issuer store.Key
	// Algorithm is the name of one in JSON Web Signatures.
	Algorithm string
	// RotateEvery is how long a key signs, Lifetime how long its tokens live.
	RotateEvery, Lifetime time.Duration
	// Seals are secrets by which keys are encrypted: the first encrypts, all decrypt.
	Seals [][]byte
}

// SigningSecret is the key of the object that the keys of an issuer come as.
func SigningSecret(issuer store.Key) store.Key {
	return store.Key{Kind: "Secret", Namespace: issuer.Namespace, Name: issuer.Name + ":signing-keys"}
}

// SigningEntry is the name of an entry of it. The key at 0 signs.
func SigningEntry(n int) string { return fmt.Sprintf("key-%d", n) }

// Name of the issuer in the state store.
func (o *SigningOrder) Name() string { return o.Issuer.Namespace + "/" + o.Issuer.Name }

// Equal tells whether two orders are the same.
func (o *SigningOrder) Equal(p *SigningOrder) bool {
	return o.Secret == p.Secret && o.Issuer == p.Issuer && o.Algorithm == p.Algorithm && o.RotateEvery == p.RotateEvery && o.Lifetime == p.Lifetime &&
		slices.EqualFunc(o.Seals, p.Seals, func(a, b []byte) bool { return string(a) == string(b) })
}
