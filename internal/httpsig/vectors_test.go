package httpsig_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/httpsig"
)

const (
	sharedSecret = "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ=="
	ed25519PEM   = `-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=
-----END PUBLIC KEY-----
`
	p256PEM = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEqIVYZVLCrPZHGHjP17CTW0/+D9Lf
w0EkjqF7xB4FivAxzic30tMM4GF+hR6Dxh71Z50VGGdldkkDXZCnTNnoXQ==
-----END PUBLIC KEY-----
`
	rsaPEM = `-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAr4tmm3r20Wd/PbqvP1s2
+QEtvpuRaV8Yq40gjUR8y2Rjxa6dpG2GXHbPfvMs8ct+Lh1GH45x28Rw3Ry53mm+
oAXjyQ86OnDkZ5N8lYbggD4O3w6M6pAvLkhk95AndTrifbIFPNU8PPMO7OyrFAHq
gDsznjPFmTOtCEcN2Z1FpWgchwuYLPL+Wokqltd11nqqzi+bJ9cvSKADYdUAAN5W
Utzdpiy6LbTgSxP7ociU4Tn0g5I6aDZJ7A8Lzo0KSyZYoA485mqcO0GVAdVw9lq4
aOT9v6d+nb4bnNkQVklLQ3fVAvJm+xdDOp9LCNCN48V2pnDOkFV6+U9nV5oyc6XI
2wIDAQAB
-----END PUBLIC KEY-----
`
)

func public(t testing.TB, text, algorithm string) *httpsig.Key {
	t.Helper()
	k, _, err := httpsig.ParsePEM([]byte(text), algorithm)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func unBase64(t testing.TB, s string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// message is a request with fields, "name: value" each.
func message(method, scheme, target string, fields ...string) *httpsig.Message {
	return &httpsig.Message{
		Method: method, Scheme: scheme, Authority: "example.com", Target: target,
		Field: func(name string, yield func([]byte)) {
			for _, f := range fields {
				if key, value, _ := strings.Cut(f, ":"); strings.EqualFold(key, name) {
					yield([]byte(value))
				}
			}
		},
	}
}

// rfcRequest is test-request of RFC 9421 appendix B.2.
func rfcRequest() *httpsig.Message {
	return message("POST", "https", "/foo?param=Value&Pet=dog",
		"Date: Tue, 20 Apr 2021 02:07:55 GMT", "Content-Type: application/json", "Content-Length: 18",
		"Content-Digest: sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:")
}

func parse(t testing.TB, input, signature string) httpsig.Signature {
	t.Helper()
	list, field, err := httpsig.Parse(input, signature)
	if err != nil || len(list) != 1 {
		t.Fatalf("%d signatures, %s %v", len(list), field, err)
	}
	return list[0]
}

// RFC 9421 appendix B.2.1, B.2.2, B.2.3, B.2.5 and B.2.6.
func TestVectors(t *testing.T) {
	rsa := public(t, rsaPEM, "")
	for _, c := range []struct {
		name             string
		key              *httpsig.Key
		input, signature string
	}{
		{
			"minimal, rsa-pss-sha512", rsa, `();created=1618884473;keyid="test-key-rsa-pss";nonce="b3k2pp5k7z-50gnwp.yemd"`,
			"d2pmTvmbncD3xQm8E9ZV2828BjQWGgiwAaw5bAkgibUopemLJcWDy/lkbbHAve4cRAtx31Iq786U7it++wgGxbtRxf8Udx7zFZsckzXaJMkA7ChG52eSkFxykJeNqsrWH5S+oxNFlD4dzVuwe8DhTSja8xxbR/Z2cOGdCbzR72rgFWhzx2VjBqJzsPLMIQKhO4DGezXehhWwE56YCE+O6c0mKZsfxVrogUvA4HELjVKWmAvtl6UnCh8jYzuVG5WSb/QEVPnP5TmcAnLH1g+s++v6d4s8m0gCw1fV5/SITLq9mhho8K3+7EPYTU8IU1bLhdxO5Nyt8C8ssinQ98Xw9Q==",
		},
		{
			"selective, rsa-pss-sha512", rsa, `("@authority" "content-digest" "@query-param";name="Pet");created=1618884473;keyid="test-key-rsa-pss";tag="header-example"`,
			"LjbtqUbfmvjj5C5kr1Ugj4PmLYvx9wVjZvD9GsTT4F7GrcQEdJzgI9qHxICagShLRiLMlAJjtq6N4CDfKtjvuJyE5qH7KT8UCMkSowOB4+ECxCmT8rtAmj/0PIXxi0A0nxKyB09RNrCQibbUjsLS/2YyFYXEu4TRJQzRw1rLEuEfY17SARYhpTlaqwZVtR8NV7+4UKkjqpcAoFqWFQh62s7Cl+H2fjBSpqfZUJcsIk4N6wiKYd4je2U/lankenQ99PZfB4jY3I5rSV2DSBVkSFsURIjYErOs0tFTQosMTAoxk//0RoKUqiYY8Bh0aaUEb0rQl3/XaVe4bXTugEjHSw==",
		},
		{
			"full, rsa-pss-sha512", rsa, `("date" "@method" "@path" "@query" "@authority" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-rsa-pss"`,
			"bbN8oArOxYoyylQQUU6QYwrTuaxLwjAC9fbY2F6SVWvh0yBiMIRGOnMYwZ/5MR6fb0Kh1rIRASVxFkeGt683+qRpRRU5p2voTp768ZrCUb38K0fUxN0O0iC59DzYx8DFll5GmydPxSmme9v6ULbMFkl+V5B1TP/yPViV7KsLNmvKiLJH1pFkh/aYA2HXXZzNBXmIkoQoLd7YfW91kE9o/CCoC1xMy7JA1ipwvKvfrs65ldmlu9bpG6A9BmzhuzF8Eim5f8ui9eH8LZH896+QIF61ka39VBrohr9iyMUJpvRX2Zbhl5ZJzSRxpJyoEZAFL2FUo5fTIztsDZKEgM4cUA==",
		},
		{
			"hmac-sha256", httpsig.NewSecret(unBase64(t, sharedSecret)), `("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"`,
			"pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=",
		},
		{
			"ed25519", public(t, ed25519PEM, ""), `("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"`,
			"wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := parse(t, "sig="+c.input, "sig=:"+c.signature+":")
			base, err := s.Base(rfcRequest())
			if err != nil {
				t.Fatal(err)
			}
			if !c.key.Verify(base, s.Bytes) {
				t.Errorf("the signature is not that of\n%s", base)
			}
			if c.key.Verify(append(base, ' '), s.Bytes) || c.key.Verify(base, s.Bytes[1:]) || c.key.Verify(base, nil) {
				t.Error("another text, or signature, verifies")
			}
			if !s.HasCreated || s.Created != 1618884473 || !strings.HasPrefix(s.KeyID, "test-") {
				t.Errorf("%+v", s)
			}
		})
	}
}

// RFC 9421 appendix B.2.4 is of a response: its base as it stands.
func TestECDSA(t *testing.T) {
	base := `"@status": 200
"content-type": application/json
"content-digest": sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJuahq4l5aGgfLQ==:
"content-length": 23
"@signature-params": ("@status" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-ecc-p256"`
	signature := unBase64(t, "wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NKocgPquLgyahnzDnDAUy5eCdlYUEkLIj+32oiasw==")
	k := public(t, p256PEM, httpsig.ECDSAP256SHA256)
	if !k.Verify([]byte(base), signature) || k.Verify([]byte(base[1:]), signature) {
		t.Error("the signature of the RFC does not verify, or one of another text does")
	}
}

func TestKeysFitTheirAlgorithms(t *testing.T) {
	for _, c := range []struct{ text, algorithm, want string }{
		{ed25519PEM, "", ""},
		{rsaPEM, httpsig.RSAV15SHA256, ""},
		{rsaPEM, httpsig.Ed25519, "is a key for rsa-pss-sha512, not for ed25519"},
		{ed25519PEM, httpsig.HMACSHA256, "is a key for ed25519, not for hmac-sha256"},
		{"text", "", "is not PEM"},
		{strings.ReplaceAll(ed25519PEM, "PUBLIC", "PRIVATE"), "", `is "PRIVATE KEY" in PEM, and must be PUBLIC KEY`},
		{ed25519PEM + p256PEM, "", "has something after the public key"},
		{strings.Replace(ed25519PEM, "MCow", "MCox", 1), "", "is not a public key of RSA, ECDSA or Ed25519"},
	} {
		_, _, err := httpsig.ParsePEM([]byte(c.text), c.algorithm)
		if got := errorText(err); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
