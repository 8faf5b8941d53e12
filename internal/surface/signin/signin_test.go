package signin_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/surface/signin"
	"github.com/gridway/gridway/internal/surface/signin/signintest"
)

func TestLogin(t *testing.T) {
	idp := signintest.New(t)
	p := provider(t, strings.Replace(settings, "ISSUER", idp.URL, 1), nil)
	a, state := begin(t, idp, p)
	to, _ := url.Parse(a.To)
	q := to.Query()
	for name, want := range map[string]string{
		"tenant": "1", "response_type": "code", "client_id": "console", "redirect_uri": "https://gw.example/console/login", "scope": "openid groups", "code_challenge_method": "S256",
	} {
		if got := q.Get(name); got != want {
			t.Errorf("%s is %q, not %q", name, got, want)
		}
	}
	if a.ID != state[:8] || len(state) < 22 || strings.Contains(a.Sealed, state) {
		t.Errorf("%+v", a)
	}
	who, err := p.End(a.Sealed, signin.Answer{State: state, Code: "good"})
	if err != nil {
		t.Fatal(err)
	}
	if who.Name != "ada (oidc:"+idp.URL+"#1815)" || who.Role != access.Operator || who.IDToken == "" {
		t.Errorf("%+v", who)
	}
	if got := idp.Form.Get("redirect_uri"); got != "https://gw.example/console/login" {
		t.Errorf("the code is redeemed for %s", got)
	}
	out, _ := url.Parse(p.Logout(who.IDToken))
	if q := out.Query(); out.Path != "/logout" || q.Get("post_logout_redirect_uri") != "https://gw.example/console/" || q.Get("client_id") != "console" || q.Get("id_token_hint") != who.IDToken {
		t.Errorf("logout at %s", out)
	}
	if p.Life() != 8*time.Hour || p.Name() != "Example" {
		t.Errorf("%s, %s", p.Life(), p.Name())
	}
	// The same answer once more, as from a browser's history.
	_, err = p.End(a.Sealed, signin.Answer{State: state, Code: "good"})
	refused(t, "a login that was ended", err, signin.Unknown, "ended already")
}

func refused(t *testing.T, name string, err error, kind signin.Kind, text string) {
	t.Helper()
	var e *signin.Error
	if !errors.As(err, &e) || e.Kind != kind || !strings.Contains(e.Text, text) {
		t.Errorf("%s: %v, which lacks %q or is of another kind", name, err, text)
	}
}

// What comes back to the console must be of this login, of this browser, and from the
// provider.
func TestAnswers(t *testing.T) {
	idp := signintest.New(t)
	p := provider(t, strings.Replace(settings, "ISSUER", idp.URL, 1), nil)
	other, _ := begin(t, idp, p)
	for name, c := range map[string]struct {
		change func(sealed *string, a *signin.Answer)
		kind   signin.Kind
		text   string
	}{
		"of another login":    {func(sealed *string, _ *signin.Answer) { *sealed = other.Sealed }, signin.Unknown, "not begun by this browser"},
		"without the cookie":  {func(sealed *string, _ *signin.Answer) { *sealed = "" }, signin.Unknown, "begin again"},
		"with another state":  {func(_ *string, a *signin.Answer) { a.State = strings.Repeat("A", 22) }, signin.Unknown, "begin again"},
		"from another issuer": {func(_ *string, a *signin.Answer) { a.Issuer = "https://evil.example" }, signin.Unproven, "not from Example"},
		"without a code":      {func(_ *string, a *signin.Answer) { a.Code = "" }, signin.Unproven, "no code"},
		"with another code":   {func(_ *string, a *signin.Answer) { a.Code = "bad" }, signin.Unproven, "does not take the code"},
		"a refusal":           {func(_ *string, a *signin.Answer) { a.Error = "access_denied" }, signin.Denied, "has not let you in"},
		"a bad request":       {func(_ *string, a *signin.Answer) { a.Error = "unauthorized_client" }, signin.Denied, "(unauthorized_client)"},
		"what others write":   {func(_ *string, a *signin.Answer) { a.Error = "<b>call 555" }, signin.Denied, "none of RFC 6749"},
		"a provider in need":  {func(_ *string, a *signin.Answer) { a.Error = "server_error" }, signin.Away, "try again"},
	} {
		a, state := begin(t, idp, p)
		answer := signin.Answer{State: state, Code: "good"}
		c.change(&a.Sealed, &answer)
		_, err := p.End(a.Sealed, answer)
		refused(t, name, err, c.kind, c.text)
	}
	a, state := begin(t, idp, p)
	if _, err := p.End(a.Sealed, signin.Answer{State: state, Code: "good", Issuer: idp.URL}); err != nil {
		t.Error("with the issuer:", err)
	}
}

// A provider that says to name itself in answers must do so (RFC 9207 §2.4).
func TestAnswerWithoutIssuer(t *testing.T) {
	idp := signintest.New(t)
	idp.Names = true
	p := provider(t, strings.Replace(settings, "ISSUER", idp.URL, 1), nil)
	a, state := begin(t, idp, p)
	_, err := p.End(a.Sealed, signin.Answer{State: state, Code: "good"})
	refused(t, "without iss", err, signin.Unproven, "not from Example")
}

func TestAttemptsEnd(t *testing.T) {
	idp := signintest.New(t)
	now := time.Now()
	p := provider(t, strings.Replace(settings, "ISSUER", idp.URL, 1), func() time.Time { return now })
	a, state := begin(t, idp, p)
	now = now.Add(signin.AttemptLife)
	_, err := p.End(a.Sealed, signin.Answer{State: state, Code: "good"})
	refused(t, "too late", err, signin.Unknown, "longer than 10m")
}

func TestIDTokens(t *testing.T) {
	idp := signintest.New(t)
	stranger := signintest.NewSigner(t)
	p := provider(t, strings.Replace(settings, "ISSUER", idp.URL, 1), nil)
	login := func() (*signin.Person, error) {
		a, state := begin(t, idp, p)
		return p.End(a.Sealed, signin.Answer{State: state, Code: "good"})
	}
	after := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	for name, c := range map[string]struct {
		claims func(c map[string]any)
		token  func(text string) string
		text   string
	}{
		"of another issuer":      {claims: func(c map[string]any) { c["iss"] = "https://evil.example" }, text: "another issuer"},
		"for another client":     {claims: func(c map[string]any) { c["aud"] = "shop" }, text: "another client"},
		"for nobody":             {claims: func(c map[string]any) { c["aud"] = nil }, text: "another client"},
		"for many, of nobody":    {claims: func(c map[string]any) { c["aud"] = []string{"console", "shop"} }, text: "another client"},
		"for many, of another":   {claims: func(c map[string]any) { c["aud"], c["azp"] = []string{"console", "shop"}, "shop" }, text: "another client"},
		"of another party":       {claims: func(c map[string]any) { c["azp"] = "shop" }, text: "another client"},
		"of another login":       {claims: func(c map[string]any) { c["nonce"] = "x" }, text: "another login"},
		"of no login":            {claims: func(c map[string]any) { c["nonce"] = nil }, text: "another login"},
		"that has expired":       {claims: func(c map[string]any) { c["iat"], c["exp"] = after(-400*time.Second), after(-100*time.Second) }, text: "has expired 1m4"},
		"of the future":          {claims: func(c map[string]any) { c["iat"], c["exp"] = after(200*time.Second), after(time.Hour) }, text: "clocks of the provider and of this gateway"},
		"not yet":                {claims: func(c map[string]any) { c["nbf"] = after(time.Hour) }, text: "begins to hold in"},
		"of long ago":            {claims: func(c map[string]any) { c["iat"] = after(-time.Hour) }, text: "was made 1h"},
		"that never ends":        {claims: func(c map[string]any) { c["exp"] = nil }, text: "lacks exp"},
		"of no time":             {claims: func(c map[string]any) { c["iat"] = "now" }, text: "lacks exp or iat"},
		"of nobody":              {claims: func(c map[string]any) { c["sub"] = nil }, text: "no subject"},
		"of a long somebody":     {claims: func(c map[string]any) { c["sub"] = strings.Repeat("x", 256) }, text: "no subject"},
		"with another token":     {claims: func(c map[string]any) { c["at_hash"] = "AAAAAAAAAAAAAAAAAAAAAA" }, text: "another access token"},
		"that is none":           {token: func(string) string { return "" }, text: "no ID token"},
		"that is no token":       {token: func(string) string { return "a.b.c" }, text: "the ID token"},
		"with another signature": {token: func(s string) string { return s[:len(s)-8] + "AAAAAAAA" }, text: "signature"},
		"signed by nothing": {token: func(s string) string {
			return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + strings.Split(s, ".")[1] + "."
		}, text: "the ID token"},
		"by a shared secret": {token: func(s string) string {
			return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256"}`)) + "." + strings.Join(strings.Split(s, ".")[1:], ".")
		}, text: "the ID token"},
		"by another key": {token: func(s string) string {
			body, _ := base64.RawURLEncoding.DecodeString(strings.Split(s, ".")[1])
			text, _ := stranger.Sign("JWT", body)
			return string(text)
		}, text: "there is no key"},
	} {
		idp.Set(func() { idp.Claims, idp.Token = c.claims, c.token })
		who, err := login()
		refused(t, "a token "+name, err, signin.Unproven, c.text)
		if who != nil {
			t.Errorf("a token %s: %+v", name, who)
		}
	}
	idp.Set(func() { idp.Claims, idp.Token, idp.Type = nil, nil, "at+jwt" })
	_, err := login()
	refused(t, "an access token", err, signin.Unproven, "no ID token")
	idp.Set(func() {
		idp.Type = "JWT"
		idp.Claims = func(c map[string]any) {
			sum := sha256.Sum256([]byte("access"))
			c["aud"], c["azp"], c["at_hash"] = []string{"console", "shop"}, "console", base64.RawURLEncoding.EncodeToString(sum[:16])
		}
	})
	if _, err := login(); err != nil {
		t.Error("one for many, of this client, with its access token:", err)
	}
}

// The provider may take another key at any time.
func TestKeysChange(t *testing.T) {
	idp := signintest.New(t)
	p := provider(t, strings.Replace(settings, "ISSUER", idp.URL, 1), nil)
	for range 3 {
		a, state := begin(t, idp, p)
		if _, err := p.End(a.Sealed, signin.Answer{State: state, Code: "good"}); err != nil {
			t.Fatal(err)
		}
		next := signintest.NewSigner(t)
		idp.Set(func() { idp.Signer = next })
	}
}

func TestRoles(t *testing.T) {
	idp := signintest.New(t)
	nested := strings.Replace(settings, "claim: groups", "claim: /realm_access/roles", 1)
	mail := strings.Replace(settings, "claim: groups", "claim: email", 1)
	everybody := strings.Replace(settings, "[staff]", `["*"]`, 1)
	for name, c := range map[string]struct {
		settings string
		claims   map[string]any
		userInfo string
		role     access.Role
		text     string
	}{
		"a list":                   {settings, map[string]any{"groups": []any{"x", "staff"}}, "", access.Viewer, ""},
		"the highest of several":   {settings, map[string]any{"groups": []any{"staff", "platform", "sre"}}, "", access.Admin, ""},
		"a text":                   {settings, map[string]any{"groups": "ops"}, "", access.Operator, ""},
		"a text that has more":     {settings, map[string]any{"groups": "ops platform"}, "", "", "(groups: ops platform)"},
		"another case":             {settings, map[string]any{"groups": []any{"SRE"}}, "", "", "gives a role here (groups: SRE)"},
		"numbers":                  {settings, map[string]any{"groups": []any{1, true}}, "", "", "groups: nothing"},
		"none":                     {settings, map[string]any{"groups": []any{}}, "", "", "knows you as ada"},
		"of the userinfo endpoint": {settings, map[string]any{"groups": nil}, `{"sub":"1815","groups":["platform"]}`, access.Admin, ""},
		"the token holds":          {settings, map[string]any{"groups": []any{"staff"}}, `{"sub":"1815","groups":["platform"]}`, access.Viewer, ""},
		"of somebody else":         {settings, map[string]any{"groups": nil}, `{"sub":"1","groups":["platform"]}`, "", "somebody else"},
		"inside another claim":     {nested, map[string]any{"realm_access": map[string]any{"roles": []string{"sre"}}}, "", access.Operator, ""},
		"an address":               {mail, map[string]any{"email": "sre", "email_verified": true}, "", access.Operator, ""},
		"an address of anybody":    {mail, map[string]any{"email": "sre", "email_verified": false}, "", "", "email: nothing"},
		"an address, unsaid":       {mail, map[string]any{"email": "sre"}, "", "", "email: nothing"},
		"everybody":                {everybody, map[string]any{"groups": []any{}}, "", access.Viewer, ""},
		"more than everybody":      {everybody, map[string]any{"groups": []any{"platform"}}, "", access.Admin, ""},
	} {
		idp.Set(func() {
			idp.UserInfo = c.userInfo
			idp.Claims = func(m map[string]any) {
				for k, v := range c.claims {
					m[k] = v
				}
			}
		})
		p := provider(t, strings.Replace(c.settings, "ISSUER", idp.URL, 1), nil)
		a, state := begin(t, idp, p)
		who, err := p.End(a.Sealed, signin.Answer{State: state, Code: "good"})
		switch {
		case c.role == "":
			var e *signin.Error
			if !errors.As(err, &e) || !strings.Contains(e.Text, c.text) {
				t.Errorf("%s: %v", name, err)
			}
		case err != nil || who.Role != c.role:
			t.Errorf("%s: %+v, %v", name, who, err)
		}
	}
}

// What people call themselves may not look like who they are.
func TestNames(t *testing.T) {
	idp := signintest.New(t)
	p := provider(t, strings.Replace(settings, "ISSUER", idp.URL, 1), nil)
	for said, want := range map[string]string{
		"Ada Lovelace": "Ada Lovelace", "root (4fj7xk2q)": "root 4fj7xk2q", "a\nb\x1b[31m": "ab[31m", "\u202eada": "ada", " ": "ada@example.org", strings.Repeat("x", 300): strings.Repeat("x", 100) + "…",
	} {
		idp.Set(func() {
			idp.Claims = func(c map[string]any) {
				c["preferred_username"], c["email"], c["sub"] = said, "ada@example.org", "auth0|1 (x)"
			}
		})
		a, state := begin(t, idp, p)
		who, err := p.End(a.Sealed, signin.Answer{State: state, Code: "good"})
		if err != nil || who.Name != want+" (oidc:"+idp.URL+"#auth0%7C1+%28x%29)" {
			t.Errorf("%q: %+v, %v", said, who, err)
		}
	}
}

// Without its provider the process goes on, and says what is wrong.
func TestProviderAway(t *testing.T) {
	idp := signintest.New(t)
	idp.Gone = true
	p := provider(t, strings.Replace(settings, "ISSUER", idp.URL, 1), nil)
	_, err := p.Begin()
	refused(t, "begin", err, signin.Away, "Example cannot be asked now; try again soon, or log in with a token")
	if s := p.State(); s.Err == "" || s.Kept || s.Since.IsZero() {
		t.Errorf("%+v", s)
	}
	if p.Logout("x") != "" {
		t.Error("a logout leads to a provider that is not there")
	}
}
