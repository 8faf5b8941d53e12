package authentication

import (
	"crypto/sha256"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
)

// apiKey accepts the keys of consumers. A key is looked for by its SHA-256: what
// a client can learn from the time that takes is about digests, of which it
// cannot choose the beginning.
type apiKey struct {
	policy    *ir.Authentication
	consumers Consumers
	sources   sources
	forward   bool
	ask       []byte
}

const (
	minKey = 16
	maxKey = 1024
)

func newAPIKey(p *ir.Authentication, m *ir.AuthenticationMethod, consumers Consumers) *apiKey {
	k := &apiKey{policy: p, consumers: consumers, sources: newSources(m.APIKey.From), forward: m.APIKey.Forward}
	k.ask = []byte(k.sources.scheme("ApiKey") + ` realm="` + p.Realm + `"`)
	return k
}

func (k *apiKey) authenticate(x *filter.Exchange) result {
	key, found := k.sources.find(x)
	switch {
	case found == nowhere:
		return absent
	case found == ambiguous:
		return refuse(x, filter.FaultAmbiguous)
	case len(key) < minKey || len(key) > maxKey:
		return refuse(x, filter.FaultMalformed)
	}
	digest := sha256.Sum256(key)
	e := k.consumers.Key(digest, k.policy.Namespace, k.policy.EveryNamespace)
	if e == nil || !e.HasKey(&digest) {
		return refuse(x, filter.FaultUnknown)
	}
	if !e.Credential.Valid(x.Start) {
		return refuse(x, untimely(e.Credential.NotBefore, x.Start))
	}
	e.Used(x.Start)
	x.Caller.Consumer, x.Caller.Credential = e.Consumer, e.Credential.Name
	return accepted
}

func (k *apiKey) strip(x *filter.Exchange) {
	if !k.forward {
		k.sources.strip(x)
	}
}

func (k *apiKey) challenge(result) []byte { return k.ask }
