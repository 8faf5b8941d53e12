package jwt_test

import (
	"crypto"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/gridway/gridway/internal/jwt"
)

var b64 = base64.RawURLEncoding.EncodeToString

const (
	joe = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"

	rsaOf7515  = `{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}`
	p256Of7515 = `{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`
	p521Of7515 = `{"kty":"EC","crv":"P-521","x":"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk","y":"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2"}`
	edOf8037   = `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
)

// The examples of RFC 7515 appendix A and RFC 8037 appendix A.4.
func TestExamplesOfRFCs(t *testing.T) {
	for _, c := range []struct {
		name, key, token, payload string
	}{
		{"7515 A.2", rsaOf7515, "eyJhbGciOiJSUzI1NiJ9." + joe + ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw", "joe"},
		{"7515 A.3", p256Of7515, "eyJhbGciOiJFUzI1NiJ9." + joe + ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q", "joe"},
		{"7515 A.4", p521Of7515, "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn", ""},
		{"8037 A.4", edOf8037, "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg", ""},
	} {
		token, err := jwt.Parse([]byte(c.token))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if _, err = set(t, json.RawMessage(c.key)).Verify(token, jwt.All); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		claims, err := token.Claims()
		if c.payload == "" && err == nil || c.payload != "" && (claims["iss"] != c.payload || claims["exp"] != json.Number("1300819380")) {
			t.Errorf("%s: %v, %v", c.name, claims, err)
		}
	}
	// A.1 has a shared secret, A.5 no signature: they are none of ours.
	for _, text := range []string{
		"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." + joe + ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
		"eyJhbGciOiJub25lIn0." + joe + ".",
	} {
		if _, err := jwt.Parse([]byte(text)); err == nil {
			t.Errorf("%.30s… is taken", text)
		}
	}
}

// The attacks of RFC 8725 §2 and their kin: each of these tokens would be taken by
// somebody.
func TestAttacks(t *testing.T) {
	keys := set(t, public(t, "RSA", "r"), public(t, "P-256", "e"))
	good := sign(t, "ES256", "e", map[string]any{"sub": "ada"}, nil)
	if _, err := verify(keys, good, jwt.All); err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(good, ".")
	header := func(text string) string { return b64([]byte(text)) + "." + parts[1] + "." + parts[2] }
	der, err := x509.MarshalPKIXPublicKey(private()["RSA"].(crypto.Signer).Public())
	if err != nil {
		t.Fatal(err)
	}
	confused := func(secret []byte) string {
		signed := b64([]byte(`{"alg":"HS256","kid":"r"}`)) + "." + parts[1]
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(signed))
		return signed + "." + b64(mac.Sum(nil))
	}
	own, err := jose.NewEncrypter(jose.A256GCM, jose.Recipient{Algorithm: jose.ECDH_ES, Key: private()["P-256"].(crypto.Signer).Public()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := own.Encrypt([]byte(good))
	if err != nil {
		t.Fatal(err)
	}
	encrypted, _ := sealed.CompactSerialize()
	with := func(name string, v any) string {
		return sign(t, "ES256", "e", map[string]any{"sub": "ada"}, map[jose.HeaderKey]any{jose.HeaderKey(name): v})
	}
	zero := strings.Repeat("\x00", 64)
	for name, text := range map[string]string{
		"nothing": "", "dots": "..", "more dots": "....", "two parts": parts[0] + "." + parts[1], "no signature": parts[0] + "." + parts[1] + ".",
		"no payload and no signature": parts[0] + "..", "a part more": good + ".", "four parts": good + ".x", "a space": good + " ", "a line break": good[:len(good)-4] + "\n" + good[len(good)-4:],
		"padding": good + "==", "standard base64": strings.ReplaceAll(strings.ReplaceAll(good, "-", "+"), "_", "/") + "+", "JSON form": `{"payload":"","signatures":[]}`,
		"bits that nobody reads": good[:len(good)-1] + string(other(good[len(good)-1])),

		"none": header(`{"alg":"none"}`), "None": header(`{"alg":"None"}`), "nOnE": header(`{"alg":"nOnE","kid":"e"}`), "empty": header(`{"alg":""}`), "no algorithm": header(`{"kid":"e"}`),
		"es256": header(`{"alg":"es256","kid":"e"}`), "algorithm a number": header(`{"alg":7}`), "algorithm a list": header(`{"alg":["ES256"]}`), "algorithm null": header(`{"alg":null}`),
		"HS256 by the PEM":       confused(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
		"HS256 by the DER":       confused(der),
		"HS256 by the JWK":       confused(public(t, "RSA", "r")),
		"HS256 by nothing":       confused(nil),
		"algorithm twice":        header(`{"alg":"none","alg":"ES256","kid":"e"}`),
		"algorithm twice, other": header(`{"alg":"ES256","\u0061lg":"none","kid":"e"}`),
		"another kind of key":    header(`{"alg":"RS256","kid":"e"}`),
		"another curve":          header(`{"alg":"ES384","kid":"e"}`),
		"header no object":       header(`["ES256"]`), "header no JSON": header(`alg: ES256`), "header with more": header(`{"alg":"ES256","kid":"e"}x`),
		"header not UTF-8": header("{\"alg\":\"ES256\",\"x\":\"\xff\"}"), "header deep": header(`{"alg":"ES256","x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`),
		"kid a number": header(`{"alg":"ES256","kid":7}`), "typ a number": header(`{"alg":"ES256","typ":7}`), "kid long": header(`{"alg":"ES256","kid":"` + strings.Repeat("e", 600) + `"}`),
		"header long":         header(`{"alg":"ES256","kid":"e","x":"` + strings.Repeat("e", 4000) + `"}`),
		"signature of zeros":  parts[0] + "." + parts[1] + "." + b64([]byte(zero)),
		"signature in DER":    parts[0] + "." + parts[1] + "." + b64(append([]byte{0x30, 0x44}, zero...)),
		"signature too short": parts[0] + "." + parts[1] + "." + parts[2][:84],
		"signature too long":  parts[0] + "." + parts[1] + "." + parts[2] + "AA",
		"another's payload":   parts[0] + "." + b64([]byte(`{"sub":"root"}`)) + "." + parts[2],
		"encrypted":           encrypted, "enc": with("enc", "A256GCM"), "zip": with("zip", "DEF"),
		"nested": with("cty", "JWT"), "nested, in full": with("cty", "application/jwt"), "cty a number": with("cty", 7),
		"b64 false": with("b64", false), "crit": with("crit", []string{"exp"}), "crit empty": with("crit", []string{}), "crit null": with("crit", nil), "crit text": with("crit", "x"),
		"too long": sign(t, "ES256", "e", map[string]any{"x": strings.Repeat("x", jwt.MaxToken)}, nil),
	} {
		if claims, err := verify(keys, text, jwt.All); err == nil {
			t.Errorf("%s: %v is believed", name, claims)
		}
	}
	// Keys that come with the token, or that it names, are not looked at.
	stranger := set(t, public(t, "P-384", "e"))
	for _, name := range []string{"jwk", "jku", "x5u", "x5c", "x5t"} {
		text := sign(t, "ES256", "e", "{}", map[jose.HeaderKey]any{jose.HeaderKey(name): public(t, "P-256", "e")})
		if _, err := verify(keys, text, jwt.All); err != nil {
			t.Errorf("%s, signed by a key that is known: %v", name, err)
		}
		if _, err := verify(stranger, text, jwt.All); err == nil {
			t.Errorf("%s: its own key is believed", name)
		}
	}
	for _, err := range []error{jwt.ErrEncrypted, jwt.ErrNested, jwt.ErrCritical, jwt.ErrForm, jwt.ErrLong} {
		text := map[error]string{jwt.ErrEncrypted: encrypted, jwt.ErrNested: with("cty", "jwt"), jwt.ErrCritical: with("crit", 1), jwt.ErrForm: "x", jwt.ErrLong: strings.Repeat("x", jwt.MaxToken+1)}[err]
		if _, got := jwt.Parse([]byte(text)); !errors.Is(got, err) {
			t.Errorf("%v, want %v", got, err)
		}
	}
}

// other is the character of base64url that differs in the bits that are left over.
func other(c byte) byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return alphabet[strings.IndexByte(alphabet, c)^1]
}

// Payloads that two readers could read in two ways are none.
func TestClaims(t *testing.T) {
	keys := set(t, public(t, "Ed25519", ""))
	for _, payload := range []string{
		`{"sub":"ada","sub":"root"}`, `{"a":{"b":1,"b":2}}`, `{"sub":"ada"}{}`, `[]`, `"ada"`, `null`, ``, `{`, `{"a":01}`, `{"a":NaN}`, "{\"a\":\"\xff\"}", "\ufeff{}",
		`{"a":` + strings.Repeat(`{"a":`, 40) + `1` + strings.Repeat(`}`, 41), `{"\ud800":1,"\ud801":2}`, "{\"a\":\"\n\"}", `{'a':1}`, `{"a":1,}`,
		`{"a":64304e0480}`, `{"a":[-1e309]}`,
	} {
		if claims, err := verify(keys, sign(t, "EdDSA", "", payload, nil), jwt.All); err == nil {
			t.Errorf("%s: %v", payload, claims)
		}
	}
	claims, err := verify(keys, sign(t, "EdDSA", "", `{"a":[1,{"b":null}],"c":{"d":1.5e3,"e":true},"":"x"}`, nil), jwt.All)
	if err != nil || string(encode(t, claims)) != `{"":"x","a":[1,{"b":null}],"c":{"d":1.5e3,"e":true}}` {
		t.Errorf("%s, %v", encode(t, claims), err)
	}
}

func TestMediaType(t *testing.T) {
	for in, want := range map[string]string{"JWT": "jwt", "at+jwt": "at+jwt", "application/AT+JWT": "at+jwt", "application/a/b": "application/a/b", "text/jwt": "text/jwt", "": ""} {
		if got := jwt.MediaType(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

// FuzzToken: what is verified was signed so, and other readers of JSON read the same.
func FuzzToken(f *testing.F) {
	keys := set(f, json.RawMessage(edOf8037), json.RawMessage(p256Of7515), json.RawMessage(rsaOf7515))
	es256 := "eyJhbGciOiJFUzI1NiJ9." + joe + ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
	ed := "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
	good := []string{es256, ed}
	f.Add([]byte(es256))
	f.Add([]byte(ed))
	f.Add([]byte(b64([]byte(`{"alg":"ES256","typ":"at+jwt","kid":"a","crit":["b64"],"b64":false}`)) + "." + joe + ".AA"))
	f.Add([]byte(b64([]byte(`{"alg":"none"}`)) + "." + joe + "."))
	f.Add([]byte(b64([]byte(`{"alg":"ES256"}`)) + "." + b64([]byte(`{"a":64304e0480}`)) + ".AA"))
	f.Fuzz(func(t *testing.T, text []byte) {
		token, err := jwt.Parse(text)
		if err != nil {
			return
		}
		// Whatever another reader finds in the payload is what is found here.
		if claims, err := token.Claims(); err == nil {
			again := map[string]any{}
			payload, err := base64.RawURLEncoding.DecodeString(strings.Split(string(text), ".")[1])
			if err != nil || json.Unmarshal(payload, &again) != nil {
				t.Fatalf("%q is read as claims", payload)
			}
			if !slices.Equal(slices.Sorted(maps.Keys(claims)), slices.Sorted(maps.Keys(again))) {
				t.Fatalf("%v, another reader has %v", claims, again)
			}
		}
		if _, err := keys.Verify(token, jwt.All); err == nil && !slices.Contains(good, string(text)) {
			t.Fatalf("%q is verified", text)
		}
	})
}

// FuzzSet: a set that is read has keys that are for something, and is read again
// when it is written as another implementation writes it.
func FuzzSet(f *testing.F) {
	f.Add([]byte(`{"keys":[` + rsaOf7515 + `,` + p256Of7515 + `,` + p521Of7515 + `,` + edOf8037 + `]}`))
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AAAA"},{"kty":"RSA","n":"AA","e":"AQAB","use":"enc","key_ops":["verify"],"alg":"RS256"}]}`))
	f.Add([]byte(edOf8037))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, skipped, err := jwt.ParseSet(text)
		if err != nil {
			return
		}
		if s.Len() == 0 || s.Len()+len(skipped) > 100 {
			t.Fatalf("%d keys, %d skipped", s.Len(), len(skipped))
		}
		for _, k := range s.Keys() {
			if k.Algorithms() == 0 || k.Algorithms()&^jwt.All != 0 || len(k.ID()) > 512 {
				t.Fatalf("key %q is for %b", k.ID(), k.Algorithms())
			}
		}
	})
}
