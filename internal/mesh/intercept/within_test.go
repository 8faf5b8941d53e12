package intercept

import (
	"errors"
	"os"
	"path/filepath"
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
