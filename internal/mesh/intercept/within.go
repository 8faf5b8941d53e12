package intercept

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
)

// Place is a cgroup that somebody else has made, such as that of a unit of systemd. What
// is made anew at its path is another one.
type Place struct {
	// Path is that below the root of cgroups, as /proc/PID/cgroup has it: "/a/b".
	Path  string
	id    uint64
	level uint32
}

// maxCgroups bounds the folders that FindUnit looks at.
const maxCgroups = 20_000

// ErrNoCgroup: there is no such cgroup now.
var ErrNoCgroup = errors.New("there is no such cgroup: nothing of it runs")

// FindCgroup finds one by its path below the root, "/a/b". It is ErrNoCgroup while there
// is none.
func FindCgroup(name string) (Place, error) {
	root, err := cgroupRoot()
	if err != nil {
		return Place{}, err
	}
	p := Place{Path: path.Clean("/" + name)}
	if p.level = levelOf(p.Path); p.level == 0 {
		return p, errors.New("the root of cgroups has everybody's processes: name one below it")
	}
	var stat syscall.Stat_t
	switch err := syscall.Stat(filepath.Join(root, p.Path), &stat); {
	case errors.Is(err, fs.ErrNotExist):
		return p, ErrNoCgroup
	case err != nil:
		return p, &os.PathError{Op: "stat", Path: filepath.Join(root, p.Path), Err: err}
	case stat.Mode&syscall.S_IFMT != syscall.S_IFDIR:
		return p, fmt.Errorf("%s is no cgroup", filepath.Join(root, p.Path))
	}
	p.id = stat.Ino // cgroups(7): the inode's number is the ID
	return p, nil
}

// FindUnit finds the cgroup of a unit of systemd, such as cart.service, which is called
// like it and may be in any slice. It is ErrNoCgroup while the unit does not run.
func FindUnit(unit string) (Place, error) {
	root, err := cgroupRoot()
	if err != nil {
		return Place{}, err
	}
	if p, err := FindCgroup("/system.slice/" + unit); !errors.Is(err, ErrNoCgroup) {
		return p, err
	}
	found, seen := "", 0
	err = filepath.WalkDir(root, func(at string, d fs.DirEntry, err error) error {
		switch {
		case err != nil && at != root:
			return fs.SkipDir // it went while we looked
		case err != nil:
			return err
		case !d.IsDir():
			return nil
		case d.Name() == unit:
			found = strings.TrimPrefix(at, root)
			return fs.SkipAll
		}
		if seen++; seen > maxCgroups {
			return fmt.Errorf("more than %d cgroups: give the path of that of %s", maxCgroups, unit)
		}
		return nil
	})
	if err != nil {
		return Place{}, err
	}
	if found == "" {
		return Place{}, ErrNoCgroup
	}
	return FindCgroup(found)
}

func cgroupRoot() (string, error) {
	root, err := readLine("/proc/self/mountinfo", cgroupMount)
	if err != nil {
		return "", errors.New("no cgroup2 file system is mounted")
	}
	return root, nil
}

// FromPlace captures what processes of a cgroup open, and those of cgroups below it, until
// it is removed.
func FromPlace(p Place) Source { return Source{kind: fromCgroup, id: p.id, level: p.level} }

// CgroupOf is the path of the cgroup of a process, as Place.Path is.
func CgroupOf(pid int32) (string, error) {
	return readLine(fmt.Sprintf("/proc/%d/cgroup", pid), cgroupOf)
}
