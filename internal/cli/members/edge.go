package members

import (
	"net"
	"net/netip"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/cli/command"
	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/member"
	"github.com/gridway/gridway/internal/mesh/distrib"
)

// Edge is the command of it.
func Edge(t *term.Terminal) *cobra.Command {
	var (
		s command.Proxy
		j joining
		o member.Options
		// eastWest and reached are what the flags of other meshes say.
		eastWest, reached string
	)
	cmd := &cobra.Command{
		Use:     "edge",
		GroupID: Group,
		Short:   "Serve Gateways of a control plane",
		Long: `Joins a control plane and opens the listeners of its Gateways: the front door of a
mesh. What clients ask goes to workloads of the mesh by mutual TLS.

With --east-west it is also the door for other meshes: they get through to the Services
that MeshPeers export, and to nothing else, with their own TLS, which the edge does not
end.

It goes on when the control plane is gone, also over a restart, with what it keeps in
--state-dir. SIGTERM lets requests end for --drain-timeout.`,
		Example:           command.Lines("gridway edge --control control.internal:15010 --join-token-file token", "gridway edge --gateway default/public", "gridway edge --east-west :15443 --east-west-address 192.0.2.7:15443"),
		Args:              command.NoArgs,
		ValidArgsFunction: command.Offer(),
	}
	s.Flags(t, cmd, "stdout", "info")
	j.flags(t, cmd)
	f := cmd.Flags()
	f.StringVar(&o.Service, "service", "edge", "name under which workloads know the edge: edge, or one that begins with edge-, since who has it gets the private keys of Gateways")
	f.StringSliceVar(&o.Gateways, "gateway", nil, "Gateways to serve, NAMESPACE/NAME with commas between them (default: all)")
	f.StringVar(&eastWest, "east-west", "", "address on which other meshes get through to exported Services, [ADDRESS]:PORT, as in :15443 (default: none)")
	f.StringVar(&reached, "east-west-address", "", "IP:PORT by which other meshes reach that (default: the address of this member, with the port of --east-west)")
	f.Uint16Var(&o.MeshPort, "mesh-port", 0, "port for other proxies (default 15008, or a free one if that is taken)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if !distrib.IsEdge(o.Service) {
			return command.Usagef("", "--service %s: an edge is called edge, or a name that begins with edge-", o.Service)
		}
		var err error
		if o.EastWest, o.EastWestAddress, err = parseEastWest(eastWest, reached); err != nil {
			return err
		}
		o.Role = distrib.RoleEdge
		return j.run(cmd.Context(), t, &s, o)
	}
	return cmd
}

// parseEastWest reads where other meshes come, and where they think that is.
func parseEastWest(listen, reached string) (at, as netip.AddrPort, err error) {
	if listen == "" {
		if reached != "" {
			return at, as, command.Usagef("", "--east-west-address has no meaning without --east-west")
		}
		return at, as, nil
	}
	host, port, err := net.SplitHostPort(listen)
	if err == nil && host == "" {
		listen = net.JoinHostPort("::", port)
	}
	if at, err = netip.ParseAddrPort(listen); err != nil || at.Port() == 0 || at.Addr().Zone() != "" {
		return at, as, command.Usagef("write it as :15443 or 192.0.2.7:15443", "--east-west %s is not an IP address with a port", listen)
	}
	if reached == "" {
		return at, as, nil
	}
	if as, err = netip.ParseAddrPort(reached); err != nil || as.Port() == 0 || as.Addr().IsUnspecified() || as.Addr().IsMulticast() || as.Addr().Zone() != "" {
		return at, as, command.Usagef("write it as 192.0.2.7:15443", "--east-west-address %s is not the IP address of a host with a port", reached)
	}
	return at, as, nil
}
