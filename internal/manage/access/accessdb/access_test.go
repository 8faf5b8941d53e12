package accessdb_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/manage/access/accessdb"
	"github.com/gridway/gridway/internal/statedb"
	"github.com/gridway/gridway/internal/statedb/statetest"
)

func TestMain(m *testing.M) { statetest.Main(m) }

var by = access.Actor{Name: "tester", Role: access.Operator, Peer: "127.0.0.1:1"}

// each runs f with a service on each kind of store, and a clock.
func each(t *testing.T, f func(t *testing.T, s *accessdb.Service, now *time.Time)) {
	statetest.Each(t, func(t *testing.T, place string) {
		now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
		s := accessdb.New(accessdb.Options{
			DB: statetest.Open(t, place), Now: func() time.Time { return now },
			Elsewhere: func(namespace, name string) (string, bool) { return "gw.yaml:7", name == "filed" },
		})
		f(t, s, &now)
	})
}

func consumer(name, spec string) []byte {
	return []byte("apiVersion: gridway.dev/v1alpha1\nkind: Consumer\nmetadata: {name: " + name + "}\nspec: " + spec + "\n")
}

func put(t *testing.T, s *accessdb.Service, name, spec string) *access.Record {
	t.Helper()
	r, _, err := s.Put(t.Context(), by, "", "", consumer(name, spec), access.Condition{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const hash = "sha256:fc61c6893c63ff3ec8d98b085d81f6724f0648958a85c11e959beef85cbbc1cb"

func TestConsumersAreMadeChangedAndTakenAway(t *testing.T) {
	each(t, func(t *testing.T, s *accessdb.Service, _ *time.Time) {
		ctx := t.Context()
		first, created, err := s.Put(ctx, by, "", "", consumer("acme", "{groups: [a], plan: gold}"), access.Condition{New: true})
		if err != nil || !created {
			t.Fatalf("%v, %v", created, err)
		}
		if _, _, err := s.Put(ctx, by, "", "", consumer("acme", "{}"), access.Condition{New: true}); !errors.Is(err, access.ErrExists) {
			t.Errorf("made twice: %v", err)
		}
		second, created, err := s.Put(ctx, by, "default", "acme", consumer("acme", "{plan: silver}"), access.Condition{Version: first.Version})
		if err != nil || created || second.Version <= first.Version || !second.Created.Equal(first.Created) {
			t.Errorf("%+v, %v, %v", second, created, err)
		}
		if _, _, err := s.Put(ctx, by, "default", "acme", consumer("acme", "{}"), access.Condition{Version: first.Version}); !errors.Is(err, access.ErrChanged) {
			t.Errorf("an older version: %v", err)
		}
		if err := s.Delete(ctx, by, "default", "acme", access.Condition{Version: first.Version}); !errors.Is(err, access.ErrChanged) {
			t.Errorf("an older version: %v", err)
		}
		got, err := s.Consumer(ctx, "default", "acme")
		if want := `{"apiVersion":"gridway.dev/v1alpha1","kind":"Consumer","metadata":{"namespace":"default","name":"acme"},"spec":{"plan":"silver"}}`; err != nil || string(got.Manifest(true)) != want {
			t.Errorf("%s, %v", got.Manifest(true), err)
		}
		edited, err := s.Edit(ctx, by, "default", "acme", access.Condition{}, func(text []byte) ([]byte, error) {
			return bytes.ReplaceAll(text, []byte("silver"), []byte("iron")), nil
		})
		if err != nil || !strings.Contains(string(edited.Manifest(true)), "iron") {
			t.Errorf("%v", err)
		}
		_, err = s.Edit(ctx, by, "default", "acme", access.Condition{}, func(text []byte) ([]byte, error) {
			return bytes.ReplaceAll(text, []byte(`"acme"`), []byte(`"other"`)), nil
		})
		if !errors.Is(err, access.ErrInvalid) {
			t.Errorf("a consumer gets another name: %v", err)
		}
		if err := s.Delete(ctx, by, "default", "acme", access.Condition{}); err != nil {
			t.Error(err)
		}
		for name, err := range map[string]error{
			"read":   func() error { _, err := s.Consumer(ctx, "default", "acme"); return err }(),
			"delete": s.Delete(ctx, by, "default", "acme", access.Condition{}), "revoke": s.RevokeKey(ctx, by, "default", "acme", "k"),
			"create key": func() error { _, err := s.CreateKey(ctx, by, "default", "acme", access.NewKey{}); return err }(),
		} {
			if !errors.Is(err, statedb.ErrNotFound) {
				t.Errorf("%s of one that is gone: %v", name, err)
			}
		}
		if _, _, err := s.Put(ctx, by, "", "", consumer("filed", "{}"), access.Condition{}); !errors.Is(err, access.ErrInFile) || !strings.Contains(err.Error(), "gw.yaml:7") {
			t.Errorf("one of a file: %v", err)
		}
	})
}

func TestOneKeyTakesOverFromAll(t *testing.T) {
	each(t, func(t *testing.T, s *accessdb.Service, now *time.Time) {
		ctx := t.Context()
		put(t, s, "acme", `{credentials: [{name: pw, basic: {hash: "$2y$10$abcdefghijklmnopqrstuuSjcR7vqRkmSgAq8pWyIOTYTYDn8e1vG"}}]}`)
		if _, err := s.RotateKeys(ctx, by, "default", "acme", access.NewKey{}); !errors.Is(err, statedb.ErrNotFound) {
			t.Errorf("one without API keys: %v", err)
		}
		soon, hour := now.Add(time.Minute), int64(3600)
		for _, q := range []access.NewKey{{NotAfter: soon}, {}, {}} {
			if _, err := s.CreateKey(ctx, by, "default", "acme", q); err != nil {
				t.Fatal(err)
			}
		}
		k, err := s.RotateKeys(ctx, by, "default", "acme", access.NewKey{Overlap: &hour})
		if err != nil || k.Name != "key-4" || k.Replaces != "key-1, key-2, key-3" || !k.ReplacedUntil.Equal(now.Add(time.Hour)) {
			t.Fatalf("%+v, %v", k, err)
		}
		r, err := s.Consumer(ctx, "default", "acme")
		if err != nil {
			t.Fatal(err)
		}
		text := string(r.Manifest(true))
		if strings.Count(text, `"notAfter":"2026-11-20T13:00:00Z"`) != 2 || strings.Count(text, `"notAfter"`) != 3 {
			t.Errorf("the keys end otherwise: %s", text)
		}
		for name, q := range map[string]access.NewKey{"a client": {Client: &access.NewClient{}}, "a name twice": {Name: "pw"}} {
			if _, err := s.RotateKeys(ctx, by, "default", "acme", q); err == nil {
				t.Errorf("%s is accepted", name)
			}
		}
		if _, err := s.RotateKey(ctx, by, "default", "acme", "", access.NewKey{}); !errors.Is(err, access.ErrInvalid) {
			t.Errorf("no key: %v", err)
		}
	})
}

func TestKeysOverlapInARotation(t *testing.T) {
	each(t, func(t *testing.T, s *accessdb.Service, now *time.Time) {
		ctx := t.Context()
		put(t, s, "acme", "{}")
		one, err := s.CreateKey(ctx, by, "default", "acme", access.NewKey{Prefix: "acme_"})
		if err != nil || one.Name != "key-1" || !strings.HasPrefix(one.Key, "acme_") || len(one.Key) != 37 {
			t.Fatalf("%+v, %v", one, err)
		}
		hour := int64(3600)
		two, err := s.RotateKey(ctx, by, "default", "acme", "key-1", access.NewKey{Overlap: &hour})
		if err != nil || two.Name != "key-2" || two.Replaces != "key-1" || !two.ReplacedUntil.Equal(now.Add(time.Hour)) {
			t.Fatalf("%+v, %v", two, err)
		}
		r, err := s.Consumer(ctx, "default", "acme")
		if err != nil {
			t.Fatal(err)
		}
		text := string(r.Manifest(true))
		if strings.Contains(text, one.Key) || !strings.Contains(text, one.Hash) || !strings.Contains(text, two.Hash) || !strings.Contains(text, `"notAfter":"2026-11-20T13:00:00Z"`) {
			t.Error(text)
		}
		if hidden := string(r.Manifest(false)); strings.Contains(hidden, "sha256") || !strings.Contains(hidden, "key-2") {
			t.Error(hidden)
		}
		*now = now.Add(2 * time.Hour)
		none := int64(0)
		three, err := s.RotateKey(ctx, by, "default", "acme", "key-2", access.NewKey{Overlap: &none, Name: "third"})
		if err != nil || !three.ReplacedUntil.Equal(*now) {
			t.Fatalf("%+v, %v", three, err)
		}
		if r, err = s.Consumer(ctx, "default", "acme"); err != nil || strings.Contains(string(r.Manifest(true)), "key-1") {
			t.Errorf("a key that has expired stays: %s, %v", r.Manifest(true), err)
		}
		if err := s.RevokeKey(ctx, by, "default", "acme", "third"); err != nil {
			t.Error(err)
		}
		if _, err := s.RotateKey(ctx, by, "default", "acme", "third", access.NewKey{}); !errors.Is(err, statedb.ErrNotFound) {
			t.Errorf("a key that is gone: %v", err)
		}
		if _, err := s.CreateKey(ctx, by, "default", "acme", access.NewKey{Name: "key-2"}); !errors.Is(err, access.ErrExists) {
			t.Errorf("a name twice: %v", err)
		}
		past, long := now.Add(-time.Second), int64(1)<<40
		for name, q := range map[string]access.NewKey{
			"prefix": {Prefix: "a b"}, "long prefix": {Prefix: strings.Repeat("x", 65)}, "name": {Name: "a/b"}, "past": {NotAfter: past},
			"never": {NotBefore: now.Add(2 * time.Hour), NotAfter: now.Add(time.Hour)}, "overlap": {Overlap: &long}, "rotation": {Overlap: &none},
		} {
			if _, err := s.CreateKey(ctx, by, "default", "acme", q); !errors.Is(err, access.ErrInvalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for n := range 15 {
			if _, err := s.CreateKey(ctx, by, "default", "acme", access.NewKey{}); err != nil {
				t.Fatalf("%d: %v", n, err)
			}
		}
		if _, err := s.CreateKey(ctx, by, "default", "acme", access.NewKey{}); !errors.Is(err, access.ErrInvalid) || !strings.Contains(err.Error(), "16") {
			t.Errorf("one too many: %v", err)
		}
	})
}

func TestSecretsOfClients(t *testing.T) {
	each(t, func(t *testing.T, s *accessdb.Service, now *time.Time) {
		ctx := t.Context()
		put(t, s, "acme", "{}")
		put(t, s, "other", "{}")
		client := &access.NewClient{Scopes: []string{"a", "b"}, DefaultScopes: []string{"a"}}
		one, err := s.CreateKey(ctx, by, "default", "acme", access.NewKey{Client: client})
		if err != nil || one.ClientID != "default.acme" || len(one.Scopes) != 2 || len(one.Key) != 32 {
			t.Fatalf("%+v, %v", one, err)
		}
		two, err := s.RotateKey(ctx, by, "default", "acme", one.Name, access.NewKey{})
		if err != nil || two.ClientID != "default.acme" || len(two.Scopes) != 2 || two.Key == one.Key {
			t.Fatalf("%+v, %v", two, err)
		}
		r, err := s.Consumer(ctx, "default", "acme")
		if err != nil {
			t.Fatal(err)
		}
		text := string(r.Manifest(true))
		if strings.Count(text, `"clientSecret"`) != 2 || strings.Count(text, `"defaultScopes":["a"]`) != 2 || strings.Contains(text, two.Key) {
			t.Error(text)
		}
		if strings.Contains(string(r.Manifest(false)), "sha256") {
			t.Error(string(r.Manifest(false)))
		}
		// The ID is of one consumer, whatever its namespace.
		if _, err := s.CreateKey(ctx, by, "default", "other", access.NewKey{Client: &access.NewClient{ID: "default.acme"}}); !errors.Is(err, access.ErrTaken) || !strings.Contains(err.Error(), "default/acme") {
			t.Errorf("another's client ID: %v", err)
		}
		elsewhere := `{"apiVersion":"gridway.dev/v1alpha1","kind":"Consumer","metadata":{"name":"far","namespace":"far"},"spec":{"credentials":[{"name":"c","clientSecret":{"clientID":"default.acme","hash":"` + two.Hash + `"}}]}}`
		if _, _, err := s.Put(ctx, by, "", "", []byte(elsewhere), access.Condition{}); !errors.Is(err, access.ErrTaken) {
			t.Errorf("another's client ID, in another namespace: %v", err)
		}
		for name, q := range map[string]*access.NewClient{"scope": {Scopes: []string{"a b"}}, "default": {DefaultScopes: []string{"a"}}, "ID": {ID: "ä"}} {
			if _, err := s.CreateKey(ctx, by, "default", "other", access.NewKey{Client: q}); !errors.Is(err, access.ErrInvalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := s.RotateKey(ctx, by, "default", "acme", two.Name, access.NewKey{Client: client}); !errors.Is(err, access.ErrInvalid) {
			t.Errorf("a rotation to another client: %v", err)
		}
		if err := s.Delete(ctx, by, "default", "acme", access.Condition{}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Put(ctx, by, "", "", []byte(elsewhere), access.Condition{}); err != nil {
			t.Errorf("an ID that nobody has any more: %v", err)
		}
	})
}

func TestACredentialBelongsToOne(t *testing.T) {
	each(t, func(t *testing.T, s *accessdb.Service, _ *time.Time) {
		spec := `{credentials: [{name: k, apiKey: {hash: "` + hash + `"}}]}`
		put(t, s, "first", spec)
		_, _, err := s.Put(t.Context(), by, "", "", consumer("second", spec), access.Condition{})
		if !errors.Is(err, access.ErrTaken) || !strings.Contains(err.Error(), "first") {
			t.Errorf("%v", err)
		}
		if _, err := s.Consumer(t.Context(), "default", "second"); !errors.Is(err, statedb.ErrNotFound) {
			t.Errorf("it was made all the same: %v", err)
		}
		put(t, s, "first", "{}")
		put(t, s, "second", spec)
	})
}

func TestExportsAreImportedAsTheyAre(t *testing.T) {
	each(t, func(t *testing.T, s *accessdb.Service, _ *time.Time) {
		ctx := t.Context()
		var stream bytes.Buffer
		for n := range 1100 { // more than a page
			fmt.Fprintf(&stream, "---\n%s", consumer(fmt.Sprintf("c%04d", n), fmt.Sprintf(`{groups: [g%d], credentials: [{name: k, notAfter: "2030-01-01T00:00:00+02:00", apiKey: {hash: "sha256:%064x"}}]}`, n%7, n)))
		}
		if got, err := s.Import(ctx, by, consumer("c0001", "{}"), true); err != nil || got != (access.Imported{Created: 1, DryRun: true}) {
			t.Fatalf("%+v, %v", got, err)
		}
		if got, err := s.Import(ctx, by, stream.Bytes(), false); err != nil || got != (access.Imported{Created: 1100}) {
			t.Fatalf("%+v, %v", got, err)
		}
		var first, second bytes.Buffer
		if err := s.Export(ctx, "", &first); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Import(ctx, by, first.Bytes(), false); err != nil || got != (access.Imported{Unchanged: 1100}) {
			t.Errorf("%+v, %v", got, err)
		}
		// Two consumers exchange their keys.
		swapped := strings.NewReplacer(fmt.Sprintf("%064x", 1), fmt.Sprintf("%064x", 2), fmt.Sprintf("%064x", 2), fmt.Sprintf("%064x", 1)).Replace(first.String())
		if got, err := s.Import(ctx, by, []byte(swapped), false); err != nil || got != (access.Imported{Updated: 2, Unchanged: 1098}) {
			t.Errorf("%+v, %v", got, err)
		}
		if err := s.Export(ctx, "default", &second); err != nil || second.String() != swapped {
			t.Errorf("what is exported is not what was imported; %v", err)
		}
		if err := s.Export(ctx, "other", &second); err != nil || second.String() != swapped {
			t.Errorf("an empty namespace has consumers; %v", err)
		}
	})
}

func TestWhatIsWrongIsToldWithItsPlace(t *testing.T) {
	each(t, func(t *testing.T, s *accessdb.Service, _ *time.Time) {
		for name, c := range map[string]struct {
			text string
			line int
			want string
		}{
			"unknown field":  {"apiVersion: gridway.dev/v1alpha1\nkind: Consumer\nmetadata: {name: x}\nspec:\n  grops: [a]\n", 5, "groups"},
			"second of two":  {string(consumer("a", "{}")) + "---\n" + string(consumer("b", "{plan: 'a b'}")), 9, "plan"},
			"other kind":     {"apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n", 2, "only Consumers"},
			"no YAML":        {"apiVersion: [", 1, ""},
			"hash":           {string(consumer("a", "{credentials: [{name: k, apiKey: {hash: hunter2}}]}")), 4, "sha256"},
			"twice":          {string(consumer("a", "{}")) + "---\n" + string(consumer("a", "{}")), 8, "twice"},
			"JSON with tabs": {"{\"apiVersion\": \"gridway.dev/v1alpha1\", \"kind\": \"Consumer\",\n \"metadata\": {\"name\": \"x\"},\n \"spec\": {\"plans\": 1}}", 3, "plan"},
		} {
			_, err := s.Import(t.Context(), by, []byte(c.text), false)
			var invalid *access.InvalidError
			if !errors.As(err, &invalid) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if p := invalid.Problems[0]; p.Line != c.line || p.Column == 0 {
				t.Errorf("%s: line %d, column %d: %s", name, p.Line, p.Column, p.Message)
			}
		}
		var all bytes.Buffer
		if err := s.Export(t.Context(), "", &all); err != nil || all.Len() > 0 {
			t.Errorf("something was imported: %s, %v", all.String(), err)
		}
	})
}

func TestTokensHaveRolesAndAnEnd(t *testing.T) {
	each(t, func(t *testing.T, s *accessdb.Service, now *time.Time) {
		ctx := t.Context()
		var made []access.CreatedToken
		failing := errors.New("nobody can be shown anything")
		if err := s.Bootstrap(ctx, func([]access.CreatedToken) error { return failing }); !errors.Is(err, failing) {
			t.Errorf("%v", err)
		}
		if err := s.Bootstrap(ctx, func(list []access.CreatedToken) error { made = list; return nil }); err != nil || len(made) != 3 {
			t.Fatalf("%v, %v", made, err)
		}
		if err := s.Bootstrap(ctx, func([]access.CreatedToken) error { t.Error("made again"); return nil }); err != nil {
			t.Error(err)
		}
		for i, role := range access.Roles {
			got, err := s.Authenticate(ctx, made[i].Text)
			if err != nil || got.Role != role || !got.LastUsed.Equal(*now) {
				t.Errorf("%s: %+v, %v", role, got, err)
			}
		}
		for _, text := range []string{"", made[0].ID, made[0].Text + "x", made[0].Text[:20], strings.ToUpper(made[0].Text)} {
			if _, err := s.Authenticate(ctx, text); !errors.Is(err, access.ErrToken) {
				t.Errorf("%q: %v", text, err)
			}
		}
		admin := access.Actor{Name: "root", Role: access.Admin}
		short, err := s.CreateToken(ctx, admin, access.NewToken{Name: "ci", Role: access.Admin, Expires: now.Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.RevokeToken(ctx, admin, made[2].ID); !errors.Is(err, access.ErrLast) {
			t.Errorf("the last admin's token: %v", err)
		}
		*now = now.Add(time.Hour)
		if _, err := s.Authenticate(ctx, short.Text); !errors.Is(err, access.ErrToken) {
			t.Errorf("a token that has expired: %v", err)
		}
		if err := s.RevokeToken(ctx, admin, made[0].ID); err != nil {
			t.Error(err)
		}
		if _, err := s.Authenticate(ctx, made[0].Text); !errors.Is(err, access.ErrToken) {
			t.Errorf("a token that was revoked: %v", err)
		}
		if err := s.RevokeToken(ctx, admin, "nonsense"); !errors.Is(err, statedb.ErrNotFound) {
			t.Errorf("%v", err)
		}
		for name, q := range map[string]access.NewToken{
			"role": {Name: "x", Role: "root"}, "no role": {Name: "x"}, "name": {Name: "a b", Role: access.Viewer}, "past": {Name: "x", Role: access.Viewer, Expires: *now},
		} {
			if _, err := s.CreateToken(ctx, admin, q); !errors.Is(err, access.ErrInvalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		list, err := s.Tokens(ctx)
		if err != nil || len(list) != 3 {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

func TestEveryChangeIsInTheAuditLogWithoutSecrets(t *testing.T) {
	each(t, func(t *testing.T, s *accessdb.Service, now *time.Time) {
		ctx := t.Context()
		var secrets []string
		put(t, s, "acme", `{credentials: [{name: k, apiKey: {hash: "`+hash+`"}}, {name: p, basic: {hash: "$2b$10$abcdefghijklmnopqrstuuDnHNnJPXzLJUZBcJ0oPMbHrFqLBHHNi"}}]}`)
		k, err := s.CreateKey(ctx, by, "default", "acme", access.NewKey{})
		if err != nil {
			t.Fatal(err)
		}
		k2, err := s.RotateKey(ctx, by, "default", "acme", "key-1", access.NewKey{})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.RevokeKey(ctx, by, "default", "acme", "key-2"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Import(ctx, by, consumer("acme", "{}"), false); err != nil {
			t.Fatal(err)
		}
		token, err := s.CreateToken(ctx, by, access.NewToken{Name: "x", Role: access.Viewer})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.RevokeToken(ctx, by, token.ID); err != nil {
			t.Fatal(err)
		}
		if err := s.Delete(ctx, by, "default", "acme", access.Condition{}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Put(ctx, by, "", "", consumer("b", "{plans: x}"), access.Condition{}); err == nil {
			t.Fatal("no error")
		}
		list, err := s.Audit(ctx, access.AuditQuery{})
		if err != nil {
			t.Fatal(err)
		}
		var actions []string
		for _, c := range list {
			actions = append(actions, c.Action+" "+strings.SplitN(c.Object, "/", 2)[0])
			if c.Actor != by.Name || c.Role != string(by.Role) || c.Peer != by.Peer || !c.At.Equal(*now) {
				t.Errorf("%+v", c)
			}
		}
		if got := strings.Join(actions, ", "); got != "delete Consumer, revoke Token, create Token, import Consumer, revoke-key Consumer, rotate-key Consumer, create-key Consumer, create Consumer" {
			t.Error(got)
		}
		text, err := json.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, hash, "$2b$", k.Key, k.Hash, k2.Key, k2.Hash, token.Text)
		for _, secret := range secrets {
			if strings.Contains(string(text), secret) {
				t.Errorf("the audit log has %s", secret)
			}
		}
		if list[0].After != nil || list[len(list)-1].Before != nil || !strings.Contains(string(list[4].Before), "key-2") || strings.Contains(string(list[4].After), "key-2") {
			t.Errorf("before and after: %s", text)
		}
		page, err := s.Audit(ctx, access.AuditQuery{Limit: 2, Before: list[1].ID, Object: "Consumer/default/acme"})
		if err != nil || len(page) != 2 || page[0].ID != list[3].ID {
			t.Errorf("%+v, %v", page, err)
		}
		// What is older than it is kept leaves.
		*now = now.Add(accessdb.AuditKept + time.Hour)
		put(t, s, "late", "{}")
		if list, err = s.Audit(ctx, access.AuditQuery{}); err != nil || len(list) != 1 {
			t.Errorf("%d, %v", len(list), err)
		}
	})
}
