package cli

import (
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/demo"
)

// newDemoService is the process of one of the demo's services, beside its sidecar. The
// demo starts it.
func newDemoService(_ *term.Terminal) *cobra.Command {
	var o demo.InstanceOptions
	cmd := &cobra.Command{
		Use:    "service NAME",
		Short:  "Run one service of the demo",
		Hidden: true,
		Args:   exactArgs("NAME"),
	}
	cmd.Flags().StringVar(&o.Listen, "listen", "", "address to listen on")
	cmd.Flags().StringVar(&o.Dir, "shop", "", "folder of the shop")
	cmd.Flags().StringToStringVar(&o.Calls, "call", nil, "where other services are, NAME=URL")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
		defer stop()
		return demo.Serve(ctx, args[0], o)
	}
	return cmd
}
