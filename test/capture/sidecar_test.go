// Package capture tests that applications that know nothing of a mesh reach it: hosts
// are network namespaces, a sidecar is the data plane with its rules and its
// application, and servers and clients are real ones, unchanged.
package capture

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/intercept"
	"github.com/gridway/gridway/internal/mesh/nameserver"
	"github.com/gridway/gridway/internal/mesh/supervise"
	"github.com/gridway/gridway/internal/proxy"
	"github.com/gridway/gridway/internal/telemetry/accesslog"
	"github.com/gridway/gridway/test/netns"
)

// The test program is the sidecar, too: $GRIDWAY_TEST_SIDECAR has its setup.
const setupVariable = "GRIDWAY_TEST_SIDECAR"

// setup is what a sidecar does.
type setup struct {
	Config ir.Config
	// Intercept redirects what the application opens; otherwise it gets HTTP_PROXY.
	Intercept bool
	// Names are services, and their addresses.
	Names     map[string][]netip.Addr
	AccessLog string
}

// Ports of sidecars: for what applications open, and for their questions.
const (
	outboundPort = 15001
	dnsPort      = 15053
)

// names are the services that applications may ask for.
type names map[string][]netip.Addr

func (n names) Lookup(_ context.Context, name string) (nameserver.Service, bool, error) {
	found, ok := n[name]
	return nameserver.Service{Addresses: found}, ok, nil
}

func TestMain(m *testing.M) {
	text := os.Getenv(setupVariable)
	if text == "" {
		os.Exit(m.Run())
	}
	code, err := sidecar(text, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "sidecar:", err)
	}
	os.Exit(code)
}

func sidecar(text string, command []string) (code int, err error) {
	var s setup
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return 1, err
	}
	log, err := os.OpenFile(s.AccessLog, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return 1, err
	}
	entries := accesslog.New(log, accesslog.Options{})
	p := proxy.New(proxy.Options{Mark: intercept.Mark, AccessLog: entries, IdleGrace: time.Millisecond})
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = p.Shutdown(ctx)
		_ = entries.Close(ctx)
	}()
	if err := p.Apply(context.Background(), &s.Config); err != nil {
		return 1, err
	}
	app := supervise.App{Command: command, Env: os.Environ(), Log: slog.New(slog.DiscardHandler)}
	if s.Intercept {
		cgroup, err := intercept.NewCgroup()
		if err != nil {
			return 1, err
		}
		defer cgroup.Close()
		redirect := intercept.Config{ID: "test", From: intercept.FromCgroup(cgroup), Outbound: outboundPort}
		if len(s.Names) > 0 {
			answers, err := nameserver.Start(nameserver.Options{Services: names(s.Names), Addresses: []netip.AddrPort{
				netip.MustParseAddrPort(fmt.Sprintf("127.0.0.1:%d", dnsPort)), netip.MustParseAddrPort(fmt.Sprintf("[::1]:%d", dnsPort)),
			}})
			if err != nil {
				return 1, err
			}
			defer answers.Close()
			redirect.DNS = dnsPort
		}
		rules, err := intercept.Install(redirect)
		if err != nil {
			return 1, err
		}
		defer rules.Close()
		app.Cgroup = cgroup.Folder()
	} else {
		app.Env = supervise.ProxyEnv(app.Env, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), outboundPort))
	}
	return app.Run(context.Background())
}

// beside runs a command beside a sidecar and returns what it printed, and the lines of
// the access log.
func beside(t *testing.T, h *netns.Host, s setup, command ...string) (out string, log []string, err error) {
	t.Helper()
	s.AccessLog = filepath.Join(t.TempDir(), "access.log")
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := h.Command(self, command...)
	c.Env = append(os.Environ(), setupVariable+"="+string(text))
	var b bytes.Buffer
	c.Stdout, c.Stderr = &b, &b
	if err := h.Start(c); err != nil {
		t.Fatal(err)
	}
	err = c.Wait()
	lines, _ := os.ReadFile(s.AccessLog)
	return b.String(), strings.Split(strings.TrimSpace(string(lines)), "\n"), err
}

// service is a section for what is at an endpoint.
type service struct {
	name     string
	protocol ir.Protocol
	endpoint string
	at       []string // destinations
	names    []string // authorities
}

// config serves services at the outbound port.
func config(egress ir.Egress, services ...service) ir.Config {
	cfg := ir.Config{Revision: 1}
	var sections []*ir.Section
	for i, s := range services {
		section := &ir.Section{Name: s.name, Protocol: s.protocol, Authorities: s.names}
		for _, at := range s.at {
			section.Destinations = append(section.Destinations, netip.MustParseAddrPort(at))
		}
		route := "HTTPRoute/default/" + s.name
		for _, protocol := range []ir.Protocol{ir.HTTP, ir.TCP} {
			cfg.Clusters = append(cfg.Clusters, &ir.Cluster{
				Name: s.name + "/" + string(protocol), Protocol: protocol, ConnectTimeout: 2 * time.Second, Hash: uint64(i + 1),
				Balance: ir.Balance{Algorithm: ir.RoundRobin}, Pool: ir.Pool{MaxIdle: 8, IdleTimeout: time.Minute},
				Endpoints: []ir.Endpoint{{Address: s.endpoint, Weight: 1}},
			})
		}
		cfg.Routes = append(cfg.Routes, &ir.Route{Name: route, Rules: []*ir.Rule{{
			ID: route + "/rules/0", Matches: []ir.Match{{Path: ir.PathMatch{Type: ir.Prefix, Value: "/"}}},
			Backends: []ir.BackendRef{{Cluster: s.name + "/HTTP", Weight: 1}},
		}}})
		cfg.Streams = append(cfg.Streams, &ir.StreamRoute{
			Name: "TCPRoute/default/" + s.name, ID: "TCPRoute/default/" + s.name + "/rules/0",
			Backends: []ir.BackendRef{{Cluster: s.name + "/TCP", Weight: 1}},
		})
		section.Routes = []ir.Attachment{{Route: route, Hostnames: []string{""}}}
		section.Streams = []ir.Attachment{{Route: "TCPRoute/default/" + s.name, Hostnames: []string{""}}}
		sections = append(sections, section)
	}
	for _, address := range []string{"127.0.0.1", "::1"} {
		cfg.Listeners = append(cfg.Listeners, &ir.Listener{
			Name: netip.AddrPortFrom(netip.MustParseAddr(address), outboundPort).String(), Address: address, Port: outboundPort,
			Protocol: ir.Detect, Captured: true, Egress: egress, Sections: sections,
			Client: ir.ClientPolicy{
				MaxHeaderBytes: 32 << 10, MaxHeaderCount: 100, HeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute,
				HandshakeTimeout: 5 * time.Second, DetectTimeout: 2 * time.Second,
			},
		})
	}
	return cfg
}

// need is the path of a program, without which the test is skipped.
func need(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not here: scripts/setup installs it", name)
	}
	return path
}
