package cli

import (
	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/app"
	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/config/source/file"
	"github.com/gridway/gridway/internal/systemd"
)

func newRun(t *term.Terminal) *cobra.Command {
	var (
		s     serving
		r     replacing
		m     meshing
		share bool
	)
	cmd := &cobra.Command{
		Use:     "run [FILE|DIR...]",
		GroupID: groupRun,
		Short:   "Run a gateway from configuration files",
		Long: `Runs a gateway that is configured by Kubernetes Gateway API objects and Gridway's
own kinds (Backend, TrafficPolicy, CertificateIssuer) in YAML or JSON files; folders are read with
everything in them, "-" is standard input. With --state objects may also be applied while it runs ("gridway
apply"), and it needs no files.

A mistake in the files stops the start, with its file and line. Once the gateway
runs, files are watched: what changed is live within milliseconds and drops no
request. A mistake made then keeps the last good version of the object that it is
in; the log and "gridway status" say so.

SIGTERM and SIGINT stop accepting, let requests finish for --drain-timeout and
end; a second one ends at once. SIGHUP opens the access log's file anew, and reads that of
--svid-joins. SIGUSR2
replaces the process by a new one, as "gridway upgrade" does.`,
		Example: lines("gridway run gateway.yaml", "gridway run /etc/gridway --access-log /var/log/gridway/access.json", "gridway run config/ --admin 127.0.0.1:9902 --log-level debug", "gridway run config/ --mesh :15010 --state sqlite"),
	}
	s.flags(t, cmd, "stdout", "info")
	s.named = true
	r.flags(cmd)
	m.flags(cmd, "", "address for the proxies of a mesh, whose control plane this process then is, as in :15010; needs --state")
	cmd.Flags().BoolVar(&share, "reuse-port", false, "share ports with other gateways of this user that have this flag too (SO_REUSEPORT)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o, err := s.options(t)
		if err != nil {
			return err
		}
		if o.Mesh, err = m.options(cmd); err != nil {
			return err
		}
		if o.Mesh != nil && o.State == nil {
			return usagef("add --state sqlite, which is a file in --state-dir", "--mesh needs a state store, for the keys of its authority")
		}
		o.SharePorts = share
		o.Source = app.Nothing()
		if len(args) > 0 {
			o.Source = app.Files(args, file.Options{Stdin: t.In})
		} else if o.State == nil {
			return usagef("usage: "+cmd.UseLine(), "%s needs at least one file or folder, or --state for objects that are applied", cmd.CommandPath())
		}
		if err := r.options(cmd.Context(), t, &o, args); err != nil {
			return err
		}
		sup := &supervised{notify: systemd.New(t.Getenv("NOTIFY_SOCKET")), pidFile: r.pidFile, log: o.Log}
		o.Upgrade.Yielded = sup.replaced
		defer sup.ended()
		return s.serve(cmd.Context(), t, o, hooks{stopping: sup.stopping, started: func(g *app.Gateway) {
			if a := g.AdminAddr(); a != nil {
				o.Log.Info("serving", "listeners", len(g.Listening()), "admin", a.String())
			}
			sup.serving()
		}})
	}
	return cmd
}
