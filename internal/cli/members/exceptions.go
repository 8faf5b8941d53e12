package members

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/cli/command"
	"github.com/gridway/gridway/internal/member"
	"github.com/gridway/gridway/internal/mesh/distrib"
)

// exceptions are the flags that say what --intercept leaves as it is.
type exceptions struct{ ports, networks, outboundPorts []string }

func (e *exceptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringSliceVar(&e.ports, "except-ports", nil, "with --intercept: ports of the program that other hosts may open past the sidecar, whatever a MeshPolicy says, with commas between them, such as one for health checks")
	f.StringSliceVar(&e.networks, "except-networks", nil, "with --intercept: networks that the program reaches past the sidecar, with commas between them, as in 10.9.0.0/16,fd00:9::/32")
	f.StringSliceVar(&e.outboundPorts, "except-outbound-ports", nil, "with --intercept: ports of other hosts that the program reaches past the sidecar, with commas between them")
}

// options checks the flags; o has the program's ports already.
func (e *exceptions) options(o *member.Options) (err error) {
	if !o.Intercept && len(e.ports)+len(e.networks)+len(e.outboundPorts) > 0 {
		return command.Usagef("add --intercept, or leave them out", "--except-ports, --except-networks and --except-outbound-ports say what is not intercepted, and nothing is")
	}
	if o.Except.Ports, err = parseAll("except-ports", e.ports, parseNumber); err != nil {
		return err
	}
	for _, p := range o.Except.Ports {
		if !slices.ContainsFunc(o.Ports, func(of distrib.Port) bool { return of.Number == p }) {
			return command.Usagef("ports of other hosts are excepted by --except-outbound-ports", "--except-ports %d is no --port of the program, so that nothing is intercepted there anyway", p)
		}
	}
	if o.Except.OutboundPorts, err = parseAll("except-outbound-ports", e.outboundPorts, parseNumber); err != nil {
		return err
	}
	o.Except.Networks, err = parseAll("except-networks", e.networks, parseNetwork)
	if n := len(o.Except.Networks) + len(o.Except.OutboundPorts); err == nil && n > member.MaxExceptions {
		return command.Usagef("name larger networks", "%d networks and ports are excepted, of which each connection passes all: %d are the most", n, member.MaxExceptions)
	}
	return err
}

func parseNumber(text string) (uint16, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 16)
	if err != nil || n == 0 {
		return 0, &valueError{text, "a port", "8080"}
	}
	return uint16(n), nil
}

// parseNetwork reads a network, or one address.
func parseNetwork(text string) (netip.Prefix, error) {
	text = strings.TrimSpace(text)
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil || p.Addr().Is4In6() {
		return p, &valueError{text, "a network", "10.9.0.0/16"}
	}
	return p.Masked(), nil
}

// valueError is a value of a flag that is not what it has to be.
type valueError struct{ text, what, example string }

func (e *valueError) Error() string {
	return strconv.Quote(e.text) + " is not " + e.what + "; write it as in " + e.example
}
