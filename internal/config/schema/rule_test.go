package schema_test

import (
	"testing"

	"github.com/gridway/gridway/internal/config/schema"
)

func TestRule(t *testing.T) {
	ref := func(kv ...string) map[string]any {
		m := map[string]any{}
		for i := 0; i < len(kv); i += 2 {
			m[kv[i]] = kv[i+1]
		}
		return m
	}
	for _, tc := range []struct {
		rule string
		self any
		want bool
	}{
		{"has(self.port)", ref("port", "1"), true},
		{"has(self.port)", ref(), false},
		{"self.all(p, !has(p.__namespace__) || p.__namespace__ == 'a')", []any{ref("namespace", "a"), ref()}, true},
		{"self.all(p, !has(p.__namespace__) || p.__namespace__ == 'a')", []any{ref("namespace", "b")}, false},
		{"self.all(key, key.split('/')[0].size() < 5)", map[string]any{"abc/d": "x"}, true},
		{"isIP(self) || isCIDR(self)", "10.0.0.0/8", true},
		{"isIP(self) || isCIDR(self)", "::1", true},
		{"isIP(self) || isCIDR(self)", "10.0.0.256", false},
		{"duration(self) > duration('1s')", "1500ms", true},
		{"type(self) == int ? self <= 100 : self.matches('^[0-9]+%$')", int64(7), true},
		{"type(self) == int ? self <= 100 : self.matches('^[0-9]+%$')", "7", false},
		{"self.h.substring(2) == 'a' && self.numerator <= self.denominator", map[string]any{"h": "*.a", "numerator": int64(1), "denominator": int64(2)}, true},
		{"[has(self.a), has(self.b) && self.b].filter(x, x).size() == 1", map[string]any{"b": true}, true},
	} {
		r := &schema.Rule{Source: tc.rule}
		got, err := r.Check(tc.self)
		if err != nil || got != tc.want {
			t.Errorf("%s on %v = %v, %v; want %v", tc.rule, tc.self, got, err, tc.want)
		}
	}
	if _, err := (&schema.Rule{Source: "self.("}).Check("x"); err == nil {
		t.Error("a rule that does not parse gave no error")
	}
}

func BenchmarkRule(b *testing.B) {
	r := &schema.Rule{Source: "self.all(p1, self.exists_one(p2, p1.group == p2.group && p1.name == p2.name))"}
	self := []any{map[string]any{"group": "g", "name": "n"}}
	b.ReportAllocs()
	for b.Loop() {
		if ok, err := r.Check(self); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
