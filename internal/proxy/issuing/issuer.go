package issuing

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/jwt"
	"github.com/gridway/gridway/internal/proxy/token"
)

// tokenType is "typ" of access tokens (RFC 9068 §2.1).
const tokenType = "at+jwt"

// Issuer makes tokens as one configuration says. It is never changed.
type Issuer struct {
	Config *ir.TokenIssuer
	// Keys is the JWK Set that is published, About the metadata of RFC 8414; each has
	// an entity tag.
	Keys, About       []byte
	KeysTag, AboutTag []byte

	signers  []*jwt.Signer
	gate     *token.Gate
	failures *failures
	counts   *Counts
}

func newIssuer(cfg *ir.TokenIssuer, s *Set, counts *Counts) *Issuer {
	is := &Issuer{Config: cfg, gate: s.gate, failures: s.failures, counts: counts}
	algorithm, err := jwt.ParseAlgorithm(cfg.Algorithm)
	for i, key := range cfg.Keys {
		var signer *jwt.Signer
		if err == nil {
			signer, err = jwt.NewSigner(key, algorithm, tokenType)
		}
		if err != nil { // compile has read it already, so that this is a defect
			s.log.Error("a key cannot be used to sign tokens", "tokenIssuer", cfg.Name, "key", i, "error", err)
			break
		}
		is.signers = append(is.signers, signer)
	}
	is.Keys = jwt.PublicSet(is.signers)
	is.About = about(cfg)
	is.KeysTag, is.AboutTag = entityTag(is.Keys), entityTag(is.About)
	return is
}

func entityTag(body []byte) []byte {
	sum := sha256.Sum256(body)
	return []byte(`"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`)
}

// about is the metadata of RFC 8414 §2. There is no authorization endpoint, so that
// no response type is supported; the member is required all the same.
func about(cfg *ir.TokenIssuer) []byte {
	base := cfg.Issuer
	text, _ := json.Marshal(struct { // plain data
		Issuer        string   `json:"issuer"`
		TokenEndpoint string   `json:"token_endpoint"`
		JWKS          string   `json:"jwks_uri"`
		Scopes        []string `json:"scopes_supported,omitempty"`
		ResponseTypes []string `json:"response_types_supported"`
		GrantTypes    []string `json:"grant_types_supported"`
		AuthMethods   []string `json:"token_endpoint_auth_methods_supported"`
	}{
		base, base + ir.TokenPath, base + ir.TokenKeys, cfg.Scopes,
		[]string{},
		[]string{"client_credentials"},
		[]string{"client_secret_basic", "client_secret_post"},
	})
	return text
}

// KeyID is "kid" of the key that signs, empty if there is none.
func (is *Issuer) KeyID() string {
	if len(is.signers) == 0 {
		return ""
	}
	return is.signers[0].ID()
}

// Count counts what became of a request.
func (is *Issuer) Count(o Outcome) { is.counts[o].Add(1) }

// Grant is what a token is made of.
type Grant struct {
	Consumer  *ir.Consumer
	ClientID  string
	Audiences []string
	// Scope has the names with a space between each.
	Scope string
}

// ErrUnavailable: no token can be made now.
var ErrUnavailable = errors.New("issuing: there is no key, or too many tokens are being signed")

// Issue makes a token (RFC 9068 §2.2). Wait is called before it waits.
func (is *Issuer) Issue(g *Grant, now time.Time, wait func()) ([]byte, error) {
	if len(is.signers) == 0 {
		return nil, ErrUnavailable
	}
	claims := map[string]any{
		"iss": is.Config.Issuer, "sub": g.ClientID, "client_id": g.ClientID,
		"iat": now.Unix(), "exp": now.Add(is.Config.Lifetime).Unix(), "jti": rand.Text(),
	}
	if len(g.Audiences) == 1 { // RFC 7519 §4.1.3
		claims["aud"] = g.Audiences[0]
	} else {
		claims["aud"] = g.Audiences
	}
	if g.Scope != "" {
		claims["scope"] = g.Scope
	}
	for i := range is.Config.Claims {
		c := &is.Config.Claims[i]
		if v, ok := part(g.Consumer, c); ok {
			claims[c.Name] = v
		}
	}
	text, err := json.Marshal(claims)
	if err != nil {
		return nil, err
	}
	if !is.gate.Enter(wait) {
		return nil, ErrUnavailable
	}
	defer is.gate.Leave()
	return is.signers[0].Sign(tokenType, text)
}

// part is what a claim has of a Consumer.
func part(who *ir.Consumer, c *ir.TokenClaim) (v any, ok bool) {
	switch c.From {
	case ir.PartName:
		return who.Name, true
	case ir.PartNamespace:
		return who.Namespace, true
	case ir.PartGroups:
		return who.Groups, len(who.Groups) > 0
	case ir.PartPlan:
		return who.Plan, who.Plan != ""
	case ir.PartLabel:
		return who.Label(c.Label)
	}
	return nil, false
}
