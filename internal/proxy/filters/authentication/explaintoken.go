package authentication

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/jwt"
	"github.com/gridway/gridway/internal/proxy/filter"
)

func (b *bearer) describe(x *filter.Exchange, f filter.Fault) string {
	switch f {
	case filter.FaultNone, filter.FaultAmbiguous:
		return b.sources.describe("token", f)
	case filter.FaultBusy:
		return "too many signatures are being verified"
	}
	text, _ := b.sources.find(x)
	if len(text) == 0 {
		return "it is empty"
	}
	t, err := jwt.Parse(text)
	if err != nil {
		return err.Error()
	}
	values, err := t.Claims()
	if err != nil {
		return "its claims: " + err.Error()
	}
	claims := filter.NewClaims(values)
	is := b.issuer(claims.Issuer)
	if is == nil {
		names := make([]string, len(b.issuers))
		for i := range b.issuers {
			names[i] = b.issuers[i].name
		}
		if claims.Issuer == "" {
			return `it has no "iss"; accepted are tokens of ` + quoted(names)
		}
		return fmt.Sprintf("it is of %.200q; accepted are tokens of %s", claims.Issuer, quoted(names))
	}
	switch f {
	case filter.FaultAlgorithm:
		return fmt.Sprintf("it is signed by %s; accepted are %s", t.Algorithm, strings.Join(is.Algorithms, ", "))
	case filter.FaultType:
		return typeText(t.Type, is.Types)
	case filter.FaultKeyID, filter.FaultSignature:
		return keysText(t, is.keys.Current())
	case filter.FaultNoKeys:
		return fmt.Sprintf("the keys of issuer %q are not here: a running gateway fetches them, and gridway status says whether it could", is.name)
	}
	return is.describe(claims, f, x.Start, b.policy)
}

func (in *introspection) describe(x *filter.Exchange, f filter.Fault) string {
	switch f {
	case filter.FaultNone, filter.FaultAmbiguous, filter.FaultMalformed:
		return in.sources.describe("token", f)
	case filter.FaultBusy:
		return "the server is being asked about too many tokens"
	case filter.FaultInactive:
		return "the server says that the token is not active"
	case filter.FaultNoAnswer:
		if in.Problem != "" {
			return in.Problem
		}
		return "the server cannot be asked"
	}
	return ""
}

func (e *external) describe(_ *filter.Exchange, f filter.Fault) string {
	if f != filter.FaultNoAnswer {
		return ""
	}
	if e.cfg.Cluster == "" {
		return "the server's backend could not be resolved"
	}
	return "the server cannot be asked"
}

func (o *oidc) describe(_ *filter.Exchange, f filter.Fault) string {
	switch f {
	case filter.FaultNone:
		return "looked for a session in the cookies; a browser is sent to " + o.config.Issuer
	case filter.FaultSession:
		return "the session is over, or was sealed with another key; a browser is sent to " + o.config.Issuer
	case filter.FaultNoKeys:
		return "the secret or the keys of the cookies are missing"
	case filter.FaultNoAnswer:
		return "the session's tokens have ended, and " + o.config.Issuer + " cannot be asked for newer ones"
	case filter.FaultConsumer:
		return whose(o.policy) + " is meant by the session" + alsoClaim(o.config.Consumer)
	}
	return ""
}

func typeText(is string, wanted []string) string {
	names := slices.DeleteFunc(slices.Clone(wanted), func(s string) bool { return s == "" })
	text := "it has no \"typ\""
	if is != "" {
		text = fmt.Sprintf("its \"typ\" is %.100q", is)
	}
	switch {
	case len(names) == 0:
		return text + "; accepted are tokens without one"
	case len(names) < len(wanted):
		return text + "; accepted are " + quoted(names) + ", or none"
	}
	return text + "; accepted are " + quoted(names)
}

// keysText says which key is meant, and which there are.
func keysText(t *jwt.Token, set *jwt.Set) string {
	if set == nil {
		return ""
	}
	var names []string
	fits := false
	for _, k := range set.Keys() {
		if t.HasKeyID && k.ID() == t.KeyID {
			if k.Algorithms().Has(t.Algorithm) {
				return fmt.Sprintf("key %.100q has not signed it: it was changed, or another key of the same name has", t.KeyID)
			}
			return fmt.Sprintf("key %.100q is not for %s, by which the token says it is signed", t.KeyID, t.Algorithm)
		}
		fits = fits || k.Algorithms().Has(t.Algorithm)
		names = append(names, k.ID())
	}
	switch {
	case !fits:
		return fmt.Sprintf("none of the issuer's %d keys is for %s", set.Len(), t.Algorithm)
	case !t.HasKeyID:
		return fmt.Sprintf("it has no \"kid\", and none of the issuer's %d keys has signed it", set.Len())
	}
	return fmt.Sprintf("its \"kid\" is %.100q; the issuer has %s", t.KeyID, quoted(names))
}

// describe says what of the claims is not as it must be.
func (is *issuer) describe(c *filter.Claims, f filter.Fault, now time.Time, p *ir.Authentication) string {
	switch f {
	case filter.FaultExpired:
		end, _ := timeOf(c, expires)
		return "it has expired at " + stamp(time.Unix(int64(end), 0), now)
	case filter.FaultNotYet:
		for _, path := range [][]string{notBefore, issuedAt} {
			if begin, ok := timeOf(c, path); ok && begin-is.skew > float64(now.Unix()) {
				return fmt.Sprintf("its %q is %s", path[0], stamp(time.Unix(int64(begin), 0), now))
			}
		}
	case filter.FaultAudience:
		return fmt.Sprintf("it is for %s; accepted are %s", audienceText(c), quoted(is.Audiences))
	case filter.FaultClaims:
		return is.claimsText(c)
	case filter.FaultConsumer:
		value, _ := c.Lookup(is.consumer)
		name, _ := value.(string)
		if name == "" {
			return fmt.Sprintf("it has no claim %q, which is to name a Consumer", strings.Join(is.consumer, "."))
		}
		return fmt.Sprintf("its claim %q is %.100q, and %s has that name", strings.Join(is.consumer, "."), name, whose(p))
	}
	return ""
}

func (is *issuer) claimsText(c *filter.Claims) string {
	if r := is.lacking(c); r != nil {
		name := strings.Join(r.Claim, ".")
		if v, _ := c.Lookup(r.Claim); v == nil {
			return fmt.Sprintf("it has no claim %q", name)
		}
		return fmt.Sprintf("its claim %q has none of %s", name, quoted(r.Values))
	}
	for _, path := range [][]string{expires, notBefore, issuedAt} {
		_, has := c.Lookup(path)
		if _, ok := timeOf(c, path); has && !ok {
			return fmt.Sprintf("its claim %q is not a time", path[0])
		}
	}
	return `it has no claim "exp", and tokens without an end are not accepted`
}

func audienceText(c *filter.Claims) string {
	switch v, _ := c.Lookup(audience); v := v.(type) {
	case string:
		return quoted([]string{v})
	case []any:
		var list []string
		for _, one := range v {
			s, ok := one.(string)
			if !ok {
				return "an audience that is no text"
			}
			list = append(list, s)
		}
		return quoted(list)
	}
	return `nobody: it has no claim "aud"`
}

// alsoClaim adds which claim names the Consumer.
func alsoClaim(path []string) string {
	if path == nil {
		return ""
	}
	return fmt.Sprintf(", and its claim %q names none", strings.Join(path, "."))
}
