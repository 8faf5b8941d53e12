package authentication

import (
	"crypto/sha256"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/jwt"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/token"
)

// KeySet is the keys of an issuer.
type KeySet interface {
	// Current are those that there are now, nil if there are none yet.
	Current() *jwt.Set
	// Renew waits for others than known if there may be some soon, and returns what
	// there is then. Wait is called before it waits.
	Renew(known *jwt.Set, wait func()) *jwt.Set
}

// Tokens is what the methods jwt, oauth2Introspection and hmac need.
type Tokens struct {
	// Keys finds the key sets of the configuration by their names.
	Keys func(name string) KeySet
	// Verified remembers tokens, Gate bounds the work on others.
	Verified *token.Cache
	Gate     *token.Gate
	// Introspected remembers what servers say of tokens; nil remembers for one method.
	Introspected *token.Answers
	// Replays remembers signatures that were used; nil is a memory of the method's own.
	Replays *token.Replays
	// Imagined: requests are never sent, and so no signature of theirs is used up.
	Imagined bool
}

// bearer accepts JSON Web Tokens.
type bearer struct {
	policy    *ir.Authentication
	consumers Consumers
	tokens    Tokens
	counts    Counts
	sources   sources
	forward   bool
	issuers   []issuer

	ask, askAgain []byte
}

func newBearer(p *ir.Authentication, m *ir.AuthenticationMethod, d Deps, counts Counts) *bearer {
	b := &bearer{policy: p, consumers: d.Consumers, tokens: d.Tokens, counts: counts, sources: newSources(m.JWT.From), forward: m.JWT.Forward}
	for i := range m.JWT.Issuers {
		b.issuers = append(b.issuers, newIssuer(&m.JWT.Issuers[i], d.Tokens.Keys))
	}
	b.ask = []byte(b.sources.scheme("Bearer") + ` realm="` + p.Realm + `"`)
	// RFC 6750 §3.1. What is wrong with the token is nobody's business but its issuer's.
	b.askAgain = append(b.ask[:len(b.ask):len(b.ask)], `, error="invalid_token"`...)
	return b
}

func (b *bearer) authenticate(x *filter.Exchange) result {
	text, found := b.sources.find(x)
	switch {
	case found == nowhere:
		return absent
	case found == ambiguous:
		return refuse(x, filter.FaultAmbiguous)
	case len(text) == 0 || len(text) > jwt.MaxToken:
		return refuse(x, filter.FaultMalformed)
	}
	digest := sha256.Sum256(text)
	if v := b.tokens.Verified.Get(&digest); v != nil {
		if is := b.issuer(v.Claims.Issuer); is != nil {
			if keys := is.keys.Current(); keys != nil && keys.Trusts(&v.By, is.algorithms) {
				b.counts.Recalled(true)
				return b.judge(x, is, v)
			}
		}
	}
	b.counts.Recalled(false)
	return b.verify(x, text, digest)
}

func (b *bearer) issuer(name string) *issuer {
	for i := range b.issuers {
		if b.issuers[i].name == name {
			return &b.issuers[i]
		}
	}
	return nil
}

// verify looks at a token that is not remembered. What costs little is looked at
// first, so that tokens that could not be accepted anyway cost no more than that.
func (b *bearer) verify(x *filter.Exchange, text []byte, digest token.Digest) result {
	t, err := jwt.Parse(text)
	if err != nil {
		return refuse(x, faultOf(err))
	}
	values, err := t.Claims()
	if err != nil {
		return refuse(x, filter.FaultMalformed)
	}
	v := &token.Verified{Digest: digest, Claims: filter.NewClaims(values), Type: t.Type, Size: t.Size()}
	is := b.issuer(v.Claims.Issuer)
	if is == nil {
		return refuse(x, filter.FaultIssuer)
	}
	if !is.algorithms.Has(t.Algorithm) {
		return refuse(x, filter.FaultAlgorithm)
	}
	if f := is.fault(v, x.Start); f != filter.FaultNone {
		return refuse(x, f)
	}
	key, r, f := is.signer(t, b.tokens.Gate, x.Detach)
	if key == nil {
		x.Found(f)
		return r
	}
	v.By = t.By(key)
	if end, ok := timeOf(v.Claims, expires); ok && end < maxTime {
		v.Expires = time.Unix(int64(end), 0).Add(maxSkew)
	}
	b.tokens.Verified.Put(v, x.Start)
	return b.judge(x, is, v)
}

// judge is for tokens whose signature is good.
func (b *bearer) judge(x *filter.Exchange, is *issuer, v *token.Verified) result {
	if f := is.fault(v, x.Start); f != filter.FaultNone {
		return refuse(x, f)
	}
	if is.Client {
		if x.Caller.Consumer = b.client(v.Claims, x.Start); x.Caller.Consumer == nil {
			return refuse(x, filter.FaultConsumer)
		}
	}
	if is.consumer != nil {
		c := named(b.policy, b.consumers, v.Claims, is.consumer)
		if c == nil && is.consumerRequired {
			return refuse(x, filter.FaultConsumer)
		}
		x.Caller.Consumer = c
	}
	x.Caller.Claims = v.Claims
	return accepted
}

var clientClaim = []string{"client_id"}

// client is the Consumer that a token was made for (RFC 9068 §2.2), if it could still
// get one.
func (b *bearer) client(claims *filter.Claims, at time.Time) *ir.Consumer {
	value, _ := claims.Lookup(clientClaim)
	id, ok := value.(string)
	if !ok || id == "" || len(id) > ir.MaxClientID {
		return nil
	}
	return b.consumers.Client(id, b.policy.Namespace, b.policy.EveryNamespace, at)
}

// named finds the Consumer whose name a claim has.
func named(p *ir.Authentication, consumers Consumers, claims *filter.Claims, path []string) *ir.Consumer {
	value, _ := claims.Lookup(path)
	name, ok := value.(string)
	if !ok || name == "" {
		return nil
	}
	return consumers.Named(name, p.Namespace, p.EveryNamespace)
}

func (b *bearer) strip(x *filter.Exchange) {
	if !b.forward {
		b.sources.strip(x)
	}
}

func (b *bearer) challenge(r result) []byte {
	if r == refused {
		return b.askAgain
	}
	return b.ask
}
