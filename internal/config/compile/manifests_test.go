package compile_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/internal/config/compile"
	"github.com/gridway/gridway/internal/config/source/file"
	"github.com/gridway/gridway/internal/config/status"
	"github.com/gridway/gridway/internal/config/store"
)

// TestManifests loads and compiles every manifest of the Gateway API's examples
// and conformance suite. testdata/manifests.txt lists, for each, the errors and
// the features named as not built yet; what is not listed there is accepted
// without either. Most errors are what the suite is about (routes with invalid
// references and the like).
func TestManifests(t *testing.T) {
	var lines []string
	examples := moduleDir(t, ".", "list", "-m", "-json", "sigs.k8s.io/gateway-api")
	for _, path := range manifests(t, filepath.Join(examples, "examples")) {
		name, _ := filepath.Rel(examples, path)
		lines = append(lines, check(t, name, path)...)
	}
	suite := moduleDir(t, "../../../test/conformance", "mod", "download", "-json", "sigs.k8s.io/gateway-api/conformance")
	base := filepath.Join(suite, "base", "manifests.yaml")
	lines = append(lines, check(t, "conformance/base/manifests.yaml", base)...)
	lines = append(lines, check(t, "conformance/mesh/manifests.yaml", filepath.Join(suite, "mesh", "manifests.yaml"))...)
	for _, path := range manifests(t, filepath.Join(suite, "tests")) {
		name, _ := filepath.Rel(suite, path)
		lines = append(lines, check(t, "conformance/"+name, path, base)...)
	}
	got := strings.Join(lines, "\n") + "\n"
	const golden = "testdata/manifests.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("findings differ (-want +got); run with -update if it is meant:\n%s", diff)
	}
}

// moduleDir asks the go command where a module is.
func moduleDir(t *testing.T, in string, args ...string) string {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = in
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v", strings.Join(args, " "), err)
	}
	var m struct{ Dir string }
	if err := json.Unmarshal(out, &m); err != nil || m.Dir == "" {
		t.Fatalf("go %s: no folder in %s (%v)", strings.Join(args, " "), out, err)
	}
	return m.Dir
}

func manifests(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".yaml") {
			out = append(out, path)
		}
		return err
	})
	if err != nil || len(out) == 0 {
		t.Fatalf("%s: %d manifests (%v)", dir, len(out), err)
	}
	return out
}

var className = regexp.MustCompile(`(?m)^(\s*gatewayClassName:).*$`)

// check compiles the first file together with the others, and returns what is
// found in the first.
func check(t *testing.T, name string, paths ...string) []string {
	t.Helper()
	dir := t.TempDir()
	for i, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text = bytes.ReplaceAll(text, []byte("{GATEWAY_CONTROLLER_NAME}"), []byte(compile.ControllerName))
		text = className.ReplaceAll(text, []byte("$1 gridway"))
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.yaml", i)), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	set, problems, err := file.Load([]string{dir}, file.Options{})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	set = withAddresses(set)
	out := compile.Compile(compile.Input{Set: set, Now: now}, nil)
	again := compile.Compile(compile.Input{Set: set, Now: now}, out)
	if again.Config != out.Config {
		t.Errorf("%s: compiling twice gave two revisions", name)
	}
	var lines []string
	for _, p := range append(problems, out.Problems...) {
		if filepath.Base(p.Position.File) != "0.yaml" || p.Severity != store.Error && p.Code != "NotBuiltYet" {
			continue
		}
		if p.Severity == store.Error && p.Position.Line == 0 {
			t.Errorf("%s: a problem without a place: %s", name, p)
		}
		l := fmt.Sprintf("%s: %s: %s: %s", name, p.Severity, p.Code, p.Object)
		if !slices.Contains(lines, l) {
			lines = append(lines, l)
		}
	}
	for _, o := range out.Statuses() {
		for _, c := range append(slices.Clone(o.Conditions), firstConditions(o.Parents)...) {
			if c.Reason == "" {
				t.Errorf("%s: %s: condition %s without a reason", name, o.Key, c.Type)
			}
		}
	}
	slices.Sort(lines)
	return lines
}

// withAddresses gives each Gateway an address of its own, as a cluster would.
func withAddresses(set *store.Set) *store.Set {
	var objects []*store.Object
	n := 0
	for _, gk := range set.Kinds() {
		for _, o := range set.Kind(gk.Group, gk.Kind) {
			if gw, ok := o.Value.(*gwv1.Gateway); ok && len(gw.Spec.Addresses) == 0 {
				n++
				copied, gw := *o, gw.DeepCopy()
				gw.Spec.Addresses = []gwv1.GatewaySpecAddress{{Value: fmt.Sprintf("127.1.0.%d", n)}}
				copied.Value = gw
				o = &copied
			}
			objects = append(objects, o)
		}
	}
	return store.NewSet(objects)
}

func firstConditions(list []status.Relation) []status.Condition {
	if len(list) == 0 {
		return nil
	}
	return list[0].Conditions
}
