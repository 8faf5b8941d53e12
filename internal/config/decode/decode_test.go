package decode_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/decode"
	"github.com/gridway/gridway/internal/config/store"
)

// one decodes a document that holds one valid object.
func one(t *testing.T, text string) *store.Object {
	t.Helper()
	r := decode.Decode(decode.Document{File: "f.yaml", Line: 1, Text: []byte(text)})
	if len(r.Objects) != 1 || len(r.Problems) > 0 {
		t.Fatalf("%d objects, problems %v", len(r.Objects), r.Problems)
	}
	return r.Objects[0]
}

const route = `# a comment
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: shop
  labels:
    app.kubernetes.io/name: shop
spec:
  parentRefs: [{name: edge}]
  hostnames:
  - shop.example.com
  rules:
  - matches:
    - path:
        value: /a
    - headers: [{name: x, value: "y"}]
  - name: second
    backendRefs:
    - name: svc
      port: 8080
`

func TestPositions(t *testing.T) {
	o := one(t, route)
	for path, want := range map[string]string{
		"":              "f.yaml:2:1",
		"metadata.name": "f.yaml:5:9",
		"metadata":      "f.yaml:4:1",
		"metadata.labels[app.kubernetes.io/name]": "f.yaml:7:29",
		"spec":                                "f.yaml:8:1",
		"spec.hostnames":                      "f.yaml:10:3",
		"spec.hostnames[0]":                   "f.yaml:11:5",
		"spec.rules":                          "f.yaml:12:3",
		"spec.rules[0]":                       "f.yaml:13:5",
		"spec.rules[0].matches[0].path.value": "f.yaml:15:16",
		"spec.rules[0].matches[1].headers[0].name": "f.yaml:16:24",
		"spec.rules[1]":                     "f.yaml:17:5",
		"spec.rules[1].backendRefs[0].port": "f.yaml:20:13",
		// What is not there is found at what is.
		"spec.rules[1].backendRefs[0].weight":    "f.yaml:19:7",
		"spec.rules[7].matches":                  "f.yaml:12:3",
		"spec.rules[0].matches[0].path.nonsense": "f.yaml:14:7",
		"status.conditions":                      "f.yaml:2:1",
		"spec.rules[x].[.[[":                     "f.yaml:12:3",
	} {
		if got := o.Locate(path).String(); got != want {
			t.Errorf("%s is at %s, want %s", path, got, want)
		}
	}
	moved := decode.Shift(o, 100)
	if got := moved.Locate("metadata.name").String(); got != "f.yaml:105:9" {
		t.Errorf("after the shift at %s", got)
	}
	if moved.Value != o.Value || moved.Hash != o.Hash || o.Locate("metadata.name").Line != 5 {
		t.Error("a shift changed more than positions")
	}
}

func TestDefaults(t *testing.T) {
	o := one(t, route)
	r := o.Value.(*gatewayv1.HTTPRoute)
	if o.Key.Namespace != "default" || r.Namespace != "default" || r.Kind != "HTTPRoute" || r.APIVersion != "gateway.networking.k8s.io/v1" {
		t.Errorf("key %v, namespace %q, kind %q, version %q", o.Key, r.Namespace, r.Kind, r.APIVersion)
	}
	parent := r.Spec.ParentRefs[0]
	if *parent.Group != "gateway.networking.k8s.io" || *parent.Kind != "Gateway" {
		t.Errorf("parentRef %+v", parent)
	}
	matches := r.Spec.Rules[0].Matches
	if *matches[0].Path.Type != gatewayv1.PathMatchPathPrefix || *matches[1].Path.Value != "/" || *matches[1].Headers[0].Type != gatewayv1.HeaderMatchExact {
		t.Errorf("matches %+v", matches)
	}
	if len(r.Spec.Rules[1].Matches) != 1 || *r.Spec.Rules[1].Matches[0].Path.Value != "/" {
		t.Errorf("a rule without matches has %+v", r.Spec.Rules[1].Matches)
	}
	ref := r.Spec.Rules[1].BackendRefs[0]
	if *ref.Weight != 1 || *ref.Kind != "Service" || *ref.Group != "" {
		t.Errorf("backendRef %+v", ref)
	}
	b := one(t, "apiVersion: gridway.dev/v1alpha1\nkind: Backend\nmetadata: {name: b, namespace: n}\nspec: {endpoints: [{address: '127.0.0.1:80'}]}")
	backend := b.Value.(*v1alpha1.Backend)
	if backend.Spec.Protocol != v1alpha1.BackendHTTP || *backend.Spec.Endpoints[0].Weight != 1 || b.Key.Namespace != "n" {
		t.Errorf("backend %+v", backend.Spec)
	}
}

// TestHash: layout, order, defaults and status do not count, everything else does.
func TestHash(t *testing.T) {
	base := one(t, route).Hash
	same := map[string]string{
		"json": `{"kind": "HTTPRoute", "apiVersion": "gateway.networking.k8s.io/v1", "metadata": {"labels": {"app.kubernetes.io/name": "shop"}, "name": "shop"},
		"spec": {"rules": [{"matches": [{"path": {"value": "/a"}}, {"headers": [{"value": "y", "name": "x"}]}]},
		{"backendRefs": [{"port": 8080, "name": "svc"}], "name": "second"}], "hostnames": ["shop.example.com"], "parentRefs": [{"name": "edge"}]}}`,
		"older version":    strings.Replace(route, "/v1\n", "/v1beta1\n", 1),
		"written defaults": strings.Replace(route, "port: 8080\n", "port: 8080\n      weight: 1\n", 1),
		"status":           route + "status: {parents: [], made: up}\n",
		"namespace":        strings.Replace(route, "  name: shop\n", "  name: shop\n  namespace: default\n", 1),
		"null":             route + "    timeouts:\n",
	}
	for name, text := range same {
		if one(t, text).Hash != base {
			t.Errorf("%s: another hash", name)
		}
	}
	for name, text := range map[string]string{
		"port":      strings.Replace(route, "8080", "8081", 1),
		"namespace": strings.Replace(route, "  name: shop\n", "  name: shop\n  namespace: other\n", 1),
		"label":     strings.Replace(route, "/name: shop", "/name: shops", 1),
		"order":     strings.Replace(route, "- path:\n        value: /a\n    - headers: [{name: x, value: \"y\"}]", "- headers: [{name: x, value: \"y\"}]\n    - path:\n        value: /a", 1),
	} {
		if one(t, text).Hash == base {
			t.Errorf("%s: the same hash", name)
		}
	}
}

func TestSecret(t *testing.T) {
	s := one(t, "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: YQ==, b: eA==}\nstringData: {b: text}").Value.(*corev1.Secret)
	want := map[string][]byte{"a": []byte("a"), "b": []byte("text")}
	if d := cmp.Diff(want, s.Data); d != "" || s.StringData != nil || s.Type != corev1.SecretTypeOpaque {
		t.Error(d, s.Type)
	}
}

// TestSecretsAreNotShown: no message repeats a value of a Secret.
func TestSecretsAreNotShown(t *testing.T) {
	for _, text := range []string{
		"data: {k: hunter2!}", "stringData: {k: 31337}", "stringData: {k: 3.1337}", "stringData: {k: true}",
		"stringData: [hunter2]", "stringData: hunter2", "data: {k: {hunter2: x}}", "stringData: {k: [hunter2]}",
	} {
		doc := "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n" + text
		r := decode.Decode(decode.Document{File: "f", Line: 1, Text: []byte(doc)})
		if len(r.Problems) == 0 {
			t.Errorf("%s: no problem", text)
		}
		for _, p := range r.Problems {
			for _, secret := range []string{"hunter2", "1337", "true"} {
				if strings.Contains(p.String(), secret) {
					t.Errorf("%s: the message shows the secret: %v", text, p)
				}
			}
		}
	}
}

func TestVersions(t *testing.T) {
	for _, tc := range []struct{ doc, kind, version string }{
		{"apiVersion: gateway.networking.k8s.io/v1beta1\nkind: ReferenceGrant\nmetadata: {name: g}\nspec:\n  from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: a}]\n  to: [{group: '', kind: Service}]", "*v1.ReferenceGrant", "v1beta1"},
		{"apiVersion: gateway.networking.k8s.io/v1alpha2\nkind: TCPRoute\nmetadata: {name: r}\nspec: {rules: [{backendRefs: [{name: s, port: 1}]}]}", "*v1.TCPRoute", "v1alpha2"},
		{"apiVersion: gateway.networking.k8s.io/v1alpha3\nkind: BackendTLSPolicy\nmetadata: {name: p}\nspec:\n  targetRefs: [{group: '', kind: Service, name: s}]\n  validation: {hostname: a.b, wellKnownCACertificates: System}", "*v1.BackendTLSPolicy", "v1alpha3"},
	} {
		r := decode.Decode(decode.Document{File: "f", Line: 1, Text: []byte(tc.doc)})
		if len(r.Objects) != 1 {
			t.Errorf("%s: problems %v", tc.kind, r.Problems)
			continue
		}
		o := r.Objects[0]
		if got := strings.TrimPrefix(typeName(o), ""); got != tc.kind || o.Version != tc.version {
			t.Errorf("%s in %s, want %s in %s", got, o.Version, tc.kind, tc.version)
		}
		if v := o.Value.GetObjectKind().GroupVersionKind().Version; v != "v1" {
			t.Errorf("%s says version %s of itself", tc.kind, v)
		}
		for _, p := range r.Problems {
			if p.Severity == store.Error {
				t.Error(p)
			}
		}
	}
}

func typeName(o *store.Object) string {
	switch o.Value.(type) {
	case *gatewayv1.ReferenceGrant:
		return "*v1.ReferenceGrant"
	case *gatewayv1.TCPRoute:
		return "*v1.TCPRoute"
	case *gatewayv1.BackendTLSPolicy:
		return "*v1.BackendTLSPolicy"
	}
	return "another type"
}

func TestLists(t *testing.T) {
	r := decode.Decode(decode.Document{File: "f", Line: 11, Text: []byte(`apiVersion: v1
kind: ConfigMapList
metadata: {resourceVersion: "1"}
items:
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: a}
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: b}
  data: {k: v}
`)})
	if len(r.Objects) != 2 || len(r.Problems) > 0 {
		t.Fatal(len(r.Objects), r.Problems)
	}
	if got := r.Objects[1].Locate("data.k").String(); got != "f:21:13" {
		t.Errorf("data.k is at %s", got)
	}
	if got := r.Objects[0].Locate("data.k").String(); got != "f:15:3" {
		t.Errorf("a without data is at %s", got)
	}
}

func TestAnchorsAndMergeKeys(t *testing.T) {
	o := one(t, `apiVersion: v1
kind: ConfigMap
metadata:
  name: c
  labels: &base {a: "1", b: "2"}
  annotations:
    <<: *base
    b: mine
data: *base
`)
	c := o.Value.(*corev1.ConfigMap)
	if d := cmp.Diff(map[string]string{"a": "1", "b": "mine"}, c.Annotations); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(map[string]string{"a": "1", "b": "2"}, c.Data); d != "" {
		t.Error(d)
	}
}

// TestAliasBomb: aliases of aliases must not take memory or time without bound.
func TestAliasBomb(t *testing.T) {
	var b strings.Builder
	b.WriteString("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\n  finalizers: &a0 [x, x, x, x, x, x, x, x, x, x]\n  ownerReferences:\n")
	for i := 1; i < 12; i++ {
		b.WriteString("  - &a" + string(rune('a'+i)) + " [")
		previous := "*a" + string(rune('a'+i-1))
		if i == 1 {
			previous = "*a0"
		}
		b.WriteString(strings.TrimSuffix(strings.Repeat(previous+", ", 10), ", ") + "]\n")
	}
	r := decode.Decode(decode.Document{File: "f", Line: 1, Text: []byte(b.String())})
	if len(r.Objects) != 0 || len(r.Problems) == 0 || len(r.Problems) > 300 {
		t.Errorf("%d objects, %d problems", len(r.Objects), len(r.Problems))
	}
}

func TestBrokenAndUnidentified(t *testing.T) {
	for _, tc := range []struct {
		doc          string
		broken       string
		unidentified bool
	}{
		{"apiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: n}\nspec: {x: 1}", "Service/n/s", false},
		{"apiVersion: v1\nkind: Service\nmetadata: {namespace: n}", "", true},
		{"a: [", "", true},
		{"apiVersion: apps/v1\nkind: Deployment", "", false},
		{"# nothing", "", false},
	} {
		r := decode.Decode(decode.Document{File: "f", Line: 1, Text: []byte(tc.doc)})
		var broken []string
		for _, k := range r.Broken {
			broken = append(broken, k.String())
		}
		if strings.Join(broken, " ") != tc.broken || r.Unidentified != tc.unidentified || len(r.Objects) > 0 {
			t.Errorf("%q: broken %v, unidentified %v, %d objects", tc.doc, broken, r.Unidentified, len(r.Objects))
		}
	}
}

// FuzzDecode: nothing crashes, every problem has a place in the file, and what
// is accepted once is accepted again with the same hash.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(route))
	f.Add([]byte("apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: Secret, metadata: {name: x}, data: {a: '1'}}]"))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("? {x: y}\n: - !!binary abc\n<<: [1]"))
	f.Add([]byte("apiVersion: gridway.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {name: p}\nspec:\n  targetRefs: [{group: '', kind: Service, name: s}]\n  fault: {delay: {duration: 1s, percent: 0.5%}}"))
	f.Add([]byte("apiVersion: gridway.dev/v1alpha1\nkind: Backend\nmetadata: {name: b}\nspec: {endpoints: [{address: 'a:1', weight: 0x10}]}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		doc := decode.Document{File: "f", Line: 1, Text: text}
		r := decode.Decode(doc)
		lines := strings.Count(string(text), "\n") + 1
		for _, p := range r.Problems {
			if p.Message == "" || p.Code == "" || p.Position.Line < 1 || p.Position.Line > lines+1 {
				t.Errorf("problem %+v in %d lines", p, lines)
			}
		}
		again := decode.Decode(doc)
		if len(again.Objects) != len(r.Objects) {
			t.Fatal("decoding twice gives different objects")
		}
		for i, o := range r.Objects {
			if o.Key.Name == "" || o.Value == nil || again.Objects[i].Hash != o.Hash {
				t.Errorf("object %+v", o)
			}
			o.Locate("spec.rules[0].matches[0].path.value")
		}
	})
}

// TestWidePlaces has a field further to the right than most.
func TestWidePlaces(t *testing.T) {
	head := "{apiVersion: v1, kind: ConfigMap, metadata: {name: x}, data: {a: \"" + strings.Repeat("x", 70_000) + "\", "
	r := decode.Decode(decode.Document{File: "f", Line: 3, Text: []byte(head + "b: c}}\n")})
	if len(r.Objects) != 1 {
		t.Fatal(r.Problems)
	}
	want := store.Position{File: "f", Line: 3, Column: len(head) + len("b: ") + 1}
	if got := r.Objects[0].Locate("data.b"); got != want {
		t.Errorf("at %v, want %v", got, want)
	}
}
