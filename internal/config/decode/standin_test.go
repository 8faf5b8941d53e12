package decode_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/decode"
)

// What a policy that must not be taken for absent attaches to is read whatever is
// wrong with it.
func TestStandIns(t *testing.T) {
	for name, tc := range map[string]struct{ doc, want string }{
		"an unknown field":           {"spec: {targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: shop}], oops: 1}", "HTTPRoute/shop"},
		"a wrong type":               {"spec: {targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge, sectionName: http}], anyOf: 7}", "Gateway/edge/http"},
		"one target instead of some": {"spec: {targetRef: {kind: HTTPRoute, name: shop}}", "HTTPRoute/shop"},
		"targets that are no list":   {"spec: {targetRefs: {kind: HTTPRoute, name: shop}}", "HTTPRoute/shop"},
		"misspelled fields":          {"spec: {targetRfes: [{kin: GRPCRoute, nam: shop, sectoinName: a}]}", "GRPCRoute/shop/a"},
		"a misspelled kind":          {"spec: {targetRefs: [{kind: HttpRout, name: shop}]}", "HTTPRoute/shop"},
		"an unknown kind":            {"spec: {targetRefs: [{kind: Deployment, name: shop}]}", "Gateway/shop ListenerSet/shop HTTPRoute/shop GRPCRoute/shop Service/shop"},
		"no kind":                    {"spec: {targetRefs: [{name: shop}]}", "Gateway/shop ListenerSet/shop HTTPRoute/shop GRPCRoute/shop Service/shop"},
		"no spec":                    {"targetRefs: [{kind: HTTPRoute, name: shop}]", "HTTPRoute/shop"},
		"an alias":                   {"spec: {x: &r [{kind: HTTPRoute, name: shop}], targetRefs: *r}", "HTTPRoute/shop"},
		"some that can be read":      {"spec: {targetRefs: [7, {kind: HTTPRoute}, {name: {}}, {kind: HTTPRoute, name: shop, sectionName: {}}]}", "HTTPRoute/shop"},
		"nothing":                    {"spec: {}", ""},
		"no targets at all":          {"spec: 7", ""},
	} {
		t.Run(name, func(t *testing.T) {
			text := "apiVersion: gridway.dev/v1alpha1\nkind: AuthenticationPolicy\nmetadata: {name: p, namespace: n}\n" + tc.doc + "\n"
			r := decode.Decode(decode.Document{File: "f", Line: 1, Text: []byte(text)})
			if len(r.Objects) != 0 || len(r.StandIns) != 1 || len(r.Broken) != 1 {
				t.Fatalf("%d objects, %d stand-ins, broken %v, problems %v", len(r.Objects), len(r.StandIns), r.Broken, r.Problems)
			}
			o := r.StandIns[0]
			var got []string
			for _, ref := range o.Value.(*v1alpha1.AuthenticationPolicy).Spec.TargetRefs {
				one := fmt.Sprintf("%s/%s", ref.Kind, ref.Name)
				if ref.SectionName != nil {
					one += "/" + string(*ref.SectionName)
				}
				got = append(got, one)
			}
			if strings.Join(got, " ") != tc.want || !o.Broken || o.Key != r.Broken[0] || o.Key.String() != "AuthenticationPolicy/n/p" {
				t.Errorf("%s: targets %q, want %q", o.Key, got, tc.want)
			}
		})
	}
}

// Kinds and versions that are not known may be such a policy.
func TestGuessedStandIns(t *testing.T) {
	for head, want := range map[string]int{
		"apiVersion: gridway.dev/v1alpha1\nkind: AuthenticationPolicy\nmetadata: {name: p}": 1,
		"apiVersion: gridway.dev/v1\nkind: AuthenticationPolicy\nmetadata: {name: p}":       1,
		"apiVersion: gridway.dev/v1alpha1\nkind: AuthentcationPolicy\nmetadata: {name: p}":  1,
		"apiVersion: gridway.dev/v1alpha1\nkind: AuthenticationPolicy\nmetadata: {}":        0,
		"apiVersion: gridway.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {name: p}":        0,
		"apiVersion: gridway.dev/v1alpha1\nkind: TraficPolicy\nmetadata: {name: p}":         0,
		"apiVersion: example.com/v1\nkind: AuthenticationPolicy\nmetadata: {name: p}":       0,
	} {
		r := decode.Decode(decode.Document{File: "f", Line: 1, Text: []byte(head + "\nspec: {targetRefs: [{kind: HTTPRoute, name: shop}], oops: 1}\n")})
		if len(r.StandIns) != want {
			t.Errorf("%s: %d stand-ins, want %d", head, len(r.StandIns), want)
		}
	}
}
