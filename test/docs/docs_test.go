package docs

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/cli"
	"github.com/gridway/gridway/internal/proxy/filter"
)

func read(t *testing.T) (fs.FS, map[string]page) {
	t.Helper()
	root := os.DirFS("../..")
	all, err := pages(root)
	if err != nil || len(all) < 20 {
		t.Fatalf("%d pages, %v", len(all), err)
	}
	return root, all
}

func TestLinksLeadSomewhere(t *testing.T) {
	root, all := read(t)
	followed := 0
	for _, p := range all {
		for _, l := range p.links() {
			if strings.Contains(l, "://") || strings.HasPrefix(l, "mailto:") {
				continue
			}
			followed++
			if why := follow(root, all, p, l); why != "" {
				t.Errorf("%s: link to %s: %s", p.path, l, why)
			}
		}
	}
	if followed < 100 {
		t.Errorf("only %d links were followed", followed)
	}
}

func follow(root fs.FS, all map[string]page, from page, l string) (why string) {
	file, anchor, _ := strings.Cut(l, "#")
	to := from.path
	if file != "" {
		to = path.Join(path.Dir(from.path), file)
	}
	if _, err := fs.Stat(root, to); err != nil {
		return err.Error()
	}
	if anchor != "" && !all[to].anchors()[anchor] {
		return "no heading has this anchor"
	}
	return ""
}

func TestCommandsParse(t *testing.T) {
	_, all := read(t)
	overview, _ := gridway(t, "--help")
	seen := 0
	for _, p := range all {
		for _, words := range p.commands() {
			seen++
			if why := parses(t, overview, words); why != "" {
				t.Errorf("%s: gridway %s: %s", p.path, strings.Join(words, " "), why)
			}
		}
	}
	if seen < 120 {
		t.Errorf("only %d commands were found", seen)
	}
}

// parses asks for help after everything else: flags are parsed before it is given.
func parses(t *testing.T, overview string, words []string) (why string) {
	for _, w := range words {
		if w == "help" || w == "completion" {
			return ""
		}
	}
	at := slices.Index(words, "--") // what follows is another program's
	if at < 0 {
		at = len(words)
	}
	out, code := gridway(t, slices.Insert(slices.Clone(words[:at]), at, "--help")...)
	switch {
	case code != 0:
		return out
	case len(words) > 0 && !strings.HasPrefix(words[0], "-") && out == overview:
		return "no such command"
	}
	return ""
}

// What a page shows as a whole object has no error; references may lead out of the page.
func TestObjectsAreValid(t *testing.T) {
	_, all := read(t)
	seen := 0
	for _, p := range all {
		for _, text := range p.yaml {
			if !strings.HasPrefix(text, "apiVersion:") || strings.Contains(text, "kind: RouteTest") {
				continue
			}
			seen++
			var b bytes.Buffer
			if code := cli.Run(t.Context(), []string{"check", "-"}, cli.Streams{In: strings.NewReader(text), Out: &b, Err: &b}); code != 0 {
				t.Errorf("%s:\n%s", p.path, b.String())
			}
		}
	}
	if seen < 4 {
		t.Errorf("only %d objects were found", seen)
	}
}

func gridway(t *testing.T, args ...string) (string, int) {
	t.Helper()
	var b bytes.Buffer
	code := cli.Run(t.Context(), args, cli.Streams{In: strings.NewReader(""), Out: &b, Err: &b})
	return b.String(), code
}

func TestEveryReasonIsExplained(t *testing.T) {
	_, all := read(t)
	const name = "docs/guides/troubleshooting.md"
	anchors := all[name].anchors()
	for _, r := range filter.ReasonNames() {
		if r != "" && !anchors[strings.ToLower(r)] {
			t.Errorf("%s does not explain %s", name, r)
		}
	}
	known := filter.ReasonNames()
	for _, m := range heading.FindAllStringSubmatch(all[name].prose, -1) {
		if strings.HasPrefix(m[0], "### ") && !slices.Contains(known, m[1]) {
			t.Errorf("%s explains %s, which is no reason", name, m[1])
		}
	}
}
