package filter_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/proxy/filter"
)

func TestClaims(t *testing.T) {
	const text = `{"iss": "https://issuer.example", "sub": "ada", "scope": "read  write", "exp": 1790000000,
		"big": 1e300, "exact": 9007199254740993, "half": 0.5, "ok": true, "none": null,
		"roles": ["a", "b", 3], "odd": [{"x": 1}], "deep": {"list": [{"name": "here"}], "": "empty"}}`
	for _, exact := range []bool{true, false} {
		d := json.NewDecoder(strings.NewReader(text))
		if exact {
			d.UseNumber()
		}
		values := map[string]any{}
		if err := d.Decode(&values); err != nil {
			t.Fatal(err)
		}
		c := filter.NewClaims(values)
		if c.Issuer != "https://issuer.example" || c.Subject != "ada" || !slices.Equal(c.Scopes, []string{"read", "write"}) {
			t.Errorf("issuer %q, subject %q, scopes %q", c.Issuer, c.Subject, c.Scopes)
		}
		for path, want := range map[string]string{
			"exp": "1790000000", "big": "1e+300", "half": "0.5", "ok": "true", "roles": "a,b,3",
			"deep/list/0/name": "here", "deep/": "empty", "roles/1": "b",
		} {
			if got, ok := c.AppendText([]byte("<"), strings.Split(path, "/")); !ok || string(got) != "<"+want {
				t.Errorf("%s: got %q, %t, want %q", path, got, ok, want)
			}
		}
		for _, path := range []string{"none", "odd", "deep", "absent", "sub/x", "roles/3", "roles/01", "roles/-1", "roles/x"} {
			if got, ok := c.AppendText([]byte("<"), strings.Split(path, "/")); ok || string(got) != "<" {
				t.Errorf("%s: got %q, %t, want nothing", path, got, ok)
			}
		}
		if v, _ := c.Lookup([]string{"exact"}); exact && v != int64(9007199254740993) {
			t.Errorf("a large integer has become %v", v)
		}
	}
}

func TestScopes(t *testing.T) {
	for _, values := range []map[string]any{
		{"scp": []any{"read", "write", 3.0}},
		{"scp": "read write"},
		{"scope": []any{"read", "write"}, "scp": "other"},
	} {
		if got := filter.NewClaims(values).Scopes; !slices.Equal(got, []string{"read", "write"}) {
			t.Errorf("%v: got %q", values, got)
		}
	}
	var none *filter.Claims
	if _, ok := none.Lookup([]string{"sub"}); ok || none.Values() != nil {
		t.Error("no claims have a claim")
	}
}
