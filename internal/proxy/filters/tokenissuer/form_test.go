package tokenissuer

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
)

// FuzzForm: a form is refused, or says what net/url reads in it, each thing once.
func FuzzForm(f *testing.F) {
	for _, s := range []string{
		"", "grant_type=client_credentials", "grant_type=a&grant_type=b", "scope=a+b%20c&client_id=x&client_secret=%C3%A4", "resource=a&resource=b&audience=",
		"a=%zz", "a=%", "a=%f", "&&=&a", "a=%ff", "client_id=&client_id=x", "a=1;b=2", "%67rant_type=x", strings.Repeat("a&", 70),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		q, err := parseForm([]byte(text))
		values, wrong := url.ParseQuery(strings.ReplaceAll(text, ";", "%3B"))
		if err != nil {
			return
		}
		if wrong != nil {
			t.Fatalf("net/url refuses it: %v", wrong)
		}
		for name, got := range map[string]string{"grant_type": q.grant, "scope": q.scope, "client_id": q.client, "client_secret": q.secret} {
			if len(values[name]) > 1 || values.Get(name) != got {
				t.Fatalf("%s is %q, and %q by net/url", name, got, values[name])
			}
		}
		if q.hasClient != (q.client != "") || q.hasSecret != (q.secret != "") || len(q.audiences) > len(values["resource"])+len(values["audience"]) {
			t.Fatalf("%+v", q)
		}
	})
}

// FuzzBasic: what is put together as RFC 6749 §2.3.1 says is read as it was.
func FuzzBasic(f *testing.F) {
	f.Add("default.acme", "secret", "")
	f.Add("a:b c+d%", "ä\x00\n", "Zm9v")
	f.Add("", "", "OjpB")
	f.Fuzz(func(t *testing.T, client, secret, raw string) {
		client, secret = strings.ToValidUTF8(client, "?"), strings.ToValidUTF8(secret, "?")
		encoded := base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(client) + ":" + url.QueryEscape(secret)))
		id, s, ok := parseBasic([]byte(encoded))
		if ok != (client != "" && len(encoded) <= maxBasic) || ok && (id != client || s != secret) {
			t.Fatalf("%q %q became %q %q %t", client, secret, id, s, ok)
		}
		if id, _, ok := parseBasic([]byte(raw)); ok && id == "" {
			t.Fatal("nobody is somebody")
		}
	})
}
