package members

import (
	"cmp"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/cli/command"
	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/member"
	"github.com/gridway/gridway/internal/mesh/declared"
	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/mesh/identity"
)

// Node is the command of it.
func Node(t *term.Terminal) *cobra.Command {
	var (
		s     command.Proxy
		j     joining
		o     member.Options
		check bool
	)
	cmd := &cobra.Command{
		Use:     "node --workloads DIR [flags]",
		GroupID: Group,
		Short:   "Stand before all workloads of a host",
		Long: `One proxy makes programs of a host workloads of the mesh, each with an identity of its
own, without sidecars: they are started by whoever starts them. Files of a folder
declare them: the service that each is of, its ports, and which processes it is (a unit
of systemd, a cgroup or a user). Files may come, change and go meanwhile.

What a workload opens to others is taken by the kernel, and goes out with its identity;
what others send to it comes at the node's port for the mesh, and is let in by the
policies of its service. It is registered while it answers.

The node joins as itself, by a token for nodes, which also says of which services it may
have workloads: gridway identity token create --node NAME --service 'NAME*'. It needs
CAP_NET_ADMIN, cgroup v2 and nftables. See docs/guides/mesh-node.md.`,
		Example: command.Lines(
			"gridway node --workloads /etc/gridway/workloads --control control.internal:15010",
			"gridway node --node rack1-a --workloads workloads/ --join-token-file token --mesh-port 15008",
		),
		Args:              command.NoArgs,
		ValidArgsFunction: command.Offer(),
	}
	s.Flags(t, cmd, "off", "info")
	j.hostFlags(t, cmd)
	f := cmd.Flags()
	f.StringVar(&o.Node, "node", "", "name of the host in the mesh (default: its host name)")
	f.StringVar(&o.Workloads, "workloads", "", "folder with the files that declare the workloads")
	f.BoolVar(&o.Intercept, "intercept", true, "have the kernel give the node what workloads open to other hosts, and their questions to resolvers; without it the node takes only what comes to them")
	f.StringVar(&o.WorkloadAPI, "workload-api", "", "path of the socket of the SPIFFE Workload API, where each process of a workload gets that one's SVIDs, or off (default "+member.NodeSocket+")")
	f.Uint16Var(&o.MeshPort, "mesh-port", 0, "port for other proxies (default 15008, or a free one if that is taken)")
	f.BoolVar(&check, "check", false, "say what the files declare, or what is wrong with them, and run nothing")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if o.Workloads == "" {
			return command.Usagef("", "--workloads is missing: the folder with the files that declare the workloads of this host")
		}
		if check {
			return checkWorkloads(t, o.Workloads)
		}
		given := o.Node != ""
		if !given {
			o.Node, _ = os.Hostname()
			o.Node = strings.ToLower(o.Node)
		}
		if err := identity.CheckNode(o.Node); err != nil {
			if !given {
				return command.Usagef("", "the name of this host cannot be that of a node: give one with --node (%v)", err)
			}
			return command.Usagef("", "--node: %v", err)
		}
		o.Role = distrib.RoleNode
		return j.run(cmd.Context(), t, &s, o)
	}
	return cmd
}

// checkWorkloads shows what the files of a folder declare.
func checkWorkloads(t *term.Terminal, folder string) error {
	list, err := (&declared.Folder{Path: folder}).Read()
	if err != nil {
		return err
	}
	table := term.NewTable("workload", "processes", "ports", "health", "past the node")
	for _, w := range list {
		var ports []string
		for _, p := range w.Ports {
			ports = append(ports, strconv.Itoa(int(p.Number)))
		}
		health := "–"
		switch h := w.Health; {
		case h.Path != "":
			health = fmt.Sprintf("http %s every %s", h.Path, h.Interval)
		case h.Port != 0:
			health = fmt.Sprintf("tcp %d every %s", h.Port, h.Interval)
		}
		table.Row(w.Key(), w.Processes.String(), cmp.Or(strings.Join(ports, ", "), "–"), health, excepted(&w.Except))
	}
	if table.Len() == 0 {
		t.Printf("no file of %s declares a workload\n", folder)
		return nil
	}
	t.Printf("%s", table)
	return nil
}

// maxExcepted bounds what of the exceptions of a workload is shown.
const maxExcepted = 6

// excepted says what goes past the node: in is opened by other hosts, out by the workload.
func excepted(e *declared.Except) string {
	var out []string
	for _, p := range e.Ports {
		out = append(out, fmt.Sprintf("in :%d", p))
	}
	for _, n := range e.Networks {
		out = append(out, "out "+n.String())
	}
	for _, p := range e.OutboundPorts {
		out = append(out, fmt.Sprintf("out :%d", p))
	}
	if more := len(out) - maxExcepted; more > 0 {
		out = append(out[:maxExcepted], fmt.Sprintf("%d more", more))
	}
	return cmp.Or(strings.Join(out, ", "), "–")
}
