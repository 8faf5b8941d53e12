package members

import (
	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/cli/command"
	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/member"
	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/supervise"
)

// Sidecar is the command of it.
func Sidecar(t *term.Terminal) *cobra.Command {
	var (
		s                command.Proxy
		j                joining
		o                member.Options
		ports, upstreams []string
		except           exceptions
	)
	cmd := &cobra.Command{
		Use:     "sidecar --service NAME [flags] -- COMMAND [ARGUMENT...]",
		GroupID: Group,
		Short:   "Run a program as a workload of the mesh",
		Long: `Starts a program and makes it a workload of the mesh: what others send to its
service comes through this sidecar by mutual TLS, under the routes and policies of
the control plane, and what it sends to services of the mesh goes out the same way.

The program's requests reach the mesh in one of these ways: by interception in the
kernel, where it calls services by their names (--intercept), at local ports that stand
for services (--upstream), or through an HTTP proxy that its environment names
(--http-proxy).

The sidecar waits until the program listens on its (first) --port before others learn
of it, passes signals on, lets requests end before it stops the program, and ends with
the program's exit code. See docs/guides/mesh.md.`,
		Example: command.Lines(
			"gridway sidecar --service reviews --port 9080 --upstream ratings=:7001 -- ./reviews",
			"gridway sidecar --service reports --http-proxy -- python3 report.py",
			"gridway sidecar --service cart --port 8080 --intercept -- ./cart",
		),
		Args: command.MinArgs(1, "a command, behind --"),
	}
	s.Flags(t, cmd, "off", "warn")
	j.flags(t, cmd)
	f := cmd.Flags()
	f.StringVar(&o.Service, "service", "", "name of the service that the program is a workload of")
	f.StringArrayVar(&ports, "port", nil, "port that the program listens on: [NAME:]PORT[/PROTOCOL], where the protocol is an appProtocol such as http, http2, grpc or tcp, and is found out where it is not given (repeatable)")
	f.StringArrayVar(&upstreams, "upstream", nil, "port to open for a service: SERVICE[.NAMESPACE][:PORT]=[ADDRESS]:PORT; the service's first port if none is given (repeatable)")
	f.BoolVar(&o.HTTPProxy, "http-proxy", false, "give the program an HTTP proxy by its environment (HTTP_PROXY and its like)")
	f.BoolVar(&o.Intercept, "intercept", false, "have the kernel give the sidecar what the program opens to other hosts, its questions to resolvers, and what other hosts open to its ports: services are called by their names, nobody gets past the sidecar, and the program knows nothing of it (needs CAP_NET_ADMIN, cgroup v2 and nftables)")
	f.StringVar(&o.WorkloadAPI, "workload-api", "", "path of the socket of the SPIFFE Workload API, which the program has in its environment (SPIFFE_ENDPOINT_SOCKET), or off (default: workload.sock in --state-dir)")
	except.flags(cmd)
	f.Uint16Var(&o.MeshPort, "mesh-port", 0, "port for other proxies (default 15008, or a free one if that is taken)")
	f.Uint32Var(&o.Weight, "weight", 1, "share of the service's traffic, compared with its other workloads")
	f.StringVar(&o.Version, "version", "", "version of the program, for people")
	f.DurationVar(&o.App.StartTimeout, "start-timeout", supervise.DefaultStartTimeout, "how long the program may take to listen")
	f.DurationVar(&o.App.StopTimeout, "stop-timeout", supervise.DefaultStopTimeout, "how long the program may take to end once it was told to; then it is killed")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if o.Service == "" {
			return command.Usagef("", "--service is missing: the name of the service that %s is a workload of", args[0])
		}
		if err := identity.CheckWorkload(j.namespace, o.Service); err != nil {
			return command.Usagef("", "--service: %v", err)
		}
		o.Role, o.App.Command = distrib.RoleSidecar, args
		var err error
		if o.Ports, err = parseAll("port", ports, parsePort); err != nil {
			return err
		}
		if o.Upstreams, err = parseAll("upstream", upstreams, func(text string) (distrib.LocalListener, error) {
			return parseUpstream(text, j.namespace)
		}); err != nil {
			return err
		}
		if err := except.options(&o); err != nil {
			return err
		}
		return j.run(cmd.Context(), t, &s, o)
	}
	return cmd
}
