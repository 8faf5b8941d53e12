package member

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/gridway/gridway/internal/mesh/distrib"
)

// ports are those that the member chose by itself. They are kept, so that a member
// that starts again without a control plane opens the ones that others know.
type ports struct {
	Mesh  uint16 `json:"mesh"`
	Proxy uint16 `json:"proxy,omitempty"`
	// Outbound and DNS take what is captured.
	Outbound uint16 `json:"outbound,omitempty"`
	DNS      uint16 `json:"dns,omitempty"`
	// Inbound takes what others open to the program's ports without the mesh's TLS.
	Inbound uint16 `json:"inbound,omitempty"`
}

const portsFile = "ports.json"

// choosePorts finds free ports: those of the run before if they are. They are held
// until the holder is closed.
func choosePorts(o *Options, hold *holder) (p ports, err error) {
	path := filepath.Join(o.StateDir, portsFile)
	if text, err := os.ReadFile(path); err == nil && json.Unmarshal(text, &p) != nil {
		p = ports{}
	}
	had := p
	if o.MeshPort != 0 {
		p.Mesh = o.MeshPort
		if _, err := tryPort(loopback, p.Mesh); err != nil { // who has it everywhere has it there
			return p, fmt.Errorf("--mesh-port %d: %w; end who has it, or leave the flag out to have a free one chosen", p.Mesh, err)
		}
		hold.hold(p.Mesh)
	} else if p.Mesh, err = hold.freePort("", p.Mesh, DefaultMeshPort); err != nil {
		return p, err
	}
	if !o.HTTPProxy {
		p.Proxy = 0
	} else if p.Proxy, err = hold.freePort(loopback, p.Proxy); err != nil {
		return p, err
	}
	if !o.Intercept {
		p.Outbound, p.DNS, p.Inbound = 0, 0, 0
	} else {
		if p.Outbound, err = hold.freePort(loopback, p.Outbound, outboundPort); err != nil {
			return p, err
		}
		if p.DNS, err = hold.freePort(loopback, p.DNS, dnsPort); err != nil {
			return p, err
		}
		if len(o.guarded()) == 0 && o.Role != distrib.RoleNode {
			p.Inbound = 0
		} else if p.Inbound, err = hold.freePort("", p.Inbound, inboundPort); err != nil {
			return p, err
		}
	}
	if p == had {
		return p, nil
	}
	text, err := json.Marshal(p)
	if err != nil {
		return p, err
	}
	return p, errors.Join(os.MkdirAll(o.StateDir, 0o700), os.WriteFile(path, text, 0o600))
}

const loopback = "127.0.0.1"

// holder keeps members that start at the same time from choosing the same ports, which
// they open later, by Unix sockets of abstract names: those are a network namespace's,
// as ports are, and go with the process.
type holder struct{ held []net.Listener }

// hold tells whether the port is this member's.
func (h *holder) hold(port uint16) bool {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "unix", fmt.Sprintf("@gridway/member/%d", port))
	if err != nil {
		return false
	}
	h.held = append(h.held, l)
	return true
}

func (h *holder) close() {
	for _, l := range h.held {
		_ = l.Close()
	}
}

// freePort is the first of the ports that nobody has, or else any.
func (h *holder) freePort(host string, wanted ...uint16) (uint16, error) {
	for _, port := range wanted {
		if port == 0 || !h.hold(port) {
			continue
		}
		if _, err := tryPort(host, port); err == nil {
			return port, nil
		}
	}
	for range lowTries {
		if port := uint16(lowPort + rand.IntN(lowPorts)); h.hold(port) {
			if _, err := tryPort(host, port); err == nil {
				return port, nil
			}
		}
	}
	for {
		port, err := tryPort(host, 0)
		if err != nil {
			return 0, fmt.Errorf("no free port: %w", err)
		}
		if h.hold(port) {
			return port, nil
		}
	}
}

// Ports below those that the kernel gives to connections, one of which could have the
// port by the time it is opened.
const (
	lowPort  = 20000
	lowPorts = 10000
	lowTries = 20
)

func tryPort(host string, port uint16) (uint16, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", net.JoinHostPort(host, strconv.Itoa(int(port))))
	if err != nil {
		return 0, err
	}
	return uint16(l.Addr().(*net.TCPAddr).Port), l.Close()
}
