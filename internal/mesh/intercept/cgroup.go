package intercept

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Cgroup is a cgroup (v2) of an application's own, below the one of this process,
// by which its connections are told from others. It bounds nothing.
type Cgroup struct {
	path   string
	folder *os.File
	id     uint64
	level  uint32
}

// NewCgroup makes one for this process, and removes those that processes which are
// gone have left behind. It needs to write to the folder of this process's own
// cgroup: root may, and so may a unit of systemd with Delegate=yes.
func NewCgroup() (*Cgroup, error) {
	c, err := newCgroup()
	if err != nil {
		return nil, fmt.Errorf("make a cgroup for the application: %w; mount cgroup v2 where this process may write, "+
			"or use upstream ports or the HTTP proxy, which need none", err)
	}
	return c, nil
}

func newCgroup() (*Cgroup, error) {
	root, err := readLine("/proc/self/mountinfo", cgroupMount)
	if err != nil {
		return nil, errors.New("no cgroup2 file system is mounted")
	}
	own, err := readLine("/proc/self/cgroup", cgroupOf)
	if err != nil {
		return nil, errors.New("this process is in no cgroup of version 2")
	}
	removeStale(filepath.Join(root, own))
	c := &Cgroup{path: filepath.Join(root, own, cgroupName(os.Getpid())), level: levelOf(own) + 1}
	if err := os.Mkdir(c.path, 0o755); err != nil && !os.IsExist(err) {
		return nil, err
	}
	if c.folder, err = os.Open(c.path); err != nil {
		_ = os.Remove(c.path)
		return nil, err
	}
	var stat syscall.Stat_t
	if err := syscall.Fstat(int(c.folder.Fd()), &stat); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	c.id = stat.Ino // cgroups(7): the inode's number is the ID
	return c, nil
}

// Folder is for SysProcAttr.CgroupFD: the application starts inside.
func (c *Cgroup) Folder() *os.File { return c.folder }

// Path is its folder.
func (c *Cgroup) Path() string { return c.path }

// Close removes the cgroup. It fails as long as processes are inside.
func (c *Cgroup) Close() error {
	return errors.Join(c.folder.Close(), os.Remove(c.path))
}

const cgroupPrefix = "gridway-"

func cgroupName(pid int) string { return cgroupPrefix + strconv.Itoa(pid) }

// removeStale removes empty cgroups of processes that are gone; one that has
// processes cannot be removed.
func removeStale(folder string) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return
	}
	for _, e := range entries {
		digits, ours := strings.CutPrefix(e.Name(), cgroupPrefix)
		if pid, err := strconv.Atoi(digits); ours && err == nil && syscall.Kill(pid, 0) == syscall.ESRCH {
			_ = os.Remove(filepath.Join(folder, e.Name()))
		}
	}
}

// levelOf is how deep a cgroup is below the root: "/" is 0, "/a/b" is 2.
func levelOf(cgroup string) uint32 {
	if cgroup = strings.Trim(path.Clean("/"+cgroup), "/"); cgroup == "" {
		return 0
	}
	return uint32(strings.Count(cgroup, "/") + 1)
}

var errNoLine = errors.New("no such line")

// readLine is what find has found in a line of a file.
func readLine(name string, find func(line string) (string, bool)) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return findLine(f, find)
}

func findLine(r io.Reader, find func(line string) (string, bool)) (string, error) {
	for s := bufio.NewScanner(r); s.Scan(); {
		if found, ok := find(s.Text()); ok {
			return found, nil
		}
	}
	return "", errNoLine
}

// cgroupMount reads a line of /proc/PID/mountinfo (proc_pid_mountinfo(5)):
// "36 35 98:0 /root /where rw,noatime master:1 - cgroup2 cgroup2 rw", where the
// number of fields before the dash is not fixed and bytes may be octal.
func cgroupMount(line string) (where string, ok bool) {
	before, after, found := strings.Cut(line, " - ")
	if !found || !strings.HasPrefix(after, "cgroup2 ") {
		return "", false
	}
	fields := strings.Fields(before)
	if len(fields) < 5 || fields[3] != "/" { // a part of the tree has other paths
		return "", false
	}
	where, err := strconv.Unquote(`"` + strings.ReplaceAll(fields[4], `"`, `\"`) + `"`)
	return where, err == nil
}

// cgroupOf reads a line of /proc/PID/cgroup (cgroups(7)): "0::/path" is version 2's.
func cgroupOf(line string) (path string, ok bool) {
	path, ok = strings.CutPrefix(line, "0::")
	return strings.TrimSuffix(path, " (deleted)"), ok
}
