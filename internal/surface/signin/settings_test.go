package signin_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/surface/signin"
)

func TestRead(t *testing.T) {
	s, err := signin.Read(write(t, strings.Replace(settings, "ISSUER", "https://idp.example/realms/ops", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if string(s.ClientSecret) != "s&cret" || s.Console.String() != "https://gw.example/console/" || s.Roles.Claim != "groups" ||
		!reflect.DeepEqual(s.Roles.Of, map[access.Role][]string{access.Viewer: {"staff"}, access.Operator: {"sre", "ops"}, access.Admin: {"platform"}}) {
		t.Errorf("%+v", s)
	}
	s, err = signin.Read(write(t, "{issuer: 'https://idp.example', clientID: c, console: 'https://GW.example:443', roles: {viewer: ['*']}}"))
	if err != nil || s.Name != "idp.example" || s.Life != signin.MaxLife || !reflect.DeepEqual(s.Scopes, []string{"openid", "profile", "email"}) || s.Console.String() != "https://gw.example/console/" || s.ClientSecret != nil {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestBadSettings(t *testing.T) {
	good := strings.Replace(settings, "ISSUER", "https://idp.example", 1)
	with := func(old, now string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("%q is not in the settings", old)
		}
		return strings.Replace(good, old, now, 1)
	}
	for text, want := range map[string]string{
		"":                              "console.yaml: is empty; it needs issuer, clientID, console and roles",
		"a: [":                          "console.yaml: line 1",
		"[a]":                           "console.yaml:1: the file must have fields: caFile, clientID,",
		good + "---\na: b\n":            "must be one document",
		good + "scope: x\n":             `console.yaml:13: the file has no field "scope"; it may have caFile, clientID, clientSecretFile, console, issuer, name, roles, scopes, sessionLife`,
		good + "issuer: x\n":            "console.yaml:13: issuer is there twice",
		with("https://idp", "http://i"): "console.yaml:1: issuer: it must begin with https://, since others could change what comes by http",
		with("https://idp.example", "https://idp.example?x=1"):          "issuer: it must not have a query",
		with("clientID: console", "clientID: [a]"):                      "console.yaml:2: clientID must be a text",
		with("clientID: console\n", ""):                                 "clientID is missing",
		with("clientSecretFile: secret", "clientSecretFile: nowhere"):   "console.yaml:3: clientSecretFile: open ",
		with("clientSecretFile: secret", "caFile: secret"):              "console.yaml:3: caFile: secret has no certificate in PEM",
		with("console: https://gw.example/console/\n", ""):              "console is missing: its URL as browsers have it",
		with("https://gw.example/console/", "https://gw.example/admin"): "the console is at /console/",
		with("https://gw.example/console/", "http://gw.example/"):       "console.yaml:4: console: it must begin with https://",
		with("[openid, groups]", "[groups]"):                            "console.yaml:6: scopes: openid must be among them",
		with("[openid, groups]", "[openid, 'a b']"):                     "a scope has no spaces",
		with("[openid, groups]", "[]"):                                  "scopes must be a list of 1 to 200 texts",
		with("8h", "13h"):                                               "console.yaml:7: sessionLife: must be a time from 5m0s to 12h0m0s, such as 8h",
		with("8h", "soon"):                                              "sessionLife: must be a time",
		with("claim: groups\n  ", ""):                                   "roles.claim is missing: the claim that has the values, such as groups",
		with("claim: groups", "claim: /a~2"):                            "console.yaml:9: roles.claim: in a JSON Pointer",
		with("viewer: [staff]", "guest: [staff]"):                       `console.yaml:10: roles has no field "guest"; it may have admin, claim, operator, viewer`,
		with("[platform]", "['*']"):                                     "may be viewer alone",
		with("[platform]", "platform"):                                  "roles.admin must be a list of 1 to 200 texts",
		good[:strings.Index(good, "roles")]:                             "roles is missing: without it, nobody who logs in may do anything",
	} {
		_, err := signin.Read(write(t, text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s&cret") {
			t.Errorf("%q\n\tis %v\n\tand not %s", text, err, want)
		}
	}
	if _, err := signin.Read(filepath.Join(t.TempDir(), "none.yaml")); err == nil || !strings.Contains(err.Error(), "login to the console: open ") {
		t.Error(err)
	}
	file := write(t, good)
	if err := os.WriteFile(filepath.Join(filepath.Dir(file), "secret"), []byte("two\nlines\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := signin.Read(file); err == nil || !strings.Contains(err.Error(), "must have a secret of 1 to 4096 bytes in one line") {
		t.Error(err)
	}
}
