package signin

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// FuzzSettings: whatever is read can be used, and whatever cannot is said with the file.
func FuzzSettings(f *testing.F) {
	f.Add("issuer: https://idp.example\nclientID: c\nconsole: https://gw.example\nroles: {claim: groups, admin: [a]}\n")
	f.Add("{issuer: 'http://localhost/x', clientID: c, clientSecretFile: s, caFile: ca, name: n, console: 'http://[::1]:9901/console', scopes: [openid, a], sessionLife: 5m, roles: {viewer: ['*']}}")
	f.Add("roles: [a]\n---\nx: &a [*a]")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parse("f.yaml", []byte(text), func(name string) ([]byte, error) {
			if name == "s" {
				return []byte("secret"), nil
			}
			return nil, errors.New("no such file")
		})
		if err != nil {
			if !strings.HasPrefix(err.Error(), "f.yaml") {
				t.Fatal(err)
			}
			return
		}
		if s.Issuer == "" || s.ClientID == "" || s.Name == "" || !slices.Contains(s.Scopes, "openid") || s.Life < minLife || s.Life > MaxLife ||
			s.Console.Path != consolePath || s.Console.Host == "" || len(s.Roles.Of) == 0 || s.Roles.needsClaim() && len(s.Roles.path) == 0 {
			t.Fatalf("%+v", s)
		}
	})
}
