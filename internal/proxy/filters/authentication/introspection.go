package authentication

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/url"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/jwt"
	"github.com/gridway/gridway/internal/proxy/callout"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/token"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// maxAnswer bounds what a server says of a token, in bytes.
const maxAnswer = 64 << 10

// introspection accepts tokens that a server says are active (RFC 7662).
type introspection struct {
	*ir.IntrospectionAuth
	policy    *ir.Authentication
	consumers Consumers
	answers   *token.Answers
	counts    Counts
	sources   sources
	// issuer judges what the server says, as it would the claims of a token.
	issuer issuer
	// server is a digest of who is asked, and how: what another one says is another
	// answer.
	server token.Digest

	authorization, credentials []byte
	ask, askAgain              []byte
}

func newIntrospection(p *ir.Authentication, m *ir.AuthenticationMethod, d Deps, counts Counts) *introspection {
	cfg := m.Introspection
	in := &introspection{
		IntrospectionAuth: cfg, policy: p, consumers: d.Consumers, answers: d.Tokens.Introspected, counts: counts, sources: newSources(cfg.From),
		issuer: newIssuer(&ir.JWTIssuer{
			Issuer: cfg.Issuer, Audiences: cfg.Audiences, Required: cfg.Required, ClockSkew: cfg.ClockSkew, Types: []string{""}, Unlimited: true,
		}, nil),
	}
	if in.answers == nil {
		in.answers = token.NewAnswers()
	}
	text, _ := json.Marshal(cfg) // plain data
	in.server = sha256.Sum256(text)
	id, secret := url.QueryEscape(cfg.ClientID), url.QueryEscape(cfg.ClientSecret)
	if cfg.Post {
		in.credentials = []byte("&client_id=" + id + "&client_secret=" + secret)
	} else { // RFC 6749 §2.3.1: both are encoded before they are joined
		in.authorization = []byte("Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret)))
	}
	in.ask = []byte(in.sources.scheme("Bearer") + ` realm="` + p.Realm + `"`)
	in.askAgain = append(in.ask[:len(in.ask):len(in.ask)], `, error="invalid_token"`...) // RFC 6750 §3.1
	return in
}

func (in *introspection) authenticate(x *filter.Exchange) result {
	text, found := in.sources.find(x)
	switch {
	case found == nowhere:
		return absent
	case found == ambiguous:
		return refuse(x, filter.FaultAmbiguous)
	case len(text) == 0 || len(text) > jwt.MaxToken:
		return refuse(x, filter.FaultMalformed)
	case in.Cluster == "" || in.Problem != "":
		return without(x, filter.FaultNoAnswer)
	}
	digest := in.digest(text)
	answer, known := in.answers.Get(&digest, x.Start)
	in.counts.Recalled(known)
	if !known {
		var asked bool
		answer, asked = in.answers.Ask(&digest, x.Start, x.Detach, func() token.Answer { return in.introspect(x, text, digest) })
		if !asked {
			return overloaded(x)
		}
	}
	switch {
	case errors.Is(answer.Err, callout.ErrImagined):
		return accepted
	case answer.Err != nil:
		return without(x, filter.FaultNoAnswer)
	case answer.Token == nil:
		return refuse(x, filter.FaultInactive)
	}
	return in.judge(x, answer.Token)
}

// digest is what an answer about the token is remembered by.
func (in *introspection) digest(text []byte) token.Digest {
	h := sha256.New()
	h.Write(in.server[:])
	h.Write(text)
	return token.Digest(h.Sum(nil))
}

// judge is for tokens that are active.
func (in *introspection) judge(x *filter.Exchange, v *token.Verified) result {
	if in.Issuer != "" && v.Claims.Issuer != in.Issuer {
		return refuse(x, filter.FaultIssuer)
	}
	if f := in.issuer.fault(v, x.Start); f != filter.FaultNone {
		return refuse(x, f)
	}
	if in.Consumer != nil {
		c := named(in.policy, in.consumers, v.Claims, in.Consumer)
		if c == nil && in.ConsumerRequired {
			return refuse(x, filter.FaultConsumer)
		}
		x.Caller.Consumer = c
	}
	x.Caller.Claims = v.Claims
	return accepted
}

var (
	post = []byte("POST")
	form = []byte("application/x-www-form-urlencoded")
	asJS = []byte("application/json")
)

// introspect asks the server (RFC 7662 §2.1). Others may wait for the answer, so
// that it does not end with the client who is the first to ask.
func (in *introspection) introspect(x *filter.Exchange, text []byte, digest token.Digest) token.Answer {
	body := append([]byte("token="), url.QueryEscape(string(text))...)
	body = append(append(body, "&token_type_hint="...), url.QueryEscape(in.Hint)...)
	q := callout.Call{Purpose: callout.Introspection, Cluster: in.Cluster, Timeout: in.Timeout, MaxAnswer: maxAnswer, Shared: true, Body: append(body, in.credentials...)}
	r := &q.Request
	r.Method, r.MethodID, r.Path = post, httpmsg.MethodPost, []byte(in.Path)
	r.Header.AddID(httpmsg.NameContentType, form)
	r.Header.AddID(httpmsg.NameAccept, asJS)
	if in.authorization != nil {
		r.Header.AddID(httpmsg.NameAuthorization, in.authorization)
	}
	if err := x.Call(&q); err != nil {
		return token.Answer{Err: err}
	}
	return in.read(&q, digest, x.Start)
}

var (
	errAnswerStatus = errors.New("the server does not answer with 200")
	errNotActive    = errors.New("the answer does not say whether the token is active")
)

// read is RFC 7662 §2.2. Only 200 is an answer: §2.3 has 401 say that the server does
// not know who asks.
func (in *introspection) read(q *callout.Call, digest token.Digest, now time.Time) token.Answer {
	if q.Response.Status != 200 {
		return token.Answer{Err: errAnswerStatus}
	}
	values, err := jwt.ParseObject(q.Answer)
	if err != nil {
		return token.Answer{Err: err}
	}
	active, ok := values["active"].(bool)
	switch {
	case !ok:
		return token.Answer{Err: errNotActive}
	case !active:
		return token.Answer{Until: now.Add(in.NegativeTTL)}
	}
	delete(values, "active")
	v := &token.Verified{Digest: digest, Claims: filter.NewClaims(values), Size: len(q.Answer), Expires: now.Add(in.TTL)}
	if end, ok := timeOf(v.Claims, expires); ok && end < maxTime {
		if at := time.Unix(int64(end), 0); at.Before(v.Expires) {
			v.Expires = at
		}
	}
	return token.Answer{Token: v, Until: v.Expires}
}

func (in *introspection) strip(x *filter.Exchange) {
	if !in.Forward {
		in.sources.strip(x)
	}
}

func (in *introspection) challenge(r result) []byte {
	if r == refused {
		return in.askAgain
	}
	return in.ask
}
