package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What systemd is told: who is ready, who is the service now, and that it stops.
func TestServiceManager(t *testing.T) { // not parallel: it sets the environment
	dir, err := os.MkdirTemp("", "e2e")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	told := func(want ...string) {
		t.Helper()
		left := map[string]bool{}
		for _, w := range want {
			left[w] = true
		}
		for len(left) > 0 {
			b := make([]byte, 200)
			manager.SetReadDeadline(time.Now().Add(patience))
			n, err := manager.Read(b)
			if err != nil || !left[string(b[:n])] {
				t.Fatalf("told %q, %v; want %v", b[:n], err, left)
			}
			delete(left, string(b[:n]))
		}
	}
	t.Setenv("NOTIFY_SOCKET", socket)
	port := ownPort(t)
	g := startLineage(t, documents(plainOn(port), routeDoc("app", ""), backendDoc("app", named(t, "a").addr)))
	told(fmt.Sprintf("READY=1\nMAINPID=%d", g.pid()))
	g.upgrade()
	told(fmt.Sprintf("MAINPID=%d", g.pid()), fmt.Sprintf("READY=1\nMAINPID=%d", g.pid()))
	if err := syscall.Kill(g.pid(), syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	var next int
	g.says("took over", fmt.Sprintf("predecessor=%d", g.pid()))
	for line := range strings.Lines(g.logged()) {
		if m := regexp.MustCompile(`an upgrade begins" successor=(\d+)`).FindStringSubmatch(line); m != nil {
			next, _ = strconv.Atoi(m[1])
		}
	}
	g.pids = append(g.pids, next)
	told(fmt.Sprintf("MAINPID=%d", next), fmt.Sprintf("READY=1\nMAINPID=%d", next))
	g.stop()
	told("STOPPING=1")
}

// The commands of the unit that we ship do what it says.
func TestUnit(t *testing.T) {
	t.Parallel()
	unit, err := os.ReadFile("../../deploy/systemd/gridway.service")
	if err != nil {
		t.Fatal(err)
	}
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "e2e")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	command := func(setting string, more ...string) *exec.Cmd {
		t.Helper()
		m := regexp.MustCompile(`(?m)^` + setting + `=(.*)$`).FindStringSubmatch(string(unit))
		if m == nil {
			t.Fatalf("no %s", setting)
		}
		line := strings.NewReplacer("/usr/local/bin/gridway", path, "/etc/gridway", dir+"/etc", "/run/gridway", dir+"/run", "/var/log/gridway", dir).Replace(m[1])
		words := strings.Fields(line)
		return exec.Command(words[0], append(words[1:], more...)...)
	}
	port := ownPort(t)
	for _, err := range []error{os.Mkdir(dir+"/etc", 0o755), os.Mkdir(dir+"/run", 0o700), os.WriteFile(dir+"/etc/gridway.yaml",
		[]byte(documents(plainOn(port), routeDoc("app", ""), backendDoc("app", named(t, "a").addr))), 0o600)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	old := command("ExecStart", "--admin", "unix:"+dir+"/admin")
	old.Stderr = log
	if err := old.Start(); err != nil {
		t.Fatal(err)
	}
	defer old.Process.Kill()
	said := func(with ...string) bool {
		b, _ := os.ReadFile(log.Name())
		return lineWith(string(b), with) != ""
	}
	eventually(t, "it serves", func() bool { return said("msg=serving") })
	out, err := command("ExecReload").CombinedOutput()
	m := upgraded.FindStringSubmatch(string(out))
	if err != nil || m == nil {
		t.Fatalf("%v: %s", err, out)
	}
	pid, _ := strconv.Atoi(m[1])
	defer syscall.Kill(pid, syscall.SIGKILL)
	if err := old.Wait(); err != nil {
		t.Errorf("the old process: %v", err)
	}
	c := dialPort(t, port)
	c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if resp, body := c.mustRespond("GET"); resp.StatusCode != 200 || body != "a" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new process ends", func() bool { return gone(pid) })
}
