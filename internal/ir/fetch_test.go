package ir_test

import (
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/ir"
)

func TestParseFetchURL(t *testing.T) {
	for _, c := range []struct {
		text  string
		plain bool
		wrong string // in the error; empty for none
	}{
		{"https://idp.example/keys", false, ""},
		{"https://idp.example:8443/keys?a=b", false, ""},
		{"http://127.0.0.1:9000/keys", false, ""},
		{"http://127.9.9.9/keys", false, ""},
		{"http://[::1]:9000/keys", false, ""},
		{"http://[::ffff:127.0.0.1]/keys", false, ""},
		{"http://localhost/keys", false, ""},
		{"http://LOCALHOST./keys", false, ""},
		{"http://idp.example/keys", true, ""},
		{"http://idp.example/keys", false, "https://"},
		{"http://localhost.example/keys", false, "https://"},
		{"http://10.0.0.1/keys", false, "https://"},
		{"http://0.0.0.0/keys", false, "https://"},
		{"file:///etc/passwd", true, "https://"},
		{"https:idp.example", true, "https://"},
		{"//idp.example/keys", true, "https://"},
		{"idp.example/keys", true, "https://"},
		{"", true, "https://"},
		{"https://", true, "no host"},
		{"https://:443/", true, "no host"},
		{"https://user:secret@idp.example/", true, "credentials"},
		{"https://idp.example/#x", true, "fragment"},
		{"https://idp.example/#", true, "fragment"},
		{"https://idp.example/%zz", true, "no URL"},
		{"https://idp example/", true, "no URL"},
		{"https://idp.example/" + strings.Repeat("a", 2048), true, "2048"},
	} {
		_, err := ir.ParseFetchURL(c.text, c.plain)
		switch {
		case (err == nil) != (c.wrong == ""):
			t.Errorf("%q, plain %v: %v", c.text, c.plain, err)
		case err != nil && !strings.Contains(err.Error(), c.wrong):
			t.Errorf("%q: %v, want something with %q", c.text, err, c.wrong)
		case err != nil && strings.Contains(err.Error(), "secret"):
			t.Errorf("%q: the error tells the secret: %v", c.text, err)
		}
	}
}
