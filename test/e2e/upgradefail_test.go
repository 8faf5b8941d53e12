package e2e

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Whatever is wrong with the new process, the old one goes on under load, the
// person who asked is told why, and the next try can succeed.
func TestUpgradesThatFail(t *testing.T) { // not parallel: it takes the whole machine
	port, taken := ownPort(t), ownPort(t)
	good := documents(plainOn(port), routeDoc("app", ""), backendDoc("app", longWork(t).addr))
	g := startLineage(t, good)
	other, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", taken))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	built, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	script := func(text string) func() {
		return func() {
			path := filepath.Join(t.TempDir(), "script")
			if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			copyFile(t, path, g.bin)
		}
	}
	l := newLoad(t)
	for _, keep := range []bool{true, false} {
		l.add(keep, port, nil, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", saying("a"))
	}
	l.repeat(port, "tunnel", tunnel)
	for _, c := range []struct {
		name  string
		spoil func()
		says  string
	}{
		{"a binary that ends", script("exit 7"), "ended with exit status 7: the new process ended before it was ready"},
		{"a binary that is killed", script("kill -9 $$"), "ended with signal: killed"},
		{"no binary", func() { os.Remove(g.bin) }, "no such file or directory"},
		{"a file that is no binary", func() { os.WriteFile(g.bin, []byte("text"), 0o755) }, "exec format error"},
		{"a broken configuration", func() { g.write(strings.Replace(good, "port: ", "prt: ", 1)) }, `gridway.yaml:7:18: error: Gateway/default/edge: spec.listeners[0].prt: unknown field`},
		{"a port of another process", func() {
			g.write(strings.Replace(good, plainOn(port), gatewayOn("", onPort("http", port), onPort("more", taken)), 1))
		}, fmt.Sprintf("port %d is taken by another process", taken)},
		{"no configuration", func() { os.Remove(g.file()) }, "there is no such file or folder"},
	} {
		c.spoil()
		code, out := g.ask()
		if code != 1 || !strings.Contains(out, c.says) || !strings.Contains(out, "hint: the gateway goes on as before") {
			t.Errorf("%s: ended with %d and said %q", c.name, code, out)
		}
		l.passed(50)
		os.Remove(g.bin)
		copyFile(t, built, g.bin)
		g.write(good)
	}
	eventually(t, "the old process serves the good configuration", func() bool {
		return !strings.Contains(g.admin("/v1/status"), `"lastFailure"`)
	})
	g.upgrade()
	l.passed(50)
	l.end()
	g.stop()
}

// Two upgrades at a time, and one of a process that drains already.
func TestUpgradesThatMeet(t *testing.T) {
	t.Parallel()
	port := ownPort(t)
	g := startLineage(t, documents(plainOn(port), routeDoc("app", ""), backendDoc("app", longWork(t).addr)), "--upgrade-drain-timeout", "20s")
	c := dialPort(t, port)
	c.send("GET /tunnel HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
	if resp, err := http.ReadResponse(c.r, nil); err != nil || resp.StatusCode != 101 {
		t.Fatal(resp, err)
	}
	first := g.pid()
	outs := make(chan string, 4)
	for range cap(outs) {
		go func() {
			_, out := g.ask()
			outs <- out
		}()
	}
	succeeded := 0
	for range cap(outs) {
		out := <-outs
		if m := upgraded.FindStringSubmatch(out); m != nil {
			pid, _ := strconv.Atoi(m[1])
			g.pids = append(g.pids, pid)
			succeeded++
		} else if !strings.Contains(out, "another upgrade is under way") && !strings.Contains(out, "was replaced already") && !strings.Contains(out, "not begun to serve") && !strings.Contains(out, "has not said what became of it") {
			t.Errorf("it said %q", out)
		}
	}
	if succeeded == 0 {
		t.Error("none succeeded")
	}
	serving := regexp.MustCompile(`"pid": ?(\d+)`).FindStringSubmatch(g.admin("/v1/status"))
	for i, pid := range g.pids { // the answers came in any order
		if serving != nil && strconv.Itoa(pid) == serving[1] {
			g.pids[i], g.pids[len(g.pids)-1] = g.pids[len(g.pids)-1], pid
		}
	}
	// The signal reaches a process that drains: it says no and goes on draining.
	if err := syscall.Kill(first, syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	g.says("the upgrade has failed", "was replaced already")
	c.send("still here\n")
	if line, err := c.r.ReadString('\n'); err != nil || line != "still here\n" {
		t.Errorf("%q, %v", line, err)
	}
	c.Close()
	// The one that serves can be replaced.
	g.upgrade()
	g.stop()
}

// `gridway run --upgrade` takes over with arguments of its own, and starts as
// usual where there is nobody.
func TestRunUpgrade(t *testing.T) {
	t.Parallel()
	port := ownPort(t)
	yaml := documents(plainOn(port), routeDoc("app", ""), backendDoc("app", named(t, "a").addr))
	old := startLineage(t, yaml, "--upgrade")
	old.says("there is no gateway to take over from")
	l := newLoad(t)
	l.add(true, port, nil, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", saying("a"))
	l.add(false, port, nil, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", saying("a"))
	l.passed(50)
	next := start(t, yaml, "--upgrade", "--upgrade-socket", old.socket) // its admin address is another
	next.said("took over", "sockets=1")
	if code := old.ended(2 * patience); code != 0 {
		t.Errorf("the old process ended with %d", code)
	}
	l.passed(50)

	// A process that is asked to stop while it starts leaves the old one alone:
	// here it waits for a name that nobody answers for.
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	waiting := filepath.Join(t.TempDir(), "waiting.yaml")
	text := documents(plainOn(port), routeDoc("app", ""), `apiVersion: gridway.dev/v1alpha1
kind: Backend
metadata: {name: app}
spec: {dns: [{name: app.example, port: 80, resolver: "`+silent.LocalAddr().String()+`"}]}
`)
	if err := os.WriteFile(waiting, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	log := &lockedBuffer{}
	cmd := exec.Command(path, "run", waiting, "--admin", "off", "--upgrade", "--upgrade-socket", old.socket, "--access-log", "off")
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is about to take over", func() bool { return strings.Contains(log.String(), "configuration in service") })
	cmd.Process.Signal(syscall.SIGTERM)
	err = cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(log.String(), "cannot take over: it is being stopped") {
		t.Errorf("%v\n%s", err, log)
	}
	l.passed(50)
	l.end()
	next.terminate()
	if code := next.ended(patience); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// Sockets are for processes of the same user.
func TestUpgradeOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be two users")
	}
	t.Parallel()
	port := ownPort(t)
	g := startLineage(t, documents(plainOn(port), routeDoc("app", ""), backendDoc("app", named(t, "a").addr)))
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	as := func() string {
		cmd := exec.Command(path, "upgrade", "--upgrade-socket", g.socket)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, _ := cmd.CombinedOutput()
		if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() == 0 {
			t.Errorf("it ended well and said %s", out)
		}
		return string(out)
	}
	if err := errors.Join(os.Chmod(filepath.Dir(path), 0o755), os.Chmod(g.dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	if out := as(); !strings.Contains(out, "permission denied") {
		t.Errorf("it said %q", out)
	}
	if err := os.Chmod(g.socket, 0o777); err != nil {
		t.Fatal(err)
	}
	if out := as(); !strings.Contains(out, "user 65534's") {
		t.Errorf("it said %q", out)
	}
	g.says("a stranger asked for our sockets")
	g.stop()
}
