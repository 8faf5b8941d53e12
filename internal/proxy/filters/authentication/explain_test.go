package authentication_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/password"
	"github.com/gridway/gridway/internal/proxy/consumer"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/filters/authentication"
)

// explained is "OUTCOME FAULT: detail" of the first method.
func explained(a *authentication.Authentication, x *filter.Exchange) string {
	x.Detach = func() {}
	f := a.Explain(x)[0]
	return fmt.Sprintf("%s %s: %s", f.Outcome, f.Fault, f.Detail)
}

func TestExplainAPIKey(t *testing.T) {
	for _, c := range []struct{ key, want string }{
		{key, "accepted : "},
		{"", "refused malformed: it is no key: keys have 16 to 1024 bytes"},
		{"x" + key, "refused unknown: no Consumer of namespace default has such a key"},
		{other, "refused unknown: no Consumer of namespace default has such a key; Consumer other/bob has it, and consumers.from of the policy leaves other namespaces out"},
		{late, "refused expired: credential late of Consumer default/acme was accepted until 2026-11-21T11:59:59Z, 1s before the request"},
		{early, "refused not_yet_valid: credential early of Consumer default/acme is accepted from 2026-11-21T12:00:01Z, 1s after the request on"},
	} {
		a := authentication.New(policy(), authentication.Deps{Consumers: directory(), Decisions: counts{}})
		if got := explained(a, request("", "X-API-Key", c.key)); got != c.want {
			t.Errorf("%s: %s", c.key, got)
		}
	}
	a := authentication.New(policy(), authentication.Deps{Consumers: directory(), Decisions: counts{}})
	if got := explained(a, request("")); got != "absent : looked for in header X-API-Key" {
		t.Error(got)
	}
	if got := explained(a, request("", "X-API-Key", key, "X-API-Key", key)); !strings.HasPrefix(got, "refused ambiguous: one place holds several") {
		t.Error(got)
	}
}

func TestExplainJWT(t *testing.T) {
	one, two, same := newSigner(t, "1"), newSigner(t, "2"), newSigner(t, "1")
	sets := map[string]*keySet{"one": {now: one.keys}, "two": {now: two.keys}}
	now := start.Unix()
	for _, c := range []struct {
		change func(*ir.JWTIssuer)
		token  string
		want   string
	}{
		{nil, one.token(good(nil), ""), "accepted : "},
		{nil, "opaque", "refused malformed: it is not three parts in base64url with dots between"},
		{nil, "a.b.c.d.e", "refused malformed: it is encrypted, and only signed tokens are accepted"},
		{nil, noneToken(), "refused malformed: \"none\" is not one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA"},
		{nil, one.token(good(claims{"iss": "https://evil.example"}), ""), `refused issuer: it is of "https://evil.example"; accepted are tokens of "https://idp.example", "other"`},
		{nil, one.token(good(claims{"iss": nil}), ""), `refused issuer: it has no "iss"; accepted are tokens of "https://idp.example", "other"`},
		{nil, one.token(good(nil), "logout+jwt"), `refused type: its "typ" is "logout+jwt"; accepted are "jwt", "at+jwt", or none`},
		{func(is *ir.JWTIssuer) { is.Types = []string{"at+jwt"} }, one.token(good(nil), ""), `refused type: it has no "typ"; accepted are "at+jwt"`},
		{nil, one.token(good(claims{"aud": "bank"}), ""), `refused audience: it is for "bank"; accepted are "shop", "store"`},
		{nil, one.token(good(claims{"aud": nil}), ""), `refused audience: it is for nobody: it has no claim "aud"; accepted are "shop", "store"`},
		{nil, one.token(good(claims{"exp": now - 3600}), ""), "refused expired: it has expired at 2026-11-21T11:00:00Z, 1h0m0s before the request"},
		{nil, one.token(good(claims{"exp": nil}), ""), `refused claims: it has no claim "exp", and tokens without an end are not accepted`},
		{nil, one.token(good(claims{"exp": "soon"}), ""), `refused claims: its claim "exp" is not a time`},
		{nil, one.token(good(claims{"nbf": now + 90}), ""), `refused not_yet_valid: its "nbf" is 2026-11-21T12:01:30Z, 1m30s after the request`},
		{nil, one.token(good(claims{"iat": now + 120}), ""), `refused not_yet_valid: its "iat" is 2026-11-21T12:02:00Z, 2m0s after the request`},
		{require("scope", "admin"), one.token(good(nil), ""), `refused claims: its claim "scope" has none of "admin"`},
		{require("azp"), one.token(good(nil), ""), `refused claims: it has no claim "azp"`},
		{nil, two.token(good(nil), ""), `refused unknown_kid: its "kid" is "2"; the issuer has "1"`},
		{nil, same.token(good(nil), ""), `refused bad_signature: key "1" has not signed it: it was changed, or another key of the same name has`},
		{func(is *ir.JWTIssuer) { is.Algorithms = []string{"RS256", "PS256"} }, one.token(good(nil), ""), "refused algorithm: it is signed by ES256; accepted are RS256, PS256"},
		{func(is *ir.JWTIssuer) { is.KeySet = "three" }, one.token(good(nil), ""), `undecided no_keys: the keys of issuer "https://idp.example" are not here: a running gateway fetches them, and gridway status says whether it could`},
		{func(is *ir.JWTIssuer) { is.Consumer, is.ConsumerRequired = []string{"sub"}, true }, one.token(good(nil), ""), `refused no_consumer: its claim "sub" is "ada", and no Consumer of namespace default has that name`},
		{func(is *ir.JWTIssuer) { is.Consumer, is.ConsumerRequired = []string{"azp"}, true }, one.token(good(nil), ""), `refused no_consumer: it has no claim "azp", which is to name a Consumer`},
	} {
		a := authentication.New(jwtPolicy(c.change), authentication.Deps{Consumers: directory(), Decisions: counts{}, Tokens: tokens(sets)})
		if got := explained(a, bearerRequest(c.token)); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

func noneToken() string {
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + ".e30.AA"
}

func TestExplainSignature(t *testing.T) {
	params := fmt.Sprintf(`%s;created=%d;keyid="%%s"`, allOf, start.Unix())
	small := func(h *ir.HMACAuth) { h.Required = []string{"@method"} }
	wrong := func([]byte) []byte { return make([]byte, 32) }
	for _, c := range []struct {
		keyid string
		by    func([]byte) []byte
		want  string
	}{
		{"acme", mac, "accepted : "},
		{"acme", wrong, "refused bad_signature: the signature is not that of the key, or of another algorithm than the key's"},
		{"nobody", mac, `refused unknown: keyid "nobody": no Consumer of namespace default has such a key for signatures`},
		{"late", mac, `refused expired: keyid "late": credential late of Consumer default/acme was accepted until 2026-11-21T11:59:59Z, 1s before the request`},
	} {
		a := authentication.New(signing(small), authentication.Deps{Consumers: signers(), Decisions: counts{}, Tokens: authentication.Tokens{Imagined: true}})
		for range 2 { // an imagined signature is not used up
			x := sign(t, signable("/orders", 0), "s", fmt.Sprintf(params, c.keyid), c.by)
			if got := explained(a, x); got != c.want {
				t.Errorf("%s: %s", c.keyid, got)
			}
		}
	}
	a := authentication.New(signing(nil), authentication.Deps{Consumers: signers(), Decisions: counts{}})
	for _, c := range []struct{ params, want string }{
		{fmt.Sprintf(`%s;created=%d;keyid="acme"`, allOf, start.Add(-time.Hour).Unix()), "refused expired: the signature is too old"},
		{fmt.Sprintf(`%s;created=%d;keyid="acme"`, allOf, start.Add(time.Hour).Unix()), "refused not_yet_valid: the signature was created in the future; look at the clock"},
		{fmt.Sprintf(`("@method");created=%d;keyid="acme"`, start.Unix()), "refused coverage: the signature must cover @authority"},
		{allOf + `;keyid="acme"`, "refused malformed: the signature must have the parameter created"},
	} {
		if got := explained(a, sign(t, signable("/orders", 0), "s", c.params, mac)); got != c.want {
			t.Error(got)
		}
	}
}

func TestExplainCertificate(t *testing.T) {
	cert := clientCertificate(t)
	rules := func(allow ...ir.CertificateRule) *ir.ClientCertificateAuth {
		return &ir.ClientCertificateAuth{Allow: allow}
	}
	none := &filter.Exchange{Start: start}
	for _, c := range []struct {
		cfg  *ir.ClientCertificateAuth
		x    *filter.Exchange
		want string
	}{
		{rules(), by(cert, cert), "accepted : "},
		{rules(), none, "absent : the client has shown no certificate"},
		{rules(), by(cert), "refused unverified: the listener has not verified the certificate (AllowInsecureFallback)"},
		{rules(ir.CertificateRule{DNSNames: []string{"bob.example"}}), by(cert, cert), `refused not_allowed: the certificate of "CN=ada,OU=Pay,O=Shop" is not among the dnsNames that are allowed`},
		{
			rules(ir.CertificateRule{DNSNames: []string{"bob.example"}}, ir.CertificateRule{Emails: []string{"b@c"}}), by(cert, cert),
			`refused not_allowed: none of 2 rules allows the certificate of "CN=ada,OU=Pay,O=Shop"`,
		},
		{
			&ir.ClientCertificateAuth{Consumer: []string{"cn"}, ConsumerRequired: true}, by(cert, cert),
			`refused no_consumer: no Consumer of namespace default has the certificate of "CN=ada,OU=Pay,O=Shop" among its credentials, and its claim "cn" names none`,
		},
	} {
		a := authentication.New(certificatePolicy(c.cfg), authentication.Deps{Consumers: directory(), Decisions: counts{}})
		if got := explained(a, c.x); got != c.want {
			t.Error(got)
		}
	}
	late := by(cert, cert)
	late.Start = start.Add(2 * time.Hour)
	a := authentication.New(certificatePolicy(rules()), authentication.Deps{Consumers: directory(), Decisions: counts{}})
	if got := explained(a, late); got != "refused expired: the certificate was accepted until 2026-11-21T13:00:00Z, 1h0m0s before the request" {
		t.Error(got)
	}
}

type tally map[string]map[filter.Fault]int

func (n tally) of(method string) authentication.Counts {
	n[method] = map[filter.Fault]int{}
	return counter(n[method])
}

type counter map[filter.Fault]int

func (c counter) Faulted(fault int) { c[filter.Fault(fault)]++ }
func (c counter) Recalled(bool)     {}

// What is wrong is counted for each method that has looked at a credential, once the
// request is refused; what another method accepts is no fault.
func TestFaultsAreCounted(t *testing.T) {
	one := newSigner(t, "1")
	p := jwtPolicy(nil)
	p.AnyOf = append(p.AnyOf, ir.AuthenticationMethod{Name: "keys", APIKey: &ir.APIKeyAuth{From: []ir.CredentialSource{{Header: "X-API-Key"}}}})
	n := tally{}
	a := authentication.New(p, authentication.Deps{Consumers: directory(), Decisions: counts{}, Tokens: tokens(map[string]*keySet{"one": {now: one.keys}}), Counts: n.of})
	expired := one.token(good(claims{"exp": start.Unix() - 3600}), "")
	for _, headers := range [][]string{
		{"Authorization", "Bearer " + expired, "X-API-Key", late},
		{"Authorization", "Bearer " + expired},
		{"Authorization", "Bearer " + expired, "X-API-Key", key},
		nil,
	} {
		x := request("", headers...)
		x.Detach = func() {}
		a.OnRequest(x)
		if want := len(headers) / 2; x.Local.Status == 0 && len(x.Faults) != 0 || x.Local.Status != 0 && len(x.Faults) != want {
			t.Errorf("%v: %v", headers, x.Faults)
		}
	}
	if n["jwt"][filter.FaultExpired] != 2 || n["keys"][filter.FaultExpired] != 1 || len(n["jwt"]) != 1 || len(n["keys"]) != 1 {
		t.Error(n)
	}
}

func TestExplainBasic(t *testing.T) {
	a := authentication.New(&ir.Authentication{
		Policy: "default/users", Namespace: "default", Realm: "shop", AnyOf: []ir.AuthenticationMethod{{Name: "basic", Basic: &ir.BasicAuth{}}},
	}, authentication.Deps{Consumers: users(t), Decisions: counts{}, Passwords: password.New(1)})
	for _, c := range []struct{ header, want string }{
		{basicHeader("ada", "secret"), "accepted : "},
		{basicHeader("ada", "guess"), "refused wrong_password: the password is not that of credential password of Consumer default/ada"},
		{basicHeader("eve", "secret"), "refused unknown: no Consumer of namespace default has such a user name"},
		{"Basic !", "refused malformed: it is not a name and a password, with a colon between them, in base64 (RFC 7617)"},
		{"Bearer x", `absent : looked for in header Authorization after "Basic"`},
	} {
		if got := explained(a, request("", "Authorization", c.header)); got != c.want {
			t.Errorf("%s: %s", c.header, got)
		}
	}
}

func users(t *testing.T) *consumer.Directory {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	d := consumer.New()
	d.Apply([]*ir.Consumer{{Namespace: "default", Name: "ada", Credentials: []ir.ConsumerCredential{{Name: "password", Username: "ada", PasswordHash: string(hash)}}}})
	return d
}

func basicHeader(name, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+secret))
}
