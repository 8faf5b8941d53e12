package signin_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gridway/gridway/internal/surface/signin"
	"github.com/gridway/gridway/internal/surface/signin/signintest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const settings = `issuer: ISSUER
clientID: console
clientSecretFile: secret
console: https://gw.example/console/
name: Example
scopes: [openid, groups]
sessionLife: 8h
roles:
  claim: groups
  viewer: [staff]
  operator: [sre, ops]
  admin: [platform]
`

// write puts a file of settings, and the secret, into a folder.
func write(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"console.yaml": text, "secret": "s&cret\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "console.yaml")
}

func provider(t *testing.T, text string, now func() time.Time) *signin.Provider {
	t.Helper()
	s, err := signin.Read(write(t, text))
	if err != nil {
		t.Fatal(err)
	}
	p := signin.New(signin.Options{Settings: s, Now: now})
	t.Cleanup(p.Close)
	return p
}

// begin begins a login that the provider expects.
func begin(t *testing.T, idp *signintest.IDP, p *signin.Provider) (a *signin.Attempt, state string) {
	t.Helper()
	a, err := p.Begin()
	if err != nil {
		t.Fatal(err)
	}
	return a, idp.Expect(a.To)
}
