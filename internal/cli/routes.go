package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/dryrun"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
)

func newRoutes(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "routes",
		GroupID: groupLive,
		Short:   "List the routes in the order in which they match",
		Long: `Lists every match of every rule in service, in the order in which requests try
them: by listener, by host from the most to the least specific, then by the
precedence of the Gateway API (exact paths, regular expressions, longer prefixes,
methods, more headers, more query parameters, older routes). The first that holds
wins.

` + adminHelp + ` With --file the list comes from files.`,
		Example:           lines("gridway routes", "gridway routes --file shop.yaml", "gridway routes --host shop.example -o json"),
		Args:              noArgs,
		ValidArgsFunction: offer(),
	}
	out := outputFlag(cmd)
	a := adminFlag(t, cmd)
	var files []string
	var host string
	cmd.Flags().StringArrayVarP(&files, "file", "f", nil, "file or folder with configuration, instead of a running gateway (repeatable)")
	cmd.Flags().StringVar(&host, "host", "", "only routes that serve this host name")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		table, err := tableOf(cmd.Context(), t, files, a)
		if err != nil {
			return err
		}
		rows := table.Rows(host)
		if *out != term.TableFormat {
			return out.Write(t.Out, rows)
		}
		printRows(t, rows)
		return nil
	}
	return cmd
}

// tableOf decides requests for files or for the configuration of a running gateway.
func tableOf(ctx context.Context, t *term.Terminal, files []string, a *admin) (*dryrun.Table, error) {
	if len(files) > 0 {
		table, _, err := readTable(t, files)
		return table, err
	}
	cfg, err := ask(ctx, a, func(ctx context.Context, c *client.Client) (*ir.Config, error) { return c.Config(ctx) })
	if err != nil {
		return nil, err
	}
	return dryrun.New(cfg)
}

func printRows(t *term.Terminal, rows []dryrun.Row) {
	if len(rows) == 0 {
		t.Errorf("no routes\n")
		return
	}
	last := ""
	var table *term.Table
	flush := func() {
		if table != nil {
			t.Printf("%s", table)
		}
	}
	for _, r := range rows {
		if r.Listener != last {
			flush()
			if last != "" {
				t.Printf("\n")
			}
			t.Printf("%s\n", term.Paint(r.Listener, term.Bold))
			table = term.NewTable("host", "match", "route", "to", "written at").Indent("  ")
			last = r.Listener
		}
		host := r.Hostname
		if host == "" {
			host = "*"
		}
		table.Row(host, r.Match, ruleName(r.Route, r.Rule), strings.Join(r.To, ", "), term.Paint(place(r.Ref), term.Place))
	}
	flush()
}

// ruleName is "reviews/canary", or "reviews/rules[1]" for a rule without a name.
func ruleName(route, rule string) string {
	rule = ir.RuleLabel("", rule)
	if rule == "" {
		return short(route)
	}
	return fmt.Sprintf("%s/%s", short(route), rule)
}
