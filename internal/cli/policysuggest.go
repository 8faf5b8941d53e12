package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/cli/command"
	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/mesh/evidence"
	"github.com/gridway/gridway/internal/mesh/suggest"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
)

func newPolicy(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "policy",
		GroupID: groupLive,
		Short:   "Suggest policies from what was seen",
		Long:    "Policies of a mesh, made from what its proxies have seen.",
		Example: lines("gridway policy suggest ratings --namespace shop"),
	}
	cmd.AddCommand(newPolicySuggest(t))
	return cmd
}

func newPolicySuggest(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "suggest [SERVICE]",
		Short: "Write policies that allow what was seen, and nothing else",
		Long: `Writes an AuthorizationPolicy for the Service, or for each that was spoken to, which
allows what its workloads' proxies have seen and nothing else: who, to which port, with
which methods and paths. Comments say what each rule rests on, what was folded, and what
no rule is for. The policies are dry unless --enforce is given: they refuse nothing, and
say in access logs what they would refuse. Needs the role viewer.

` + adminHelp,
		Example: lines("gridway policy suggest ratings --namespace shop > ratings-policy.yaml", "gridway policy suggest --since 14d", "gridway policy suggest --enforce -o json"),
		Args:    command.Takes(0, 1),
	}
	out, a := outputFlag(cmd), adminFlag(t, cmd)
	namespace := cmd.Flags().StringP("namespace", "n", "", "namespace of the Services (default: default if SERVICE is given, and otherwise all)")
	since := cmd.Flags().String("since", "7d", "how far back: days or hours such as 7d or 36h, 14d at most")
	enforce := cmd.Flags().Bool("enforce", false, "write policies that hold at once, and not dry ones")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		back, err := parseBack(*since)
		if err != nil {
			return usagef("for example --since 7d", "--since: %v", err)
		}
		service := ""
		if len(args) == 1 {
			service = args[0]
			if *namespace == "" {
				*namespace = "default"
			}
		}
		flows, err := ask(cmd.Context(), a, func(ctx context.Context, c *client.Client) ([]evidence.Flow, error) {
			return c.Traffic(ctx, *namespace, service, back)
		})
		if err != nil {
			return err
		}
		if len(flows) == 0 {
			what := "anything"
			if service != "" {
				what = *namespace + "/" + service
			}
			return hintError{
				Err:  fmt.Errorf("no proxy has seen traffic to %s since %s", what, time.Now().Add(-back).UTC().Format(time.RFC3339)),
				Hint: "proxies report every few seconds what reaches the workloads behind them; --since goes further back",
			}
		}
		list := suggest.Policies(flows, suggest.Options{Enforce: *enforce})
		if *out == term.JSON {
			return out.Write(t.Out, list)
		}
		return suggest.Write(t.RawOut, list, back, time.Now())
	}
	return cmd
}

// parseBack reads a time such as 7d or 36h.
func parseBack(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n int
		if n, err = strconv.Atoi(days); err == nil {
			d = time.Duration(min(n, 1000)) * 24 * time.Hour
		}
	}
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is not a time", s)
	case d <= 0 || d > evidence.Keep:
		return 0, fmt.Errorf("%s is not more than nothing and 14d at most", s)
	}
	return d, nil
}
