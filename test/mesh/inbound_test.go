package mesh

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/nftables"

	"github.com/gridway/gridway/test/netns"
)

const meshPolicy = `
apiVersion: gridway.dev/v1alpha1
kind: MeshPolicy
metadata: {name: mesh, namespace: gridway-system}
spec: {mtls: %s}
`

// newHosts starts a control plane on a host of a network.
func newHosts(t *testing.T, yaml string) (*netns.Network, *mesh) {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not here: scripts/setup installs it")
	}
	n := netns.New(t)
	host := n.Host("control")
	return n, newMeshOn(t, host, host.IP4.String()+":15010", yaml)
}

// sidecarOn starts a command beside a sidecar that intercepts, on a host.
func (m *mesh) sidecarOn(h *netns.Host, env []string, flags []string, command ...string) *process {
	m.t.Helper()
	args := append([]string{
		"sidecar", "--control", m.address, "--intercept", "--log-level", "info", "--access-log", "stdout", "--state-dir", filepath.Join(m.dir, h.Name),
	}, flags...)
	return runOn(m.t, h, append(env, "GRIDWAY_JOIN_TOKEN="+m.token), append(append(args, "--"), command...)...)
}

// clientOn is a client on a host, without keep-alive.
func clientOn(h *netns.Host) *http.Client {
	return &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, Dial: func(network, address string) (c net.Conn, err error) { //nolint:staticcheck // the thread of the host has no context
		h.Do(func() { c, err = net.DialTimeout(network, address, patience) })
		return c, err
	}}}
}

// asked is the status, the reason and the body of what a client got.
func asked(t *testing.T, c *http.Client, url string, header ...string) (status int, reason, body string) {
	t.Helper()
	req, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, err.Error(), ""
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("X-Gridway-Reason"), string(b)
}

// What others open to a program's ports comes to its sidecar: with Strict they are
// refused, with Permissive let in, at once and without a restart.
func TestInbound(t *testing.T) {
	t.Parallel()
	n, m := newHosts(t, fmt.Sprintf(meshPolicy, "Strict"))
	server, client, stranger := n.Host("server"), n.Host("client"), n.Host("stranger")
	at := func(h netip.Addr, port uint16) string { return "http://" + netip.AddrPortFrom(h, port).String() }

	web := m.sidecarOn(server, []string{asProgram + "=web [::]:9080"}, []string{"--service", "web", "--port", "web:9080/http"}, os.Args[0])
	web.said("application listens")
	// Health of it is asked for by others, past the sidecar.
	open := m.sidecarOn(server, []string{asProgram + "=open [::]:9081"},
		[]string{"--service", "open", "--port", "9081/http", "--except-ports", "9081", "--state-dir", filepath.Join(m.dir, "open")}, os.Args[0])
	open.said("application listens")
	mail := m.sidecarOn(server, nil, []string{"--service", "mail", "--port", "2525", "--state-dir", filepath.Join(m.dir, "mail")}, "python3", "-c", speaksFirst, "2525")
	mail.said("application listens")
	addresses := []netip.Addr{server.IP4, server.IP6}
	c := clientOn(stranger)

	t.Run("members", func(t *testing.T) {
		p := m.sidecarOn(client, nil, []string{"--service", "reports"}, "bash", "-c",
			"curl -sSf -4 http://web:9080/four && curl -sSf -6 http://web:9080/six; read -t 10 line <>/dev/tcp/mail/2525; echo \"mail says $line\"")
		if p.ended(); !strings.Contains(p.log.String(), `"path":"/four"`) || !strings.Contains(p.log.String(), `"path":"/six"`) || !strings.Contains(p.log.String(), "mail says 220") {
			t.Error(p.log)
		}
	})
	t.Run("strict", func(t *testing.T) {
		for _, a := range addresses {
			status, reason, body := asked(t, c, at(a, 9080)+"/plain")
			if status != 403 || reason != "MeshTLSRequired" || !strings.Contains(body, "Permissive") {
				t.Errorf("%s: %d %s %s", a, status, reason, body)
			}
			if said, err := hello(stranger, netip.AddrPortFrom(a, 2525)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("%s: the mail server says %q, %v, want a reset", a, said, err)
			}
			if status, _, body := asked(t, c, at(a, 9081)+"/healthz"); status != 200 || !strings.Contains(body, "open") {
				t.Errorf("%s, excepted: %d %s", a, status, body)
			}
		}
		web.said(`"reason":"MeshTLSRequired"`)
		mail.said(`"reason":"MeshTLSRequired"`)
		mail.said("a client without the mesh's TLS was refused")
	})
	t.Run("the host itself", func(t *testing.T) {
		for _, a := range []netip.Addr{server.IP4, netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()} {
			if status, reason, _ := asked(t, clientOn(server), at(a, 9080)); status != 200 {
				t.Errorf("%s: %d %s", a, status, reason)
			}
		}
	})
	t.Run("permissive", func(t *testing.T) {
		m.write(fmt.Sprintf(meshPolicy, "Permissive"))
		eventually(t, "a stranger is let in", func() error {
			if status, reason, _ := asked(t, c, at(server.IP4, 9080)); status != 200 {
				return fmt.Errorf("%d %s", status, reason)
			}
			return nil
		})
		for _, a := range addresses {
			// What a stranger says of others, and of the mesh, does not get through.
			_, _, body := asked(t, c, at(a, 9080)+"/plain", "X-Forwarded-For", "192.0.2.1", "X-Forwarded-Client-Cert", "URI=spiffe://x/y")
			if !strings.Contains(body, `"path":"/plain"`) || strings.Contains(body, "192.0.2.1") || strings.Contains(body, "spiffe://x/y") {
				t.Errorf("%s: %s", a, body)
			}
			if said, err := hello(stranger, netip.AddrPortFrom(a, 2525)); said != "220 ready\r\n" {
				t.Errorf("%s: the mail server says %q, %v", a, said, err)
			}
		}
	})
	t.Run("strict again", func(t *testing.T) {
		var kept net.Conn
		stranger.Do(func() { kept, _ = net.Dial("tcp", netip.AddrPortFrom(server.IP4, 9080).String()) })
		defer kept.Close()
		r := bufio.NewReader(kept)
		ask := func() int {
			fmt.Fprint(kept, "GET / HTTP/1.1\r\nHost: web\r\n\r\n")
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			return resp.StatusCode
		}
		if status := ask(); status != 200 {
			t.Fatal(status)
		}
		m.write(fmt.Sprintf(meshPolicy, "Strict"))
		eventually(t, "a stranger is refused", func() error {
			if status, _, _ := asked(t, c, at(server.IP4, 9080)); status != 403 {
				return fmt.Errorf("%d", status)
			}
			return nil
		})
		if status := ask(); status != 403 {
			t.Errorf("the next request of a connection that was open got %d", status)
		}
	})
	t.Run("killed", func(t *testing.T) {
		web.kill()
		eventually(t, "the rules are gone", func() error {
			if got := tables(t, server); len(got) != 2 { // open's and mail's
				return fmt.Errorf("%q", got)
			}
			return nil
		})
		// Nobody is where the sidecar sent them: the program has ended with it.
		if said, err := hello(stranger, netip.AddrPortFrom(server.IP4, 9080)); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%q, %v", said, err)
		}
	})
}

// speaksFirst is a server of Python that does.
const speaksFirst = `
import socket, sys
s = socket.create_server(("", int(sys.argv[1])), family=socket.AF_INET6, dualstack_ipv6=True)
while True:
    c, _ = s.accept()
    c.sendall(b"220 ready\r\n")
    c.close()
`

// hello connects and returns what the server begins with.
func hello(h *netns.Host, to netip.AddrPort) (string, error) {
	var c net.Conn
	var err error
	h.Do(func() { c, err = net.DialTimeout("tcp", to.String(), patience) })
	if err != nil {
		return "", err
	}
	defer c.Close()
	return bufio.NewReader(c).ReadString('\n')
}

// tables are those of rules on a host.
func tables(t *testing.T, h *netns.Host) (out []string) {
	t.Helper()
	h.Do(func() {
		conn, err := nftables.New()
		if err != nil {
			t.Fatal(err)
		}
		list, err := conn.ListTables()
		if err != nil {
			t.Fatal(err)
		}
		for _, table := range list {
			out = append(out, table.Name)
		}
	})
	return out
}
