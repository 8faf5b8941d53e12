package admit_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/gridway/gridway/internal/mesh/admit"
	"github.com/gridway/gridway/internal/mesh/identity/identitytest"
)

func TestParseAccounts(t *testing.T) {
	dir := t.TempDir()
	keys, bad := filepath.Join(dir, "keys.json"), filepath.Join(dir, "bad")
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: identitytest.Key(t).Public(), KeyID: "1", Algorithm: "ES256", Use: "sig"}}})
	if err == nil {
		err = os.WriteFile(keys, set, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(bad, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, good := range []string{
		"issuer=https://k8s,audience=gridway,keys=" + keys,
		"audience=gridway,issuer=https://k8s,keys=https://k8s/openid/v1/jwks",
		"audience=gridway,issuer=https://k8s,keys=http://127.0.0.1:8001/openid/v1/jwks",
	} {
		if s, err := admit.ParseAccounts(good); err != nil || s.Issuer != "https://k8s" || s.Audience != "gridway" {
			t.Errorf("%s: %+v, %v", good, s, err)
		}
	}
	for text, want := range map[string]string{
		"":                    "is not known",
		"issuer=a":            "an issuer and an audience",
		"issuer=a,audience=b": "the issuer's keys",
		"issuer=a,issuer=b":   "given once",
		"issuer=":             "with a value",
		"subject=a":           "issuer=ISSUER,audience=AUDIENCE",
		"issuer=a,audience=b,keys=http://k8s/keys":     "an https URL",
		"issuer=a,audience=b,keys=ftp://k8s/keys":      "an https URL",
		"issuer=a,audience=b,keys=" + keys + "x":       "no such file",
		"issuer=a,audience=b,keys=" + bad:              "keys:",
		"issuer=a,audience=b,ca=x,keys=" + keys:        "with a URL of keys only",
		"issuer=a,audience=b,keys=https://k,ca=" + bad: "no certificate in PEM",
	} {
		if _, err := admit.ParseAccounts(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
