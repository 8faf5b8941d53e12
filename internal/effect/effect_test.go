package effect_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gridway/gridway/internal/config/compile"
	"github.com/gridway/gridway/internal/config/lint"
	"github.com/gridway/gridway/internal/config/source/file"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/effect"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/telemetry/trace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const shop = `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: gridway
  listeners: [{name: http, port: 8080, protocol: HTTP}]
---
` + catalog + `---
apiVersion: gridway.dev/v1alpha1
kind: Backend
metadata: {name: catalog}
spec: {endpoints: [{address: "127.0.0.1:9001"}]}
---
apiVersion: gridway.dev/v1alpha1
kind: Backend
metadata: {name: other}
spec: {endpoints: [{address: "127.0.0.1:9002"}]}
---
apiVersion: v1
kind: Secret
metadata: {name: words}
stringData: {word: open-sesame}
`

const catalog = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: catalog}
spec:
  parentRefs: [{name: edge}]
  rules:
  - matches: [{path: {type: PathPrefix, value: /api}}]
    backendRefs: [{group: gridway.dev, kind: Backend, name: catalog}]
`

// serving is shop in service, with a request that has passed.
func serving(t *testing.T) *effect.Serving {
	t.Helper()
	path := filepath.Join(t.TempDir(), "shop.yaml")
	if err := os.WriteFile(path, []byte(shop), 0o600); err != nil {
		t.Fatal(err)
	}
	set, problems, err := file.Load([]string{path}, file.Options{})
	if err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
	input := func(set *store.Set, refusing []store.Problem) compile.Input {
		return compile.Input{Set: set, Refused: store.Refused(set, refusing), Now: time.Now()}
	}
	out := compile.Compile(input(set, nil), nil)
	findings, err := lint.Check(out.Config, set)
	if err != nil {
		t.Fatal(err)
	}
	return &effect.Serving{
		Set: set, Output: out, Known: append(findings, out.Problems...), Input: input,
		Records: func(context.Context) (*trace.Answer, error) {
			return &trace.Answer{Records: []*trace.Record{{
				Start: time.Now(), Method: "GET", Scheme: "http", Host: "shop", Path: "/api/books", Status: 200, Listener: out.Config.Listeners[0].Name,
				Route: "HTTPRoute/default/catalog", Rule: "HTTPRoute/default/catalog/rules/0", Cluster: out.Config.Routes[0].Rules[0].Backends[0].Cluster,
			}}}, nil
		},
	}
}

func of(t *testing.T, text string, gone ...string) *adminapi.Effect {
	t.Helper()
	e, err := effect.Of(t.Context(), serving(t), adminapi.Candidate{Text: []byte(text), Delete: gone})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestNothingChanges(t *testing.T) {
	e := of(t, catalog)
	if !e.Valid || len(e.Objects)+len(e.Listeners)+len(e.Behaviour)+len(e.Problems) > 0 || e.Tried == 0 || e.Unfinished != "" {
		t.Fatalf("%+v", e)
	}
	if e.Replay == nil || e.Replay.Requests != 1 || e.Replay.Same != 1 {
		t.Fatalf("%+v", e.Replay)
	}
	if len(e.InFiles) != 1 || e.InFiles[0].Object != "HTTPRoute/default/catalog" || e.InFiles[0].Place.Line != 8 || !strings.HasSuffix(e.InFiles[0].Place.File, "shop.yaml") {
		t.Fatalf("%+v", e.InFiles)
	}
}

func TestWhatChanges(t *testing.T) {
	e := of(t, strings.Replace(catalog, "name: catalog}]\n", "name: other}]\n", 1))
	if !e.Valid || len(e.Objects) != 1 || e.Objects[0].Object != "HTTPRoute/default/catalog" || len(e.Objects[0].Fields) != 2 {
		t.Fatalf("%+v", e)
	}
	if len(e.Behaviour) != 1 || e.Behaviour[0].Count == 0 || len(e.Behaviour[0].Examples) == 0 {
		t.Fatalf("%+v", e.Behaviour)
	}
	if r := e.Replay; r.Different != 1 || r.Groups[0].Aspects[0].Name != "backends" || r.From.IsZero() {
		t.Fatalf("%+v", r)
	}
	if len(e.Problems) != 1 || e.Problems[0].Object != "Backend/default/catalog" || e.Problems[0].Severity != "note" {
		t.Fatalf("nothing leads to the Backend any more: %+v", e.Problems)
	}
}

func TestTakenAway(t *testing.T) {
	e := of(t, "", "HTTPRoute/default/catalog")
	if !e.Valid || len(e.Objects) != 1 || e.Objects[0].Op != "removed" || e.Replay.Different != 1 || len(e.InFiles) != 1 {
		t.Fatalf("%+v %+v", e, e.Replay)
	}
	for name, gone := range map[string]string{"unknown": "HTTPRoute/default/none", "no name": "HTTPRoute", "another namespace": "HTTPRoute/shop/catalog"} {
		var wrong *adminapi.CandidateError
		if _, err := effect.Of(t.Context(), serving(t), adminapi.Candidate{Delete: []string{gone}}); !errors.As(err, &wrong) || !strings.Contains(err.Error(), gone) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, c := range []adminapi.Candidate{{}, {Text: []byte("# nothing\n")}, {Text: []byte(catalog), Delete: []string{"HTTPRoute/default/catalog"}}} {
		var wrong *adminapi.CandidateError
		if _, err := effect.Of(t.Context(), serving(t), c); !errors.As(err, &wrong) {
			t.Errorf("%q: %v", c.Text, err)
		}
	}
}

func TestWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		text, code   string
		line, column int
	}{
		"a field":       {strings.Replace(catalog, "rules:", "rulez:", 1), "UnknownField", 6, 3},
		"the syntax":    {"kind: [", "", 1, 0},
		"twice":         {catalog + "---\n" + catalog, "DuplicateObject", 12, 18},
		"a local file":  {"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n  annotations: {gridway.dev/files: a=/etc/passwd}\n", "FilesNotRead", 5, 0},
		"by compile":    {"apiVersion: gridway.dev/v1alpha1\nkind: Backend\nmetadata: {name: catalog}\nspec: {endpoints: [{address: \"no port\"}]}\n", "", 4, 0},
		"a second text": {"# first\n---\n" + strings.Replace(catalog, "parentRefs", "parentRef", 1), "UnknownField", 7, 3},
	} {
		e := of(t, c.text)
		if e.Valid || len(e.Problems) == 0 {
			t.Errorf("%s: %+v", name, e)
			continue
		}
		p := e.Problems[0]
		if c.code != "" && p.Code != c.code || p.Place.File != "" || p.Place.Line != c.line || c.column != 0 && p.Place.Column != c.column || e.Replay != nil {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

// TestSecretsAreNotFoundByGuessing: a right guess looks like a wrong one.
func TestSecretsAreNotFoundByGuessing(t *testing.T) {
	secret := func(word string) string {
		return "apiVersion: v1\nkind: Secret\nmetadata: {name: words}\nstringData: {word: " + word + "}\n"
	}
	right, wrong := of(t, secret("open-sesame")), of(t, secret("open-barley"))
	if len(right.Unseen) == 0 || strings.Join(right.Unseen, " ") != strings.Join(wrong.Unseen, " ") || len(right.Objects) != len(wrong.Objects) {
		t.Fatalf("%+v and %+v", right, wrong)
	}
}

func TestWithoutTime(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	e, err := effect.Of(ended, serving(t), adminapi.Candidate{Text: []byte(catalog)})
	if err != nil || e.Unfinished == "" || !e.Valid {
		t.Fatalf("%+v %v", e, err)
	}
}

// TestNobodyAnswers: that what has passed cannot be asked for spoils nothing else.
func TestNobodyAnswers(t *testing.T) {
	s := serving(t)
	s.Records = func(context.Context) (*trace.Answer, error) { return nil, errors.New("nobody is there") }
	e, err := effect.Of(t.Context(), s, adminapi.Candidate{Text: []byte(catalog)})
	if err != nil || e.Tried == 0 || e.Replay != nil || !strings.Contains(e.Unfinished, "nobody is there") {
		t.Fatalf("%+v %v", e, err)
	}
}
