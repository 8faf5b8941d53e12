package authentication_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/jwt"
	"github.com/gridway/gridway/internal/proxy/consumer"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/filters/authentication"
	"github.com/gridway/gridway/internal/proxy/token"
)

// signer has a private key, and keys are its public side.
type signer struct {
	t    testing.TB
	id   string
	key  *ecdsa.PrivateKey
	keys *jwt.Set
}

func newSigner(t testing.TB, id string) *signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: id}}})
	if err != nil {
		t.Fatal(err)
	}
	set, _, err := jwt.ParseSet(text)
	if err != nil {
		t.Fatal(err)
	}
	return &signer{t, id, key, set}
}

type claims = map[string]any

// good are claims that are accepted, with changes; nil takes one away.
func good(changes claims) claims {
	c := claims{"iss": "https://idp.example", "sub": "ada", "aud": "shop", "exp": start.Unix() + 300, "iat": start.Unix() - 10, "scope": "read write"}
	maps.Copy(c, changes)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

func (s *signer) token(c claims, typ string) string {
	s.t.Helper()
	o := (&jose.SignerOptions{}).WithHeader("kid", s.id)
	if typ != "" {
		o = o.WithHeader("typ", typ)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: s.key}, o)
	if err != nil {
		s.t.Fatal(err)
	}
	text, _ := json.Marshal(c)
	signed, err := signer.Sign(text)
	if err != nil {
		s.t.Fatal(err)
	}
	out, _ := signed.CompactSerialize()
	return out
}

// keySet has keys now, and newer ones once somebody asks.
type keySet struct {
	now, next *jwt.Set
	asked     atomic.Int32
}

func (k *keySet) Current() *jwt.Set { return k.now }

func (k *keySet) Renew(known *jwt.Set, wait func()) *jwt.Set {
	k.asked.Add(1)
	wait()
	if k.next != nil {
		k.now = k.next
	}
	return k.now
}

func tokens(sets map[string]*keySet) authentication.Tokens {
	return authentication.Tokens{
		Keys: func(name string) authentication.KeySet {
			if k := sets[name]; k != nil {
				return k
			}
			return nil
		},
		Verified: token.NewCache(), Gate: token.NewGate(1),
	}
}

func jwtPolicy(change func(*ir.JWTIssuer)) *ir.Authentication {
	is := ir.JWTIssuer{
		Issuer: "https://idp.example", KeySet: "one", Audiences: []string{"shop", "store"},
		Types: []string{"", "jwt", "at+jwt"}, ClockSkew: time.Minute,
	}
	if change != nil {
		change(&is)
	}
	return &ir.Authentication{
		Policy: "default/tokens", Namespace: "default", Realm: "shop",
		AnyOf: []ir.AuthenticationMethod{{Name: "jwt", JWT: &ir.JWTAuth{
			Issuers: []ir.JWTIssuer{is, {Issuer: "other", KeySet: "two", Types: []string{"special+jwt"}, Unlimited: true}},
			From:    []ir.CredentialSource{{Header: "Authorization", Prefix: "Bearer "}},
		}}},
	}
}

func bearerRequest(text string) *filter.Exchange {
	x := request("", "Authorization", "Bearer "+text)
	x.Detach = func() {}
	return x
}

const (
	noToken  = `401 Unauthenticated Bearer realm="shop"`
	badToken = `401 InvalidCredential Bearer realm="shop", error="invalid_token"`
)

func TestJWT(t *testing.T) {
	one, two := newSigner(t, "1"), newSigner(t, "2")
	sets := map[string]*keySet{"one": {now: one.keys}, "two": {now: two.keys}}
	now := start.Unix()
	for _, c := range []struct {
		name   string
		change func(*ir.JWTIssuer)
		token  string
		ok     bool
	}{
		{"a good one", nil, one.token(good(nil), ""), true},
		{"of type JWT", nil, one.token(good(nil), "JWT"), true},
		{"of type at+jwt", nil, one.token(good(nil), "application/at+JWT"), true},
		{"of another type", nil, one.token(good(nil), "logout+jwt"), false},
		{"of the type that is wanted", func(is *ir.JWTIssuer) { is.Types = []string{"at+jwt"} }, one.token(good(nil), "at+jwt"), true},
		{"of no type where one is wanted", func(is *ir.JWTIssuer) { is.Types = []string{"at+jwt"} }, one.token(good(nil), ""), false},
		{"nothing", nil, "", false},
		{"no token", nil, "opaque", false},

		{"of another's key", nil, two.token(good(nil), ""), false},
		{"of another's name", nil, one.token(good(claims{"iss": "other"}), "special+jwt"), false},
		{"the other's own", nil, two.token(claims{"iss": "other"}, "special+jwt"), true},
		{"of nobody", nil, one.token(good(claims{"iss": nil}), ""), false},
		{"of a name in other letters", nil, one.token(good(claims{"iss": "https://IDP.example"}), ""), false},
		{"of a name with a slash", nil, one.token(good(claims{"iss": "https://idp.example/"}), ""), false},
		{"of several", nil, one.token(good(claims{"iss": []string{"https://idp.example"}}), ""), false},

		{"for somebody else", nil, one.token(good(claims{"aud": "bank"}), ""), false},
		{"for several", nil, one.token(good(claims{"aud": []string{"bank", "store"}}), ""), true},
		{"for others", nil, one.token(good(claims{"aud": []string{"bank", "SHOP"}}), ""), false},
		{"for nobody", nil, one.token(good(claims{"aud": nil}), ""), false},
		{"for a list of nothing", nil, one.token(good(claims{"aud": []string{}}), ""), false},
		{"for a list with a number", nil, one.token(good(claims{"aud": []any{"shop", 7}}), ""), false},
		{"for an object", nil, one.token(good(claims{"aud": claims{"shop": 1}}), ""), false},
		{"for anybody", func(is *ir.JWTIssuer) { is.Audiences = nil }, one.token(good(claims{"aud": "bank"}), ""), true},

		{"expired", nil, one.token(good(claims{"exp": now - 60}), ""), false},
		{"expired within the skew", nil, one.token(good(claims{"exp": now - 59}), ""), true},
		{"expired, no skew", func(is *ir.JWTIssuer) { is.ClockSkew = 0 }, one.token(good(claims{"exp": now}), ""), false},
		{"not expired, no skew", func(is *ir.JWTIssuer) { is.ClockSkew = 0 }, one.token(good(claims{"exp": float64(now) + 0.5}), ""), true},
		{"without end", nil, one.token(good(claims{"exp": nil}), ""), false},
		{"without end, allowed", func(is *ir.JWTIssuer) { is.Unlimited = true }, one.token(good(claims{"exp": nil}), ""), true},
		{"expired, although it need not", func(is *ir.JWTIssuer) { is.Unlimited = true }, one.token(good(claims{"exp": now - 100}), ""), false},
		{"end a text", nil, one.token(good(claims{"exp": fmt.Sprint(now + 300)}), ""), false},
		{"end in no time", nil, one.token(good(claims{"exp": json.RawMessage("1e400")}), ""), false},
		{"end in milliseconds", nil, one.token(good(claims{"exp": (now + 300) * 1000}), ""), false},
		{"end before time", nil, one.token(good(claims{"exp": -1}), ""), false},
		{"end null", nil, one.token(good(claims{"exp": json.RawMessage("null")}), ""), false},
		{"end null, although it need not", func(is *ir.JWTIssuer) { is.Unlimited = true }, one.token(good(claims{"exp": json.RawMessage("null")}), ""), false},
		{"not yet", nil, one.token(good(claims{"nbf": now + 61}), ""), false},
		{"not yet, within the skew", nil, one.token(good(claims{"nbf": now + 60}), ""), true},
		{"begin a text", nil, one.token(good(claims{"nbf": "0"}), ""), false},
		{"from the future", nil, one.token(good(claims{"iat": now + 61}), ""), false},
		{"made in no time", nil, one.token(good(claims{"iat": true}), ""), false},

		{"an algorithm that is not allowed", func(is *ir.JWTIssuer) { is.Algorithms = []string{"RS256", "ES384"} }, one.token(good(nil), ""), false},
		{"one that is", func(is *ir.JWTIssuer) { is.Algorithms = []string{"ES256"} }, one.token(good(nil), ""), true},
		{"a claim that is needed", require("sub", "ada", "bob"), one.token(good(nil), ""), true},
		{"another value", require("sub", "bob"), one.token(good(nil), ""), false},
		{"a claim that is not there", require("azp"), one.token(good(nil), ""), false},
		{"a claim that is null", require("azp"), one.token(good(claims{"azp": json.RawMessage("null")}), ""), false},
		{"a claim with any value", require("azp"), one.token(good(claims{"azp": false}), ""), true},
		{"a scope", require("scope", "write"), one.token(good(nil), ""), true},
		{"part of a scope", require("scope", "wri"), one.token(good(nil), ""), false},
		{"words of another claim", require("sub", "ada"), one.token(good(claims{"sub": "ada b"}), ""), false},
		{"one in a list", require("/realm/roles", "admin"), one.token(good(claims{"realm": claims{"roles": []string{"x", "admin"}}}), ""), true},
		{"none in a list", require("/realm/roles", "admin"), one.token(good(claims{"realm": claims{"roles": []any{"x", 7}}}), ""), false},
		{"true", require("email_verified", "true"), one.token(good(claims{"email_verified": true}), ""), true},
		{"false", require("email_verified", "true"), one.token(good(claims{"email_verified": false}), ""), false},
		{"a key set that nobody has", func(is *ir.JWTIssuer) { is.KeySet = "three" }, one.token(good(nil), ""), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := jwtPolicy(c.change)
			a := authentication.New(p, authentication.Deps{Consumers: directory(), Decisions: counts{}, Tokens: tokens(sets)})
			want := badToken
			switch {
			case c.ok:
				want = "pass |"
			case strings.HasPrefix(c.name, "a key set"):
				want = "503 IdentityUnavailable "
			case c.token == "":
				want = noToken
			}
			for range 2 { // verified, then remembered
				x := bearerRequest(c.token)
				v := a.OnRequest(x)
				if c.ok && (x.Caller.Method != "jwt" || x.Caller.Claims == nil || x.Caller.Consumer != nil) || !c.ok && x.Caller.Known() {
					t.Fatalf("the caller is %+v", x.Caller)
				}
				x.Caller = filter.Caller{}
				if got := result(v, x); got != want {
					t.Fatalf("%s, want %s", got, want)
				}
			}
		})
	}
}

func require(claim string, values ...string) func(*ir.JWTIssuer) {
	return func(is *ir.JWTIssuer) {
		path, err := ir.ParseClaim(claim)
		if err != nil {
			panic(err)
		}
		is.Required = []ir.JWTRequired{{Claim: path, Values: values}}
	}
}

// A token that is remembered is refused once its key, its time, or what the policy
// says is no more.
func TestRemembered(t *testing.T) {
	one, two := newSigner(t, "1"), newSigner(t, "2")
	keys := &keySet{now: one.keys}
	all := tokens(map[string]*keySet{"one": keys})
	a := authentication.New(jwtPolicy(nil), authentication.Deps{Consumers: directory(), Decisions: counts{}, Tokens: all})
	strict := authentication.New(jwtPolicy(func(is *ir.JWTIssuer) { is.Audiences = []string{"bank"} }), authentication.Deps{Consumers: directory(), Decisions: counts{}, Tokens: all})
	text := one.token(good(nil), "")
	pass := func(a *authentication.Authentication, at time.Time) bool {
		x := bearerRequest(text)
		x.Start = at
		return a.OnRequest(x) == filter.Continue
	}
	if !pass(a, start) || !pass(a, start) || pass(strict, start) {
		t.Fatal("before anything changes")
	}
	if pass(a, start.Add(6*time.Minute)) || pass(a, start.Add(-3*time.Minute)) || !pass(a, start) {
		t.Error("the time")
	}
	keys.now = two.keys
	if pass(a, start) {
		t.Error("its key is gone")
	}
	keys.now = one.keys
	if !pass(a, start) {
		t.Error("its key is back")
	}
}

// Keys that are not known are asked for, once for a request; who cannot know is not
// refused but told to come back.
func TestRenewed(t *testing.T) {
	one, two := newSigner(t, "1"), newSigner(t, "2")
	for _, c := range []struct {
		name  string
		keys  *keySet
		token string
		want  string
		asked int32
	}{
		{"first", &keySet{next: one.keys}, one.token(good(nil), ""), "pass |", 1},
		{"never", &keySet{}, one.token(good(nil), ""), "503 IdentityUnavailable ", 1},
		{"rotated", &keySet{now: one.keys, next: two.keys}, two.token(good(nil), ""), "pass |", 1},
		{"unknown", &keySet{now: one.keys}, two.token(good(nil), ""), badToken, 1},
		{"unknown among newer ones", &keySet{now: two.keys, next: one.keys}, newSigner(t, "3").token(good(nil), ""), badToken, 1},
		{"expired, of an unknown key", &keySet{now: one.keys}, two.token(good(claims{"exp": 1}), ""), badToken, 0},
		{"for others, before there are keys", &keySet{}, two.token(good(claims{"aud": "bank"}), ""), badToken, 0},
	} {
		a := authentication.New(jwtPolicy(nil), authentication.Deps{Consumers: directory(), Decisions: counts{}, Tokens: tokens(map[string]*keySet{"one": c.keys})})
		x := bearerRequest(c.token)
		v := a.OnRequest(x)
		x.Caller = filter.Caller{}
		if got := result(v, x); got != c.want || c.keys.asked.Load() != c.asked {
			t.Errorf("%s: %s, asked %d times, want %s and %d", c.name, got, c.keys.asked.Load(), c.want, c.asked)
		}
	}
}

func TestJWTConsumer(t *testing.T) {
	one := newSigner(t, "1")
	sets := map[string]*keySet{"one": {now: one.keys}}
	for _, c := range []struct {
		client   any
		required bool
		every    bool
		want     string
	}{
		{"acme", true, false, "pass jwt default/acme  |"},
		{"acme", false, false, "pass jwt default/acme  |"},
		{"bob", true, false, badToken},
		{"bob", false, false, "pass |"},
		{"other/bob", true, false, badToken},
		{"other/bob", true, true, "pass jwt other/bob  |"},
		{"acme", true, true, "pass jwt default/acme  |"},
		{"", true, false, badToken},
		{7, true, false, badToken},
		{nil, true, false, badToken},
		{nil, false, false, "pass |"},
	} {
		p := jwtPolicy(func(is *ir.JWTIssuer) { is.Consumer, is.ConsumerRequired = []string{"client_id"}, c.required })
		p.EveryNamespace = c.every
		a := authentication.New(p, authentication.Deps{Consumers: directory(), Decisions: counts{}, Tokens: tokens(sets)})
		x := bearerRequest(one.token(good(claims{"client_id": c.client}), ""))
		v := a.OnRequest(x)
		if x.Caller.Consumer == nil {
			x.Caller = filter.Caller{}
		}
		if got := result(v, x); got != c.want {
			t.Errorf("%v, required %v, every %v: %q, want %q", c.client, c.required, c.every, got, c.want)
		}
	}
}

// Claims become headers where a header can say them; what the client has sent
// under their names goes, always.
func TestClaimHeaders(t *testing.T) {
	one := newSigner(t, "1")
	p := jwtPolicy(nil)
	p.Optional = true
	for _, name := range []string{"sub", "n", "list", "text", "/deep/er", "none"} {
		path, _ := ir.ParseClaim(name)
		p.Headers = append(p.Headers, ir.CallerHeader{Name: "X-" + strings.NewReplacer("/", "").Replace(name), Claim: path})
	}
	a := authentication.New(p, authentication.Deps{Consumers: directory(), Decisions: counts{}, Tokens: tokens(map[string]*keySet{"one": {now: one.keys}})})
	ask := func(c claims) string {
		x := request("", "x_sub", "root", "X-Sub", "root", "X-None", "x", "Authorization", "Bearer "+one.token(good(c), ""))
		x.Detach = func() {}
		v := a.OnRequest(x)
		x.Caller = filter.Caller{}
		return result(v, x)
	}
	for _, c := range []struct {
		claims claims
		want   string
	}{
		{claims{"n": 7, "list": []any{"a", 1, true}, "text": "grün", "deep": claims{"er": 1.5}}, "pass | X-sub: ada X-n: 7 X-list: a,1,true X-text: grün X-deeper: 1.5"},
		{claims{"sub": "a\r\nX-Admin: 1", "n": "\x00", "list": []any{"a", "b,admin"}, "text": "\x7f", "deep": claims{"er": claims{}}}, "pass |"},
		{claims{"sub": " a", "n": "a ", "list": []any{}, "text": strings.Repeat("x", 4097), "deep": 7}, "pass |"},
		{claims{"sub": "a\tb", "n": json.RawMessage("null"), "list": []any{[]any{"a"}}, "text": strings.Repeat("x", 300)}, "pass | X-text: " + strings.Repeat("x", 300)},
	} {
		if got := ask(c.claims); got != c.want {
			t.Errorf("%v:\n%q, want\n%q", c.claims, got, c.want)
		}
	}
	x := request("", "X-Sub", "root", "x-NONE", "x", "X_List", "y", "Y", "z")
	x.Detach = func() {}
	if got := result(a.OnRequest(x), x); got != "pass | Y: z" {
		t.Error(got)
	}
}

// A token that is remembered costs no memory.
func TestJWTAllocatesNothing(t *testing.T) {
	one := newSigner(t, "1")
	p := jwtPolicy(func(is *ir.JWTIssuer) {
		is.Consumer, is.Algorithms = []string{"client_id"}, []string{"ES256"}
		is.Required = []ir.JWTRequired{{Claim: []string{"scope"}, Values: []string{"write"}}}
	})
	p.Headers = []ir.CallerHeader{{Name: "X-Sub", Claim: []string{"sub"}}, {Name: "X-Consumer", Value: ir.FactConsumer}}
	d := consumer.New()
	d.Apply([]*ir.Consumer{{Namespace: "default", Name: "acme"}})
	a := authentication.New(p, authentication.Deps{Consumers: d, Decisions: nothing{}, Tokens: tokens(map[string]*keySet{"one": {now: one.keys}})})
	x := &filter.Exchange{Start: start, Detach: func() {}}
	name, value := []byte("Authorization"), []byte("Bearer "+one.token(good(claims{"client_id": "acme", "aud": []string{"x", "shop"}}), ""))
	run := func() {
		x.Req.Reset()
		x.Resp.Reset()
		x.Reset()
		x.Start = start
		x.Req.Header.Add(name, value)
		if a.OnRequest(x) != filter.Continue || x.Caller.Consumer == nil || x.Caller.Claims.Subject != "ada" {
			t.Fatalf("%+v", x.Local)
		}
	}
	run()
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkJWT(b *testing.B) {
	one := newSigner(b, "1")
	set := map[string]*keySet{"one": {now: one.keys}}
	value := []byte("Bearer " + one.token(good(nil), ""))
	name := []byte("Authorization")
	for _, c := range []struct {
		name  string
		fresh bool
	}{{"remembered", false}, {"verified", true}} {
		b.Run(c.name, func(b *testing.B) {
			a := authentication.New(jwtPolicy(nil), authentication.Deps{Consumers: consumer.New(), Decisions: nothing{}, Tokens: tokens(set)})
			x := &filter.Exchange{Start: start, Detach: func() {}}
			b.ReportAllocs()
			for b.Loop() {
				if c.fresh {
					a = authentication.New(jwtPolicy(nil), authentication.Deps{Consumers: consumer.New(), Decisions: nothing{}, Tokens: tokens(set)})
				}
				x.Req.Reset()
				x.Resp.Reset()
				x.Reset()
				x.Start = start
				x.Req.Header.Add(name, value)
				if a.OnRequest(x) != filter.Continue {
					b.Fatal("refused")
				}
			}
		})
	}
}
