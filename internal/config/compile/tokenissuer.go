package compile

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/issuance"
	"github.com/gridway/gridway/internal/config/status"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/jwt"
)

const (
	defaultTokenLifetime  = 5 * time.Minute
	leastTokenLifetime    = time.Minute
	mostTokenLifetime     = 24 * time.Hour
	defaultTokenAlgorithm = "ES256"
	defaultRotation       = 30 * 24 * time.Hour
	leastRotation         = time.Hour
	mostRotation          = 365 * 24 * time.Hour
	// accessTokenType is "typ" of tokens as it is compared (RFC 9068 §2.1).
	accessTokenType = "at+jwt"
)

var (
	scopePattern = regexp.MustCompile(`^[!#-\[\]-~]+$`)
	pathPattern  = regexp.MustCompile(`^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$`)
)

// tokenIssuer is a compiled TokenIssuer. It is never changed afterwards.
type tokenIssuer struct {
	object *store.Object
	ir     *ir.TokenIssuer
	// keys is the public side of its keys, empty if there are none.
	keys []byte
}

// signerKey is where a private key stands and what it is to sign by.
type signerKey struct {
	object    *store.Object
	entry     string
	algorithm jwt.Algorithm
}

// signer is what was read there: err says why there is none.
type signer struct {
	text   []byte
	signer *jwt.Signer
	err    error
}

// compileTokenIssuers reads the TokenIssuers, before what refers to them. One that is
// invalid goes on in its last good version.
func (c *compiler) compileTokenIssuers() {
	c.tokenIssuers = map[store.Key]*tokenIssuer{}
	for _, o := range c.set.Kind(ownGroup, v1alpha1.KindTokenIssuer) {
		v, ok := o.Value.(*v1alpha1.TokenIssuer)
		if !ok {
			continue
		}
		generation := meta(o).GetGeneration()
		accepted := status.Condition{Type: "Accepted", Status: status.True, Reason: "Accepted", Generation: generation}
		resolved := status.Condition{Type: "ResolvedRefs", Status: status.True, Reason: "ResolvedRefs", Generation: generation}
		used, spec := o, &v.Spec
		if faults := judgeTokenIssuer(spec); len(faults) > 0 {
			for _, f := range faults {
				c.report(f.problem(o))
			}
			accepted.Status, accepted.Reason, accepted.Message = status.False, "Invalid", faults[0].field+": "+faults[0].message
			used = c.lastGood(o)
			good, ok := (*v1alpha1.TokenIssuer)(nil), false
			if used != nil {
				good, ok = used.Value.(*v1alpha1.TokenIssuer)
			}
			if used = nilUnless(used, ok && len(judgeTokenIssuer(&good.Spec)) == 0); used != nil {
				spec, c.next.fallback[o.Key] = &good.Spec, used
				accepted.Message = "the last good version serves, because this one is invalid: " + accepted.Message
				c.report(keepsServing(o))
			}
		}
		if used != nil {
			x := c.tokenIssuer(used, spec, &resolved)
			x.object = o
			c.tokenIssuers[o.Key] = x
		}
		c.say(status.Object{Key: o.Key, Generation: generation, Position: o.Locate(""), Conditions: []status.Condition{accepted, resolved}})
	}
}

func nilUnless(o *store.Object, good bool) *store.Object {
	if !good {
		return nil
	}
	return o
}

// judgeTokenIssuer finds what the schema does not.
func judgeTokenIssuer(spec *v1alpha1.TokenIssuerSpec) []fault {
	var faults []fault
	add := func(field, message, remedy string) {
		faults = append(faults, fault{field: "spec." + field, code: "InvalidValue", message: message, remedy: remedy})
	}
	const example = "for example https://auth.example.com, or https://api.example.com/auth"
	switch u, err := url.Parse(spec.Issuer); {
	case err != nil || u.Host == "" || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		add("issuer", "is not the URL of an issuer", example)
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(spec.Issuer, "#"):
		add("issuer", "has user, query or fragment, which an issuer must not (RFC 8414 §2)", example)
	case u.Scheme == "http" && !ir.Loopback(u.Hostname()):
		add("issuer", "is http, by which whoever is on the path reads secrets and tokens", "use https; http is for localhost alone")
	case strings.HasSuffix(u.Path, "/"):
		add("issuer", "ends in a slash: the names of issuers are compared to the letter, and this one's paths begin after it", "leave the slash out")
	case !pathPattern.MatchString(u.EscapedPath()):
		add("issuer", "has a path with something other than letters, digits and - . _ ~ in its parts", example)
	}
	if len(spec.Audiences) == 0 {
		add("audiences", "at least one is needed: a token is for somebody (RFC 9068 §2.2)", "name the API, for example https://api.example.com")
	}
	keys := &spec.SigningKeys
	if (len(keys.SecretRefs) > 0) == (keys.StateStore != nil) {
		add("signingKeys", "either secretRefs or stateStore must be given", "docs/guides/token-endpoint.md says what each is for")
	}
	if keys.StateStore != nil {
		if d := duration(keys.StateStore.RotateEvery, defaultRotation); d < leastRotation || d > mostRotation {
			add("signingKeys.stateStore.rotateEvery", fmt.Sprintf("%s is not between %s and %s", d, leastRotation, mostRotation), "")
		}
	}
	for i, s := range spec.Scopes {
		if !scopePattern.MatchString(string(s)) {
			add(fmt.Sprintf("scopes[%d]", i), fmt.Sprintf("%q is not the name of a scope (RFC 6749 §3.3)", s), "names have no spaces, quotation marks and backslashes")
		}
	}
	a := spec.AccessTokens
	if a == nil {
		return faults
	}
	if d := duration(a.Lifetime, defaultTokenLifetime); d < leastTokenLifetime || d > mostTokenLifetime || d%time.Second != 0 {
		add("accessTokens.lifetime", fmt.Sprintf("%s is not between %s and %s in whole seconds", d, leastTokenLifetime, mostTokenLifetime), "")
	}
	for i := range a.Claims {
		if c := &a.Claims[i]; (c.From == string(ir.PartLabel)) != (c.Label != nil) {
			add(fmt.Sprintf("accessTokens.claims[%d].label", i), "label goes with from: Label, and must be given there", "")
		}
	}
	return faults
}

func (c *compiler) tokenIssuer(o *store.Object, spec *v1alpha1.TokenIssuerSpec, resolved *status.Condition) *tokenIssuer {
	u, _ := url.Parse(spec.Issuer) // it was judged
	out := &ir.TokenIssuer{
		Name: o.Key.Namespace + "/" + o.Key.Name, Issuer: spec.Issuer, Path: u.EscapedPath(), Audiences: spec.Audiences, Scopes: scopeNames(spec.Scopes),
		Namespace: o.Key.Namespace, EveryNamespace: spec.Consumers != nil && deref(spec.Consumers.From, "Same") == "All",
		Lifetime: defaultTokenLifetime, Algorithm: defaultTokenAlgorithm,
	}
	if a := spec.AccessTokens; a != nil {
		out.Lifetime, out.Algorithm = duration(a.Lifetime, defaultTokenLifetime), deref(a.Algorithm, defaultTokenAlgorithm)
		for i := range a.Claims {
			cl := &a.Claims[i]
			out.Claims = append(out.Claims, ir.TokenClaim{Name: cl.Name, From: ir.CallerPart(cl.From), Label: deref(cl.Label, "")})
		}
	}
	x := &tokenIssuer{ir: out}
	var signers []*jwt.Signer
	if stored := spec.SigningKeys.StateStore; stored != nil {
		signers = c.storedSigners(o, stored, out, resolved)
	} else {
		signers = c.namedSigners(o, spec.SigningKeys.SecretRefs, out, resolved)
	}
	if len(signers) > 0 {
		x.keys = jwt.PublicSet(signers)
	}
	return x
}

// namedSigners are the keys of Secrets that the user has made.
func (c *compiler) namedSigners(o *store.Object, refs []v1alpha1.SecretKeyReference, out *ir.TokenIssuer, resolved *status.Condition) (signers []*jwt.Signer) {
	for i := range refs {
		r := &refs[i]
		s, message, remedy := c.signer(o, r, out.Algorithm)
		if message == "" && slices.ContainsFunc(signers, func(other *jwt.Signer) bool { return other.ID() == s.signer.ID() }) {
			message, remedy = fmt.Sprintf("entry %q of Secret %s/%s is the same key as one before", entryName(r), o.Key.Namespace, r.Name), "leave one of them out"
		}
		if message != "" {
			without := "; this key is left out, and the first of the others signs"
			if len(refs) == 1 {
				without = "; without a key nobody gets tokens, and those that exist are refused"
			}
			c.report(problemAt(o, fmt.Sprintf("spec.signingKeys.secretRefs[%d]", i), store.Warning, "InvalidReference", message+without, remedy))
			if resolved.Status == status.True {
				resolved.Status, resolved.Reason, resolved.Message = status.False, "InvalidReference", message
			}
			continue
		}
		signers, out.Keys = append(signers, s.signer), append(out.Keys, s.text)
	}
	return signers
}

// storedSigners are the keys of the state store, which come as a Secret when there are
// any.
func (c *compiler) storedSigners(o *store.Object, stored *v1alpha1.StoredSigningKeys, out *ir.TokenIssuer, resolved *status.Condition) (signers []*jwt.Signer) {
	order := issuance.SigningOrder{
		Secret: issuance.SigningSecret(o.Key), Issuer: o.Key, Algorithm: out.Algorithm,
		RotateEvery: duration(stored.RotateEvery, defaultRotation), Lifetime: out.Lifetime,
	}
	for i := range stored.KeyRefs {
		field := fmt.Sprintf("spec.signingKeys.stateStore.keyRefs[%d]", i)
		if key := c.secretFor(o, &stored.KeyRefs[i], field, "it decrypts no signing key", minCookieKey, maxCookieKey); key != nil {
			order.Seals = append(order.Seals, key)
		}
	}
	if len(order.Seals) == 0 {
		resolved.Status, resolved.Reason, resolved.Message = status.False, "InvalidReference", "none of keyRefs is there: signing keys cannot be read from the state store, nor made"
		return nil
	}
	c.signingOrders = append(c.signingOrders, order)
	secret := c.set.Get(order.Secret)
	if secret == nil {
		resolved.Status, resolved.Reason, resolved.Message = status.False, "Pending", "the state store has no keys yet, or the gateway has no state store (--state)"
		c.report(problemAt(o, "spec.signingKeys.stateStore", store.Note, "KeysPending", "the keys are in the state store of a running gateway", "start it with --state; until then nobody gets tokens"))
		return nil
	}
	for n := 0; len(secretEntry(secret, issuance.SigningEntry(n))) > 0; n++ {
		if s := c.readSigner(secret, issuance.SigningEntry(n), out.Algorithm); s.err == nil {
			signers, out.Keys = append(signers, s.signer), append(out.Keys, s.text)
		}
	}
	return signers
}

func scopeNames(list []v1alpha1.TokenScope) []string {
	var out []string
	for _, s := range list {
		out = append(out, string(s))
	}
	return out
}

// signer reads a private key, or the last good version of its Secret.
func (c *compiler) signer(owner *store.Object, r *v1alpha1.SecretKeyReference, algorithm string) (s *signer, message, remedy string) {
	key := store.Key{Kind: "Secret", Namespace: owner.Key.Namespace, Name: r.Name}
	o := c.set.Get(key)
	if o == nil {
		message, remedy = c.notFound(key)
		return nil, message, remedy
	}
	s = c.readSigner(o, entryName(r), algorithm)
	if s.err == nil {
		return s, "", ""
	}
	message = fmt.Sprintf("entry %q of %s %s", entryName(r), key, s.err)
	if old := c.lastGood(o); old != nil {
		if good := c.readSigner(old, entryName(r), algorithm); good.err == nil {
			c.next.fallback[o.Key] = old
			c.reportOnce(problemAt(o, dataField(o, ""), store.Error, "InvalidKey", message, ""))
			c.reportOnce(keepsServing(o))
			return good, "", ""
		}
	}
	return nil, message, "docs/guides/token-endpoint.md says how keys are made"
}

func (c *compiler) readSigner(o *store.Object, entry, algorithm string) *signer {
	a, _ := jwt.ParseAlgorithm(algorithm) // the schema names those that there are
	at := signerKey{o, entry, a}
	s := c.next.signers[at]
	if s == nil && c.prev != nil {
		s = c.prev.signers[at]
	}
	if s == nil {
		s = &signer{text: secretEntry(o, entry)}
		if len(s.text) == 0 {
			s.err = fmt.Errorf("is not there")
		} else {
			s.signer, s.err = jwt.NewSigner(s.text, a)
		}
	}
	c.next.signers[at] = s
	return s
}

// tokenIssuerOf is the one that a policy names, nil if there is none.
func (c *compiler) tokenIssuerOf(namespace string, r *v1alpha1.TokenIssuerReference) *tokenIssuer {
	return c.tokenIssuers[store.Key{Group: ownGroup, Kind: v1alpha1.KindTokenIssuer, Namespace: namespace, Name: string(r.Name)}]
}

// servedTokenIssuers are those that the configuration has, by name. One that is as it
// was before is the same pointer.
func (c *compiler) servedTokenIssuers() []*ir.TokenIssuer {
	var out []*ir.TokenIssuer
	for _, x := range c.tokenIssuers {
		out = append(out, x.ir)
	}
	slices.SortFunc(out, func(a, b *ir.TokenIssuer) int { return strings.Compare(a.Name, b.Name) })
	if c.prevConfig != nil {
		takeOver(out, c.prevConfig.TokenIssuers, func(t *ir.TokenIssuer) string { return t.Name })
	}
	return out
}
