package ir

import (
	"net/url"
	"slices"
	"strings"
)

// Credential tells whether what a name is given is likely a credential, by the
// name or by the look of the value.
func Credential(name, value string) bool {
	if strings.EqualFold(name, "WWW-Authenticate") {
		return false // it asks for one
	}
	return SecretName(name) || SecretValue(value)
}

// SecretName tells whether a header field, parameter or key of that name usually
// carries credentials: Authorization and its kin, cookies, certificates of clients that a
// proxy vouches for (RFC 9440), and what is called a token, secret, password, signature or
// the key to something.
func SecretName(name string) bool {
	name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
	switch name {
	case "cookie", "set-cookie", "key":
		return true
	}
	for _, word := range []string{
		"authorization", "token", "secret", "password", "passwd", "passphrase", "api-key", "apikey", "auth-key", "access-key", "private-key",
		"subscription-key", "credential", "signature", "jwt", "client-cert",
	} {
		if strings.Contains(name, word) {
			return true
		}
	}
	for part := range strings.FieldsFuncSeq(name, func(r rune) bool { return r == '-' || r == '.' || r == '/' }) {
		if slices.Contains([]string{"auth", "pwd", "pass", "sig"}, part) {
			return true
		}
	}
	return false
}

var schemes = []string{"bearer ", "basic ", "digest ", "negotiate ", "apikey ", "token ", "aws4-hmac-"}

// SecretValue tells whether a text looks like a credential, wherever it stands:
// what follows an authentication scheme, a JSON Web Token, a private key in
// PEM, a URL with a password.
func SecretValue(value string) bool {
	lower := strings.ToLower(strings.TrimSpace(value))
	for _, scheme := range schemes {
		if strings.HasPrefix(lower, scheme) && len(lower) > len(scheme) {
			return true
		}
	}
	return isJWT(value) || strings.Contains(value, "PRIVATE KEY-----") || hasPassword(value)
}

// isJWT finds three parts of base64url, the first of which is a JSON object
// (RFC 7515 §3.1).
func isJWT(value string) bool {
	at := strings.Index(value, "eyJ")
	if at < 0 {
		return false
	}
	rest := value[at:]
	end := strings.IndexFunc(rest, func(r rune) bool {
		return r != '.' && r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
	if end >= 0 {
		rest = rest[:end]
	}
	return strings.Count(rest, ".") >= 2 && len(rest) > 20
}

// hasPassword finds user:password@ in a URL.
func hasPassword(value string) bool {
	for {
		_, rest, ok := strings.Cut(value, "://")
		if !ok {
			return false
		}
		authority := rest
		if end := strings.IndexAny(rest, "/?# "); end >= 0 {
			authority = rest[:end]
		}
		if user, _, ok := strings.Cut(authority, "@"); ok && strings.Contains(user, ":") {
			return true
		}
		value = rest
	}
}

// Target hides the values of credentials in a query, as in "/path?token=…".
func (v Veil) Target(target string) string {
	path, query, ok := strings.Cut(target, "?")
	if !ok {
		return target
	}
	query, _ = v.Query(query, nil)
	return path + "?" + query
}

// Query hides the values of credentials in a query, and names their parameters. Names and
// values are judged as they are decoded, as those judge them who take credentials from them;
// also, which may be nil, tells of further parameters that carry some. A part may be
// a credential itself, and has no name then.
func (v Veil) Query(query string, also func(name string) bool) (out string, hidden []string) {
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		name, value, given := strings.Cut(pair, "=")
		text := unescaped(name)
		switch {
		case SecretValue(text):
			pairs[i] = v(pair)
			hidden = append(hidden, "")
		case given && (Credential(text, unescaped(value)) || also != nil && also(text)):
			pairs[i] = name + "=" + v(value)
			hidden = append(hidden, text)
		}
	}
	return strings.Join(pairs, "&"), hidden
}

func unescaped(text string) string {
	if s, err := url.QueryUnescape(text); err == nil {
		return s
	}
	return text
}

// SecretTarget tells whether a text is a URL that carries a credential in its query, or in
// its fragment, as answers of RFC 6749 §4.2.2 do.
func SecretTarget(text string) bool {
	at := strings.IndexAny(text, "?#")
	if at < 0 {
		return false
	}
	for part := range strings.FieldsFuncSeq(text[at:], func(r rune) bool { return r == '?' || r == '#' }) {
		if _, hidden := Veil(Hide).Query(part, nil); hidden != nil {
			return true
		}
	}
	return false
}
