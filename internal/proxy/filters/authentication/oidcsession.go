package authentication

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"time"

	"github.com/gridway/gridway/internal/jwt"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/login"
	"github.com/gridway/gridway/internal/proxy/token"
)

// redeem makes a session out of a code.
func (o *oidc) redeem(x *filter.Exchange, l *login.Login, meta *login.Metadata, a *login.Attempt, code string) (*login.Session, error) {
	t, err := l.Redeem(meta, code, a.Verifier, o.here(x, o.config.CallbackPath))
	if err != nil {
		return nil, err
	}
	claims, err := o.verified(t.ID, t.Access, a.Nonce, x.Start)
	if err != nil {
		return nil, err
	}
	at := x.Start.Unix()
	s := &login.Session{ID: t.ID, Refresh: t.Refresh, Scope: t.Scope, Began: at, Used: at, Renewed: at}
	return s, o.fill(s, l, meta, t, claims)
}

// fill adds what a session has of tokens.
func (o *oidc) fill(s *login.Session, l *login.Login, meta *login.Metadata, t *login.Tokens, claims *filter.Claims) error {
	if s.Scope == "" {
		s.Scope = o.scope // RFC 6749 §5.1: what was asked for
	}
	if o.config.AccessToken != nil {
		s.Access = t.Access
	}
	s.Expires = s.Renewed + int64(t.Lifetime/time.Second)
	if t.Lifetime == 0 {
		end, _ := timeOf(claims, expires)
		s.Expires = int64(end)
	}
	if o.config.UserInfo {
		text, err := l.UserInfo(meta, t.Access)
		if err != nil {
			return err
		}
		s.UserInfo = text
	}
	return s.Read()
}

// current is the session, or a newer one where its tokens end soon. Without a refresh
// token it ends with them. While they are good, it matters not whether the provider
// can be asked.
func (o *oidc) current(x *filter.Exchange, l *login.Login, s *login.Session) (*login.Session, error) {
	now := x.Start.Unix()
	early := min((s.Expires-s.Renewed)/4, 60)
	if now < s.Expires-early {
		return s, nil
	}
	good := now < s.Expires
	if s.Refresh == "" {
		if good {
			return s, nil
		}
		return nil, login.ErrRefused
	}
	newer, err := l.Renew(s, x.Start, x.Detach, func() (*login.Session, error) { return o.renewed(l, s, x.Start) })
	switch {
	case err == nil || !good:
		return newer, err
	case errors.Is(err, login.ErrUnavailable):
		return s, nil
	}
	return nil, errSpent
}

// errSpent: the refresh token is none any more, while the tokens are good yet. Where
// providers take each once, another gateway may have been first.
var errSpent = errors.New("the refresh token is not taken any more")

// renewed exchanges the refresh token (OpenID Connect Core 1.0 §12).
func (o *oidc) renewed(l *login.Login, s *login.Session, now time.Time) (*login.Session, error) {
	meta, err := l.Metadata(func() {})
	if err != nil {
		return nil, err
	}
	t, err := l.Refresh(meta, s.Refresh)
	if err != nil {
		return nil, err
	}
	out := *s
	out.Renewed, out.Used = now.Unix(), now.Unix()
	if t.Refresh != "" {
		out.Refresh = t.Refresh
	}
	if t.Scope != "" {
		out.Scope = t.Scope
	}
	claims := s.Claims
	if t.ID != "" {
		if claims, err = o.verified(t.ID, t.Access, "", now); err != nil {
			return nil, err
		}
		before, _ := s.Claims.Lookup(nonceClaim)
		nonce, has := claims.Lookup(nonceClaim)
		if claims.Subject != s.Claims.Subject || has && nonce != before {
			return nil, fmt.Errorf("%w: the ID token is about another login", login.ErrRefused)
		}
		out.ID = t.ID
	} else if t.Lifetime == 0 {
		t.Lifetime = time.Duration(s.Expires-s.Renewed) * time.Second
	}
	return &out, o.fill(&out, l, meta, t, claims)
}

var (
	nonceClaim      = []string{"nonce"}
	authorizedParty = []string{"azp"}
	accessHash      = []string{"at_hash"}
)

// verified reads an ID token (OpenID Connect Core 1.0 §3.1.3.7). An empty nonce is
// not compared.
func (o *oidc) verified(text, access, nonce string, now time.Time) (*filter.Claims, error) {
	t, err := jwt.Parse([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("%w: the ID token: %w", login.ErrRefused, err)
	}
	values, err := t.Claims()
	if err != nil {
		return nil, fmt.Errorf("%w: the ID token: %w", login.ErrRefused, err)
	}
	v := &token.Verified{Claims: filter.NewClaims(values), Type: t.Type}
	if why := o.wrong(t, v, access, nonce, now); why != "" {
		return nil, fmt.Errorf("%w: the ID token %s", login.ErrRefused, why)
	}
	switch key, r, _ := o.issuer.signer(t, o.tokens.Gate, func() {}); {
	case key != nil:
		return v.Claims, nil
	case r == refused:
		return nil, fmt.Errorf("%w: the ID token has no good signature", login.ErrRefused)
	}
	return nil, fmt.Errorf("%w: its keys are not there", login.ErrUnavailable)
}

// wrong says what is wrong with an ID token, apart from its signature.
func (o *oidc) wrong(t *jwt.Token, v *token.Verified, access, nonce string, now time.Time) string {
	c := v.Claims
	_, hasIssued := c.Lookup(issuedAt)
	azp, hasAZP := c.Lookup(authorizedParty)
	aud, _ := c.Lookup(audience)
	many, _ := aud.([]any)
	got, _ := c.Lookup(nonceClaim)
	said, _ := got.(string)
	switch {
	case c.Issuer != o.config.Issuer:
		return "is of another issuer"
	case c.Subject == "" || !hasIssued:
		return "lacks sub or iat"
	case !o.issuer.accepts(v, now):
		return "is not for this client, or not now"
	case hasAZP && azp != o.config.ClientID || len(many) > 1 && !hasAZP:
		return "was made for another client"
	case nonce != "" && subtle.ConstantTimeCompare([]byte(said), []byte(nonce)) != 1:
		return "is of another login"
	case !o.issuer.algorithms.Has(t.Algorithm):
		return "has an algorithm that is not accepted"
	}
	if want, has := c.Lookup(accessHash); has && want != halfHash(t.Algorithm, access) {
		return "goes with another access token"
	}
	return ""
}

// halfHash is at_hash of an access token (OpenID Connect Core 1.0 §3.1.3.6).
func halfHash(a jwt.Algorithm, access string) string {
	var h hash.Hash
	switch a {
	case jwt.RS384, jwt.PS384, jwt.ES384:
		h = sha512.New384()
	case jwt.RS512, jwt.PS512, jwt.ES512, jwt.EdDSA:
		h = sha512.New()
	default:
		h = sha256.New()
	}
	h.Write([]byte(access))
	sum := h.Sum(nil)
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}
