package decode

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	runtimeschema "k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/gridway/gridway/internal/config/schema"
	"github.com/gridway/gridway/internal/config/spelling"
	"github.com/gridway/gridway/internal/config/store"
)

// documentRoot reads the one object, or the list of objects, of a document.
func (w *walker) documentRoot(n *yaml.Node, r *Result) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.MappingNode {
		if isNull(n) {
			return
		}
		w.report(store.Problem{
			Code: "WrongType", Position: w.position(n),
			Message: "expected an object with apiVersion, kind and metadata",
			Remedy:  "separate objects by a line with ---",
		})
		r.Unidentified = true
		return
	}
	if kind := fieldNode(n, "kind"); kind != nil && strings.HasSuffix(kind.Value, "List") {
		if items := fieldNode(n, "items"); items != nil && items.Kind == yaml.SequenceNode {
			for i, item := range items.Content {
				mark := w.push("items")
				index := w.pushIndex(i)
				w.listItem(item, r)
				w.pop(index)
				w.pop(mark)
			}
			return
		}
	}
	w.oneObject(n, r)
}

// listItem reads an object of a list; its paths and places are its own.
func (w *walker) listItem(n *yaml.Node, r *Result) {
	path := w.path
	w.path, w.key, w.kind = nil, store.Key{}, ""
	defer func() { w.path = path }()
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.MappingNode {
		w.report(store.Problem{Code: "WrongType", Position: w.position(n), Message: "expected an object with apiVersion, kind and metadata"})
		r.Unidentified = true
		return
	}
	w.oneObject(n, r)
}

// oneObject reads one object.
func (w *walker) oneObject(n *yaml.Node, r *Result) {
	w.key, w.kind, w.places = store.Key{}, "", w.places[:0]
	apiVersion, kind := w.required(n, "apiVersion"), w.required(n, "kind")
	if apiVersion == nil || kind == nil {
		r.Unidentified = true
		return
	}
	if isRouteTest(apiVersion.Value, kind.Value) {
		return
	}
	entry, s, problem := allKinds().lookup(apiVersion.Value, kind.Value)
	if problem != nil {
		at := kind
		if problem.Field == "apiVersion" {
			at = apiVersion
		}
		problem.Position = w.position(at)
		if entry != nil {
			w.key = identify(n, entry)
		}
		w.report(*problem)
		if entry == nil {
			if problem.Severity == store.Error {
				r.Unidentified = true
				r.StandIns = append(r.StandIns, w.guess(n, apiVersion.Value, kind.Value)...)
			}
			return
		}
	}
	w.key, w.kind = identify(n, entry), entry.kind
	before := w.errors
	place := w.enter("", nil, n)
	v, ok := w.value(n, s.Root)
	w.leave(place)
	if ok {
		ok = w.clusterScope(n, entry, v.(map[string]any))
	}
	var o *store.Object
	if ok && w.errors == before {
		o = w.typed(n, entry, s, v.(map[string]any))
	}
	switch {
	case o != nil:
		r.Objects = append(r.Objects, o)
	case w.key.Name == "":
		r.Unidentified = true
	default:
		if (entry.kind == "HTTPRoute" || entry.kind == "GRPCRoute") && w.values <= maxValues {
			w.regexes(n)
		}
		r.Broken = append(r.Broken, w.key)
		if o := w.standIn(n, entry); o != nil {
			r.StandIns = append(r.StandIns, o)
		}
	}
}

// required finds one of the two fields that say what an object is.
func (w *walker) required(n *yaml.Node, name string) *yaml.Node {
	v := fieldNode(n, name)
	switch {
	case v == nil:
		p := store.Problem{Code: "MissingField", Field: name, Position: w.position(n), Message: fmt.Sprintf("required field %q is missing", name)}
		if name == "apiVersion" {
			if kind := fieldNode(n, "kind"); kind != nil {
				p.Remedy = apiVersionHint(kind.Value)
			}
		}
		for i := 0; i < len(n.Content); i += 2 {
			if near := spelling.Nearest(n.Content[i].Value, []string{name}); near != "" {
				p.Position = w.position(n.Content[i])
				p.Remedy = fmt.Sprintf("there is a field %q: did you mean %q?", n.Content[i].Value, name)
			}
		}
		w.report(p)
		return nil
	case v.Kind != yaml.ScalarNode || v.Value == "":
		w.report(store.Problem{Code: "WrongType", Field: name, Position: w.position(v), Message: "expected a string"})
		return nil
	}
	return v
}

func apiVersionHint(kind string) string {
	for gk, e := range allKinds().byKind {
		if gk.Kind == kind {
			return "add apiVersion: " + e.versions[0].APIVersion()
		}
	}
	return ""
}

// identify reads the key of an object whatever else is wrong with it.
func identify(n *yaml.Node, e *kindEntry) store.Key {
	k := store.Key{Group: e.group, Kind: e.kind}
	if e.namespaced {
		k.Namespace = "default"
	}
	metadata := fieldNode(n, "metadata")
	if metadata == nil {
		return k
	}
	if metadata.Kind == yaml.AliasNode {
		metadata = metadata.Alias
	}
	if name := fieldNode(metadata, "name"); name != nil && name.Kind == yaml.ScalarNode {
		k.Name = name.Value
	}
	if ns := fieldNode(metadata, "namespace"); ns != nil && ns.Kind == yaml.ScalarNode && ns.Value != "" && e.namespaced {
		k.Namespace = ns.Value
	}
	if k.Name == "" {
		return store.Key{}
	}
	return k
}

// clusterScope sets the default namespace, and warns of one that cannot be.
func (w *walker) clusterScope(n *yaml.Node, e *kindEntry, v map[string]any) bool {
	metadata := v["metadata"].(map[string]any)
	_, given := metadata["namespace"]
	switch {
	case e.namespaced && !given:
		metadata["namespace"] = w.key.Namespace
	case !e.namespaced && given:
		delete(metadata, "namespace")
		w.report(store.Problem{
			Severity: store.Warning, Code: "NoNamespace", Field: "metadata.namespace",
			Position: w.position(fieldNode(fieldNode(n, "metadata"), "namespace")),
			Message:  e.kind + " objects have no namespace; this one is ignored", Remedy: "take it out",
		})
	}
	return true
}

// typed makes the Go object.
func (w *walker) typed(n *yaml.Node, e *kindEntry, s *schema.Kind, v map[string]any) *store.Object {
	value := e.make()
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(v, value); err != nil {
		w.report(store.Problem{Code: "InvalidObject", Position: w.position(n), Message: err.Error()})
		return nil
	}
	value.GetObjectKind().SetGroupVersionKind(runtimeschema.GroupVersionKind{Group: e.group, Version: e.versions[0].Version, Kind: e.kind})
	if secret, ok := value.(*corev1.Secret); ok && len(secret.StringData) > 0 {
		if secret.Data == nil {
			secret.Data = make(map[string][]byte, len(secret.StringData))
		}
		for k, text := range secret.StringData {
			secret.Data[k] = []byte(text)
		}
		secret.StringData = nil
	}
	return &store.Object{
		Key: w.key, Version: s.Version, Value: value, Source: "file", Hash: hashOf(w.key, v),
		Locator: w.locate(),
	}
}

// isRouteTest tells route tests apart, which stand beside the configuration
// and are no part of it: "gridway test" reads them.
func isRouteTest(apiVersion, kind string) bool {
	return kind == "RouteTest" && strings.HasPrefix(apiVersion, "gridway.dev/")
}
