package faults

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// clock is the variable by which a process's clock is off, a duration.
const clock = "GRIDWAY_TEST_CLOCK"

// edit is what is different in the binary of these tests. What users run has no place
// where it could be asked for.
type edit struct{ file, old, new string }

// edits make minutes seconds, and clocks wrong: not the kernel's, of which there is one for
// all namespaces, but that by which a process judges certificates and renews its own.
func edits(root string) []edit {
	at := func(path string) string { return filepath.Join(root, "internal/mesh", path) }
	return []edit{
		{at("ca/ca.go"), "MinLifetime     = 5 * time.Minute", "MinLifetime     = 20 * time.Second"},
		{at("identity/keyring.go"), "k.now = time.Now", "k.now = TestNow"},
		{at("identity/keyring.go"), "type watcher struct", `var testClock, _ = time.ParseDuration(os.Getenv("` + clock + `"))

func TestNow() time.Time { return time.Now().Add(testClock) }

type watcher struct`},
		{at("identity/keyring.go"), "\t\"maps\"\n", "\t\"maps\"\n\t\"os\"\n"},
		{at("identity/renewer.go"), "now = time.Now\n", "now = TestNow\n"},
		{at("join/client.go"), "c.opt.Now = time.Now", "c.opt.Now = identity.TestNow"},
	}
}

var built string // its folder

// binary is gridway as it is, but for the edits.
var binary = sync.OnceValues(func() (path string, err error) {
	if built, err = os.MkdirTemp("", "gridway-faults"); err != nil {
		return "", err
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		return "", err
	}
	replace := map[string]string{}
	for i, e := range edits(root) {
		from := e.file
		if to, ok := replace[e.file]; ok {
			from = to
		}
		text, err := os.ReadFile(from)
		if err != nil {
			return "", err
		}
		if bytes.Count(text, []byte(e.old)) != 1 {
			return "", fmt.Errorf("%s has no longer what these tests replace: %q", e.file, e.old)
		}
		replace[e.file] = filepath.Join(built, fmt.Sprintf("%d.go", i))
		if err := os.WriteFile(replace[e.file], bytes.Replace(text, []byte(e.old), []byte(e.new), 1), 0o600); err != nil {
			return "", err
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	list := filepath.Join(built, "overlay.json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		return "", err
	}
	path = filepath.Join(built, "gridway")
	if out, err := exec.Command("go", "build", "-overlay", list, "-o", path, "../../cmd/gridway").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
})
