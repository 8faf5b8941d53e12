package authentication

import (
	"crypto/rand"
	"crypto/sha256"
	"time"

	"github.com/gridway/gridway/internal/httpsig"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/consumer"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/token"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// hmac accepts requests that a consumer has signed (RFC 9421). What is wrong with the
// form of a signature is told; what has to do with keys is not.
type hmac struct {
	*ir.HMACAuth
	policy    *ir.Authentication
	consumers Consumers
	decisions filter.Decisions
	used      *token.Replay // nil remembers nothing
	// scope is whose signatures are remembered.
	scope      []byte
	required   []httpsig.Component
	structured map[string]httpsig.Structure
	// demands are Accept-Signature for requests without and with a query (1) and a body (2).
	demands [4][]byte
	// nobody verifies what nobody has signed, so that it takes as long as anything.
	nobody *httpsig.Key
	ask    []byte
}

func newHMAC(p *ir.Authentication, m *ir.AuthenticationMethod, d Deps) *hmac {
	h := &hmac{
		HMACAuth: m.HMAC, policy: p, consumers: d.Consumers, decisions: d.Decisions, scope: []byte(p.Policy + "\x00" + m.Name + "\x00"),
		// No scheme is registered for signatures; RFC 9110 §15.5.2 wants one.
		ask: []byte(`Signature realm="` + p.Realm + `"`),
	}
	if !d.Tokens.Imagined {
		replays := d.Tokens.Replays
		if replays == nil {
			replays = token.NewReplays()
		}
		h.used = replays.Of(string(h.scope))
	}
	h.required, h.structured = componentsOf(h.Required), structuresOf(h.Structured)
	for i := range h.demands {
		h.demands[i] = h.demand(i&1 != 0, i&2 != 0)
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // it never fails
	h.nobody = httpsig.NewSecret(secret)
	return h
}

var (
	signature      = []byte("Signature")
	signatureInput = []byte("Signature-Input")
)

func (h *hmac) authenticate(x *filter.Exchange) result {
	input, value := joined(x, "signature-input"), joined(x, "signature")
	switch {
	case input == nil && value == nil:
		return absent
	case input == nil || value == nil:
		return h.complain(x, filter.FaultMalformed, "Signature-Input and Signature must both be there")
	}
	list, field, err := httpsig.Parse(string(input), string(value))
	if err != nil {
		return h.complain(x, filter.FaultMalformed, field+" "+err.Error())
	}
	m := messageOf(x)
	m.Structured = h.structured
	looked, why, formal, fault := 0, "", filter.FaultNone, filter.FaultNone
	var unknown []byte // the base of one of somebody who is not known
	for i := range list {
		s := &list[i]
		if !h.means(s) {
			continue
		}
		if looked++; looked > httpsig.MaxSignatures {
			break
		}
		base, f, wrong := h.baseOf(x, s, m)
		if wrong != "" {
			formal, why = f, wrong
			continue
		}
		e, f := h.holder(x, s.KeyID)
		if f == filter.FaultNone {
			return h.verify(x, s, e, base)
		}
		fault, unknown = f, base
	}
	switch {
	case looked == 0:
		return absent // they are for others
	case unknown == nil:
		return h.complain(x, formal, why)
	}
	h.nobody.Verify(unknown, nil)
	return refuse(x, fault)
}

// means tells whether a signature is for the method.
func (h *hmac) means(s *httpsig.Signature) bool {
	return (h.Label == "" || s.Label == h.Label) && (h.Tag == "" || s.Tag == h.Tag)
}

// baseOf is what was signed, or what is wrong with it.
func (h *hmac) baseOf(x *filter.Exchange, s *httpsig.Signature, m *httpsig.Message) (base []byte, f filter.Fault, wrong string) {
	if f, wrong = h.untimely(s, x.Start); wrong != "" {
		return nil, f, wrong
	}
	query, body := x.Req.HasQuery, signedBody(&x.Req)
	for i := range h.required {
		if c := &h.required[i]; wanted(c, query, body) && !s.Covers(c) {
			return nil, filter.FaultCoverage, "the signature must cover " + h.Required[i]
		}
	}
	base, err := s.Base(m)
	if err != nil {
		return nil, filter.FaultCoverage, err.Error()
	}
	return base, filter.FaultNone, ""
}

func (h *hmac) untimely(s *httpsig.Signature, now time.Time) (filter.Fault, string) {
	created := time.Unix(s.Created, 0)
	switch {
	case s.KeyID == "":
		return filter.FaultMalformed, "the signature must have the parameter keyid"
	case !s.HasCreated:
		return filter.FaultMalformed, "the signature must have the parameter created"
	case created.After(now.Add(h.ClockSkew)):
		return filter.FaultNotYet, "the signature was created in the future; look at the clock"
	case now.After(h.end(s)):
		return filter.FaultExpired, "the signature is too old"
	case s.HasExpires && now.After(time.Unix(s.Expires, 0).Add(h.ClockSkew)):
		return filter.FaultExpired, "the signature has expired"
	}
	return filter.FaultNone, ""
}

// end is until when a signature is young enough.
func (h *hmac) end(s *httpsig.Signature) time.Time {
	return time.Unix(s.Created, 0).Add(h.MaxAge + h.ClockSkew)
}

func (h *hmac) holder(x *filter.Exchange, id string) (*consumer.Entry, filter.Fault) {
	e := h.consumers.Key(ir.KeyIDDigest(id), h.policy.Namespace, h.policy.EveryNamespace)
	switch {
	case e == nil || e.Key() == nil || e.Credential.KeyID != id:
		return nil, filter.FaultUnknown
	case !e.Credential.Valid(x.Start):
		return nil, untimely(e.Credential.NotBefore, x.Start)
	}
	return e, filter.FaultNone
}

func (h *hmac) verify(x *filter.Exchange, s *httpsig.Signature, e *consumer.Entry, base []byte) result {
	// RFC 9421 §3.2 step 6: the key says what the algorithm is.
	if !e.Key().Verify(base, s.Bytes) || s.Alg != "" && s.Alg != e.Key().Algorithm() {
		return refuse(x, filter.FaultSignature)
	}
	var body *httpsig.Digest
	if s.CoversField("content-digest") {
		var err error
		if body, err = httpsig.ParseDigest(string(joined(x, "content-digest"))); err != nil {
			return h.complain(x, filter.FaultMalformed, "Content-Digest "+err.Error())
		}
		if !signedBody(&x.Req) && !body.Matches() {
			return h.complain(x, filter.FaultDigest, notTheBody)
		}
	}
	switch h.use(x, s, e, base) {
	case token.Replayed:
		return refuse(x, filter.FaultReplayed)
	case token.Forgotten:
		return h.complain(x, filter.FaultReplayed, "the signature is too old")
	case token.Full:
		return overloaded(x)
	}
	if body != nil && signedBody(&x.Req) {
		h.watch(x, body)
	}
	e.Used(x.Start)
	x.Caller.Consumer, x.Caller.Credential = e.Consumer, e.Credential.Name
	return accepted
}

// use has a signature used once: by its nonce or, if it has none, by what is signed,
// since there may be many signatures over the same.
func (h *hmac) use(x *filter.Exchange, s *httpsig.Signature, e *consumer.Entry, base []byte) token.Use {
	if h.Remembered == 0 || h.used == nil {
		return token.Fresh
	}
	text := x.Req.Arena.Alloc(len(h.scope) + len(e.Consumer.Namespace) + len(s.KeyID) + len(s.Nonce) + len(base) + 16)[:0]
	text = append(append(append(text, h.scope...), e.Consumer.Namespace...), 0)
	text = append(append(text, s.KeyID...), 0)
	if s.Nonce != "" {
		text = append(append(text, "nonce\x00"...), s.Nonce...)
	} else {
		text = append(text, base...)
	}
	digest := sha256.Sum256(text)
	return h.used.Use(&digest, x.Start, time.Unix(s.Created, 0), h.end(s), h.MaxAge+2*h.ClockSkew, h.Remembered)
}

// complain refuses a request by what its client can see, and mend, by itself.
func (h *hmac) complain(x *filter.Exchange, f filter.Fault, why string) result {
	x.Found(f)
	addChallenge(x, h.ask)
	h.tellDemand(x)
	x.Refuse(401, filter.InvalidCredential, why, h.policy.Policy, "")
	return answered
}

func (h *hmac) strip(x *filter.Exchange) {
	if !h.Forward {
		x.Req.Header.DelName(signature)
		x.Req.Header.DelName(signatureInput)
	}
}

func (h *hmac) challenge(result) []byte { return h.ask }

// joined is a field with commas between its lines; nil is that it is not there. It is
// not to be changed.
func joined(x *filter.Exchange, name string) []byte {
	var out []byte
	found := 0
	for i := range x.Req.Header.Len() {
		f := x.Req.Header.At(i)
		if !httpmsg.EqualFold(f.Name, name) {
			continue
		}
		switch found++; found {
		case 1: // as nearly always
			out = f.Value
		case 2:
			out = append(append(append([]byte{}, out...), ", "...), f.Value...)
		default:
			out = append(append(out, ", "...), f.Value...)
		}
	}
	if found > 0 && out == nil {
		out = []byte{}
	}
	return out
}
