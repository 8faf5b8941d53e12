package decode

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/runtime"
	runtimeschema "k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/spelling"
	"github.com/gridway/gridway/internal/config/store"
)

// maxTargets bounds the targets of a stand-in; the schemas allow 16.
const maxTargets = 64

// standIn takes the place of a policy that has errors and that must not be taken
// for absent: it names what the policy would attach to, as far as that can be
// read, and nothing else. Nil is for other kinds.
func (w *walker) standIn(n *yaml.Node, e *kindEntry) *store.Object {
	if !v1alpha1.FailsClosed(e.group, e.kind) {
		return nil
	}
	errors, problems := w.errors, len(w.problems)
	kinds := v1alpha1.RequestTargets()
	switch e.kind {
	case v1alpha1.KindAuthorizationPolicy:
		kinds = v1alpha1.AuthorizationTargets()
	case v1alpha1.KindShieldPolicy:
		kinds = v1alpha1.ShieldTargets()
	case v1alpha1.KindMeshPolicy:
		kinds = v1alpha1.MeshTargets()
	}
	targets := w.readTargets(n, kinds)
	w.errors, w.problems = errors, w.problems[:problems] // what is wrong has been told
	v := map[string]any{
		"metadata": map[string]any{"name": w.key.Name, "namespace": w.key.Namespace},
		"spec":     map[string]any{"targetRefs": targets},
	}
	value := e.make()
	if runtime.DefaultUnstructuredConverter.FromUnstructured(v, value) != nil {
		return nil
	}
	value.GetObjectKind().SetGroupVersionKind(runtimeschema.GroupVersionKind{Group: e.group, Version: e.versions[0].Version, Kind: e.kind})
	return &store.Object{
		Key: w.key, Version: e.versions[0].Version, Value: value, Source: "file", Hash: hashOf(w.key, v),
		Locator: w.locate(), Broken: true,
	}
}

// guess is standIn for an object whose version is not known, or whose kind is most
// likely a misspelling of one that must not be taken for absent.
func (w *walker) guess(n *yaml.Node, apiVersion, kind string) []*store.Object {
	group, _, _ := strings.Cut(apiVersion, "/")
	var closed []string
	for gk := range allKinds().byKind {
		if v1alpha1.FailsClosed(gk.Group, gk.Kind) {
			closed = append(closed, gk.Kind)
		}
	}
	slices.Sort(closed)
	e := allKinds().byKind[store.GroupKind{Group: group, Kind: spelling.Nearest(kind, closed)}]
	if e == nil {
		return nil
	}
	key := w.key
	defer func() { w.key = key }()
	if w.key = identify(n, e); w.key.Name == "" {
		return nil
	}
	if o := w.standIn(n, e); o != nil {
		return []*store.Object{o}
	}
	return nil
}

// readTargets reads targetRefs whatever is wrong with them and with what is
// around them. A target whose kind cannot be told is one of each of the kinds.
func (w *walker) readTargets(n *yaml.Node, kinds []string) []any {
	refs := resolved(w.nearField(w.nearField(n, "spec", []string{"spec"}), "targetRefs", []string{"targetRefs"}))
	if refs == nil {
		refs = resolved(w.nearField(n, "targetRefs", []string{"targetRefs"}))
	}
	if refs == nil {
		return nil
	}
	list := []*yaml.Node{refs}
	if refs.Kind == yaml.SequenceNode {
		list = refs.Content
	}
	targetFields := []string{"group", "kind", "name", "sectionName"}
	var out []any
	for _, one := range list {
		name := text(w.nearField(one, "name", targetFields))
		if name == "" {
			continue
		}
		these := kinds
		if kind := text(w.nearField(one, "kind", targetFields)); kind != "" {
			if near := spelling.Nearest(kind, kinds); near != "" {
				these = []string{near}
			}
		}
		for _, kind := range these {
			if len(out) == maxTargets {
				return out
			}
			t := map[string]any{"group": v1alpha1.TargetGroup(kind), "kind": kind, "name": name}
			if section := text(w.nearField(one, "sectionName", targetFields)); section != "" {
				t["sectionName"] = section
			}
			out = append(out, t)
		}
	}
	return out
}

// nearField is the field of a mapping that has a name or, without one, that is
// most likely a misspelling of it among those that it could be.
func (w *walker) nearField(n *yaml.Node, name string, among []string) *yaml.Node {
	n = resolved(n)
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	content := w.merged(n)
	var names []string
	for i := 0; i+1 < len(content); i += 2 {
		if content[i].Value == name {
			return content[i+1]
		}
		names = append(names, content[i].Value)
	}
	near := slices.IndexFunc(names, func(given string) bool { return spelling.Nearest(given, among) == name })
	if near < 0 {
		return nil
	}
	return content[2*near+1]
}

func resolved(n *yaml.Node) *yaml.Node {
	if n != nil && n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func text(n *yaml.Node) string {
	if n = resolved(n); n == nil || n.Kind != yaml.ScalarNode || isNull(n) {
		return ""
	}
	return n.Value
}
