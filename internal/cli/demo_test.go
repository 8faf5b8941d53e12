package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/gridway/gridway/internal/app"
	"github.com/gridway/gridway/internal/demo"
)

func TestWhileTaken(t *testing.T) {
	taken := fmt.Errorf("bind: %w", syscall.EADDRINUSE)
	admin := fmt.Errorf("%w: %w", app.ErrAdminTaken, syscall.EADDRINUSE)
	other := errors.New("other")
	for name, c := range map[string]struct {
		answers []error
		tries   int
		want    error
	}{
		"at once":            {[]error{nil}, 1, nil},
		"another is quicker": {[]error{taken, taken, nil}, 3, nil},
		"another error":      {[]error{taken, other}, 2, other},
		"the user's choice":  {[]error{admin}, 1, admin},
		"always":             {[]error{taken, taken, taken, taken, taken, taken, taken, taken, taken, taken, nil}, demoTries, taken},
	} {
		tries := 0
		err := whileTaken(func() error { tries++; return c.answers[tries-1] }, func(err error) bool { return errors.Is(err, app.ErrAdminTaken) })
		if !errors.Is(err, c.want) || tries != c.tries {
			t.Errorf("%s: %v after %d tries", name, err, tries)
		}
	}
}

// The demo says which ports it would have liked to have.
func TestDemoPortsTaken(t *testing.T) {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", demo.PublicPort))
	if err == nil { // or somebody else has it
		defer l.Close()
	}
	f := demoFlags{}
	var pool demo.PortPool
	defer pool.Close()
	p, err := f.ports(&pool, true)
	if err != nil || !slices.Contains(p.taken, demo.PublicPort) || p.Public == demo.PublicPort || f.admin != "" {
		t.Fatal(p, f.admin, err)
	}
	f.anyPort = true
	if p, err = f.ports(&pool, false); err != nil || len(p.taken) > 0 || f.admin == "" {
		t.Error(p.taken, f.admin, err)
	}
	if s := takenHint([]int{8080, 8443, 9901}); s != "Ports 8080, 8443 and 9901 are taken, by another demo perhaps; free ones took their places." {
		t.Error(s)
	}
}

// What the demo writes can be kept, and its key is its owner's only. Files that
// are there are not touched.
func TestDemoKit(t *testing.T) {
	f := demoFlags{dir: filepath.Join(t.TempDir(), "shop")}
	k, err := f.write(map[string]string{certFile: "secret", shopFile: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]fs.FileMode{certFile: 0o600, shopFile: 0o644} {
		if info, err := os.Stat(k.path(name)); err != nil || info.Mode().Perm()&^mode != 0 {
			t.Error(name, info, err)
		}
	}
	if _, err := f.write(map[string]string{protoFile: "proto", certFile: "another"}); err == nil {
		t.Error("a certificate was written over")
	}
	if text, err := os.ReadFile(k.path(certFile)); err != nil || string(text) != "secret" {
		t.Error(string(text), err)
	}
	if _, err := os.Stat(k.path(protoFile)); err == nil {
		t.Error("half of it was left")
	}
	k.remove()
	if left, err := os.ReadDir(f.dir); err != nil || len(left) > 0 {
		t.Error(left, err)
	}
}
