// Package built has the binaries that tests run as processes.
package built

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// patience is for a machine that has compiled nothing yet.
const patience = 10 * time.Minute

// variable names a file that is Gridway, so that it is linked once for all packages.
const variable = "GRIDWAY_BINARY"

// Gridway returns the path of the whole binary: what GRIDWAY_BINARY says, which must be an
// absolute path, as tests run in their own folders, and current, as the Makefile sees to; or
// else what it builds, once.
var Gridway = sync.OnceValues(func() (string, error) {
	path := os.Getenv(variable)
	if path == "" {
		return build("gridway")
	}
	if !filepath.IsAbs(path) {
		return "", fmt.Errorf("%s=%s: give an absolute path", variable, path)
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s: %w; build it, or leave the variable out", variable, err)
	}
	return path, nil
})

// Proxy returns the path of the data plane alone.
var Proxy = sync.OnceValues(func() (string, error) { return build("gridway-proxy") })

var folder struct {
	sync.Mutex
	path string
}

func build(name string) (string, error) {
	folder.Lock()
	defer folder.Unlock()
	if folder.path == "" {
		path, err := os.MkdirTemp("", "gridway-built")
		if err != nil {
			return "", err
		}
		folder.path = path
	}
	path := filepath.Join(folder.path, name)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", path, "github.com/gridway/gridway/cmd/"+name).CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
	}
	return path, nil
}

// Remove takes away what was built here. TestMain calls it when the tests are over.
func Remove() error {
	folder.Lock()
	defer folder.Unlock()
	if folder.path == "" {
		return nil
	}
	return os.RemoveAll(folder.path)
}
