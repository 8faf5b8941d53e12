package cli

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/cli/command"
	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
)

func newConsumer(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "consumer",
		GroupID: groupLive,
		Short:   "Show and keep who may call",
		Long: `Consumers are those who call APIs. "consumer list" shows those that a running
gateway knows, with their credentials, from files and from its state store. The
other commands work on the state store, which the gateway has with --state; what is
changed is in service within a second. "gridway key" makes their keys.`,
		Example: lines("gridway consumer list", "gridway consumer create acme --group partners --plan gold", "gridway consumer export > consumers.yaml"),
	}
	cmd.AddCommand(newConsumerList(t), newConsumerCreate(t), newConsumerGet(t), newConsumerUpdate(t), newConsumerRotate(t), newConsumerRevoke(t), newConsumerDelete(t), newConsumerImport(t), newConsumerExport(t))
	return cmd
}

func newConsumerList(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list [NAME]",
		Short: "List consumers with their credentials",
		Long: `Lists the consumers of a running gateway, or the one of that name, with a line for
each credential: what it is, until when it is accepted, and when this process has
accepted it last. Uses are counted from the start of the process.

` + adminHelp,
		Example: lines("gridway consumer list", "gridway consumer list acme", "gridway consumer list -n partners -o json"),
		Args:    command.Takes(0, 1),
	}
	out := outputFlag(cmd)
	a := adminFlag(t, cmd)
	namespace := cmd.Flags().StringP("namespace", "n", "", "only consumers of this namespace")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		name := ""
		if len(args) > 0 {
			name = args[0]
		}
		list, err := ask(cmd.Context(), a, func(ctx context.Context, c *client.Client) ([]adminapi.Consumer, error) {
			return c.Consumers(ctx, *namespace, name)
		})
		if err != nil {
			return err
		}
		if *out != term.TableFormat {
			return out.Write(t.Out, list)
		}
		if len(list) == 0 {
			t.Printf("no consumers\n")
			return nil
		}
		t.Printf("%s", consumerTable(list, time.Now()))
		return nil
	}
	return cmd
}

func consumerTable(list []adminapi.Consumer, now time.Time) *term.Table {
	table := term.NewTable("consumer", "groups", "plan", "credential", "kind", "expires", "last used")
	for _, c := range list {
		name := strings.TrimPrefix(c.Namespace+"/"+c.Name, "default/")
		if len(c.Credentials) == 0 {
			table.Row(name, strings.Join(c.Groups, ", "), c.Plan, "", "", "", "")
		}
		for i, cr := range c.Credentials {
			if i > 0 {
				name = ""
			}
			expires, used := "never", "never"
			if !cr.NotAfter.IsZero() {
				expires = expiry(cr.NotAfter, now)
			}
			if cr.NotBefore.After(now) {
				expires += ", begins in " + age(cr.NotBefore.Sub(now))
			}
			if !cr.LastUsed.IsZero() {
				used = age(max(0, now.Sub(cr.LastUsed))) + " ago"
			}
			table.Row(name, strings.Join(c.Groups, ", "), c.Plan, cr.Name, cr.Kind, expires, used)
		}
	}
	return table
}
