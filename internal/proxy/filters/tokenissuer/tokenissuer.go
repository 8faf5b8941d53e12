// Package tokenissuer serves a TokenIssuer: it answers requests for access tokens by
// client credentials (RFC 6749 §4.4), for the keys that these are verified with, and
// for the issuer's metadata (RFC 8414). Its values are shared by all exchanges; it owns
// no goroutines. The list in package filters imports it.
package tokenissuer

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"github.com/gridway/gridway/internal/proxy/consumer"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/issuing"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// Consumers finds clients.
type Consumers interface {
	ClientSecret(id string, secret []byte, namespace string, every bool) *consumer.Entry
}

// Deps is what the filter needs beside the issuer's name.
type Deps struct {
	// Issuers finds issuers of the configuration by their names.
	Issuers   func(name string) *issuing.Handle
	Consumers Consumers
}

// Filter answers all requests of a rule.
type Filter struct {
	name      string
	issuer    *issuing.Handle
	consumers Consumers
}

// New makes the filter of the issuer "namespace/name".
func New(name string, d Deps) *Filter {
	f := &Filter{name: name, consumers: d.Consumers}
	if d.Issuers != nil {
		f.issuer = d.Issuers(name)
	}
	return f
}

// keysAge is how long others may keep what is published of keys.
const keysAge = "public, max-age=300"

// OnRequest answers.
func (f *Filter) OnRequest(x *filter.Exchange) filter.Verdict {
	is := f.issuer.Current()
	if is == nil {
		return x.Refuse(503, filter.IdentityUnavailable, "there is no such issuer of tokens now", f.name, "")
	}
	paths := is.Config.Paths()
	switch string(x.Req.Path) {
	case paths[0]:
		return f.token(x, is)
	case paths[1]:
		return f.publish(x, "application/jwk-set+json", is.Keys, is.KeysTag)
	case paths[2]:
		return f.publish(x, jsonType, is.About, is.AboutTag)
	}
	return x.Refuse(404, filter.RouteNotFound, "the issuer of tokens has nothing at this path", f.name, "")
}

// publish answers with what everybody may read.
func (f *Filter) publish(x *filter.Exchange, contentType string, body, tag []byte) filter.Verdict {
	if x.Req.MethodID != httpmsg.MethodGet && x.Req.MethodID != httpmsg.MethodHead {
		return f.wrongMethod(x, "GET, HEAD")
	}
	h := &x.Resp.Header
	h.AddID(httpmsg.NameCacheControl, []byte(keysAge))
	h.AddID(httpmsg.NameETag, tag)
	if known := x.Req.Header.Get(httpmsg.NameIfNoneMatch); len(known) > 0 && bytes.Contains(known, tag) {
		return x.Answer(304, "", nil)
	}
	return x.Answer(200, contentType, body)
}

func (f *Filter) wrongMethod(x *filter.Exchange, allow string) filter.Verdict {
	x.Resp.Header.AddID(httpmsg.NameAllow, []byte(allow))
	return x.Refuse(405, filter.BadRequest, "this path takes "+allow+" only", f.name, "")
}

const (
	jsonType = "application/json"
	formType = "application/x-www-form-urlencoded"
)

// refusal is why there is no token.
type refusal struct {
	outcome     issuing.Outcome
	description string // RFC 6749 §5.2: ASCII without quotation marks and backslashes
	retry       time.Duration
}

// token answers a request for a token.
func (f *Filter) token(x *filter.Exchange, is *issuing.Issuer) filter.Verdict {
	if x.Req.MethodID != httpmsg.MethodPost {
		return f.wrongMethod(x, "POST")
	}
	if x.HoldRequest == nil { // an imagined request, which has no body
		return x.Answer(200, jsonType, nil)
	}
	body, ok, why := f.body(x)
	if !ok {
		return filter.Reply // the client has gone, or was too slow
	}
	var g *issuing.Grant
	if why == nil {
		g, why = f.grant(x, is, body)
	}
	if why != nil {
		return f.refuse(x, is, why)
	}
	signed, err := is.Issue(g, x.Start, x.Detach)
	if err != nil {
		return f.refuse(x, is, &refusal{outcome: issuing.Unavailable, description: "no token can be made now; try again later", retry: time.Second})
	}
	is.Count(issuing.Issued)
	answer, _ := json.Marshal(struct { // plain data
		Token   string `json:"access_token"`
		Type    string `json:"token_type"`
		Expires int64  `json:"expires_in"`
		Scope   string `json:"scope,omitempty"`
	}{string(signed), "Bearer", int64(is.Config.Lifetime / time.Second), g.Scope})
	f.unstored(x)
	return x.Answer(200, jsonType, answer)
}

// unstored keeps an answer out of caches (RFC 6749 §5.1).
func (f *Filter) unstored(x *filter.Exchange) {
	x.Resp.Header.AddID(httpmsg.NameCacheControl, []byte("no-store"))
	x.Resp.Header.AddID(httpmsg.NamePragma, []byte("no-cache"))
}

// body reads the form. It is not ok if the exchange cannot go on, which has its reply
// where there is one.
func (f *Filter) body(x *filter.Exchange) (body []byte, ok bool, why *refusal) {
	invalid := func(description string) ([]byte, bool, *refusal) {
		return nil, true, &refusal{outcome: issuing.InvalidRequest, description: description}
	}
	media, _, _ := bytes.Cut(x.Req.Header.Get(httpmsg.NameContentType), []byte(";"))
	switch {
	case x.Req.HasQuery:
		return invalid("parameters belong into the body, and the URL has a query")
	case x.Req.Header.Count(httpmsg.NameContentType) != 1 || !httpmsg.EqualFold(bytes.TrimSpace(media), formType):
		return invalid("the body must be a form: " + formType)
	case x.Req.Header.Has(httpmsg.NameContentEncoding):
		return invalid("the body must have no content coding")
	case x.Req.Length > maxForm:
		return invalid(tooLong)
	}
	body, whole, ok := x.HoldRequest(maxForm)
	if ok && !whole {
		return invalid(tooLong)
	}
	return body, ok, nil
}

const tooLong = "the body has more than 16384 bytes"

func (f *Filter) refuse(x *filter.Exchange, is *issuing.Issuer, why *refusal) filter.Verdict {
	is.Count(why.outcome)
	f.unstored(x)
	status, reason, code := 400, filter.BadRequest, why.outcome.String()
	switch why.outcome {
	case issuing.InvalidClient:
		status, reason = 401, filter.InvalidCredential
		x.Resp.Header.AddID(httpmsg.NameWWWAuthenticate, []byte(`Basic realm="`+is.Config.Name+`", charset="UTF-8"`))
	case issuing.TooMany:
		status, reason, code = 429, filter.RateLimited, "temporarily_unavailable"
	case issuing.Unavailable:
		status, reason, code = 503, filter.IdentityUnavailable, "temporarily_unavailable"
	}
	if why.description == tooLong {
		status, reason = 413, filter.BodyTooLarge
	}
	if why.retry > 0 {
		seconds := int64((why.retry + time.Second - 1) / time.Second)
		x.Resp.Header.AddID(httpmsg.NameRetryAfter, strconv.AppendInt(nil, seconds, 10))
	}
	x.Refuse(status, reason, why.description, f.name, "")
	x.Local.ContentType = jsonType
	x.Local.Body, _ = json.Marshal(struct { // plain data
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}{code, why.description})
	return filter.Reply
}
