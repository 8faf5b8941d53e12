package e2e

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// Who starts a gateway twice is told so, and the first one keeps every connection.
func TestStartedTwice(t *testing.T) {
	t.Parallel()
	port := ownPort(t)
	yaml := documents(plainOn(port), routeDoc("app", ""), backendDoc("app", named(t, "a").addr))
	p := start(t, yaml)
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	for _, flags := range [][]string{nil, {"--reuse-port"}} {
		cmd := exec.Command(path, append([]string{"run", p.file(), "--admin", "off", "--access-log", "off"}, flags...)...)
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != 1 {
			t.Errorf("ended with %v", err)
		}
		for _, want := range []string{"error: ", fmt.Sprintf("port %d is taken by another process", port), "address already in use", "hint: stop the other program"} {
			if !strings.Contains(string(out), want) {
				t.Errorf("%q is not in what it said:\n%s", want, out)
			}
		}
	}
	for range 20 {
		c := dialPort(t, port)
		c.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		if resp, _ := c.mustRespond("GET"); resp.StatusCode != 200 {
			t.Errorf("answered %d", resp.StatusCode)
		}
	}
}
