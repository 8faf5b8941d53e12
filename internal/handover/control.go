package handover

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	network     = "unixpacket"
	dialTimeout = 5 * time.Second
	// maxPath is what the kernel takes as the path of a socket (unix(7)).
	maxPath = 107
)

// DefaultPath is where a gateway with that admin address is found by its
// successors: in the folder that systemd made for the service, or in one of the
// user's own. It is empty for a gateway without an admin API, of which there may
// be many.
func DefaultPath(admin string, getenv func(string) string) string {
	if admin == "off" || admin == "" {
		return ""
	}
	name := strings.Map(func(r rune) rune {
		if strings.ContainsRune(":/[]%", r) {
			return '-'
		}
		return r
	}, admin)
	if len(name) > 40 { // maxPath is not much
		h := fnv.New64a()
		_, _ = h.Write([]byte(admin))
		name = fmt.Sprintf("%x", h.Sum64())
	}
	name = "upgrade-" + name + ".sock"
	if dir, _, _ := strings.Cut(getenv("RUNTIME_DIRECTORY"), ":"); dir != "" {
		return filepath.Join(dir, name)
	}
	if os.Geteuid() == 0 {
		return filepath.Join("/run/gridway", name)
	}
	if dir := getenv("XDG_RUNTIME_DIR"); dir != "" {
		return filepath.Join(dir, "gridway", name)
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("gridway-%d", os.Geteuid()), name)
}

// listen opens the socket at path, which only its owner may use. What a process
// that is gone has left there is replaced.
func listen(path string) (*net.UnixListener, error) {
	if len(path) > maxPath {
		return nil, fmt.Errorf("%s: the path of a Unix socket has %d bytes at most, and this one %d", path, maxPath, len(path))
	}
	if err := makeFolder(filepath.Dir(path)); err != nil {
		return nil, err
	}
	if info, err := os.Lstat(path); err == nil {
		if info.Mode()&fs.ModeSocket == 0 {
			return nil, fmt.Errorf("%s is in the way", path)
		}
		d := net.Dialer{Timeout: dialTimeout}
		if c, err := d.DialContext(context.Background(), network, path); !errors.Is(err, syscall.ECONNREFUSED) {
			if err == nil {
				_ = c.Close()
			}
			return nil, fmt.Errorf("another process listens on %s", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	l, err := net.ListenUnix(network, &net.UnixAddr{Name: path, Net: network})
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

// makeFolder makes a folder of our own, or checks that nobody else can put
// another socket in the place of ours in the one that is there.
func makeFolder(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() {
		return fmt.Errorf("%s is no folder", dir)
	}
	if st.Uid != 0 && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to another user", dir)
	}
	if info.Mode().Perm()&0o022 != 0 && info.Mode()&fs.ModeSticky == 0 {
		return fmt.Errorf("%s may be written by others", dir)
	}
	return nil
}

// dial connects to the gateway at path.
func dial(ctx context.Context, path string) (*channel, error) {
	d := net.Dialer{Timeout: dialTimeout}
	conn, err := d.DialContext(ctx, network, path)
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", path, ErrNobody)
	}
	if err != nil {
		return nil, err
	}
	uc := conn.(*net.UnixConn)
	pid, err := checkPeer(uc)
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &channel{conn: uc, pid: pid}, nil
}

// Outcome is what became of an upgrade.
type Outcome struct {
	// PID and Version of the process that serves now.
	PID     int
	Version string
	// Before is the process that has served until now.
	Before int
}

// Ask lets the gateway at path start its successor, and waits until that serves
// or has failed.
func Ask(ctx context.Context, path string) (Outcome, error) {
	c, err := dial(ctx, path)
	if err != nil {
		return Outcome{}, err
	}
	defer c.close()
	stop := context.AfterFunc(ctx, c.close)
	defer stop()
	_ = c.send(&message{Kind: kindUpgrade, Protocol: Protocol})
	m, _, err := c.hear(4 * stepTimeout)
	switch {
	case err != nil && ctx.Err() != nil:
		return Outcome{}, ctx.Err()
	case over(err):
		return Outcome{}, fmt.Errorf("process %d has not said what became of it: %w", c.pid, err)
	case err != nil:
		return Outcome{}, err
	case m.Error != "":
		return Outcome{}, errors.New(m.Error)
	}
	return Outcome{PID: m.PID, Version: m.Version, Before: m.Before}, nil
}
