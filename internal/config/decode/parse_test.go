package decode

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func outline(b *strings.Builder, n *yaml.Node, depth int) {
	fmt.Fprintf(b, "%*s%d %s %q style %d at %d:%d\n", depth, "", n.Kind, n.Tag, n.Value, n.Style, n.Line, n.Column)
	for _, c := range n.Content {
		outline(b, c, depth+1)
	}
}

// sameAsLibrary tells whether the parser took the text. If so, the library must
// have read the same.
func sameAsLibrary(t *testing.T, text []byte) bool {
	t.Helper()
	var p plainParser
	got := p.parse(text)
	if got == nil {
		return false
	}
	var document yaml.Node
	if err := unmarshal(text, &document); err != nil {
		t.Fatalf("the library refuses what was read: %v\n%s", err, text)
	}
	if len(document.Content) != 1 {
		t.Fatalf("the library finds nothing in\n%s", text)
	}
	var a, b strings.Builder
	outline(&a, got, 0)
	outline(&b, document.Content[0], 0)
	if a.String() != b.String() {
		t.Fatalf("%s\nread as\n%s\nthe library reads\n%s", text, a.String(), b.String())
	}
	return true
}

var plainTexts = []string{
	"a: b\n", "a: b", "---\na: b\n", "--- # x\n\n# y\na: b # z\n", "a:\n  b: c\n  d: e\nf: g\n", "a:\n- b\n- c: d\n  e: f\ng: 1\n",
	"a:\n  - b: c\n    d:\n    - e\n  - f\n", "a: {b: c, d: [e, 'f', \"g\"], h: {}}\ni: []\n", "a: [\n  b,\n  {c: d,\n   e: f}\n  ]\n",
	`{"a": 1, "b": [true, "c"], "d": {"e":"f"}}`, "a: 1.5\nb: 0x1f\nc: yes\nd: true\ne: 2001-01-01\nf: 10s\ng: -1\nh: .5\ni: 1_000\n",
	"a: http://x/y?z#w\nb: c d  e   \n", "'a b': 'c'\n\"d\": \"e: f\"\n", "a: b:c\n", "a: -b\n",
}

var otherTexts = []string{
	"", "a:", "a: ~\n", "a: null\n", "a: |\n  b\n", "a: b\n  c\n", "a: &x b\n", "a: *x\n", "a: !!str 1\n", "<<: {a: b}\n", "a: 'it''s'\n",
	"a: \"b\\n\"\n", "- a\n", "a\n", "a: b: c\n", "a : b\n", "a:\tb\n", "a: é\n", "? a\n", "a: {b}\n", "a: [b: c]\n", "a: [b,]\n", "a: {b: c}}\n",
	"a: b\n c: d\n", "a:\n  b: c\n d: e\n", "a: {b: c\n}\n", "--- {a: b}\n", "%YAML 1.2\n---\na: b\n", "a: [b c\n d]\n", "a:\n-\n  b: c\n", "a:\n- - b\n", "a: 'b'# c\n",
}

func TestPlainParser(t *testing.T) {
	for _, text := range plainTexts {
		if !sameAsLibrary(t, []byte(text)) {
			t.Errorf("left to the library:\n%s", text)
		}
	}
	for _, text := range otherTexts {
		sameAsLibrary(t, []byte(text))
	}
}

// TestPlainParserOnManifests reads every manifest of the repository.
func TestPlainParserOnManifests(t *testing.T) {
	taken, all := 0, 0
	for _, pattern := range []string{"../../../examples/*/*.yaml", "../../../examples/*.yaml", "../compile/testdata/*.yaml", "testdata/*.yaml", "testdata/*/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, document := range strings.Split(string(text), "\n---\n") {
				all++
				if sameAsLibrary(t, []byte(document)) {
					taken++
				}
			}
		}
	}
	if all < 100 || taken*2 < all {
		t.Errorf("took %d of %d documents", taken, all)
	}
	t.Logf("took %d of %d documents", taken, all)
}

// TestPlainParserOnNoise strings together what YAML is made of.
func TestPlainParserOnNoise(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	pieces := []string{
		"a", "b", "a: b", "c: ", "d:", "- ", "-", "\n", "\n", "\n", "\n", "  ", "  ", " ", "    ", "{", "}", "[", "]", ", ", ",", ":", ": ", "#", " # x",
		"'", "'e'", "\"f\"", "1", "-2", "true", "~", "---", "...", "?", "? ", "&x", "*x", "!", "|", ">", "<<", ".", "/g", "http://h", "0x1", "1e3", "=", "null",
		"a:\n  ", "a:\n- ", "- a: b\n  ", "{a: b}", "[a, b]", "{\"a\":1}",
	}
	taken := 0
	for range 40_000 {
		var b strings.Builder
		for range 1 + rng.IntN(14) {
			b.WriteString(pieces[rng.IntN(len(pieces))])
		}
		if sameAsLibrary(t, []byte(b.String())) {
			taken++
		}
	}
	if taken < 300 {
		t.Errorf("took %d texts", taken)
	}
}

func FuzzPlainParser(f *testing.F) {
	for _, text := range append(plainTexts, otherTexts...) {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) { sameAsLibrary(t, text) })
}

// A document with more levels than anybody needs is refused at the first one
// that is too much, and what comes after it is read as ever.
func TestNesting(t *testing.T) {
	block := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "%*sa:\n", i, "")
		}
		return b.String()
	}
	for name, c := range map[string]struct {
		text         string
		line, column int // 0: not refused for its depth
	}{
		"block":          {block(501), 501, 501},
		"block, more":    {block(3000), 501, 501},
		"block, as many": {block(499) + strings.Repeat(" ", 499) + "b", 0, 0},
		"flow":           {"a: " + strings.Repeat("[", 500) + strings.Repeat("]", 500), 1, 503},
		"flow, as many":  {"a: " + strings.Repeat("[", 499) + strings.Repeat("]", 499), 0, 0},
		"flow, open":     {"a: " + strings.Repeat("{a: ", 20_000), 1, 3 + 4*499 + 1},
	} {
		r := Decode(Document{File: "f.yaml", Line: 1, Text: []byte(c.text)})
		if len(r.Problems) == 0 {
			t.Errorf("%s: no problem", name)
			continue
		}
		first := r.Problems[0]
		deep := strings.Contains(first.Message, "more than 500 levels")
		if deep != (c.line > 0) || deep && (first.Position.Line != c.line || first.Position.Column != c.column || !r.Unidentified || first.Code != "TooLarge") {
			t.Errorf("%s: %v", name, first)
		}
		const good = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: é}\n" // not plain
		for _, p := range Decode(Document{File: "f.yaml", Line: 1, Text: []byte(good)}).Problems {
			if strings.Contains(p.Message, "levels") {
				t.Errorf("%s: the next document: %v", name, p)
			}
		}
	}
}
