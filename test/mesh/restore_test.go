package mesh

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A control plane that is lost with its disk comes back from the backup that the
// operations guide describes: members go on, and know it again.
func TestRestore(t *testing.T) {
	m := newMesh(t, "")
	m.sidecar("ratings", "one")
	up := port(t)
	reviews := m.sidecar("reviews", "front", "--upstream", "ratings=:"+up)
	from(t, up, "one")
	used := m.join("--service", "details")
	m.token = used
	m.sidecar("details", "three")

	backup := t.TempDir()
	if out, err := exec.Command("sqlite3", filepath.Join(m.state(), "state.db"), ".backup '"+filepath.Join(backup, "state.db")+"'").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, name := range []string{"mesh-authority.key", "first-tokens"} {
		text, err := os.ReadFile(filepath.Join(m.state(), name))
		if err == nil {
			err = os.WriteFile(filepath.Join(backup, name), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	m.control.kill()
	if err := os.RemoveAll(m.state()); err != nil {
		t.Fatal(err)
	}
	from(t, up, "one") // nobody has noticed

	// Without the secret nothing is opened, and nothing is changed.
	key := filepath.Join(backup, "mesh-authority.key")
	if err := os.Rename(key, key+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(backup, m.state()); err != nil {
		t.Fatal(err)
	}
	lost := run(t, nil, "control", filepath.Join(m.dir, "mesh.yaml"), "--mesh", m.address, "--state-dir", m.state(), "--admin", "off", "--upgrade-socket", "off")
	if code := lost.ended(); code != 1 || !strings.Contains(lost.log.String(), "--ca-key-file") {
		t.Errorf("without the secret it ends with %d:\n%s", code, lost.log)
	}
	key = filepath.Join(m.state(), "mesh-authority.key")
	if err := os.Rename(key+".away", key); err != nil {
		t.Fatal(err)
	}
	m.start()
	eventually(t, "all members are back", func() error {
		out, err := m.command("status")
		if err == nil && !strings.Contains(out, "3 of 3 proxies serve") {
			return errText(out)
		}
		return err
	})
	from(t, up, "one")
	// It gives new members the same trust, and still knows who has used his token.
	m.token = m.join("--service", "late")
	m.sidecar("late", "two")
	again := run(t, []string{"GRIDWAY_JOIN_TOKEN=" + used}, "sidecar", "--service", "details", "--control", m.address, "--state-dir", filepath.Join(m.dir, "again"), "--", "true")
	if code := again.ended(); code != 1 || !strings.Contains(again.log.String(), "token") {
		t.Errorf("a token that was used is good again: %d\n%s", code, again.log)
	}
	if code := reviews.end(); code != 143 {
		t.Errorf("exit code %d", code)
	}
}

type errText string

func (e errText) Error() string { return string(e) }
