package httpsig_test

import (
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/httpsig"
)

// structured is what a signature covers of lines of x-field by a component of it.
func structured(t testing.TB, component string, kind httpsig.Structure, lines ...string) (string, error) {
	t.Helper()
	fields := make([]string, len(lines))
	for i, line := range lines {
		fields[i] = "X-Field:" + line
	}
	m := message("GET", "https", "/", fields...)
	if kind != httpsig.Unstructured {
		m.Structured = map[string]httpsig.Structure{"x-field": kind}
	}
	s := parse(t, "a=("+component+")", someSignature)
	base, err := s.Base(m)
	got, _, _ := strings.Cut(strings.TrimPrefix(string(base), component+": "), "\n")
	return got, err
}

// The examples of RFC 9421 §2.1.1 and §2.1.2, and the rules of RFC 9651 §4.
func TestStructuredFields(t *testing.T) {
	const bad = "!"
	dict := []string{`  a=1,    b=2;x=1;y=2,   c=(a   b   c), d`}
	for _, c := range []struct {
		component string
		kind      httpsig.Structure
		lines     []string
		want      string
	}{
		{`"x-field";sf`, httpsig.Dictionary, dict, `a=1, b=2;x=1;y=2, c=(a b c), d`},
		{`"x-field";key="a"`, httpsig.Unstructured, dict, `1`},
		{`"x-field";key="b"`, httpsig.Unstructured, dict, `2;x=1;y=2`},
		{`"x-field";key="c"`, httpsig.Unstructured, dict, `(a b c)`},
		{`"x-field";key="d"`, httpsig.Unstructured, dict, `?1`},
		{`"x-field";key="d";sf`, httpsig.Unstructured, dict, `?1`},
		{`"x-field";key="e"`, httpsig.Unstructured, dict, bad},
		{`"x-field";key="A"`, httpsig.Unstructured, dict, bad},
		{`"x-field";sf`, httpsig.Dictionary, []string{"a=1", "b=2"}, `a=1, b=2`},
		{`"x-field";sf`, httpsig.Dictionary, []string{"a=1, b=2;x", "a=3;y=?1"}, `a=3;y, b=2;x`},
		{`"x-field";key="a"`, httpsig.Dictionary, []string{"a=1, b=2", "a=3"}, `3`},
		{`"x-field";sf`, httpsig.Dictionary, []string{"a=?1;q, b=?0"}, `a;q, b=?0`},
		{`"x-field";sf`, httpsig.Dictionary, []string{"a;x=1;x=2"}, `a;x=2`},
		{`"x-field";sf`, httpsig.Dictionary, []string{""}, ``},
		{`"x-field";sf`, httpsig.List, []string{`1.50, "a\"" ;q`}, bad},
		{`"x-field";sf`, httpsig.List, []string{`1.50,"a\"";q,	tok/*, :AQ==:, ?1,@05, %"f%c3%bc\"`}, `1.5, "a\"";q, tok/*, :AQ==:, ?1, @5, %"f%c3%bc\"`},
		{`"x-field";sf`, httpsig.List, []string{`( 1  2;a );b, ()`}, `(1 2;a);b, ()`},
		{`"x-field";sf`, httpsig.List, []string{"a, a"}, `a, a`},
		{`"x-field";sf`, httpsig.List, []string{""}, ``},
		{`"x-field";sf`, httpsig.Item, []string{` -007.100;a=1 `}, `-7.1;a=1`},
		{`"x-field";sf`, httpsig.Item, []string{`?1`}, `?1`},
		{`"x-field";sf`, httpsig.Item, []string{""}, bad},
		{`"x-field";sf`, httpsig.Item, []string{"a", "b"}, bad},
		{`"x-field";sf`, httpsig.Item, []string{"(a)"}, bad},
		{`"x-field";sf`, httpsig.List, []string{"a,"}, bad},
		{`"x-field";sf`, httpsig.List, []string{"a", ""}, bad},
		{`"x-field";sf`, httpsig.List, []string{"a b"}, bad},
		{`"x-field";sf`, httpsig.List, []string{"((a))"}, bad},
		{`"x-field";sf`, httpsig.List, []string{"(a,b)"}, bad},
		{`"x-field";sf`, httpsig.List, []string{`"\x"`}, bad},
		{`"x-field";sf`, httpsig.List, []string{`%"%C3%BC"`}, bad},
		{`"x-field";sf`, httpsig.List, []string{`%"%c3"`}, bad},
		{`"x-field";sf`, httpsig.List, []string{`%"%c`}, bad},
		{`"x-field";sf`, httpsig.List, []string{"1234567890123.1"}, bad},
		{`"x-field";sf`, httpsig.List, []string{"1.2345"}, bad},
		{`"x-field";sf`, httpsig.List, []string{"1."}, bad},
		{`"x-field";sf`, httpsig.List, []string{"@1.5"}, bad},
		{`"x-field";sf`, httpsig.List, []string{"?2"}, bad},
		{`"x-field";sf`, httpsig.Dictionary, []string{"A=1"}, bad},
		{`"x-field";sf`, httpsig.Dictionary, []string{"a =1"}, bad},
		{`"x-field";sf`, httpsig.Dictionary, []string{"a=1;Q"}, bad},
		{`"x-field";sf`, httpsig.List, []string{strings.Repeat("a, ", 1100) + "a"}, bad},
		{`"x-field";sf`, httpsig.List, []string{"a" + strings.Repeat(";a", 1100)}, "a;a"},
	} {
		got, err := structured(t, c.component, c.kind, c.lines...)
		if err != nil {
			got = bad
		}
		if got != c.want {
			t.Errorf("%s of %.60q: got %q (%v), want %q", c.component, c.lines, got, err, c.want)
		}
	}
	m := message("GET", "https", "/", "Priority: u=1,  i", "Content-Digest: sha-256=:AA==:")
	for component, want := range map[string]string{`"priority";sf`: "u=1, i", `"content-digest";sf`: "sha-256=:AA==:"} {
		s := parse(t, "a=("+component+")", someSignature)
		if base, err := s.Base(m); err != nil || !strings.HasPrefix(string(base), component+": "+want+"\n") {
			t.Errorf("%s: %s, %v", component, base, err)
		}
	}
}

func TestParseComponent(t *testing.T) {
	for written, want := range map[string]string{
		"@method": `"@method"`, "x-a": `"x-a"`, "x-a;sf": `"x-a";sf`, `x-a; key="a b"`: `"x-a";key="a b"`, `@query-param;name="id"`: `"@query-param";name="id"`,
		"X-A": "!", "": "!", "@status": "!", "@query-param": "!", "x;tr": "!", "x;req": "!", "x;bs;sf": "!", "x;": "!", "x;sf=1": "!", "x y": "!", "@method;sf": "!", `x;key="a";key="b"`: "!", "@": "!",
	} {
		c, err := httpsig.ParseComponent(written)
		got := c.ID()
		if err != nil {
			got = "!"
		}
		if got != want {
			t.Errorf("%s: %s, %v", written, got, err)
		}
	}
}

// FuzzStructuredField: what is read is written in a form that is read as the same.
func FuzzStructuredField(f *testing.F) {
	for _, seed := range []string{`a=1, b=2;x=1;y=2, c=(a b c), d`, `1.50, "a\"";q, tok/*, :AQ==:, ?0, @05, %"f%c3%bc"`, `( 1 2;a );b, ()`, `-0.0`, ``} {
		for kind := range uint8(4) {
			f.Add(seed, kind)
		}
	}
	f.Fuzz(func(t *testing.T, value string, n uint8) {
		kind := httpsig.Structure(n % 4)
		if strings.ContainsAny(value, "\n") {
			return
		}
		once, err := structured(t, `"x-field";sf`, kind, value)
		if err != nil {
			return
		}
		twice, err := structured(t, `"x-field";sf`, kind, once)
		if err != nil || twice != once {
			t.Fatalf("%q is %q, and that is %q: %v", value, once, twice, err)
		}
	})
}
