package compile_test

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/compile"
	"github.com/gridway/gridway/internal/config/store"
)

// The tests read manifests without checking them against a schema, so that
// what compile itself says of invalid objects can be seen.

func newValue(kind string) runtime.Object {
	switch kind {
	case "GatewayClass":
		return &gwv1.GatewayClass{}
	case "Gateway":
		return &gwv1.Gateway{}
	case "ListenerSet":
		return &gwv1.ListenerSet{}
	case "HTTPRoute":
		return &gwv1.HTTPRoute{}
	case "GRPCRoute":
		return &gwv1.GRPCRoute{}
	case "TLSRoute":
		return &gwv1.TLSRoute{}
	case "TCPRoute":
		return &gwv1.TCPRoute{}
	case "UDPRoute":
		return &gwv1.UDPRoute{}
	case "ReferenceGrant":
		return &gwv1.ReferenceGrant{}
	case "BackendTLSPolicy":
		return &gwv1.BackendTLSPolicy{}
	case "Backend":
		return &v1alpha1.Backend{}
	case "TokenIssuer":
		return &v1alpha1.TokenIssuer{}
	case "RateLimitStore":
		return &v1alpha1.RateLimitStore{}
	case "ShieldPolicy":
		return &v1alpha1.ShieldPolicy{}
	case "MeshPolicy":
		return &v1alpha1.MeshPolicy{}
	case "TelemetryPolicy":
		return &v1alpha1.TelemetryPolicy{}
	case "TelemetrySink":
		return &v1alpha1.TelemetrySink{}
	case "MeshPeer":
		return &v1alpha1.MeshPeer{}
	case "AuthorizationPolicy":
		return &v1alpha1.AuthorizationPolicy{}
	case "RateLimitPolicy":
		return &v1alpha1.RateLimitPolicy{}
	case "AuthenticationPolicy":
		return &v1alpha1.AuthenticationPolicy{}
	case "Consumer":
		return &v1alpha1.Consumer{}
	case "CertificateIssuer":
		return &v1alpha1.CertificateIssuer{}
	case "TrafficPolicy":
		return &v1alpha1.TrafficPolicy{}
	case "Service":
		return &corev1.Service{}
	case "Secret":
		return &corev1.Secret{}
	case "ConfigMap":
		return &corev1.ConfigMap{}
	case "Namespace":
		return &corev1.Namespace{}
	case "EndpointSlice":
		return &discoveryv1.EndpointSlice{}
	}
	return nil
}

// line is a Locator that knows the object's first line only.
type line store.Position

func (l line) Locate(string) store.Position { return store.Position(l) }

// parse reads the documents of a manifest. "@name@" stands for the file
// testdata/pem/name, indented as the line is.
func parse(file string, text []byte) ([]*store.Object, error) {
	var out []*store.Object
	at := 1
	for _, doc := range strings.Split(string(text), "\n---\n") {
		first := at
		at += strings.Count(doc, "\n") + 2
		doc, err := expand(doc)
		if err != nil {
			return nil, err
		}
		var head struct{ APIVersion, Kind string }
		if err := yaml.Unmarshal([]byte(doc), &head); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, first, err)
		}
		if head.Kind == "" {
			continue
		}
		v := newValue(head.Kind)
		if v == nil {
			return nil, fmt.Errorf("%s:%d: unknown kind %s", file, first, head.Kind)
		}
		if err := yaml.UnmarshalStrict([]byte(doc), v); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, first, err)
		}
		m := v.(metav1.Object)
		if m.GetNamespace() == "" && head.Kind != "Namespace" && head.Kind != "GatewayClass" {
			m.SetNamespace("default")
		}
		group, version, ok := strings.Cut(head.APIVersion, "/")
		if !ok {
			group, version = "", head.APIVersion
		}
		h := fnv.New64a()
		h.Write([]byte(doc))
		source := "file"
		if strings.Contains(m.GetName(), ":") { // no file can have such a name
			source = compile.SourceACME
		}
		out = append(out, &store.Object{
			Key:     store.Key{Group: group, Kind: head.Kind, Namespace: m.GetNamespace(), Name: m.GetName()},
			Version: version, Value: v, Source: source, Hash: h.Sum64(),
			Locator: line{File: file, Line: first, Column: 1},
		})
	}
	return out, nil
}

func expand(doc string) (string, error) {
	var b bytes.Buffer
	for _, l := range strings.SplitAfter(doc, "\n") {
		trimmed := strings.TrimSpace(l)
		if len(trimmed) > 2 && trimmed[0] == '@' && strings.HasSuffix(trimmed, "@") {
			data, err := os.ReadFile(filepath.Join("testdata", "pem", strings.Trim(trimmed, "@")))
			if err != nil {
				return "", err
			}
			indent := l[:strings.Index(l, "@")]
			for _, p := range strings.SplitAfter(strings.TrimSpace(string(data)), "\n") {
				b.WriteString(indent + p)
			}
			b.WriteString("\n")
			continue
		}
		b.WriteString(l)
	}
	return b.String(), nil
}

// reuse takes the objects of an earlier set where they are the same, as a
// source does.
func reuse(objects []*store.Object, before *store.Set) *store.Set {
	for i, o := range objects {
		if old := before.Get(o.Key); old != nil && old.Hash == o.Hash && old.Locate("") == o.Locate("") {
			objects[i] = old
		}
	}
	return store.NewSet(objects)
}
