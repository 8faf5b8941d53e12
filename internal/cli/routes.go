package cli

import (
	"cmp"
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

Behind these are the routes of a mesh, by Service, port and clients: producers' routes
are from the Service's own namespace and for clients of all, consumers' from another and
for the clients there, in place of the producer's; where there is none, clients reach
the Service itself. gridway explain --from says what becomes of a request of one client.

` + adminHelp + ` With --file the list comes from files.`,
		Example:           lines("gridway routes", "gridway routes --file shop.yaml", "gridway routes --host shop.example -o json", "gridway routes --service reviews.shop"),
		Args:              noArgs,
		ValidArgsFunction: offer(),
	}
	out := outputFlag(cmd)
	a := adminFlag(t, cmd)
	var files []string
	var host, service string
	cmd.Flags().StringArrayVarP(&files, "file", "f", nil, "file or folder with configuration, instead of a running gateway (repeatable)")
	cmd.Flags().StringVar(&host, "host", "", "only routes that serve this host name")
	cmd.Flags().StringVar(&service, "service", "", "only routes of this Service of the mesh: NAME or NAME.NAMESPACE, or .NAMESPACE for all of a namespace")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if host != "" && service != "" {
			return usagef("leave one of them out", "--host is for routes of listeners, and --service for those of a mesh")
		}
		of, err := parseRoutesOf(service)
		if err != nil {
			return err
		}
		var rows []dryrun.Row
		if len(files) > 0 {
			rows, err = routesOfFiles(t, files, host, of)
		} else {
			rows, err = ask(cmd.Context(), a, func(ctx context.Context, c *client.Client) ([]dryrun.Row, error) { return routesOf(ctx, c, host, of) })
		}
		if err != nil {
			return err
		}
		if *out != term.TableFormat {
			return out.Write(t.Out, rows)
		}
		printRows(t, rows)
		return nil
	}
	return cmd
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
	for i := range rows {
		r := &rows[i]
		group, first := r.Listener, "host"
		if r.Mesh != nil {
			group, first = portText(r.Mesh), "clients"
		}
		if group != last {
			flush()
			if last != "" {
				t.Printf("\n")
			}
			t.Printf("%s\n", term.Paint(group, term.Bold))
			table = term.NewTable(first, "match", "route", "to", "written at").Indent("  ")
			last = group
		}
		who, route := cmp.Or(r.Hostname, "*"), ruleName(r.Route, r.Rule)
		if r.Mesh != nil {
			who = clientsText(r.Mesh)
			if r.Mesh.Origin == dryrun.Service {
				route = "–"
			}
		}
		table.Row(who, r.Match, route, strings.Join(r.To, ", "), term.Paint(place(r.Ref), term.Place))
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
