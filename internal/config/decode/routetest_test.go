package decode_test

import (
	"testing"

	"github.com/gridway/gridway/internal/config/decode"
)

func TestRouteTestsAreNoConfiguration(t *testing.T) {
	r := decode.Decode(decode.Document{File: "f.yaml", Line: 1, Text: []byte("apiVersion: gridway.dev/v1alpha1\nkind: RouteTest\nspec: {tests: []}\n")})
	if len(r.Objects) > 0 || len(r.Problems) > 0 || r.Unidentified {
		t.Errorf("%+v", r)
	}
	if r := decode.Decode(decode.Document{File: "f.yaml", Line: 1, Text: []byte("apiVersion: gridway.dev/v1alpha1\nkind: RouteTests\n")}); len(r.Problems) == 0 {
		t.Error("an unknown kind went unnoticed")
	}
}
