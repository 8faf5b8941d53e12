package login

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/proxy/fetch"
)

// Tokens are what the provider's token endpoint has given.
type Tokens struct {
	Access, Refresh, ID string
	// Scope is what was granted; empty is what was asked for.
	Scope string
	// Lifetime of the access token; zero is not known.
	Lifetime time.Duration
}

// maxLifetime bounds what providers say.
const maxLifetime = 365 * 24 * time.Hour

// Redeem exchanges a code for tokens (OpenID Connect Core 1.0 §3.1.3, RFC 7636 §4.5).
func (l *Login) Redeem(m *Metadata, code, verifier, redirect string) (*Tokens, error) {
	return l.token(m, url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirect}, "code_verifier": {verifier},
	})
}

// Refresh exchanges a refresh token for new tokens (RFC 6749 §6).
func (l *Login) Refresh(m *Metadata, token string) (*Tokens, error) {
	return l.token(m, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
}

// Revoke tells the provider that a refresh token is not needed any more (RFC 7009).
// That it could not be told is nobody's problem: the session is over anyway.
func (l *Login) Revoke(m *Metadata, token string) {
	if m.Revocation != "" && token != "" {
		_, _ = l.post(m, m.Revocation, url.Values{"token": {token}, "token_type_hint": {"refresh_token"}})
	}
}

// post sends a form with the client's credential.
func (l *Login) post(m *Metadata, address string, form url.Values) (*fetch.Response, error) {
	h := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"application/json"}}
	id, secret := l.config.ClientID, string(l.config.ClientSecret)
	switch {
	case secret == "":
		form.Set("client_id", id)
	case m.secretInBody():
		form.Set("client_id", id)
		form.Set("client_secret", secret)
	default: // RFC 6749 §2.3.1: both are encoded before
		text := url.QueryEscape(id) + ":" + url.QueryEscape(secret)
		h.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(text)))
	}
	return l.provider.do(&fetch.Request{Method: http.MethodPost, URL: address, Header: h, Body: []byte(form.Encode())})
}

func (l *Login) token(m *Metadata, form url.Values) (*Tokens, error) {
	r, err := l.post(m, m.Token, form)
	if err != nil {
		return nil, err
	}
	var t struct {
		Access    string      `json:"access_token"`
		Type      string      `json:"token_type"`
		Refresh   string      `json:"refresh_token"`
		ID        string      `json:"id_token"`
		Scope     string      `json:"scope"`
		ExpiresIn json.Number `json:"expires_in"`
		Error     string      `json:"error"`
	}
	bad := json.Unmarshal(r.Body, &t)
	switch {
	case r.Status == http.StatusOK && bad == nil && t.Access != "" && strings.EqualFold(t.Type, "Bearer"):
	case r.Status == http.StatusOK:
		return nil, fmt.Errorf("%w: its answer has no tokens that can be used", ErrUnavailable)
	case bad == nil && t.Error != "" && r.Status >= 400 && r.Status < 500 && r.Status != http.StatusTooManyRequests:
		if t.Error != "invalid_grant" { // which is the user's affair, and not the operator's
			l.provider.log.Warn("the provider refuses a request for tokens", "error", known(t.Error), "status", r.Status)
		}
		return nil, fmt.Errorf("%w: %s", ErrRefused, known(t.Error))
	default:
		return nil, fmt.Errorf("%w: its token endpoint answers %d", ErrUnavailable, r.Status)
	}
	out := &Tokens{Access: t.Access, Refresh: t.Refresh, ID: t.ID, Scope: t.Scope}
	if s, err := t.ExpiresIn.Float64(); err == nil && s > 0 {
		out.Lifetime = time.Duration(min(s, maxLifetime.Seconds()) * float64(time.Second))
	}
	return out, nil
}

// known keeps what others have written out of logs.
func known(code string) string {
	switch code {
	case "invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope":
		return code
	}
	return "an error that is none of RFC 6749"
}

// UserInfo asks for claims about who has logged in (OpenID Connect Core 1.0 §5.3).
// They are of JSON, and no token.
func (l *Login) UserInfo(m *Metadata, access string) ([]byte, error) {
	if m.UserInfo == "" {
		return nil, fmt.Errorf("%w: it has no userinfo_endpoint", ErrUnavailable)
	}
	r, err := l.provider.do(&fetch.Request{URL: m.UserInfo, Header: http.Header{"Authorization": {"Bearer " + access}, "Accept": {"application/json"}}})
	switch {
	case err != nil:
		return nil, err
	case r.Status == http.StatusUnauthorized || r.Status == http.StatusForbidden:
		return nil, fmt.Errorf("%w: its userinfo endpoint answers %d", ErrRefused, r.Status)
	case r.Status != http.StatusOK || !json.Valid(r.Body) || len(r.Body) > maxUserInfo:
		return nil, fmt.Errorf("%w: its userinfo endpoint gives no claims", ErrUnavailable)
	}
	return r.Body, nil
}

// maxUserInfo bounds what of it goes into a cookie.
const maxUserInfo = 8 << 10
