package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/config/compile"
	"github.com/gridway/gridway/internal/config/source/file"
)

var (
	yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")
	mdLink    = regexp.MustCompile(`\]\(([^)#]*)(#[^)]*)?\)`)
	series    = regexp.MustCompile("gridway_[a-z_]+")
)

// Every example of the guides is a configuration without a problem, every link
// leads somewhere, and every metric that is named exists.
func TestGuides(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../../docs/guides/traffic/*.md")
	if err != nil || len(pages) < 15 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	metrics, err := os.ReadFile("../../docs/reference/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		t.Run(filepath.Base(page), func(t *testing.T) {
			text, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			whole := 0
			for _, m := range yamlBlock.FindAllStringSubmatch(string(text), -1) {
				if strings.HasPrefix(m[1], "apiVersion:") {
					whole++
					compiles(t, m[1])
				}
			}
			if whole == 0 && filepath.Base(page) != "README.md" {
				t.Error("there is no whole example")
			}
			for _, m := range mdLink.FindAllStringSubmatch(string(text), -1) {
				if m[1] == "" || strings.Contains(m[1], "://") {
					continue
				}
				to := filepath.Join(filepath.Dir(page), m[1])
				linked, err := os.ReadFile(to)
				if info, serr := os.Stat(to); serr != nil || !info.IsDir() && err != nil {
					t.Errorf("link to %s: %v", m[1], serr)
				} else if m[2] != "" && !hasHeading(string(linked), m[2][1:]) {
					t.Errorf("link to %s%s: no such heading", m[1], m[2])
				}
			}
			for _, name := range series.FindAllString(string(text), -1) {
				if !strings.Contains(string(metrics), "`"+name+"`") {
					t.Errorf("metric %s is not in the reference", name)
				}
			}
		})
	}
}

func hasHeading(text, anchor string) bool {
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			continue
		}
		slug := strings.ToLower(strings.TrimSpace(strings.TrimLeft(line, "#")))
		slug = regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(slug, "")
		if strings.ReplaceAll(slug, " ", "-") == anchor {
			return true
		}
	}
	return false
}

func compiles(t *testing.T, text string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gateway.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	set, problems, err := file.Load([]string{path}, file.Options{})
	if err != nil {
		t.Fatal(err)
	}
	out := compile.Compile(compile.Input{Set: set, Now: time.Now(), SessionKey: make([]byte, 32)}, nil)
	for _, p := range append(problems, out.Problems...) {
		t.Error(p)
	}
}
