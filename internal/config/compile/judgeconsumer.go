package compile

import (
	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

// JudgeConsumer finds what is wrong with a Consumer by itself, as Compile does
// where it is one of many.
func JudgeConsumer(o *store.Object) (problems []store.Problem) {
	v, ok := o.Value.(*v1alpha1.Consumer)
	if !ok {
		return nil
	}
	for _, f := range judgeConsumer(&v.Spec) {
		problems = append(problems, f.problem(o))
	}
	return problems
}

// CredentialDigest is what a credential of a consumer is found by; false for
// an API key or a client secret that is in a Secret.
func CredentialDigest(namespace, consumer string, c *v1alpha1.ConsumerCredential) (digest [32]byte, ok bool) {
	one := ir.ConsumerCredential{}
	switch {
	case c.APIKey != nil && c.APIKey.Hash != nil:
		one.KeyDigest, _ = parseKeyHash(*c.APIKey.Hash)
	case c.Certificate != nil:
		one.CertificateKey, one.CertificateValue, _ = certificateKey(c.Certificate)
	case c.HMAC != nil:
		one.KeyID = deref(c.HMAC.KeyID, consumer)
	case c.PublicKey != nil:
		one.KeyID = deref(c.PublicKey.KeyID, consumer)
	case c.ClientSecret != nil:
		one.ClientID = ClientID(namespace, consumer, c.ClientSecret)
		if c.ClientSecret.Hash != nil {
			one.SecretDigest, _ = parseKeyHash(*c.ClientSecret.Hash)
		}
	case c.Basic != nil:
		one.Username = deref(c.Basic.Username, consumer)
	}
	return one.Digest()
}
