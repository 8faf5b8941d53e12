package spire

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gridway/gridway/test/harness"
)

const (
	meshDomain  = "mesh.example"
	spireDomain = "spire.example"
	// host is what the workload of SPIRE's agent is: this test's user.
	host = "spiffe://" + spireDomain + "/host/one"
)

const serverConfig = `
server {
	bind_address = "127.0.0.1"
	bind_port = "%[1]d"
	socket_path = "%[2]s/server.sock"
	trust_domain = "` + spireDomain + `"
	data_dir = "%[2]s"
	log_level = "INFO"
	default_x509_svid_ttl = "%[5]s"
	federation {
		bundle_endpoint {
			address = "127.0.0.1"
			port = %[3]d
			profile "https_spiffe" {}
		}
		federates_with "` + meshDomain + `" {
			bundle_endpoint_url = "https://127.0.0.1:%[4]d/"
			bundle_endpoint_profile "https_spiffe" {
				endpoint_spiffe_id = "spiffe://` + meshDomain + `/gridway/control"
			}
		}
	}
}
plugins {
	DataStore "sql" { plugin_data { database_type = "sqlite3", connection_string = "%[2]s/state.sqlite3" } }
	NodeAttestor "join_token" { plugin_data {} }
	KeyManager "memory" { plugin_data {} }
}
`

const agentConfig = `
agent {
	data_dir = "%[2]s/agent"
	log_level = "INFO"
	server_address = "127.0.0.1"
	server_port = "%[1]d"
	socket_path = "%[2]s/agent.sock"
	trust_bundle_path = "%[2]s/spire.pem"
	trust_domain = "` + spireDomain + `"
}
plugins {
	NodeAttestor "join_token" { plugin_data {} }
	KeyManager "memory" { plugin_data {} }
	WorkloadAttestor "unix" { plugin_data {} }
}
`

// spire is a server of SPIRE, and an agent once attest was called.
type spire struct {
	t            *testing.T
	dir          string
	port, bundle int // of the server, and of its bundle endpoint
}

func program(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../../bin", name))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("%v: run \"make spire\", which builds it", err)
	}
	return path
}

// startSPIRE starts a server that asks the mesh's bundle endpoint, at a port of loopback.
func startSPIRE(t *testing.T, meshBundle int, lifetime string) *spire {
	t.Helper()
	dir, err := os.MkdirTemp("", "spire") // short: a socket's path must be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	ports := harness.FreePorts(t, 2)
	s := &spire{t: t, dir: dir, port: ports[0], bundle: ports[1]}
	s.write("server.conf", fmt.Sprintf(serverConfig, s.port, dir, s.bundle, meshBundle, lifetime))
	harness.Run(t, func() bool {
		_, err := s.try("healthcheck")
		return err == nil
	}, nil, program(t, "spire-server"), "run", "-config", s.path("server.conf"))
	return s
}

// attest starts an agent that has joined the server, and has an identity for the workloads
// of this user: that of host.
func (s *spire) attest() {
	s.t.Helper()
	s.write("spire.pem", s.server("bundle", "show"))
	var token struct{ Value string }
	if err := json.Unmarshal([]byte(s.server("token", "generate", "-output", "json")), &token); err != nil || token.Value == "" {
		s.t.Fatal(err, token)
	}
	s.server("entry", "create", "-parentID", "spiffe://"+spireDomain+"/spire/agent/join_token/"+token.Value, "-spiffeID", host,
		"-selector", fmt.Sprintf("unix:uid:%d", os.Getuid()), "-federatesWith", "spiffe://"+meshDomain)
	s.write("agent.conf", fmt.Sprintf(agentConfig, s.port, s.dir))
	harness.Run(s.t, func() bool {
		_, err := s.agent("api", "fetch", "x509", "-socketPath", s.path("agent.sock"))
		return err == nil
	}, nil, program(s.t, "spire-agent"), "run", "-config", s.path("agent.conf"), "-joinToken", token.Value)
}

func (s *spire) path(name string) string { return filepath.Join(s.dir, name) }

func (s *spire) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(s.path(name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// try runs a command of the server.
func (s *spire) try(args ...string) (string, error) {
	s.t.Helper()
	return command(program(s.t, "spire-server"), append(args, "-socketPath", s.path("server.sock"))...)
}

func (s *spire) server(args ...string) string {
	s.t.Helper()
	out, err := s.try(args...)
	if err != nil {
		s.t.Fatalf("spire-server %s: %v", strings.Join(args, " "), err)
	}
	return out
}

// agent runs a command of the agent, which is a client of whose Workload API is named.
func (s *spire) agent(args ...string) (string, error) {
	s.t.Helper()
	return command(program(s.t, "spire-agent"), args...)
}

func command(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	var text, wrong strings.Builder
	cmd.Stdout, cmd.Stderr = &text, &wrong
	err := cmd.Run()
	if err != nil {
		err = fmt.Errorf("%w: %s%s", err, text.String(), wrong.String())
	}
	return text.String(), err
}
