package mesh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A sidecar says how it is at a socket of its own, and health and metrics at a port.
func TestMemberAdmin(t *testing.T) {
	t.Parallel()
	m := newMesh(t, "")
	ratings := m.sidecar("ratings", "one")
	up, probes := port(t), port(t)
	p := m.sidecar("reviews", "one", "--http-proxy", "--upstream", "ratings=:"+up, "--probes", "127.0.0.1:"+probes)
	folder := filepath.Join(m.dir, "reviews-one")
	eventually(t, "a request", func() error { _, err := get(up, "/"); return err })

	for path, want := range map[string]string{
		"/healthz":   `"status":"ok"`,
		"/readyz":    `"status":"ready"`,
		"/metrics":   `cluster="Service/default/ratings:` + ratings.port,
		"/v1/status": "404",
		"/v1/config": "404",
	} {
		if got := body(t, http.DefaultClient, "http://127.0.0.1:"+probes+path); !strings.Contains(got, want) {
			t.Errorf("probes %s: %.2000s, want %q", path, got, want)
		}
	}
	// Scrapers use names, which the API itself takes none of.
	req, err := http.NewRequest("GET", "http://127.0.0.1:"+probes+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "reviews-1.example:15020"
	if resp, err := http.DefaultClient.Do(req); err != nil || resp.StatusCode != 200 {
		t.Errorf("%v, %v", resp, err)
	} else {
		resp.Body.Close()
	}

	socket := "unix:" + filepath.Join(folder, "admin.sock")
	if info, err := os.Stat(filepath.Join(folder, "admin.sock")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	local := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", strings.TrimPrefix(socket, "unix:"))
	}}}
	if got := body(t, local, "http://localhost/v1/config"); !strings.Contains(got, `"Service/default/ratings:`+ratings.port) || strings.Contains(got, "PRIVATE KEY") {
		t.Errorf("config: %.2000s", got)
	}
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"status"}, []string{"sidecar spiffe://cluster.local/ns/default/sa/reviews at ", "configuration from ", "CERTIFICATE", "TRUST DOMAIN"}},
		{[]string{"routes"}, []string{"127.0.0.1:" + up, "ratings:" + ratings.port}},
		{[]string{"explain", "http://127.0.0.1:" + up + "/x"}, []string{"ratings:" + ratings.port, "healthy"}},
		{[]string{"explain", "http://ratings:" + ratings.port + "/x"}, []string{"ratings:" + ratings.port, "healthy"}},
		{[]string{"top", "--once"}, []string{"ratings"}},
	} {
		out, err := exec.Command(path, append(c.args, "--admin", socket)...).CombinedOutput()
		for _, want := range c.want {
			if !strings.Contains(string(out), want) {
				t.Errorf("gridway %s: %q is missing, %v in\n%s", strings.Join(c.args, " "), want, err, out)
			}
		}
	}

	second := exec.Command(path, "sidecar", "--service", "reviews", "--control", m.address, "--state-dir", folder, "--", "true")
	if out, err := second.CombinedOutput(); err == nil || !strings.Contains(string(out), "another sidecar or node uses this state folder: "+folder+"; end it, or") {
		t.Errorf("a second sidecar of the same state folder: %v, %s", err, out)
	}

	m.control.kill()
	eventually(t, "the sidecar says that it has no control plane", func() error {
		out, _ := exec.Command(path, "status", "--admin", socket).CombinedOutput()
		if !strings.Contains(string(out), "no control plane") {
			return errors.New(string(out))
		}
		return nil
	})
	if code := p.end(); code != 143 {
		t.Errorf("it ended with %d\n%s", code, p.log)
	}
	if _, err := os.Stat(filepath.Join(folder, "admin.sock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket stayed: %v", err)
	}
}

// body is the status, unless it is 200, or what was answered.
func body(t *testing.T, c *http.Client, url string) string {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 200 {
		return fmt.Sprint(resp.StatusCode, string(b))
	}
	return string(b)
}

// TestBadAdmin: what cannot be the address of a proxy's admin API says why.
func TestBadAdmin(t *testing.T) {
	t.Parallel()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	for want, flags := range map[string][]string{
		"listens on loopback alone":  {"--admin", "0.0.0.0:9911"},
		"is no address":              {"--admin", "here"},
		"has no path behind it":      {"--admin", "unix:"},
		"107 at most":                {"--admin", "unix:/" + strings.Repeat("x", 107)},
		"--probes 15020 is no addre": {"--probes", "15020"},
		"--probes host:15020 is no ": {"--probes", "host:15020"},
	} {
		out, err := exec.Command(path, append(append([]string{"sidecar", "--service", "x"}, flags...), "--", "true")...).CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.Contains(string(out), want) {
			t.Errorf("%q: %v, %s", flags, err, out)
		}
	}
}
