package signin

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"maps"
	"slices"
	"time"

	"github.com/gridway/gridway/internal/jwt"
	"github.com/gridway/gridway/internal/proxy/filter"
)

const (
	// skew is how far the provider's clock may be off.
	skew = time.Minute
	// maxSubject bounds a subject in bytes (OpenID Connect Core 1.0 §2).
	maxSubject = 255
)

// verified reads an ID token (OpenID Connect Core 1.0 §3.1.3.7). It was fetched by TLS, and
// its signature is verified nevertheless: with that a token endpoint which somebody else
// has got hold of is not enough to be anybody.
func (p *Provider) verified(text, token, nonce string) (*filter.Claims, error) {
	bad := func(err error) error {
		return &Error{Unproven, fmt.Sprintf("what %s says of you cannot be accepted: %v", p.s.Name, err), nil}
	}
	if text == "" {
		return nil, bad(errors.New("there is no ID token; the scope openid must be allowed there"))
	}
	t, err := jwt.Parse([]byte(text))
	if err != nil {
		return nil, bad(fmt.Errorf("the ID token: %w", err))
	}
	if t.Type != "" && t.Type != "jwt" { // RFC 8725 §3.11: a token of another kind
		return nil, bad(errors.New("it is no ID token"))
	}
	if err := p.signed(t); err != nil {
		if errors.Is(err, errNoKeys) {
			return nil, p.away(err)
		}
		return nil, bad(err)
	}
	values, err := t.Claims()
	if err != nil {
		return nil, bad(fmt.Errorf("the ID token: %w", err))
	}
	c := filter.NewClaims(values)
	if err := p.judge(c, nonce); err != nil {
		return nil, bad(err)
	}
	if want, has := c.Lookup([]string{"at_hash"}); has && want != halfHash(t.Algorithm, token) {
		return nil, bad(errors.New("the ID token goes with another access token"))
	}
	return c, nil
}

var errNoKeys = errors.New("its keys cannot be fetched")

// signed finds the key of a token, and asks for newer ones if there is none: providers
// change them.
func (p *Provider) signed(t *jwt.Token) error {
	keys := p.keys.Current()
	for range 2 {
		if keys != nil {
			_, err := keys.Verify(t, jwt.All)
			if !errors.Is(err, jwt.ErrUnknownKey) {
				if err != nil {
					err = fmt.Errorf("the ID token: %w", err)
				}
				return err
			}
		}
		newer := p.keys.Renew(keys, func() {})
		if newer == nil {
			return errNoKeys
		}
		if newer == keys {
			break
		}
		keys = newer
	}
	return fmt.Errorf("the ID token: %w", jwt.ErrUnknownKey)
}

// judge says what is wrong with the claims of an ID token.
func (p *Provider) judge(c *filter.Claims, nonce string) error {
	text := func(name string) (string, bool) {
		v, has := c.Lookup([]string{name})
		s, _ := v.(string)
		return s, has
	}
	said, _ := text("nonce")
	azp, hasAZP := text("azp")
	audience := audienceOf(c)
	switch {
	case c.Issuer != p.s.Issuer:
		return errors.New("the ID token is of another issuer")
	case c.Subject == "" || len(c.Subject) > maxSubject:
		return fmt.Errorf("the ID token has no subject of 1 to %d bytes", maxSubject)
	case !slices.Contains(audience, p.s.ClientID), hasAZP && azp != p.s.ClientID, len(audience) > 1 && !hasAZP:
		return errors.New("the ID token was made for another client")
	case subtle.ConstantTimeCompare([]byte(said), []byte(nonce)) != 1:
		return errors.New("the ID token is of another login")
	}
	return p.timely(c)
}

func audienceOf(c *filter.Claims) (out []string) {
	v, _ := c.Lookup([]string{"aud"})
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		for _, one := range v {
			s, _ := one.(string)
			out = append(out, s)
		}
	}
	return out
}

// timely compares the token's times with our clock, and tells how far they are apart.
func (p *Provider) timely(c *filter.Claims) error {
	now := p.now()
	at := func(name string) (time.Time, bool) {
		switch v, _ := c.Lookup([]string{name}); v := v.(type) {
		case int64:
			return time.Unix(v, 0), true
		case float64:
			const far = 1 << 40
			return time.Unix(int64(max(-far, min(v, far))), 0), true
		}
		return time.Time{}, false
	}
	expires, hasExpires := at("exp")
	issued, hasIssued := at("iat")
	if !hasExpires || !hasIssued {
		return errors.New("the ID token lacks exp or iat")
	}
	begins, _ := at("nbf")
	if begins.Before(issued) {
		begins = issued
	}
	const remedy = "the clocks of the provider and of this gateway must be compared"
	switch {
	case begins.Sub(now) > skew:
		return fmt.Errorf("the ID token begins to hold in %s; %s", begins.Sub(now).Round(time.Second), remedy)
	case now.Sub(expires) >= skew:
		return fmt.Errorf("the ID token has expired %s ago; %s", now.Sub(expires).Round(time.Second), remedy)
	case now.Sub(issued) > AttemptLife+skew:
		return fmt.Errorf("the ID token was made %s ago; %s", now.Sub(issued).Round(time.Second), remedy)
	}
	return nil
}

// halfHash is at_hash of an access token (OpenID Connect Core 1.0 §3.1.3.6).
func halfHash(a jwt.Algorithm, token string) string {
	var h hash.Hash
	switch a {
	case jwt.RS384, jwt.PS384, jwt.ES384:
		h = sha512.New384()
	case jwt.RS512, jwt.PS512, jwt.ES512, jwt.EdDSA:
		h = sha512.New()
	default:
		h = sha256.New()
	}
	h.Write([]byte(token))
	sum := h.Sum(nil)
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}

// joined adds what the userinfo endpoint says, which must be of the same subject (OpenID
// Connect Core 1.0 §5.3.2). The ID token holds against it.
func joined(c *filter.Claims, more []byte) (*filter.Claims, error) {
	values := map[string]any{}
	if err := json.Unmarshal(more, &values); err != nil {
		return nil, refuse(Unproven, "what the userinfo endpoint says of you is no object of JSON")
	}
	if values["sub"] != c.Subject {
		return nil, refuse(Unproven, "the userinfo endpoint says something of somebody else")
	}
	maps.Copy(values, c.Values())
	return filter.NewClaims(values), nil
}
