package jwt_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/gridway/gridway/internal/jwt"
)

// private are keys of every kind, made once; tokens and sets are made of them by
// another implementation.
var private = sync.OnceValue(func() map[string]any {
	curve := func(c elliptic.Curve) any {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			panic(err)
		}
		return k
	}
	long, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	return map[string]any{"RSA": long, "P-256": curve(elliptic.P256()), "P-384": curve(elliptic.P384()), "P-521": curve(elliptic.P521()), "Ed25519": ed}
})

var kindOf = map[string]string{
	"RS256": "RSA", "RS384": "RSA", "RS512": "RSA", "PS256": "RSA", "PS384": "RSA", "PS512": "RSA",
	"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519",
}

func public(t testing.TB, kind, id string) json.RawMessage {
	t.Helper()
	return encode(t, jose.JSONWebKey{Key: private()[kind].(crypto.Signer).Public(), KeyID: id})
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func set(t testing.TB, keys ...json.RawMessage) *jwt.Set {
	t.Helper()
	s, skipped, err := jwt.ParseSet(encode(t, map[string]any{"keys": keys}))
	if err != nil || len(skipped) > 0 {
		t.Fatalf("%v, skipped %v", err, skipped)
	}
	return s
}

func sign(t testing.TB, algorithm, id string, claims any, header map[jose.HeaderKey]any) string {
	t.Helper()
	o := &jose.SignerOptions{ExtraHeaders: header}
	if id != "" {
		o = o.WithHeader("kid", id)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(algorithm), Key: private()[kindOf[algorithm]]}, o)
	if err != nil {
		t.Fatal(err)
	}
	text, ok := claims.(string)
	if !ok {
		text = string(encode(t, claims))
	}
	signed, err := signer.Sign([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	out, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func verify(s *jwt.Set, text string, allowed jwt.Algorithms) (map[string]any, error) {
	t, err := jwt.Parse([]byte(text))
	if err != nil {
		return nil, err
	}
	if _, err := s.Verify(t, allowed); err != nil {
		return nil, err
	}
	return t.Claims()
}

// Every algorithm, with its key among those of all others, and with none of them.
func TestAlgorithms(t *testing.T) {
	var all []json.RawMessage
	for kind := range private() {
		all = append(all, public(t, kind, kind))
	}
	everybody := set(t, all...)
	for name, kind := range kindOf {
		a, err := jwt.ParseAlgorithm(name)
		if err != nil || a.String() != name {
			t.Fatal(err)
		}
		for _, id := range []string{kind, ""} {
			text := sign(t, name, id, map[string]any{"sub": "ada", "n": 1}, nil)
			claims, err := verify(everybody, text, jwt.Of(a))
			if err != nil || claims["sub"] != "ada" || claims["n"] != json.Number("1") {
				t.Errorf("%s, kid %q: %v, %v", name, id, claims, err)
			}
			if _, err := verify(everybody, text, jwt.All&^jwt.Of(a)); !errors.Is(err, jwt.ErrAlgorithm) {
				t.Errorf("%s is not allowed: %v", name, err)
			}
			for other := range private() {
				if _, err := verify(set(t, public(t, other, id)), text, jwt.All); (err == nil) != (other == kind) {
					t.Errorf("%s by a key of %s: %v", name, other, err)
				}
			}
			changed := []byte(text)
			changed[len(changed)-3] ^= 1 // another character of the signature, in base64url too
			if _, err := verify(everybody, string(changed), jwt.All); err == nil {
				t.Errorf("%s: a changed signature is good", name)
			}
		}
		// Of a name that nobody has, and of another's.
		if _, err := verify(everybody, sign(t, name, "who", "{}", nil), jwt.All); !errors.Is(err, jwt.ErrUnknownKey) {
			t.Errorf("%s, a name that nobody has: %v", name, err)
		}
	}
	if _, err := verify(everybody, sign(t, "RS256", "P-256", "{}", nil), jwt.All); !errors.Is(err, jwt.ErrSignature) {
		t.Errorf("the name of another's key: %v", err)
	}
}

// What a key says of itself bounds what it is used for (RFC 7517 §4).
func TestUse(t *testing.T) {
	key := func(kind string, more map[string]any) json.RawMessage {
		m := map[string]any{}
		if err := json.Unmarshal(public(t, kind, "a"), &m); err != nil {
			t.Fatal(err)
		}
		for name, v := range more {
			m[name] = v
		}
		return encode(t, m)
	}
	pss := set(t, key("RSA", map[string]any{"alg": "PS256", "use": "sig", "key_ops": []string{"verify"}}))
	if _, err := verify(pss, sign(t, "PS256", "a", "{}", nil), jwt.All); err != nil {
		t.Error(err)
	}
	if _, err := verify(pss, sign(t, "RS256", "a", "{}", nil), jwt.All); err == nil {
		t.Error("a key for PS256 verifies RS256")
	}
	for name, c := range map[string]struct {
		key  json.RawMessage
		want string
	}{
		"for encryption":     {key("RSA", map[string]any{"use": "enc"}), "not for signatures"},
		"for OAEP":           {key("RSA", map[string]any{"alg": "RSA-OAEP"}), "not for signatures"},
		"another curve's":    {key("P-256", map[string]any{"alg": "ES384"}), "not for signatures"},
		"to sign":            {key("RSA", map[string]any{"key_ops": []string{"sign"}}), "not for signatures"},
		"key_ops no list":    {key("RSA", map[string]any{"key_ops": "verify"}), "not for signatures"},
		"private":            {encode(t, jose.JSONWebKey{Key: private()["P-256"]}), "private key"},
		"secret":             {encode(t, jose.JSONWebKey{Key: []byte("0123456789abcdef0123456789abcdef")}), "shared secret"},
		"unknown":            {json.RawMessage(`{"kty":"AKP","alg":"ML-DSA-44","pub":"AAAA"}`), "not known"},
		"without kty":        {json.RawMessage(`{}`), "not known"},
		"no object":          {json.RawMessage(`7`), "not known"},
		"another curve":      {key("P-256", map[string]any{"crv": "secp256k1"}), "not known"},
		"X25519":             {key("Ed25519", map[string]any{"crv": "X25519"}), "not known"},
		"a short number":     {key("P-256", map[string]any{"x": "AAAA"}), "32 bytes"},
		"not on its curve":   {key("P-256", map[string]any{"x": base64.RawURLEncoding.EncodeToString(make([]byte, 32))}), "point"},
		"a number missing":   {key("P-256", map[string]any{"y": ""}), `"y"`},
		"no text":            {key("P-256", map[string]any{"x": 5}), `"x"`},
		"kid no text":        {key("RSA", map[string]any{"kid": 5}), `"kid"`},
		"a long kid":         {key("RSA", map[string]any{"kid": strings.Repeat("k", 600)}), "512"},
		"padded":             {key("Ed25519", map[string]any{"x": strings.Repeat("A", 43) + "="}), `"x"`},
		"short Ed25519":      {key("Ed25519", map[string]any{"x": "AAAA"}), "32 bytes"},
		"order 1":            {key("Ed25519", map[string]any{"x": "AQ" + strings.Repeat("A", 41)}), "small order"},
		"order 1, negative":  {key("Ed25519", map[string]any{"x": "AQ" + strings.Repeat("A", 39) + "IA"}), "small order"},
		"order 2":            {key("Ed25519", map[string]any{"x": base64.RawURLEncoding.EncodeToString(append(append([]byte{0xec}, bytes.Repeat([]byte{0xff}, 30)...), 0x7f))}), "small order"},
		"order 4":            {key("Ed25519", map[string]any{"x": strings.Repeat("A", 43)}), "small order"},
		"order 4, unreduced": {key("Ed25519", map[string]any{"x": base64.RawURLEncoding.EncodeToString(append(append([]byte{0xed}, bytes.Repeat([]byte{0xff}, 30)...), 0x7f))}), "small order"},
		"order 8":            {key("Ed25519", map[string]any{"x": "JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU"}), "small order"},
		"a short RSA key":    {key("RSA", map[string]any{"n": strings.Repeat("_", 172)}), "bits"},
		"a long RSA key":     {key("RSA", map[string]any{"n": strings.Repeat("_", 4000)}), "bits"},
		"an even modulus":    {key("RSA", map[string]any{"n": strings.Repeat("_", 340) + "_g"}), "not an RSA key"},
		"exponent 1":         {key("RSA", map[string]any{"e": "AQ"}), "not an RSA key"},
		"an even exponent":   {key("RSA", map[string]any{"e": "BA"}), "not an RSA key"},
		"a long exponent":    {key("RSA", map[string]any{"e": "_____w"}), "not an RSA key"},
		"an absurd exponent": {key("RSA", map[string]any{"e": strings.Repeat("_", 300)}), "bits"},
	} {
		_, skipped, err := jwt.ParseSet(encode(t, map[string]any{"keys": []json.RawMessage{c.key}}))
		if err == nil || len(skipped) != 1 || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want something with %q", name, err, c.want)
		}
		if got := name == "private"; len(skipped) == 1 && skipped[0].Private != got {
			t.Errorf("%s: private %v", name, skipped[0].Private)
		}
		// It takes no other key away.
		if s, skipped, err := jwt.ParseSet(encode(t, map[string]any{"keys": []json.RawMessage{c.key, public(t, "P-256", "good")}})); err != nil || s.Len() != 1 || len(skipped) != 1 {
			t.Errorf("%s beside a good one: %v", name, err)
		}
	}
}

func TestSets(t *testing.T) {
	good := string(public(t, "P-256", "a"))
	for name, text := range map[string]string{
		"empty": ``, "a list": `[]`, "no keys": `{}`, "keys no list": `{"keys":5}`, "no key": `{"keys":[]}`, "null": `{"keys":null}`,
		"a page": `<html>`, "more behind": `{"keys":[` + good + `]}x`, "twice": `{"keys":[` + good + `],"keys":[]}`,
		"a member twice": `{"keys":[` + strings.Replace(good, `"crv"`, `"kty":"EC","crv"`, 1) + `]}`,
		"too many":       `{"keys":[` + strings.Repeat(good+",", 100) + good + `]}`,
		"too long":       `{"keys":[` + good + `]}` + strings.Repeat(" ", jwt.MaxSet),
		"not UTF-8":      "{\"keys\":[" + good + "],\"\xff\":1}",
		"deep":           `{"keys":[` + good + `],"a":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`,
	} {
		if s, _, err := jwt.ParseSet([]byte(text)); err == nil {
			t.Errorf("%s: %d keys", name, s.Len())
		}
	}
	for name, text := range map[string]string{"one key": good, "a set": `{"keys":[` + good + `],"x":[{"y":null}]}`, "two of a name": `{"keys":[` + good + `,` + string(public(t, "RSA", "a")) + `]}`} {
		s, _, err := jwt.ParseSet([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		token, err := jwt.Parse([]byte(sign(t, "ES256", "a", "{}", nil)))
		if err != nil {
			t.Fatal(err)
		}
		k, err := s.Verify(token, jwt.All)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		// What is remembered is trusted by sets that have the key, under its name.
		by := token.By(k)
		if !s.Trusts(&by, jwt.All) || s.Trusts(&by, jwt.Of(jwt.RS256)) || set(t, public(t, "P-256", "b")).Trusts(&by, jwt.All) ||
			!set(t, public(t, "P-256", "")).Trusts(&by, jwt.All) || set(t, public(t, "RSA", "a")).Trusts(&by, jwt.All) {
			t.Errorf("%s: what is remembered", name)
		}
	}
}

// With names that do not help, no more than so many keys are tried.
func TestTries(t *testing.T) {
	var keys []json.RawMessage
	for range 12 {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, encode(t, jose.JSONWebKey{Key: k.Public()}))
	}
	mine := public(t, "P-256", "")
	text := sign(t, "ES256", "", "{}", nil)
	if _, err := verify(set(t, append(keys[:7:7], mine)...), text, jwt.All); err != nil {
		t.Errorf("the eighth: %v", err)
	}
	if _, err := verify(set(t, append(keys[:8:8], mine)...), text, jwt.All); err == nil {
		t.Error("the ninth is tried")
	}
}

func ExampleSkipped() {
	_, skipped, _ := jwt.ParseSet([]byte(`{"keys":[{"kty":"oct","kid":"mine","k":"AAAA"}]}`))
	fmt.Println(skipped[0])
	// Output: key 1 ("mine"): it is a shared secret, and tokens are verified with public keys alone
}
