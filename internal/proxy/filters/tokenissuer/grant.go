package tokenissuer

import (
	"bytes"
	"slices"
	"strings"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/consumer"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/issuing"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

// Method is what the access log has as the method of authentication of requests that
// got a token.
const Method = "clientSecret"

// grant finds out what the client gets.
func (f *Filter) grant(x *filter.Exchange, is *issuing.Issuer, body []byte) (*issuing.Grant, *refusal) {
	q, err := parseForm(body)
	if err != nil {
		return nil, &refusal{outcome: issuing.InvalidRequest, description: err.Error()}
	}
	switch q.grant {
	case "client_credentials":
	case "":
		return nil, &refusal{outcome: issuing.InvalidRequest, description: "the form has no grant_type"}
	default:
		return nil, &refusal{outcome: issuing.UnsupportedGrant, description: "the only grant_type is client_credentials"}
	}
	entry, why := f.client(x, is, q)
	if why != nil {
		return nil, why
	}
	g := &issuing.Grant{Consumer: entry.Consumer, ClientID: entry.Credential.ClientID}
	if g.Scope, why = scopeOf(q.scope, entry.Credential, is.Config); why != nil {
		return nil, why
	}
	g.Audiences, why = audiencesOf(q.audiences, entry.Credential, is.Config)
	return g, why
}

var basicScheme = []byte("basic")

// client finds out who asks (RFC 6749 §2.3.1). A client proves itself in one way.
func (f *Filter) client(x *filter.Exchange, is *issuing.Issuer, q *form) (*consumer.Entry, *refusal) {
	invalid := func(description string) (*consumer.Entry, *refusal) {
		return nil, &refusal{outcome: issuing.InvalidRequest, description: description}
	}
	id, secret := q.client, q.secret
	good := q.hasClient && q.hasSecret
	switch fields := x.Req.Header.Count(httpmsg.NameAuthorization); {
	case q.assertion:
		return nil, f.unknown(x, is, id, "assertions are not accepted; use client_secret_basic or client_secret_post")
	case fields > 1:
		return invalid("there is more than one Authorization header")
	case fields == 1 && q.hasSecret:
		return invalid("the client proves itself in two ways; use the Authorization header or client_secret, not both")
	case fields == 1:
		scheme, encoded, _ := bytes.Cut(bytes.TrimSpace(x.Req.Header.Get(httpmsg.NameAuthorization)), []byte(" "))
		if !bytes.EqualFold(scheme, basicScheme) {
			return nil, f.unknown(x, is, "", "the Authorization header must be of the scheme Basic")
		}
		if id, secret, good = parseBasic(bytes.TrimSpace(encoded)); !good {
			return nil, f.unknown(x, is, "", "the credentials of Basic must be base64 of CLIENT_ID:SECRET, both percent-encoded")
		}
		if q.hasClient && q.client != id {
			return invalid("client_id is another one than that of the Authorization header")
		}
	case !good:
		return nil, &refusal{outcome: issuing.InvalidClient, description: "the client must prove itself, by client_secret_basic or client_secret_post"}
	}
	if wait := is.Wait(id, x.Client, x.Start); wait > 0 {
		return nil, &refusal{outcome: issuing.TooMany, description: "too many requests of this client, or from its address, had wrong secrets; try again later", retry: wait}
	}
	e := f.consumers.ClientSecret(id, []byte(secret), is.Config.Namespace, is.Config.EveryNamespace)
	if e == nil || !e.Credential.Valid(x.Start) {
		return nil, f.unknown(x, is, id, "client ID or secret are not accepted")
	}
	e.Used(x.Start)
	x.Caller.Method, x.Caller.Consumer, x.Caller.Credential = Method, e.Consumer, e.Credential.Name
	return e, nil
}

// unknown counts a failure. Whoever fails too often is told to wait, whatever he has.
func (f *Filter) unknown(x *filter.Exchange, is *issuing.Issuer, id, description string) *refusal {
	if wait := is.Wait(id, x.Client, x.Start); wait > 0 {
		return &refusal{outcome: issuing.TooMany, description: "too many requests from this address failed; try again later", retry: wait}
	}
	is.Failed(id, x.Client, x.Start)
	return &refusal{outcome: issuing.InvalidClient, description: description}
}

// scopeOf is what the client asks for as far as its credential allows it, or what it
// gets without asking. A scope that nobody has is an error, and so is nothing in the
// place of something (RFC 6749 §3.3).
func scopeOf(asked string, c *ir.ConsumerCredential, is *ir.TokenIssuer) (string, *refusal) {
	var out []string
	if asked == "" {
		for _, s := range c.DefaultScopes {
			if slices.Contains(is.Scopes, s) {
				out = append(out, s)
			}
		}
		return strings.Join(out, " "), nil
	}
	for one := range strings.SplitSeq(asked, " ") {
		if one == "" || slices.Contains(out, one) {
			continue
		}
		if !slices.Contains(is.Scopes, one) {
			return "", &refusal{outcome: issuing.InvalidScope, description: "there is no such scope"}
		}
		if slices.Contains(c.Scopes, one) {
			out = append(out, one)
		}
	}
	if len(out) == 0 {
		return "", &refusal{outcome: issuing.InvalidScope, description: "the client may have none of these scopes"}
	}
	return strings.Join(out, " "), nil
}

// audiencesOf are those that are asked for (RFC 8707 §2), or the first that the client
// may have. One that it may not have is an error like one that nobody has.
func audiencesOf(asked []string, c *ir.ConsumerCredential, is *ir.TokenIssuer) ([]string, *refusal) {
	may := func(one string) bool {
		return slices.Contains(is.Audiences, one) && (len(c.Audiences) == 0 || slices.Contains(c.Audiences, one))
	}
	if len(asked) == 0 {
		if i := slices.IndexFunc(is.Audiences, may); i >= 0 {
			return is.Audiences[i : i+1], nil
		}
		return nil, &refusal{outcome: issuing.InvalidTarget, description: "the client may have tokens for none of the audiences"}
	}
	var out []string
	for _, one := range asked {
		if !may(one) {
			return nil, &refusal{outcome: issuing.InvalidTarget, description: "there is no such resource or audience for this client"}
		}
		if !slices.Contains(out, one) {
			out = append(out, one)
		}
	}
	return out, nil
}
