package ir_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/ir"
)

func TestParseClaim(t *testing.T) {
	for text, want := range map[string][]string{
		"sub":                       {"sub"},
		"https://example.com/roles": {"https://example.com/roles"},
		"a.b":                       {"a.b"},
		"a~b":                       {"a~b"},
		"/realm_access/roles":       {"realm_access", "roles"},
		"/a~1b/c~0d~01":             {"a/b", "c~d~1"},
		"/a/":                       {"a", ""},
	} {
		if got, err := ir.ParseClaim(text); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: got %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"", "/a~", "/a~2", "/~0~", strings.Repeat("/a", 17)} {
		if got, err := ir.ParseClaim(text); err == nil {
			t.Errorf("%q: got %q, want an error", text, got)
		}
	}
}
