package authentication

import (
	"bytes"
	"encoding/base64"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/password"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// basic accepts names and passwords of consumers (RFC 7617).
type basic struct {
	policy    *ir.Authentication
	consumers Consumers
	passwords *password.Verifier
	counts    Counts
	forward   bool
	ask       []byte
}

const maxBasic = 2048

func newBasic(p *ir.Authentication, m *ir.AuthenticationMethod, d Deps, counts Counts) *basic {
	return &basic{
		policy: p, consumers: d.Consumers, passwords: d.Passwords, counts: counts, forward: m.Basic.Forward,
		ask: []byte(`Basic realm="` + p.Realm + `", charset="UTF-8"`),
	}
}

func (b *basic) authenticate(x *filter.Exchange) result {
	encoded, where := basicSource.inHeader(&x.Req.Header)
	switch {
	case where == nowhere:
		return absent
	case where == ambiguous:
		return refuse(x, filter.FaultAmbiguous)
	case len(encoded) > maxBasic:
		return refuse(x, filter.FaultMalformed)
	}
	text := x.Req.Arena.Alloc(base64.StdEncoding.DecodedLen(len(encoded)))
	n, err := base64.StdEncoding.Decode(text, encoded)
	name, secret, ok := bytes.Cut(text[:n], []byte(":"))
	if err != nil || !ok {
		return refuse(x, filter.FaultMalformed)
	}
	e := b.consumers.Key(ir.UsernameDigest(name), b.policy.Namespace, b.policy.EveryNamespace)
	fault := filter.FaultPassword
	switch {
	case e == nil || e.Credential.Username != string(name):
		fault = filter.FaultUnknown
	case !e.Credential.Valid(x.Start):
		fault = untimely(e.Credential.NotBefore, x.Start)
	}
	if e == nil {
		// Somebody else's hash, so that it takes as long as if there were such a user.
		if e = b.consumers.AnyUser(); e == nil {
			return refuse(x, fault)
		}
	}
	remembered := true
	verdict := b.passwords.Verify(e.Password(), fault == filter.FaultPassword, secret, x.Client, func() {
		remembered = false
		x.Detach()
	})
	b.counts.Recalled(remembered)
	switch verdict {
	case password.Busy:
		return overloaded(x)
	case password.Wrong:
		return refuse(x, fault)
	}
	e.Used(x.Start)
	x.Caller.Consumer, x.Caller.Credential = e.Consumer, e.Credential.Name
	return accepted
}

var basicSource = source{header: []byte("Authorization"), id: httpmsg.NameAuthorization, prefix: "Basic "}

func (b *basic) strip(x *filter.Exchange) {
	if !b.forward {
		basicSource.stripHeader(&x.Req.Header)
	}
}

func (b *basic) challenge(result) []byte { return b.ask }
