package tour

import (
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gridway/gridway/test/built"
)

const (
	root = "../.."
	// patience bounds the wait for one command: a program that was started in
	// the background, or compiled, or a change that is not live yet.
	patience = time.Minute
	again    = 50 * time.Millisecond
)

func TestTour(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	list, err := steps(string(readme))
	if err != nil {
		t.Fatal(err)
	}
	if len(list) < 15 {
		t.Fatalf("the tour has %d steps", len(list))
	}
	ports := freePorts(t, "8080", "9001", "9002", "9901")
	dir := t.TempDir()
	s := startShell(t, dir, filepath.Join(dir, "stderr"), append(os.Environ(), "PATH="+programs(t, ports)))
	for _, st := range list {
		if err := st.take(s, dir, ports); err != nil {
			t.Fatalf("README.md:%d: %v\nstandard error:\n%s", st.line, err, s.complaints())
		}
	}
}

// take does a step. A command is repeated until it does as the README says:
// people are slower than what happens in the background.
func (st *step) take(s *shell, dir string, ports *strings.Replacer) error {
	if st.file != "" {
		return os.WriteFile(filepath.Join(dir, st.file), []byte(ports.Replace(st.text)), 0o644)
	}
	want := strings.Split(ports.Replace(strings.Join(st.want, "\n")), "\n")
	if st.want == nil {
		want = nil
	}
	deadline := time.After(patience)
	tick := time.NewTicker(again)
	defer tick.Stop()
	var wrong error
	for {
		code, out, err := s.run(ports.Replace(st.command), deadline)
		lacks, differs := missing(want, out)
		switch {
		case err != nil && wrong == nil:
			return fmt.Errorf("%s: %w\nit printed:\n%s", st.command, err, out)
		case err != nil:
			return wrong
		case code != st.exit:
			wrong = fmt.Errorf("%s: exit code %d, not %d\nit printed:\n%s", st.command, code, st.exit, out)
		case differs:
			wrong = fmt.Errorf("%s: no line %q where it should be in\n%s", st.command, lacks, out)
		default:
			return listening(st.command, ports, deadline)
		}
		select {
		case <-tick.C:
		case <-deadline:
			return wrong
		}
	}
}

// listening waits for a program that was started in the background: what it is asked through
// a gateway before it serves may have been counted.
func listening(command string, ports *strings.Replacer, deadline <-chan time.Time) error {
	if !strings.HasPrefix(command, "go run ./examples/") || !strings.HasSuffix(command, "&") {
		return nil
	}
	tick := time.NewTicker(again)
	defer tick.Stop()
	for _, word := range strings.Fields(command) {
		port := ports.Replace(word)
		if _, err := strconv.ParseUint(word, 10, 16); err != nil || port == word {
			continue
		}
		for {
			c, err := net.Dial("tcp", net.JoinHostPort("localhost", port))
			if err == nil {
				_ = c.Close()
				break
			}
			select {
			case <-tick.C:
			case <-deadline:
				return fmt.Errorf("%s: %w", command, err)
			}
		}
	}
	return nil
}

// programs is a PATH with gridway as it is now, and the go command working in
// the repository. The admin API gets a port that is free.
func programs(t *testing.T, ports *strings.Replacer) string {
	t.Helper()
	dir := t.TempDir()
	top, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	binary, err := built.Gridway()
	if err != nil {
		t.Fatal(err)
	}
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	script(t, filepath.Join(dir, "go"), fmt.Sprintf("cd %q && exec %q \"$@\"", top, goTool))
	script(t, filepath.Join(dir, "gridway"), fmt.Sprintf(`export GRIDWAY_ADMIN=%[2]s
case $1 in
run|proxy|control) role=$1; shift; exec %[1]q "$role" --admin %[2]s "$@" ;;
esac
exec %[1]q "$@"`, binary, ports.Replace("127.0.0.1:9901")))
	return dir + string(os.PathListSeparator) + os.Getenv("PATH")
}

// beside is how many tours are taken at once: they mostly wait.
const beside = "4"

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", beside); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = built.Remove()
	os.Exit(code)
}

func script(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("#!/usr/bin/env bash\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

// ports hands out each port once, below those that the kernel gives away, so that
// tours beside each other have their own.
var ports struct {
	sync.Mutex
	last int
}

const firstPort, lastPort = 21000, 26999

// freePort is a port that nobody listens at, for TCP and UDP.
func freePort(t *testing.T) int {
	t.Helper()
	ports.Lock()
	defer ports.Unlock()
	if ports.last == 0 { // another run of the tests may be under way
		ports.last = firstPort + os.Getpid()%(lastPort-firstPort)
	}
	for range lastPort - firstPort {
		if ports.last++; ports.last > lastPort {
			ports.last = firstPort
		}
		at := fmt.Sprintf(":%d", ports.last)
		l, err := net.Listen("tcp", at)
		if err != nil {
			continue
		}
		l.Close()
		if u, err := net.ListenPacket("udp", at); err == nil {
			u.Close()
			return ports.last
		}
	}
	t.Fatal("no port is free")
	return 0
}

// freePorts replaces the ports of the tour by ports that nobody uses, in the
// same order, as some output is sorted.
func freePorts(t *testing.T, documented ...string) *strings.Replacer {
	t.Helper()
	var free []int
	for range documented {
		free = append(free, freePort(t))
	}
	slices.Sort(free)
	slices.Sort(documented)
	var pairs []string
	for i, p := range documented {
		pairs = append(pairs, p, strconv.Itoa(free[i]))
	}
	return strings.NewReplacer(pairs...)
}
