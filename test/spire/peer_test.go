package spire

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gridway/gridway/test/harness"
)

// TestPeer: a mesh and SPIRE trust each other's workloads by their bundle endpoints; a
// sidecar joins by an SVID that SPIRE gave; a workload of SPIRE calls it as a peer, with its
// own TLS, and policies know it; SPIRE's clients understand the sidecar's Workload API.
func TestPeer(t *testing.T) {
	m := prepareMesh(t)
	s := startSPIRE(t, m.bundle, "1h")
	m.start(s)
	fetches := func(what string) {
		t.Helper()
		harness.Eventually(t, what, func() bool {
			for line := range strings.Lines(m.command("status")) {
				if strings.Contains(line, spireDomain) && strings.Contains(line, "fetched") {
					return true
				}
			}
			return false
		})
	}
	fetches("SPIRE's bundle is fetched by ours")
	s.write("mesh.json", m.command("identity", "bundle"))
	s.server("bundle", "set", "-id", "spiffe://"+meshDomain, "-format", "spiffe", "-path", s.path("mesh.json"))
	s.server("federation", "refresh", "-id", "spiffe://"+meshDomain)
	s.attest()

	port := harness.FreePort(t)
	folder := m.path("ratings")
	m.run("application listens", []string{fmt.Sprintf("%s=127.0.0.1:%d", asApplication, port)},
		"sidecar", "--service", "ratings", "--trust-domain", meshDomain, "--port", fmt.Sprintf("%d/http", port), "--control", m.control, "--log-level", "info",
		"--state-dir", folder, "--join-svid", "unix:"+s.path("agent.sock"), "--", os.Args[0])
	if !strings.Contains(m.plane.Output.String(), `via="SVID of `+host+`"`) {
		t.Error("the control plane does not say by whom the sidecar joined")
	}

	t.Run("a workload of SPIRE calls the mesh", func(t *testing.T) { call(t, m, s, port) })
	t.Run("SPIRE's clients at our Workload API", func(t *testing.T) { ask(t, m, s, filepath.Join(folder, "workload.sock")) })
	t.Run("SPIRE's keys change", func(t *testing.T) { rotate(t, m, s) })
}

// call asks ratings with what SPIRE's agent has written to files.
func call(t *testing.T, m *mesh, s *spire, port int) {
	if err := os.Mkdir(s.path("svid"), 0o700); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, "the agent has the mesh's bundle", func() bool {
		_, err := s.agent("api", "fetch", "x509", "-socketPath", s.path("agent.sock"), "-write", s.path("svid"))
		if err != nil {
			return false
		}
		_, err = os.Stat(s.path("svid/federated_bundle.0.0.pem"))
		return err == nil
	})
	pair, err := tls.LoadX509KeyPair(s.path("svid/svid.0.pem"), s.path("svid/svid.0.key"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(s.path("svid/federated_bundle.0.0.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	var status struct {
		Mesh struct {
			Proxies []struct{ Name string }
		}
	}
	if err := json.Unmarshal([]byte(m.command("status", "-o", "json")), &status); err != nil || len(status.Mesh.Proxies) != 1 {
		t.Fatal(err, status)
	}
	_, address, _ := strings.Cut(status.Mesh.Proxies[0].Name, "ratings/")
	ask := func(path string, pairs ...tls.Certificate) (int, string, error) {
		config := &tls.Config{
			Certificates: pairs, ServerName: fmt.Sprintf("%d.ratings.default.mesh", port), MinVersion: tls.VersionTLS13,
			InsecureSkipVerify: true, // names are for finding; who the peer is, says its SPIFFE ID
			VerifyConnection: func(c tls.ConnectionState) error {
				leaf, among := c.PeerCertificates[0], x509.NewCertPool()
				for _, x := range c.PeerCertificates[1:] {
					among.AddCert(x)
				}
				if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: among, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}); err != nil {
					return err
				}
				if len(leaf.URIs) != 1 || leaf.URIs[0].String() != "spiffe://"+meshDomain+"/ns/default/sa/ratings" {
					return fmt.Errorf("it is %v", leaf.URIs)
				}
				return nil
			},
		}
		protocols := &http.Protocols{}
		protocols.SetHTTP2(true)
		transport := &http.Transport{TLSClientConfig: config, Protocols: protocols, DisableKeepAlives: true}
		resp, err := (&http.Client{Transport: transport, Timeout: harness.Patience}).Get("https://" + address + path)
		if err != nil {
			return 0, "", err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body), err
	}
	var last error
	harness.Eventually(t, "the workload of SPIRE is let in", func() bool {
		code, body, err := ask("/open", pair)
		last = errors.Join(err, fmt.Errorf("%d %s", code, body))
		return code == http.StatusOK && body == "ratings"
	})
	if code, body, err := ask("/other", pair); code != http.StatusForbidden {
		t.Errorf("what its policy does not allow: %d %s %v; before: %v", code, body, err, last)
	}
	if code, body, err := ask("/open"); err == nil {
		t.Errorf("without an SVID: %d %s", code, body)
	}
}

// ask has SPIRE's own clients fetch and validate SVIDs at a sidecar's Workload API.
func ask(t *testing.T, m *mesh, s *spire, socket string) {
	want := "spiffe://" + meshDomain + "/ns/default/sa/ratings"
	if err := os.Mkdir(s.path("ours"), 0o700); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, "SPIRE's domain is among the bundles", func() bool {
		out, err := s.agent("api", "fetch", "x509", "-socketPath", socket, "-write", s.path("ours"))
		return err == nil && strings.Contains(out, want) && strings.Contains(out, "for trust domain spiffe://"+spireDomain)
	})
	out, err := s.agent("api", "fetch", "jwt", "-audience", "reviews", "-socketPath", socket, "-output", "json")
	var replies []struct {
		SVIDs []struct {
			SVID string
			ID   string `json:"spiffe_id"`
		}
	}
	if err == nil {
		err = json.Unmarshal([]byte(out), &replies)
	}
	if err != nil || len(replies) == 0 || len(replies[0].SVIDs) != 1 || replies[0].SVIDs[0].ID != want {
		t.Fatal(err, out)
	}
	token := replies[0].SVIDs[0].SVID
	for where, at := range map[string]string{"ours": socket, "SPIRE's": s.path("agent.sock")} {
		if out, err := s.agent("api", "validate", "jwt", "-audience", "reviews", "-svid", token, "-socketPath", at); err != nil || !strings.Contains(out, want) {
			t.Errorf("our JWT-SVID at %s Workload API: %v %s", where, err, out)
		}
		if out, err := s.agent("api", "validate", "jwt", "-audience", "another", "-svid", token, "-socketPath", at); err == nil {
			t.Errorf("our JWT-SVID for another audience at %s Workload API: %s", where, out)
		}
	}
	out, err = s.agent("api", "fetch", "jwt", "-audience", "ratings", "-socketPath", s.path("agent.sock"), "-output", "json")
	if err == nil {
		err = json.Unmarshal([]byte(out), &replies)
	}
	if err != nil || len(replies) == 0 || len(replies[0].SVIDs) != 1 {
		t.Fatal(err, out)
	}
	if out, err := s.agent("api", "validate", "jwt", "-audience", "ratings", "-svid", replies[0].SVIDs[0].SVID, "-socketPath", socket); err != nil || !strings.Contains(out, host) {
		t.Errorf("SPIRE's JWT-SVID at our Workload API: %v %s", err, out)
	}
}

// rotate has SPIRE prepare another authority: it is in the bundle that ours fetches next.
func rotate(t *testing.T, m *mesh, s *spire) {
	roots := func() (n string) {
		for line := range strings.Lines(m.command("status")) {
			if f := strings.Fields(line); len(f) > 1 && f[0] == spireDomain && strings.Contains(line, "fetched") {
				n = f[1]
			}
		}
		return n
	}
	if n := roots(); n != "1" {
		t.Fatalf("%s roots", n)
	}
	s.server("localauthority", "x509", "prepare")
	m.plane.Stop()
	m.start(s) // which fetches at once, where it would within the minutes that SPIRE says
	harness.Eventually(t, "both authorities are trusted", func() bool { return roots() == "2" })
}
