package compile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/status"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/password"
)

func (c *compiler) consumerOf(x *consumer, o *store.Object, spec *v1alpha1.ConsumerSpec, resolved *status.Condition) *ir.Consumer {
	out := &ir.Consumer{Namespace: o.Key.Namespace, Name: o.Key.Name, Plan: deref(spec.Plan, "")}
	for _, g := range spec.Groups {
		out.Groups = append(out.Groups, string(g))
	}
	out.GroupList = strings.Join(out.Groups, ",")
	labels := meta(o).GetLabels()
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		out.Labels = append(out.Labels, ir.Label{Name: name, Value: labels[name]})
	}
	for i := range spec.Credentials {
		cr := &spec.Credentials[i]
		one := ir.ConsumerCredential{Name: cr.Name}
		var message, remedy string
		kind := "apiKey"
		switch {
		case cr.HMAC != nil:
			kind, one.KeyID = "hmac", deref(cr.HMAC.KeyID, o.Key.Name)
			one.Secret, message, remedy = c.signingSecret(x, o, &cr.HMAC.SecretRef)
		case cr.PublicKey != nil:
			one.KeyID = deref(cr.PublicKey.KeyID, o.Key.Name)
			one.PublicKey, one.Algorithm = publicKey(cr.PublicKey)
		case cr.ClientSecret != nil:
			kind = "clientSecret"
			message, remedy = c.secretOfClient(x, o, cr.ClientSecret, &one)
		case cr.Certificate != nil:
			one.CertificateKey, one.CertificateValue, _ = certificateKey(cr.Certificate) // it was judged
		case cr.Basic != nil:
			kind, one.Username = "basic", deref(cr.Basic.Username, o.Key.Name)
			one.PasswordHash, message, remedy = c.passwordHash(x, o, cr.Basic)
		default:
			one.KeyDigest, message, remedy = c.keyDigest(x, o, cr.APIKey)
		}
		if message != "" {
			x.problems = append(x.problems, problemAt(o, fmt.Sprintf("spec.credentials[%d].%s.secretRef", i, kind), store.Warning, "InvalidReference", message, remedy))
			if resolved.Status == status.True {
				resolved.Status, resolved.Reason, resolved.Message = status.False, "InvalidReference", message
			}
			continue
		}
		if cr.NotBefore != nil {
			one.NotBefore = cr.NotBefore.UTC()
		}
		if cr.NotAfter != nil {
			one.NotAfter = cr.NotAfter.UTC()
		}
		out.Credentials = append(out.Credentials, one)
	}
	return out
}

// keyDigest is the SHA-256 of a key, or why there is none.
func (c *compiler) keyDigest(x *consumer, owner *store.Object, k *v1alpha1.APIKeyCredential) (digest []byte, message, remedy string) {
	if k.Hash != nil {
		digest, _ = parseKeyHash(*k.Hash) // it was judged
		return digest, "", ""
	}
	text, entry, message, remedy := c.entryOf(x, owner, k.SecretRef)
	name := entryName(k.SecretRef)
	switch {
	case message != "":
		return nil, message, remedy
	case len(text) < minKey || len(text) > maxKey:
		return nil, fmt.Sprintf("entry %q of %s has %d bytes, and a key has %d to %d", name, entry, len(text), minKey, maxKey), "\"gridway key create\" makes one"
	}
	sum := sha256.Sum256(text)
	return sum[:], "", ""
}

// passwordHash is the hash of a password, or why there is none.
func (c *compiler) passwordHash(x *consumer, owner *store.Object, b *v1alpha1.BasicCredential) (hash, message, remedy string) {
	if b.Hash != nil {
		return *b.Hash, "", "" // it was judged
	}
	text, entry, message, remedy := c.entryOf(x, owner, b.SecretRef)
	if message != "" {
		return "", message, remedy
	}
	if _, err := password.Parse(string(text)); err != nil {
		return "", fmt.Sprintf("entry %q of %s %s", entryName(b.SecretRef), entry, err), "\"gridway key hash --password\" makes it"
	}
	return string(text), "", ""
}

func entryName(r *v1alpha1.SecretKeyReference) string {
	if r.Key == "" {
		return "key"
	}
	return r.Key
}

// entryOf reads an entry of a Secret, without white space at its end.
func (c *compiler) entryOf(x *consumer, owner *store.Object, r *v1alpha1.SecretKeyReference) (text []byte, secret store.Key, message, remedy string) {
	o, key := c.secretOf(x, owner, r)
	if o == nil {
		message, remedy = c.notFound(key)
		return nil, key, message, remedy
	}
	text = bytes.TrimRight(secretEntry(o, entryName(r)), " \t\r\n")
	if len(text) == 0 {
		return nil, key, fmt.Sprintf("%s has no entry %q", key, entryName(r)), "put it there"
	}
	return text, key, "", ""
}

func (c *compiler) secretOf(x *consumer, owner *store.Object, r *v1alpha1.SecretKeyReference) (*store.Object, store.Key) {
	key := store.Key{Kind: "Secret", Namespace: owner.Key.Namespace, Name: r.Name}
	o := c.set.Get(key)
	if o == nil {
		x.missing = true
		return nil, key
	}
	x.deps = append(x.deps, o)
	return o, key
}

// parseKeyHash reads "sha256:HEX".
func parseKeyHash(s string) ([]byte, bool) {
	digits, ok := strings.CutPrefix(s, "sha256:")
	digest, err := hex.DecodeString(digits)
	return digest, ok && err == nil && len(digest) == sha256.Size
}
