package mesh

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Pods join by the tokens of their service accounts, each as itself and as nobody else.
func TestServiceAccounts(t *testing.T) {
	const issuer = "https://kubernetes.default.svc"
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name string, text []byte, err error) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err == nil {
			err = os.WriteFile(path, text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "1", Algorithm: "ES256", Use: "sig"}}})
	keys := write("keys.json", set, err)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "1"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token := func(name, namespace, service, audience string, ends time.Duration) string {
		t.Helper()
		claims, err := json.Marshal(map[string]any{
			"iss": issuer, "aud": []string{audience}, "sub": "system:serviceaccount:" + namespace + ":" + service, "exp": time.Now().Add(ends).Unix(),
			"kubernetes.io": map[string]any{"namespace": namespace, "serviceaccount": map[string]any{"name": service}, "pod": map[string]any{"name": service + "-1"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		signed, err := signer.Sign(claims)
		if err != nil {
			t.Fatal(err)
		}
		text, err := signed.CompactSerialize()
		return write(name, []byte(text+"\n"), err)
	}
	m := newMesh(t, "", "--service-accounts", "issuer="+issuer+",audience=gridway,keys="+keys)
	out, err := m.command("identity", "bundle")
	bundle := write("bundle.json", []byte(out), err)
	start := func(service, token, bundle string, flags ...string) *process {
		return run(t, nil, append(append([]string{
			"sidecar", "--service", service, "--control", m.address, "--log-level", "info", "--state-dir", filepath.Join(dir, service+filepath.Base(token)+filepath.Base(bundle)),
			"--service-account-token", token, "--trust-bundle", bundle,
		}, flags...), "--", "true")...)
	}
	good := token("good", "default", "reviews", "gridway", time.Hour)
	if p := start("reviews", good, bundle); p.ended() != 0 || !strings.Contains(p.log.String(), "ns/default/sa/reviews") {
		t.Errorf("%s", p.log)
	}
	for want, p := range map[string]*process{
		"it is for another audience": start("reviews", token("audience", "default", "reviews", "https://kubernetes.default.svc", time.Hour), bundle),
		"it has ended":               start("reviews", token("ended", "default", "reviews", "gridway", -2*time.Minute), bundle),
		"the service account reviews in lab may join as itself alone":  start("reviews", token("foreign", "lab", "reviews", "gridway", time.Hour), bundle),
		"the service account reviews in default may join as itself al": start("ratings", good, bundle),
		"no such file":   start("reviews", filepath.Join(dir, "none"), bundle),
		"--trust-bundle": start("reviews", good, write("nonsense.json", []byte("{"), nil)),
	} {
		if code := p.ended(); code == 0 || !strings.Contains(p.log.String(), want) || strings.Contains(p.log.String(), "eyJ") {
			t.Errorf("%s: exit code %d, %s", want, code, p.log)
		}
	}
	if strings.Contains(m.control.log.String(), "eyJ") {
		t.Error("a token is in the control plane's log")
	}
}
