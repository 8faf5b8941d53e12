package compile

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/ir"
)

const (
	defaultCallbackPath = "/oauth2/callback"
	defaultLoginPath    = "/oauth2/login"
	defaultLogoutPath   = "/oauth2/logout"
	defaultAfterLogout  = "/"

	defaultSessionAge  = 12 * time.Hour
	defaultSessionIdle = time.Hour
	leastSession       = time.Minute
	mostSession        = 720 * time.Hour
)

var defaultScopes = []string{"openid", "profile", "email"}

// ownParameters are those of the request for authorization that the gateway sets.
var ownParameters = []string{"response_type", "response_mode", "client_id", "client_secret", "redirect_uri", "scope", "state", "nonce", "code_challenge", "code_challenge_method", "request", "request_uri"}

func judgeOIDC(o *v1alpha1.OIDCAuthentication, field string, add func(field, message, remedy string)) {
	j := &jwtJudge{field, add}
	address, at := discoveryURL(o)
	if _, err := ir.ParseFetchURL(address, deref(o.AllowHTTP, false)); err != nil {
		remedy := ""
		if _, err := ir.ParseFetchURL(address, true); err == nil {
			remedy = "allowHTTP: true accepts that"
		}
		j.say(at, "the provider cannot be asked: "+err.Error(), remedy)
	}
	for i, p := range o.Parameters {
		if slices.Contains(ownParameters, strings.ToLower(p.Name)) {
			j.say(fmt.Sprintf(".parameters[%d].name", i), fmt.Sprintf("%q is the gateway's own", p.Name), "leave it out")
		}
	}
	seen := map[string]string{}
	for _, p := range oidcPaths(o) {
		switch other := seen[p.path]; {
		case other != "":
			j.say("."+p.field, fmt.Sprintf("%s is %s too", p.path, other), "give it another path")
		case p.path == "/":
			j.say("."+p.field, "the root would be answered by the gateway alone", "give it another path")
		}
		seen[p.path] = p.field
	}
	j.session(o.Session)
	if f := o.Forward; f != nil {
		j.tokenHeaders(f)
	}
	if o.Consumer != nil {
		j.claim(".consumer.claim", o.Consumer.Claim)
	}
}

func (j *jwtJudge) session(s *v1alpha1.OIDCSession) {
	if s == nil {
		return
	}
	for _, one := range []struct {
		field string
		value time.Duration
		zero  bool
	}{{".session.maxAge", duration(s.MaxAge, defaultSessionAge), false}, {".session.idleTimeout", duration(s.IdleTimeout, defaultSessionIdle), true}} {
		if one.zero && one.value == 0 {
			continue
		}
		if one.value < leastSession || one.value > mostSession {
			j.say(one.field, fmt.Sprintf("%s is not between %s and %s", one.value, leastSession, mostSession), "")
		}
	}
}

func (j *jwtJudge) tokenHeaders(f *v1alpha1.OIDCForward) {
	for _, one := range []struct {
		field  string
		header *v1alpha1.OIDCTokenHeader
	}{{".forward.accessToken", f.AccessToken}, {".forward.idToken", f.IDToken}} {
		if one.header == nil {
			continue
		}
		if lower := strings.ToLower(string(one.header.Header)); slices.Contains(framing, lower) || lower == "host" || lower == "cookie" {
			j.say(one.field+".header", fmt.Sprintf("header %s is the proxy's own and cannot be changed", one.header.Header), "use another name")
		}
	}
	if f.AccessToken != nil && f.IDToken != nil && strings.EqualFold(string(f.AccessToken.Header), string(f.IDToken.Header)) {
		j.say(".forward.idToken.header", "the access token has the same header", "use another name")
	}
}

// discoveryURL is where the provider describes itself, and the field that says so.
func discoveryURL(o *v1alpha1.OIDCAuthentication) (address, field string) {
	if o.Discovery != nil && o.Discovery.URL != nil {
		return *o.Discovery.URL, ".discovery.url"
	}
	return strings.TrimSuffix(o.Issuer, "/") + openidConfig, ".issuer"
}

type oidcPath struct{ field, path string }

// oidcPaths are those that the gateway answers.
func oidcPaths(o *v1alpha1.OIDCAuthentication) []oidcPath {
	return []oidcPath{
		{"callbackPath", string(deref(o.CallbackPath, defaultCallbackPath))},
		{"loginPath", string(deref(o.LoginPath, defaultLoginPath))},
		{"logoutPath", string(deref(o.LogoutPath, defaultLogoutPath))},
	}
}

// oidcOf compiles a method. What it needs of secrets is compiled apart, see logins.
func oidcOf(o *v1alpha1.OIDCAuthentication, namespace, login, keys string) *ir.OIDCAuth {
	paths := oidcPaths(o)
	out := &ir.OIDCAuth{
		Login: login, KeySet: keys, Issuer: o.Issuer, ClientID: o.ClientID, Scopes: o.Scopes,
		CallbackPath: paths[0].path, LoginPath: paths[1].path, LogoutPath: paths[2].path,
		AfterLogout: string(deref(o.AfterLogout, defaultAfterLogout)),
		Cookie:      cookieName(namespace, o), MaxAge: defaultSessionAge, IdleTimeout: defaultSessionIdle, UserInfo: deref(o.UserInfo, false),
	}
	if len(out.Scopes) == 0 {
		out.Scopes = defaultScopes
	} else if !slices.Contains(out.Scopes, "openid") {
		out.Scopes = append([]string{"openid"}, out.Scopes...)
	}
	for _, p := range o.Parameters {
		out.Parameters = append(out.Parameters, ir.Parameter{Name: p.Name, Value: p.Value})
	}
	if s := o.Session; s != nil {
		out.MaxAge, out.IdleTimeout = duration(s.MaxAge, defaultSessionAge), duration(s.IdleTimeout, defaultSessionIdle)
	}
	if f := o.Forward; f != nil {
		out.AccessToken, out.IDToken = tokenHeader(f.AccessToken), tokenHeader(f.IDToken)
	}
	if c := o.Consumer; c != nil {
		out.Consumer, _ = ir.ParseClaim(c.Claim) // it was judged
		out.ConsumerRequired = deref(c.Required, false)
	}
	return out
}

// cookieName tells sessions of different clients on one host apart.
func cookieName(namespace string, o *v1alpha1.OIDCAuthentication) string {
	if o.Session != nil && o.Session.CookieName != nil {
		return *o.Session.CookieName
	}
	sum := sha256.Sum256([]byte(namespace + "\x00" + o.Issuer + "\x00" + o.ClientID))
	return "gridway-" + hex.EncodeToString(sum[:4])
}

func tokenHeader(h *v1alpha1.OIDCTokenHeader) *ir.TokenHeader {
	if h == nil {
		return nil
	}
	out := &ir.TokenHeader{Name: string(h.Header), Prefix: deref(h.Prefix, "")}
	if h.Prefix == nil && strings.EqualFold(out.Name, "Authorization") {
		out.Prefix = "Bearer "
	}
	return out
}
