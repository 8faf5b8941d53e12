package file_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/internal/config/source/file"
	"github.com/gridway/gridway/internal/config/store"
)

// gatewayAPI returns the folder of the Gateway API module.
func gatewayAPI(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func errorsOf(problems []store.Problem) []store.Problem {
	var out []store.Problem
	for _, p := range problems {
		if p.Severity == store.Error {
			out = append(out, p)
		}
	}
	return out
}

func yamlFiles(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".yaml") {
			out = append(out, path)
		}
		return err
	})
	if err != nil || len(out) == 0 {
		t.Fatalf("%s: %d files, %v", dir, len(out), err)
	}
	return out
}

// TestGatewayAPIExamples: what the Gateway API gives as examples is accepted,
// and what it gives as examples of mistakes is not.
func TestGatewayAPIExamples(t *testing.T) {
	dir := gatewayAPI(t)
	for _, path := range yamlFiles(t, filepath.Join(dir, "examples")) {
		set, problems, err := file.Load([]string{path}, file.Options{})
		if err != nil {
			t.Error(err)
			continue
		}
		for _, p := range errorsOf(problems) {
			t.Errorf("valid example: %v", p)
		}
		if set.Len() == 0 && len(problems) == 0 {
			t.Errorf("%s: nothing was read, and nothing said about it", path)
		}
	}
	for _, path := range yamlFiles(t, filepath.Join(dir, "hack/invalid-examples")) {
		_, problems, err := file.Load([]string{path}, file.Options{})
		if err != nil {
			t.Error(err)
			continue
		}
		bad := errorsOf(problems)
		if len(bad) == 0 {
			t.Errorf("%s: an invalid example was accepted", path)
		}
		for _, p := range bad {
			if p.Position.Line == 0 || p.Position.Column == 0 || p.Message == "" || p.Code == "" {
				t.Errorf("incomplete problem %+v", p)
			}
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

const gateway = `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: NAME}
spec:
  gatewayClassName: gridway
  listeners: [{name: http, port: 8080, protocol: HTTP}]
`

func named(name string) string { return strings.ReplaceAll(gateway, "NAME", name) }

func key(name string) store.Key {
	return store.Key{Group: "gateway.networking.k8s.io", Kind: "Gateway", Namespace: "default", Name: name}
}

func TestLoadFolder(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.yaml"), named("a")+"---\n"+named("b"))
	write(t, filepath.Join(dir, "sub/deeper/c.yml"), named("c"))
	write(t, filepath.Join(dir, "d.json"), `{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
	"metadata": {"name": "d"}, "spec": {"gatewayClassName": "x", "listeners": [{"name": "h", "port": 80, "protocol": "HTTP"}]}}`)
	for _, ignored := range []string{".hidden.yaml", ".git/x.yaml", "e.yaml~", "#e.yaml#", ".e.yaml.swp", "e.yaml.bak", "README.md", "4913"} {
		write(t, filepath.Join(dir, ignored), "this: is: not: [valid")
	}
	if err := os.Symlink(dir, filepath.Join(dir, "loop")); err != nil {
		t.Fatal(err)
	}
	set, problems, err := file.Load([]string{dir}, file.Options{})
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	for _, name := range []string{"a", "b", "c", "d"} {
		if set.Get(key(name)) == nil {
			t.Errorf("%s was not loaded", name)
		}
	}
	if set.Len() != 4 {
		t.Errorf("%d objects, want 4", set.Len())
	}
	if got := set.Get(key("b")).Locate("spec.listeners[0].port"); got.Line != 13 || got.Column != 34 || got.File != filepath.Join(dir, "a.yaml") {
		t.Errorf("position of b's port is %v", got)
	}
}

func TestLoadStdin(t *testing.T) {
	set, problems, err := file.Load([]string{"-"}, file.Options{Stdin: strings.NewReader(named("x") + "---\nkind: Gateway\n")})
	if err != nil || set.Len() != 1 {
		t.Fatal(set, err)
	}
	if len(problems) != 1 || problems[0].Position.String() != "-:8:1" || !strings.Contains(problems[0].Remedy, "gateway.networking.k8s.io/v1") {
		t.Errorf("problems: %v", problems)
	}
}

func TestLoadErrors(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "big.yaml"), named("x"))
	for name, tc := range map[string]struct {
		paths []string
		opts  file.Options
		want  []string
	}{
		"missing":  {[]string{filepath.Join(dir, "no.yaml"), filepath.Join(dir, "neither")}, file.Options{}, []string{"no.yaml: there is no such file", "neither: there is no such file"}},
		"too long": {[]string{dir}, file.Options{MaxFileBytes: 10}, []string{"big.yaml: longer than the limit of 10 bytes"}},
		"stdin":    {[]string{"-"}, file.Options{Stdin: strings.NewReader(gateway), MaxFileBytes: 10}, []string{"longer than the limit"}},
	} {
		_, _, err := file.Load(tc.paths, tc.opts)
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		for _, want := range tc.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %q does not say %q", name, err, want)
			}
		}
	}
}

func TestDuplicateObject(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.yaml"), filepath.Join(dir, "b.yaml")
	write(t, a, named("x"))
	write(t, b, "# moved down\n"+named("x"))
	set, problems, err := file.Load([]string{dir}, file.Options{})
	if err != nil || set.Len() != 1 || len(problems) != 1 {
		t.Fatal(set, problems, err)
	}
	p := problems[0]
	if p.Code != "DuplicateObject" || p.Position.String() != b+":4:18" || !strings.Contains(p.Message, a+":3:18") {
		t.Errorf("problem: %v", p)
	}
}

func portOf(o *store.Object) int {
	return int(o.Value.(*gatewayv1.Gateway).Spec.Listeners[0].Port)
}

// TestLoadPassesOverPipes: nobody writes to the pipe, so that opening it would
// wait for ever.
func TestLoadPassesOverPipes(t *testing.T) {
	dir := t.TempDir()
	must(t, unix.Mkfifo(filepath.Join(dir, "pipe.yaml"), 0o600))
	must(t, os.Symlink(filepath.Join(dir, "pipe.yaml"), filepath.Join(dir, "link.yaml")))
	must(t, os.Symlink("/dev/zero", filepath.Join(dir, "zero.yaml")))
	must(t, os.Symlink("nowhere", filepath.Join(dir, "dangling.yaml")))
	write(t, filepath.Join(dir, "a.yaml"), named("a"))
	set, problems, err := file.Load([]string{dir}, file.Options{})
	if err != nil || len(problems) > 0 {
		t.Fatalf("error %v, problems %v", err, problems)
	}
	if n := set.Len(); n != 1 {
		t.Errorf("%d objects", n)
	}
}

func TestLoadRefusesAForestOfFolders(t *testing.T) {
	dir := t.TempDir()
	for i := range 10_001 {
		must(t, os.Mkdir(filepath.Join(dir, strconv.Itoa(i)), 0o700))
	}
	_, _, err := file.Load([]string{dir}, file.Options{})
	if err == nil || !strings.Contains(err.Error(), "give the folder that holds the configuration") {
		t.Errorf("error %v", err)
	}
}
