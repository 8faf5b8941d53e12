package tokenissuer

import (
	"bytes"
	"encoding/base64"
	"errors"
	"unicode/utf8"
)

const (
	// maxForm bounds a request for a token in bytes, maxParameters the parameters.
	maxForm       = 16 << 10
	maxParameters = 64
)

// form is a request for a token.
type form struct {
	grant, scope         string
	client, secret       string
	hasClient, hasSecret bool
	// assertion: the client wants to prove itself by a signed assertion (RFC 7521).
	assertion bool
	audiences []string
}

var (
	errForm      = errors.New("the body is not a form of percent-encoded UTF-8")
	errTwice     = errors.New("a parameter is given twice")
	errManyParts = errors.New("the form has too many parameters")
)

// parseForm reads application/x-www-form-urlencoded. A parameter without a value is
// as one that is not there, none is given twice (RFC 6749 §3.2) but for those of RFC
// 8707 and RFC 8693, and unknown ones are passed over.
func parseForm(body []byte) (*form, error) {
	f := &form{}
	seen := map[string]bool{}
	for n := 0; len(body) > 0; n++ {
		if n == maxParameters {
			return nil, errManyParts
		}
		pair, rest, _ := bytes.Cut(body, []byte("&"))
		body = rest
		if len(pair) == 0 {
			continue
		}
		rawName, rawValue, _ := bytes.Cut(pair, []byte("="))
		name, ok := formText(rawName)
		value, good := formText(rawValue)
		if !ok || !good {
			return nil, errForm
		}
		if name == "resource" || name == "audience" {
			if value != "" {
				f.audiences = append(f.audiences, value)
			}
			continue
		}
		if seen[name] {
			return nil, errTwice
		}
		seen[name] = true
		f.set(name, value)
	}
	return f, nil
}

func (f *form) set(name, value string) {
	if value == "" {
		return
	}
	switch name {
	case "grant_type":
		f.grant = value
	case "scope":
		f.scope = value
	case "client_id":
		f.client, f.hasClient = value, true
	case "client_secret":
		f.secret, f.hasSecret = value, true
	case "client_assertion", "client_assertion_type":
		f.assertion = true
	}
}

// formText undoes the coding of forms. What is not UTF-8, or has a percent sign that
// begins no octet, is not one.
func formText(raw []byte) (string, bool) {
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; c {
		case '+':
			out = append(out, ' ')
		case '%':
			if i+2 >= len(raw) {
				return "", false
			}
			high, ok := hexDigit(raw[i+1])
			low, good := hexDigit(raw[i+2])
			if !ok || !good {
				return "", false
			}
			out = append(out, high<<4|low)
			i += 2
		default:
			out = append(out, c)
		}
	}
	return string(out), utf8.Valid(out)
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// maxBasic bounds the credentials of Basic, in base64.
const maxBasic = 8 << 10

// parseBasic reads the credentials of RFC 7617, whose two parts are coded as in forms
// before they are put together (RFC 6749 §2.3.1).
func parseBasic(encoded []byte) (client, secret string, ok bool) {
	if len(encoded) > maxBasic {
		return "", "", false
	}
	text := make([]byte, base64.StdEncoding.DecodedLen(len(encoded)))
	n, err := base64.StdEncoding.Strict().Decode(text, encoded)
	if err != nil {
		return "", "", false
	}
	rawClient, rawSecret, ok := bytes.Cut(text[:n], []byte(":"))
	if !ok {
		return "", "", false
	}
	client, ok = formText(rawClient)
	secret, good := formText(rawSecret)
	return client, secret, ok && good && client != ""
}
