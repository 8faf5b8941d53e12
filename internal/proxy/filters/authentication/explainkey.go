package authentication

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"github.com/gridway/gridway/internal/httpsig"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/consumer"
	"github.com/gridway/gridway/internal/proxy/filter"
)

func (k *apiKey) describe(x *filter.Exchange, f filter.Fault) string {
	if text := k.sources.describe(fmt.Sprintf("key: keys have %d to %d bytes", minKey, maxKey), f); text != "" {
		return text
	}
	key, _ := k.sources.find(x)
	digest := sha256.Sum256(key)
	return lookedFor(k.policy, k.consumers, digest, "key", x)
}

// lookedFor says what is known of a credential that was looked for by its digest.
func lookedFor(p *ir.Authentication, consumers Consumers, d consumer.Digest, what string, x *filter.Exchange) string {
	if e := consumers.Key(d, p.Namespace, p.EveryNamespace); e != nil {
		return owner(e.Consumer, e.Credential) + " " + period(e.Credential.NotBefore, e.Credential.NotAfter, x.Start)
	}
	text := whose(p) + " has such a " + what
	if e := consumers.Key(d, p.Namespace, true); e != nil {
		text += fmt.Sprintf("; Consumer %s has it, and consumers.from of the policy leaves other namespaces out", e.Consumer)
	}
	return text
}

func (b *basic) describe(x *filter.Exchange, f filter.Fault) string {
	switch f {
	case filter.FaultNone:
		return `looked for in header Authorization after "Basic"`
	case filter.FaultAmbiguous:
		return "the header is there twice"
	case filter.FaultMalformed:
		return "it is not a name and a password, with a colon between them, in base64 (RFC 7617)"
	case filter.FaultBusy:
		return "too many passwords are being looked at"
	}
	encoded, _ := basicSource.inHeader(&x.Req.Header)
	text, _ := base64.StdEncoding.DecodeString(string(encoded))
	name, _, _ := bytes.Cut(text, []byte(":"))
	d := ir.UsernameDigest(name)
	if f == filter.FaultPassword {
		if e := b.consumers.Key(d, b.policy.Namespace, b.policy.EveryNamespace); e != nil {
			return "the password is not that of " + owner(e.Consumer, e.Credential)
		}
	}
	return lookedFor(b.policy, b.consumers, d, "user name", x)
}

func (h *hmac) describe(x *filter.Exchange, f filter.Fault) string {
	switch f {
	case filter.FaultNone:
		return "looked for a signature" + h.meant() + " in the headers Signature and Signature-Input"
	case filter.FaultSignature:
		return "the signature is not that of the key, or of another algorithm than the key's"
	case filter.FaultReplayed:
		return "the same signature was used before"
	case filter.FaultBusy:
		return "more signatures are in use than are remembered"
	}
	list, _, err := httpsig.Parse(string(joined(x, "signature-input")), string(joined(x, "signature")))
	if err != nil {
		return ""
	}
	for i := range list {
		if s := &list[i]; h.means(s) {
			return fmt.Sprintf("keyid %.100q: ", s.KeyID) + lookedFor(h.policy, h.consumers, ir.KeyIDDigest(s.KeyID), "key for signatures", x)
		}
	}
	return ""
}

// meant says which signatures count.
func (h *hmac) meant() (text string) {
	if h.Label != "" {
		text = fmt.Sprintf(" with the label %q", h.Label)
	}
	if h.Tag != "" {
		text += fmt.Sprintf(" with the tag %q", h.Tag)
	}
	return text
}

func (c *certificate) describe(x *filter.Exchange, f filter.Fault) string {
	switch f {
	case filter.FaultNone:
		return "the client has shown no certificate"
	case filter.FaultMalformed:
		return "the certificate cannot be read"
	case filter.FaultUnverified:
		return "the listener has not verified the certificate (AllowInsecureFallback)"
	}
	cert, chains, r := c.shown(x)
	if r != accepted {
		return ""
	}
	switch f {
	case filter.FaultExpired, filter.FaultNotYet:
		return "the certificate " + period(cert.NotBefore, cert.NotAfter, x.Start)
	case filter.FaultNoRule:
		for i := range c.rules {
			if field := c.rules[i].lacks(cert, chains); len(c.rules) == 1 {
				return fmt.Sprintf("the certificate of %q is not among the %s that are allowed", cert.SubjectText, field)
			}
		}
		return fmt.Sprintf("none of %d rules allows the certificate of %q", len(c.rules), cert.SubjectText)
	case filter.FaultRevoked:
		return fmt.Sprintf("the certificate of %q is revoked, or that of an authority in its chain", cert.SubjectText)
	case filter.FaultNoAnswer:
		return "nobody can say whether it is revoked: there is no list that its issuer has signed, or it is old"
	case filter.FaultConsumer:
		return whose(c.policy) + fmt.Sprintf(" has the certificate of %q among its credentials", cert.SubjectText) + alsoClaim(c.Consumer)
	}
	return ""
}
