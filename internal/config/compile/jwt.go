package compile

import (
	"fmt"
	"strings"
	"time"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/jwt"
)

const (
	defaultClockSkew   = time.Minute
	maxClockSkew       = 10 * time.Minute
	defaultKeyRefresh  = 10 * time.Minute
	leastKeyRefresh    = 10 * time.Second
	mostKeyRefresh     = 24 * time.Hour
	openidConfig       = "/.well-known/openid-configuration"
	expirationOptional = "Optional"
)

// defaultTypes are tokens of RFC 7519 and access tokens of RFC 9068. Others have a
// type of their own so that nobody takes them for these (RFC 8725 §3.11).
var defaultTypes = []string{"", "jwt", "at+jwt"}

// jwtJudge finds what is wrong with a method of tokens.
type jwtJudge struct {
	at  string
	add func(field, message, remedy string)
}

func (j *jwtJudge) say(field, message, remedy string) { j.add(j.at+field, message, remedy) }

func judgeJWT(m *v1alpha1.JWTAuthentication, field string, add func(field, message, remedy string)) {
	if len(m.Issuers) == 0 {
		add(field+".issuers", "at least one issuer is needed", "")
	}
	names := map[string]bool{}
	for i := range m.Issuers {
		is := &m.Issuers[i]
		j := &jwtJudge{fmt.Sprintf("%s.issuers[%d]", field, i), add}
		if is.TokenIssuerRef != nil {
			j.local(is, names)
			continue
		}
		if is.Issuer == "" || is.Keys == nil {
			j.say("", "either issuer and keys, or tokenIssuerRef must be given", "")
			continue
		}
		if names[is.Issuer] {
			j.say(".issuer", fmt.Sprintf("%q is another issuer of this method", is.Issuer), "merge the two, or write another method")
		}
		names[is.Issuer] = true
		j.issuer(is)
	}
}

// local judges an issuer that is a TokenIssuer.
func (j *jwtJudge) local(is *v1alpha1.JWTIssuer, names map[string]bool) {
	if name := "TokenIssuer " + string(is.TokenIssuerRef.Name); names[name] {
		j.say(".tokenIssuerRef", name+" is another issuer of this method", "merge the two, or write another method")
	} else {
		names[name] = true
	}
	if is.Issuer != "" || is.Keys != nil || is.Consumer != nil || len(is.Types) > 0 || len(is.Algorithms) > 0 || is.Expiration != nil {
		j.say("", "issuer, keys, consumer, types, algorithms and expiration do not go with tokenIssuerRef", "leave them out: the TokenIssuer says it")
	}
	if d := duration(is.ClockSkew, defaultClockSkew); d > maxClockSkew {
		j.say(".clockSkew", fmt.Sprintf("%s is more than %s", d, maxClockSkew), "set the clocks right")
	}
	for i, r := range is.RequiredClaims {
		j.claim(fmt.Sprintf(".requiredClaims[%d].claim", i), r.Claim)
	}
}

func (j *jwtJudge) issuer(is *v1alpha1.JWTIssuer) {
	if d := duration(is.ClockSkew, defaultClockSkew); d > maxClockSkew {
		j.say(".clockSkew", fmt.Sprintf("%s is more than %s", d, maxClockSkew), "set the clocks right")
	}
	for i, name := range is.Algorithms {
		if _, err := jwt.ParseAlgorithm(string(name)); err != nil {
			remedy := ""
			if strings.HasPrefix(string(name), "HS") {
				remedy = "who can verify such a token can also make one: have the issuer sign with a private key"
			}
			j.say(fmt.Sprintf(".algorithms[%d]", i), err.Error(), remedy)
		}
	}
	for i, r := range is.RequiredClaims {
		j.claim(fmt.Sprintf(".requiredClaims[%d].claim", i), r.Claim)
	}
	if is.Consumer != nil {
		j.claim(".consumer.claim", is.Consumer.Claim)
	}
	j.keys(is)
}

func (j *jwtJudge) claim(field, text string) {
	if _, err := ir.ParseClaim(text); err != nil {
		j.say(field, err.Error(), "")
	}
}

func (j *jwtJudge) keys(is *v1alpha1.JWTIssuer) {
	k := is.Keys
	given := 0
	for _, has := range []bool{k.Inline != nil, k.Ref != nil, k.URL != nil, k.Discovery != nil} {
		if has {
			given++
		}
	}
	if given != 1 {
		j.say(".keys", "exactly one of inline, ref, url and discovery must be given", "for example: discovery: {}")
		return
	}
	if k.URL == nil && k.Discovery == nil {
		if len(k.CACertificateRefs) > 0 || k.AllowHTTP != nil || k.Refresh != nil {
			j.say(".keys", "caCertificateRefs, allowHTTP and refresh go with url and discovery only", "")
		}
		if k.Inline != nil {
			_, skipped, err := jwt.ParseSet([]byte(*k.Inline))
			if err != nil {
				j.say(".keys.inline", err.Error(), "")
			}
			for _, s := range skipped {
				if err == nil && s.Private {
					j.say(".keys.inline", s.String(), "leave its private members out, and make a new key: this one is known now")
				}
			}
		}
		return
	}
	address, field := keyURL(is)
	if _, err := ir.ParseFetchURL(address, deref(k.AllowHTTP, false)); err != nil {
		remedy := ""
		if _, err := ir.ParseFetchURL(address, true); err == nil {
			remedy = "allowHTTP: true accepts that"
		}
		// The URL itself may hold a secret.
		j.say(field, "the URL of keys cannot be used: "+err.Error(), remedy)
	}
	if d := duration(k.Refresh, defaultKeyRefresh); d < leastKeyRefresh || d > mostKeyRefresh {
		j.say(".keys.refresh", fmt.Sprintf("%s is not between %s and %s", d, leastKeyRefresh, mostKeyRefresh), "")
	}
}

// keyURL is where keys or what leads to them are fetched, and the field that says so.
func keyURL(is *v1alpha1.JWTIssuer) (address, field string) {
	switch k := is.Keys; {
	case k.URL != nil:
		return *k.URL, ".keys.url"
	case k.Discovery.URL != nil:
		return *k.Discovery.URL, ".keys.discovery.url"
	}
	// OpenID Connect Discovery 1.0 §4.1: a slash at the issuer's end goes.
	return strings.TrimSuffix(is.Issuer, "/") + openidConfig, ".issuer"
}

// jwtOf compiles a method. Its keys are compiled apart, see keySets.
func (c *compiler) jwtOf(m *v1alpha1.JWTAuthentication, namespace string, name func(issuer int) string) *ir.JWTAuth {
	out := &ir.JWTAuth{From: sources(m.From), Forward: deref(m.Forward, false)}
	if len(out.From) == 0 {
		out.From = []ir.CredentialSource{{Header: "Authorization", Prefix: "Bearer "}}
	}
	for i := range m.Issuers {
		is := &m.Issuers[i]
		one := ir.JWTIssuer{
			Issuer: is.Issuer, KeySet: name(i), Audiences: is.Audiences, Types: defaultTypes,
			ClockSkew: duration(is.ClockSkew, defaultClockSkew), Unlimited: deref(is.Expiration, "") == expirationOptional,
		}
		if is.TokenIssuerRef != nil {
			one.Issuer, one.Types, one.Client = "TokenIssuer "+string(is.TokenIssuerRef.Name), []string{accessTokenType}, true
			if x := c.tokenIssuerOf(namespace, is.TokenIssuerRef); x != nil { // no token names the issuer otherwise
				one.Issuer, one.Algorithms = x.ir.Issuer, []string{x.ir.Algorithm}
				if len(one.Audiences) == 0 {
					one.Audiences = x.ir.Audiences
				}
			}
		}
		for _, a := range is.Algorithms {
			one.Algorithms = append(one.Algorithms, string(a))
		}
		if len(is.Types) > 0 {
			one.Types = nil
			for _, t := range is.Types {
				one.Types = append(one.Types, jwt.MediaType(t))
			}
		}
		for _, r := range is.RequiredClaims {
			path, _ := ir.ParseClaim(r.Claim) // it was judged
			one.Required = append(one.Required, ir.JWTRequired{Claim: path, Values: r.Values})
		}
		if to := is.Consumer; to != nil {
			one.Consumer, _ = ir.ParseClaim(to.Claim)
			one.ConsumerRequired = deref(to.Required, false)
		}
		out.Issuers = append(out.Issuers, one)
	}
	return out
}
