package tracing

import (
	"bytes"
	"net/url"
	"strings"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

const (
	// leastSecret is how long a secret is, in bytes, to be looked for within a text, and
	// leastPart how long a text is to be looked for within a secret. What is shorter is there
	// by chance.
	leastSecret = 4
	leastPart   = 8
)

// reveals tells whether a text that an expression has made of a request has a credential of
// it, or a part of one. The expression itself does not tell: it may name a header or a
// parameter only to learn whether it is there.
func reveals(r *httpmsg.Request, mask Mask, text string) bool {
	if text == "" {
		return false
	}
	if ir.SecretValue(text) || ir.SecretTarget(text) {
		return true
	}
	for i := range r.Header.Len() {
		f := r.Header.At(i)
		name := string(f.Name)
		if (ir.SecretName(name) || mask.Header(name)) && overlap(text, string(f.Value)) {
			return true
		}
	}
	for pair := range bytes.SplitSeq(r.Query, []byte("&")) {
		name, value, _ := strings.Cut(string(pair), "=")
		name, value = unescaped(name), unescaped(value)
		if (ir.SecretName(name) || mask.Parameter(name)) && overlap(text, value) {
			return true
		}
	}
	return false
}

func overlap(text, secret string) bool {
	return text == secret || len(secret) >= leastSecret && strings.Contains(text, secret) || len(text) >= leastPart && strings.Contains(secret, text)
}

func unescaped(text string) string {
	if s, err := url.QueryUnescape(text); err == nil {
		return s
	}
	return text
}
