package intercept

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A cgroup is found by its path and by the name of its folder, as long as it is there.
func TestFindCgroup(t *testing.T) {
	c, err := NewCgroup()
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	unit := filepath.Join(c.Path(), "gridway-test-find.service")
	if err := os.Mkdir(unit, 0o755); err != nil {
		t.Skip(err)
	}
	p, err := FindUnit("gridway-test-find.service")
	if err != nil || p.id == 0 || p.level != c.level+1 {
		t.Errorf("%+v, %v", p, err)
	}
	same, err := FindCgroup(p.Path)
	if err != nil || FromPlace(same) != FromPlace(p) {
		t.Errorf("%+v, %v", same, err)
	}
	if err := os.Remove(unit); err != nil {
		t.Fatal(err)
	}
	if _, err := FindCgroup(p.Path); !errors.Is(err, ErrNoCgroup) {
		t.Errorf("%v", err)
	}
	if _, err := FindUnit("gridway-test-find.service"); !errors.Is(err, ErrNoCgroup) {
		t.Errorf("%v", err)
	}
	if _, err := FindCgroup("/"); err == nil {
		t.Error("the root is a workload's")
	}
	if own, err := CgroupOf(int32(os.Getpid())); err != nil || own == "" {
		t.Errorf("%q, %v", own, err)
	}
}

// Units are found where systemd puts them: in a slice of their template, of a user's
// manager, and below a unit that is delegated to (systemd.slice(5), systemd.special(7)).
// This needs a cgroup file system that may be written to, and no systemd.
func TestUnitsOfSystemd(t *testing.T) {
	c, err := NewCgroup()
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	var made []string
	t.Cleanup(func() {
		for i := len(made) - 1; i >= 0; i-- {
			_ = os.Remove(made[i])
		}
	})
	add := func(path string) string {
		at := c.Path()
		for part := range strings.SplitSeq(path, "/") {
			at = filepath.Join(at, part)
			switch err := os.Mkdir(at, 0o755); {
			case err == nil:
				made = append(made, at)
			case !errors.Is(err, os.ErrExist):
				t.Skip(err)
			}
		}
		return at
	}
	for unit, path := range map[string]string{
		"gridwaytest@1.service":        "system.slice/system-gridwaytest.slice/gridwaytest@1.service",
		"gridwaytest-user.service":     "user.slice/user-1000.slice/user@1000.service/app.slice/gridwaytest-user.service",
		`gridwaytest-a\x2db.service`:   `machine.slice/gridwaytest-a\x2db.service`,
		"gridwaytest-payload.service":  "system.slice/gridwaytest-host.service/payload/gridwaytest-payload.service",
		"gridwaytest-host.service":     "system.slice/gridwaytest-host.service",
		"gridwaytest-scope-1234.scope": "user.slice/gridwaytest-scope-1234.scope",
	} {
		at := add(path)
		p, err := FindUnit(unit)
		if err != nil || !strings.HasSuffix(at, p.Path) || p.level != levelOf(p.Path) || p.id == 0 {
			t.Errorf("%s at %s: %+v, %v", unit, at, p, err)
		}
	}
	if _, err := FindUnit("gridwaytest.service"); !errors.Is(err, ErrNoCgroup) {
		t.Errorf("a template is no unit that runs: %v", err)
	}
}
