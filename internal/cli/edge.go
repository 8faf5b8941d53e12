package cli

import (
	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/app"
	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/member"
	"github.com/gridway/gridway/internal/mesh/distrib"
)

func newEdge(t *term.Terminal) *cobra.Command {
	var (
		s serving
		j joining
		o member.Options
	)
	cmd := &cobra.Command{
		Use:     "edge",
		GroupID: groupRun,
		Short:   "Serve Gateways of a control plane",
		Long: `Joins a control plane and opens the listeners of its Gateways: the front door of a
mesh. What clients ask goes to workloads of the mesh by mutual TLS.

It goes on when the control plane is gone, also over a restart, with what it keeps in
--state-dir. SIGTERM lets requests end for --drain-timeout.`,
		Example:           lines("gridway edge --control control.internal:15010 --join-token-file token", "gridway edge --gateway default/public"),
		Args:              noArgs,
		ValidArgsFunction: offer(),
	}
	s.proxyFlags(t, cmd, "stdout", "info")
	j.flags(t, cmd)
	f := cmd.Flags()
	f.StringVar(&o.Service, "service", "edge", "name under which workloads know the edge: edge, or one that begins with edge-, since who has it gets the private keys of Gateways")
	f.StringSliceVar(&o.Gateways, "gateway", nil, "Gateways to serve, NAMESPACE/NAME with commas between them (default: all)")
	f.Uint16Var(&o.MeshPort, "mesh-port", 0, "port for other proxies (default 15008, or a free one if that is taken)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if !app.IsEdge(o.Service) {
			return usagef("", "--service %s: an edge is called edge, or a name that begins with edge-", o.Service)
		}
		o.Role = distrib.RoleEdge
		return s.member(cmd.Context(), t, &j, o)
	}
	return cmd
}
