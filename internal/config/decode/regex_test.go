package decode_test

import (
	"testing"

	"github.com/gridway/gridway/internal/config/decode"
)

// A regular expression that is none is told together with the other errors of
// the route.
func TestRegexesOfBrokenRoute(t *testing.T) {
	const text = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: a}
spec:
  rules:
  - matches:
    - path: {type: RegularExpression, value: "/a["}
      headers: [{name: x, type: RegularExpression, value: "ok.*"}, {name: y, type: RegularExpression, value: "("}]
    timeots: {}
`
	r := decode.Decode(decode.Document{File: "a.yaml", Line: 1, Text: []byte(text)})
	got := map[string]int{}
	for _, p := range r.Problems {
		got[p.Code+" "+p.Field] = p.Position.Line*1000 + p.Position.Column
	}
	for what, at := range map[string]int{
		"UnknownField spec.rules[0].timeots":                                 9005,
		"InvalidRegularExpression spec.rules[0].matches[0].path.value":       7046,
		"InvalidRegularExpression spec.rules[0].matches[0].headers[1].value": 8110,
	} {
		if got[what] != at {
			t.Errorf("%s is at %d, want %d, in %v", what, got[what], at, got)
		}
	}
	if len(got) != 3 {
		t.Errorf("problems %v", r.Problems)
	}
}
