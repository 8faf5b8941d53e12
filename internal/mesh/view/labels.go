package view

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/gridway/gridway/internal/mesh/distrib"
)

// maxSockets bounds the sockets of one label.
const maxSockets = 16

// sockets reads a label.
func sockets(p *distrib.Proxy, label string) ([]netip.AddrPort, error) {
	text := p.Labels[label]
	if text == "" {
		return nil, nil
	}
	return socketList("label "+label, strings.Split(text, ","))
}

// socketList reads sockets; what says whose they are.
func socketList(what string, list []string) (out []netip.AddrPort, err error) {
	for _, s := range list {
		a, err := netip.ParseAddrPort(strings.TrimSpace(s))
		switch {
		case err != nil || a.Port() == 0 || a.Addr().Zone() != "":
			return nil, fmt.Errorf("%s: %.60q is not IP:PORT, such as 127.0.0.1:15001", what, s)
		case slices.Contains(out, a):
			return nil, fmt.Errorf("%s: %s is there twice", what, a)
		case len(out) == maxSockets:
			return nil, fmt.Errorf("%s: more than %d sockets", what, maxSockets)
		}
		out = append(out, a)
	}
	return out, nil
}

// gateways reads distrib.LabelGateways; nil is all.
func gateways(p *distrib.Proxy) map[string]bool {
	text := p.Labels[distrib.LabelGateways]
	if text == "" {
		return nil
	}
	out := map[string]bool{}
	for s := range strings.SplitSeq(text, ",") {
		out[strings.TrimSpace(s)] = true
	}
	return out
}
