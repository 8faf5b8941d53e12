package authentication

import (
	"slices"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/jwt"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/token"
)

// issuer is somebody whose tokens are accepted.
type issuer struct {
	*ir.JWTIssuer
	name             string
	keys             KeySet
	algorithms       jwt.Algorithms
	skew             float64
	consumer         []string
	consumerRequired bool
}

func newIssuer(is *ir.JWTIssuer, keys func(string) KeySet) issuer {
	out := issuer{
		JWTIssuer: is, name: is.Issuer, keys: noKeys{}, algorithms: jwt.All,
		skew: is.ClockSkew.Seconds(), consumer: is.Consumer, consumerRequired: is.ConsumerRequired,
	}
	if keys != nil {
		if k := keys(is.KeySet); k != nil {
			out.keys = k
		}
	}
	if len(is.Algorithms) > 0 {
		out.algorithms = 0
		for _, name := range is.Algorithms {
			if a, err := jwt.ParseAlgorithm(name); err == nil { // compile lets no other through
				out.algorithms |= jwt.Of(a)
			}
		}
	}
	return out
}

// noKeys lets nobody through.
type noKeys struct{}

func (noKeys) Current() *jwt.Set               { return nil }
func (noKeys) Renew(*jwt.Set, func()) *jwt.Set { return nil }

// Claims of RFC 7519 §4.1.
var (
	audience  = []string{"aud"}
	expires   = []string{"exp"}
	notBefore = []string{"nbf"}
	issuedAt  = []string{"iat"}
)

const (
	// maxTime is the end of the year 9999, in seconds.
	maxTime = 253402300799
	// maxSkew is the most that clocks may differ by configuration.
	maxSkew = 10 * time.Minute
)

// accepts tells whether a token is what the issuer's tokens must be like, apart
// from its signature.
func (is *issuer) accepts(v *token.Verified, now time.Time) bool {
	return is.fault(v, now) == filter.FaultNone
}

// fault is what is wrong with a token, apart from its signature.
func (is *issuer) fault(v *token.Verified, now time.Time) filter.Fault {
	if !slices.Contains(is.Types, v.Type) {
		return filter.FaultType
	}
	if f := is.untimely(v.Claims, now); f != filter.FaultNone {
		return f
	}
	switch {
	case !is.isFor(v.Claims):
		return filter.FaultAudience
	case is.lacking(v.Claims) != nil:
		return filter.FaultClaims
	}
	return filter.FaultNone
}

// untimely compares times (RFC 7519 §4.1.4 to §4.1.6). A token from the future is
// not one, whatever else it says.
func (is *issuer) untimely(c *filter.Claims, now time.Time) filter.Fault {
	at := float64(now.UnixNano()) / float64(time.Second)
	if _, has := c.Lookup(expires); has || !is.Unlimited {
		switch end, ok := timeOf(c, expires); {
		case !ok:
			return filter.FaultClaims
		case at >= end+is.skew:
			return filter.FaultExpired
		}
	}
	for _, path := range [][]string{notBefore, issuedAt} {
		if _, has := c.Lookup(path); has {
			switch begin, ok := timeOf(c, path); {
			case !ok:
				return filter.FaultClaims
			case at < begin-is.skew:
				return filter.FaultNotYet
			}
		}
	}
	return filter.FaultNone
}

// timeOf reads a NumericDate (RFC 7519 §2) in seconds.
func timeOf(c *filter.Claims, path []string) (seconds float64, ok bool) {
	v, _ := c.Lookup(path)
	switch n := v.(type) {
	case int64:
		seconds = float64(n)
	case float64:
		seconds = n
	default:
		return 0, false
	}
	return seconds, seconds >= 0 && seconds <= maxTime
}

// isFor tells whether the token is for one of the audiences (RFC 7519 §4.1.3).
func (is *issuer) isFor(c *filter.Claims) bool {
	if len(is.Audiences) == 0 {
		return true
	}
	v, _ := c.Lookup(audience)
	switch v := v.(type) {
	case string:
		return slices.Contains(is.Audiences, v)
	case []any:
		found := false
		for _, one := range v {
			s, ok := one.(string)
			if !ok {
				return false
			}
			found = found || slices.Contains(is.Audiences, s)
		}
		return found
	}
	return false
}

// lacking is the first of the claims that must be there and is not; nil is none.
func (is *issuer) lacking(c *filter.Claims) *ir.JWTRequired {
	for i := range is.Required {
		r := &is.Required[i]
		v, _ := c.Lookup(r.Claim)
		if v == nil || len(r.Values) > 0 && !hasOne(v, r.Values, len(r.Claim) == 1 && r.Claim[0] == "scope") {
			return r
		}
	}
	return nil
}

func hasOne(v any, wanted []string, words bool) bool {
	switch v := v.(type) {
	case string:
		if !words {
			return slices.Contains(wanted, v)
		}
		for word := range strings.SplitSeq(v, " ") {
			if slices.Contains(wanted, word) {
				return true
			}
		}
	case []any:
		for _, one := range v {
			if s, ok := one.(string); ok && slices.Contains(wanted, s) {
				return true
			}
		}
	case bool:
		return v && slices.Contains(wanted, "true") || !v && slices.Contains(wanted, "false")
	}
	return false
}

// signer finds the key that has signed the token, if need be among newer ones, or
// says what is wrong. Wait is called before it waits.
func (is *issuer) signer(t *jwt.Token, gate *token.Gate, wait func()) (*jwt.Key, result, filter.Fault) {
	fault := filter.FaultSignature
	keys := is.keys.Current()
	for again := range 2 {
		if keys == nil {
			if keys = is.keys.Renew(nil, wait); keys == nil {
				return nil, unavailable, filter.FaultNoKeys
			}
		}
		if !gate.Enter(wait) {
			return nil, busy, filter.FaultBusy
		}
		key, err := keys.Verify(t, is.algorithms)
		gate.Leave()
		if err == nil {
			return key, accepted, filter.FaultNone
		}
		fault = faultOf(err)
		if again > 0 || fault != filter.FaultKeyID {
			break
		}
		newer := is.keys.Renew(keys, wait)
		if newer == keys {
			break
		}
		keys = newer
	}
	return nil, refused, fault
}
