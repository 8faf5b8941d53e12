package compile

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/httpsig"
	"github.com/gridway/gridway/internal/ir"
)

const (
	defaultSignatureAge  = 5 * time.Minute
	defaultSignatureSkew = 30 * time.Second
	leastSignatureAge    = time.Second
	mostSignatureAge     = time.Hour
	defaultRemembered    = 1_000_000
	leastRemembered      = 1000
	mostRemembered       = 50_000_000
)

var (
	defaultComponents = []string{"@method", "@authority", "@path", "@query", "content-digest"}
	labelPattern      = regexp.MustCompile(`^[a-z*][a-z0-9_.*-]*$`)
	asciiPattern      = regexp.MustCompile(`^[ -~]+$`)
)

// judgeHMAC finds what is wrong with a method of signatures.
func judgeHMAC(m *v1alpha1.HMACAuthentication, field string, add func(field, message, remedy string)) {
	if m.Label != nil && !labelPattern.MatchString(*m.Label) {
		add(field+".label", fmt.Sprintf("%q is not the label of a signature", *m.Label), "for example sig1: lower-case letters and digits")
	}
	if m.Tag != nil && !asciiPattern.MatchString(*m.Tag) {
		add(field+".tag", "must be of visible ASCII characters and spaces", "")
	}
	for i, written := range m.RequiredComponents {
		at := fmt.Sprintf("%s.requiredComponents[%d]", field, i)
		c, err := httpsig.ParseComponent(string(written))
		switch {
		case err != nil:
			add(at, fmt.Sprintf("%q is not a component: %v", written, err),
				"name a header in lower case, @method, @target-uri, @authority, @scheme, @request-target, @path, @query or @query-param;name=\"…\"")
		case slices.Contains([]string{"signature", "signature-input"}, c.Name()):
			add(at, fmt.Sprintf("%s is changed by the signature itself", c.Name()), "leave it out")
		case c.Name() == "content-digest" && !c.Whole():
			add(at, "a member of content-digest says nothing of the body, since others can be added", "write content-digest")
		}
	}
	between := func(name string, d, least, most time.Duration) {
		if d < least || d > most {
			add(field+name, fmt.Sprintf("%s is not between %s and %s", d, least, most), "")
		}
	}
	between(".maxAge", duration(m.MaxAge, defaultSignatureAge), leastSignatureAge, mostSignatureAge)
	between(".clockSkew", duration(m.ClockSkew, defaultSignatureSkew), 0, maxClockSkew)
	if r := m.Replay; r != nil {
		if n := deref(r.MaxEntries, defaultRemembered); n < leastRemembered || n > mostRemembered {
			add(field+".replay.maxEntries", fmt.Sprintf("%d is not between %d and %d", n, leastRemembered, mostRemembered), "")
		}
	}
}

func hmacOf(m *v1alpha1.HMACAuthentication) *ir.HMACAuth {
	out := &ir.HMACAuth{
		Label: deref(m.Label, ""), Tag: deref(m.Tag, ""), Required: defaultComponents, Forward: deref(m.Forward, false),
		MaxAge: duration(m.MaxAge, defaultSignatureAge), ClockSkew: duration(m.ClockSkew, defaultSignatureSkew), Remembered: defaultRemembered,
	}
	if len(m.RequiredComponents) > 0 {
		out.Required = nil
		for _, name := range m.RequiredComponents {
			out.Required = append(out.Required, string(name))
		}
	}
	if r := m.Replay; r != nil {
		out.Remembered = int(deref(r.MaxEntries, defaultRemembered))
		if !deref(r.Protect, true) {
			out.Remembered = 0
		}
	}
	for _, f := range m.StructuredFields {
		out.Structured = append(out.Structured, ir.StructuredField{Name: f.Name, Type: string(f.Type)})
	}
	return out
}

// warnUnsigned names what others may change in requests that are accepted.
func (c *compiler) warnUnsigned(p *authenticationPolicy) {
	for i := range p.spec.AnyOf {
		m := p.spec.AnyOf[i].HMAC
		if m == nil || len(m.RequiredComponents) == 0 {
			continue
		}
		has := func(names ...string) bool {
			return slices.ContainsFunc(m.RequiredComponents, func(written v1alpha1.SignatureComponent) bool {
				c, err := httpsig.ParseComponent(string(written))
				return err == nil && c.Whole() && slices.Contains(names, c.Name())
			})
		}
		var free []string
		for _, one := range []struct {
			name   string
			covers []string
		}{
			{"the method", []string{"@method"}},
			{"the host", []string{"@authority", "@target-uri", "host"}},
			{"the path", []string{"@path", "@request-target", "@target-uri"}},
			{"the query", []string{"@query", "@request-target", "@target-uri"}},
			{"the body", []string{"content-digest"}},
		} {
			if !has(one.covers...) {
				free = append(free, one.name)
			}
		}
		if len(free) > 0 {
			c.report(problemAt(p.source(), fmt.Sprintf("spec.anyOf[%d].hmac.requiredComponents", i), store.Note, "NotSigned",
				"signatures need not cover "+strings.Join(free, ", ")+": who sees a request may change that, if its client has not signed it",
				"add what is missing: "+strings.Join(defaultComponents, ", ")))
		}
	}
}

// judgeSigningKey finds what is wrong with a credential for signatures.
func judgeSigningKey(cr *v1alpha1.ConsumerCredential, add func(field, message, remedy string)) {
	field := ".hmac"
	var id *string
	if cr.HMAC != nil {
		id = cr.HMAC.KeyID
	} else {
		field, id = ".publicKey", cr.PublicKey.KeyID
		if _, _, err := httpsig.ParsePEM([]byte(cr.PublicKey.PEM), deref(cr.PublicKey.Algorithm, "")); err != nil {
			add(field+".pem", err.Error(), "\"openssl pkey -in key.pem -pubout\" prints the public key")
		}
	}
	if id != nil && !asciiPattern.MatchString(*id) {
		add(field+".keyID", "must be of visible ASCII characters and spaces", "")
	}
}

func publicKey(k *v1alpha1.PublicKeyCredential) (der []byte, algorithm string) {
	parsed, der, _ := httpsig.ParsePEM([]byte(k.PEM), deref(k.Algorithm, "")) // it was judged
	return der, parsed.Algorithm()
}

// signingSecret is a secret as it is in its Secret, or why there is none.
func (c *compiler) signingSecret(x *consumer, owner *store.Object, r *v1alpha1.SecretKeyReference) (secret []byte, message, remedy string) {
	o, key := c.secretOf(x, owner, r)
	if o == nil {
		message, remedy = c.notFound(key)
		return nil, message, remedy
	}
	secret = secretEntry(o, entryName(r))
	switch n := len(secret); {
	case n == 0:
		return nil, fmt.Sprintf("%s has no entry %q", key, entryName(r)), "put it there"
	case n < minKey || n > maxKey:
		return nil, fmt.Sprintf("entry %q of %s has %d bytes, and a secret has %d to %d", entryName(r), key, n, minKey, maxKey), "\"openssl rand -hex 32\" makes one"
	case bytes.HasSuffix(secret, []byte("\n")):
		x.problems = append(x.problems, problemAt(owner, "spec.credentials", store.Note, "LineBreak",
			fmt.Sprintf("entry %q of %s ends in a line break, which is part of the secret", entryName(r), key), "take it out if clients sign without it"))
	}
	return secret, "", ""
}
