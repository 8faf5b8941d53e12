package ir_test

import (
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/ir"
)

func TestCredential(t *testing.T) {
	for name, want := range map[string]bool{
		"Authorization": true, "proxy-authorization": true, "Cookie": true, "set-cookie": true, "X-Api-Key": true, "x_api_key": true, "APIKEY": true,
		"X-Auth": true, "X-Auth-User": true, "Ocp-Apim-Subscription-Key": true, "X-Amz-Security-Token": true, "client_secret": true, "key": true,
		"X-JWT": true, "X-Forwarded-Client-Cert": true, "Client-Cert-Chain": true, "pwd": true, "db.pass": true, "X-Hub-Signature-256": true, "sig": true, "X-Vault-Token": true, "tls/private-key": true,
		"Author": false, "X-Request-Id": false, "Host": false, "Idempotency-Key": false, "Accept": false, "passenger": false, "X-Signal": false, "monkey": false,
	} {
		if ir.SecretName(name) != want {
			t.Errorf("name %s: %v", name, !want)
		}
	}
	for value, want := range map[string]bool{
		"Bearer abc": true, "bearer  x": true, "Basic dXNlcjpwdw==": true, "AWS4-HMAC-SHA256 Credential=x": true,
		"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln": true, "x=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln; y": true,
		"-----BEGIN EC PRIVATE KEY-----\nx": true, "https://user:pw@host/": true, "see http://a/ and redis://:pw@b": true,
		"": false, "Bearer": false, "basic": false, "gzip": false, "https://host:8080/a@b:c": false, "https://user@host/": false, "eyJ": false,
		"-----BEGIN CERTIFICATE-----": false, "a:b@c": false, "eyJhbGciOiJIUzI1NiJ9": false,
	} {
		if ir.SecretValue(value) != want {
			t.Errorf("value %q: %v", value, !want)
		}
	}
	veil := ir.Veil(ir.Hide)
	for target, want := range map[string]string{
		"/healthz": "/healthz", "/h?key=abc&x=1": "/h?key=(hidden)&x=1", "/h?a=Bearer+x&token=": "/h?a=(hidden)&token=(hidden)", "/h?token": "/h?token",
		"/h?%61pi_key=abc": "/h?%61pi_key=(hidden)", "/h?to=http%3A%2F%2Fa%3Ab%40c&x": "/h?to=(hidden)&x", "/h?x&eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln": "/h?x&(hidden)",
		"/h?eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln=": "/h?(hidden)", "/h?%zz=1&%zz": "/h?%zz=1&%zz",
	} {
		if got := veil.Target(target); got != want {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
}

func TestSecretTarget(t *testing.T) {
	for text, want := range map[string]bool{
		"https://a.example/?access_token=x": true, "/?x=1#access_token=y&state=z": true, "/cb#id_token=q": true, "/?%74oken=x": true, "?a=Basic%20dXNlcjpwdw==": true,
		"": false, "https://a.example/": false, "/?page=2#token": false, "what?": false, "a?b=c#d=e": false,
	} {
		if ir.SecretTarget(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}

func FuzzSecretValue(f *testing.F) {
	f.Add("https://user:pw@host/ eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln")
	f.Fuzz(func(t *testing.T, value string) {
		ir.SecretValue(value) // ends, and does not panic
		if !ir.SecretValue("Bearer x" + value) {
			t.Error("missed")
		}
		ir.Veil(ir.Hide).Target(value)
		if strings.ContainsAny(value, "?#&") {
			return
		}
		if !ir.SecretTarget("/?to=" + value + "&token=x") {
			t.Error("missed in a query")
		}
	})
}
