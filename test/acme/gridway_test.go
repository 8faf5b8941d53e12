package acme

import (
	"encoding/json"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/test/harness"
)

func TestMain(m *testing.M) {
	// Pebble looks at once, does not rely on what it has seen before, and finds
	// fault with every fifth good nonce.
	os.Setenv("PEBBLE_VA_NOSLEEP", "1")
	os.Setenv("PEBBLE_AUTHZREUSE", "0")
	os.Setenv("PEBBLE_WFE_NONCEREJECT", "20")
	harness.Main(m)
}

// gridway is a gateway whose certificates are looked at.
type gridway struct {
	*harness.Gateway
	t *testing.T
}

// start runs the documents with a folder of state.
func start(t *testing.T, yaml, state string) *gridway {
	t.Helper()
	return &gridway{harness.Start(t, yaml, "--state-dir", state), t}
}

type certificate struct {
	Secret, Phase, Error string
	Names                []string
	Valid                bool
	NotAfter, NextTry    time.Time
	Failures             int
}

// certificates are what the status shows.
func (g *gridway) certificates() []certificate {
	g.t.Helper()
	var s struct{ Certificates []certificate }
	if err := json.Unmarshal([]byte(g.Get("/v1/status")), &s); err != nil {
		g.t.Fatal(err)
	}
	return s.Certificates
}

// reaches waits until the only certificate is in a phase.
func (g *gridway) reaches(phase string) certificate {
	g.t.Helper()
	var list []certificate
	if !harness.Soon(func() bool {
		list = g.certificates()
		return len(list) == 1 && list[0].Phase == phase
	}) {
		g.t.Fatalf("not %s: %+v", phase, list)
	}
	return list[0]
}

// ports returns free ports for a listener of HTTP and one of HTTPS.
func ports(t *testing.T) (plain, secure int) {
	t.Helper()
	free := harness.FreePorts(t, 2)
	return free[0], free[1]
}

func local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// secrets lists what is stored and must be told to nobody.
func secrets(t *testing.T, state string) (lines []string) {
	t.Helper()
	err := filepath.WalkDir(state, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var v struct{ Key string }
		if json.Unmarshal(text, &v) == nil && v.Key != "" {
			for line := range strings.Lines(v.Key) {
				if line = strings.TrimSpace(line); !strings.HasPrefix(line, "-----") {
					lines = append(lines, line)
				}
			}
		}
		return nil
	})
	if err != nil || len(lines) < 4 {
		t.Fatalf("%d lines of keys are stored, %v", len(lines), err)
	}
	return lines
}
