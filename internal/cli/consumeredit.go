package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/cli/command"
	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
)

// consumerFlags are what a consumer is made of on a command line.
type consumerFlags struct {
	namespace, file, plan string
	groups                []string
	labels                map[string]string
}

func (f *consumerFlags) add(cmd *cobra.Command, what string) {
	fl := cmd.Flags()
	fl.StringVarP(&f.namespace, "namespace", "n", "default", "namespace of the consumer")
	fl.StringVarP(&f.file, "file", "f", "", "manifest of the Consumer in YAML or JSON, - for standard input; "+what)
	fl.StringVar(&f.plan, "plan", "", "plan of the consumer; empty is none")
	fl.StringSliceVar(&f.groups, "group", nil, "group that the consumer is in; may be given more than once")
	fl.StringToStringVar(&f.labels, "label", nil, "label, as NAME=VALUE; may be given more than once")
}

func newConsumerCreate(t *term.Terminal) *cobra.Command {
	var f consumerFlags
	cmd := &cobra.Command{
		Use:     "create NAME | -f FILE",
		Short:   "Make a consumer in the state store",
		Long:    "Makes a consumer, from flags or from a manifest. \"gridway key create NAME\" makes its\nfirst key.\n\n" + adminHelp,
		Example: lines("gridway consumer create acme --group partners --plan gold --label tier=1", "gridway consumer create -f acme.yaml"),
		Args:    command.Takes(0, 1),
	}
	f.add(cmd, "in the place of NAME and the other flags")
	out, a := outputFlag(cmd), adminFlag(t, cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var (
			text []byte
			err  error
		)
		switch {
		case (f.file == "") == (len(args) == 0):
			return usagef("usage: "+cmd.UseLine(), "%s needs a name, or a manifest with -f", cmd.CommandPath())
		case f.file != "":
			text, err = command.ReadText(t, f.file)
		default:
			spec, meta := map[string]any{}, map[string]any{"namespace": f.namespace, "name": args[0]}
			if f.plan != "" {
				spec["plan"] = f.plan
			}
			if len(f.groups) > 0 {
				spec["groups"] = f.groups
			}
			if len(f.labels) > 0 {
				meta["labels"] = f.labels
			}
			text, err = json.Marshal(map[string]any{"apiVersion": "gridway.dev/v1alpha1", "kind": "Consumer", "metadata": meta, "spec": spec})
		}
		if err != nil {
			return err
		}
		m, err := ask(cmd.Context(), a, func(ctx context.Context, c *client.Client) (*client.Manifest, error) {
			return c.CreateConsumer(ctx, text)
		})
		return writeManifest(t, *out, m, err, "created")
	}
	return cmd
}

func newConsumerGet(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "get NAME",
		Short:   "Print the manifest of a consumer in the state store",
		Long:    "Prints a consumer as its manifest. A token of the role viewer sees no hashes.\n\n" + adminHelp,
		Example: lines("gridway consumer get acme", "gridway consumer get acme -o json"),
		Args:    exactArgs("NAME"),
	}
	out, a := outputFlag(cmd), adminFlag(t, cmd)
	namespace := cmd.Flags().StringP("namespace", "n", "default", "namespace of the consumer")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		m, err := ask(cmd.Context(), a, func(ctx context.Context, c *client.Client) (*client.Manifest, error) {
			return c.Consumer(ctx, *namespace, args[0])
		})
		format := *out
		if format == term.TableFormat {
			format = term.YAML
		}
		return writeManifest(t, format, m, err, "")
	}
	return cmd
}

func newConsumerUpdate(t *term.Terminal) *cobra.Command {
	var f consumerFlags
	cmd := &cobra.Command{
		Use:   "update NAME",
		Short: "Change a consumer in the state store",
		Long: `Changes what flags are given for, and leaves the rest: --group replaces all groups
(--group "" is none), --label adds or changes labels (--label NAME= takes one away).
With -f the manifest replaces the consumer.

` + adminHelp,
		Example: lines("gridway consumer update acme --plan silver", "gridway consumer update acme --group partners,beta", "gridway consumer update acme -f acme.yaml"),
		Args:    exactArgs("NAME"),
	}
	f.add(cmd, "replaces the consumer")
	out, a := outputFlag(cmd), adminFlag(t, cmd)
	etag := cmd.Flags().String("if-match", "", "only if the consumer still has this ETag")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		given := cmd.Flags().Changed
		if f.file != "" {
			text, err := command.ReadText(t, f.file)
			if err != nil {
				return err
			}
			m, err := ask(cmd.Context(), a, func(ctx context.Context, c *client.Client) (*client.Manifest, error) {
				return c.ReplaceConsumer(ctx, f.namespace, args[0], text, *etag)
			})
			return writeManifest(t, *out, m, err, "updated")
		}
		if !given("plan") && !given("group") && !given("label") {
			return usagef("give --plan, --group, --label or -f", "%s has nothing to change", cmd.CommandPath())
		}
		m, err := ask(cmd.Context(), a, func(ctx context.Context, c *client.Client) (*client.Manifest, error) {
			return c.PatchConsumer(ctx, f.namespace, args[0], f.patch(given), *etag)
		})
		return writeManifest(t, *out, m, err, "updated")
	}
	return cmd
}

// patch is a merge patch of what flags were given for.
func (f *consumerFlags) patch(given func(string) bool) map[string]any {
	spec, labels := map[string]any{}, map[string]any{}
	if given("plan") {
		if spec["plan"] = f.plan; f.plan == "" {
			spec["plan"] = nil
		}
	}
	if given("group") {
		if spec["groups"] = f.groups; len(f.groups) == 0 {
			spec["groups"] = nil
		}
	}
	for name, value := range f.labels {
		if labels[name] = value; value == "" {
			labels[name] = nil
		}
	}
	return map[string]any{"metadata": map[string]any{"labels": labels}, "spec": spec}
}

func newConsumerDelete(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "delete NAME",
		Short:   "Take a consumer out of the state store, with its credentials",
		Long:    "Takes a consumer away. Its keys are accepted no longer.\n\n" + adminHelp,
		Example: lines("gridway consumer delete acme"),
		Args:    exactArgs("NAME"),
	}
	a := adminFlag(t, cmd)
	namespace := cmd.Flags().StringP("namespace", "n", "default", "namespace of the consumer")
	etag := cmd.Flags().String("if-match", "", "only if the consumer still has this ETag")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		_, err := ask(cmd.Context(), a, func(ctx context.Context, c *client.Client) (struct{}, error) {
			return struct{}{}, c.DeleteConsumer(ctx, *namespace, args[0], *etag)
		})
		if err == nil {
			t.Printf("consumer %s/%s deleted\n", *namespace, args[0])
		}
		return err
	}
	return cmd
}

func newConsumerImport(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Write the Consumers of a YAML file into the state store",
		Long: `Writes all Consumers of a file, - for standard input, or none if one of them is
wrong. Consumers that the file does not name stay as they are.

` + adminHelp,
		Example: lines("gridway consumer import consumers.yaml", "gridway consumer import --dry-run consumers.yaml"),
		Args:    exactArgs("FILE"),
	}
	out, a := outputFlag(cmd), adminFlag(t, cmd)
	a.patient = true
	dry := cmd.Flags().Bool("dry-run", false, "only say what would be done")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		text, err := command.ReadText(t, args[0])
		if err != nil {
			return err
		}
		type imported struct{ created, updated, unchanged int }
		done, err := ask(cmd.Context(), a, func(ctx context.Context, c *client.Client) (any, error) {
			r, err := c.ImportConsumers(ctx, text, *dry)
			if err != nil || *out != term.TableFormat {
				return r, err
			}
			return imported{r.Created, r.Updated, r.Unchanged}, nil
		})
		if err != nil {
			return err
		}
		if n, ok := done.(imported); ok {
			would := ""
			if *dry {
				would = " (nothing was changed: --dry-run)"
			}
			t.Printf("%d created, %d updated, %d unchanged%s\n", n.created, n.updated, n.unchanged, would)
			return nil
		}
		return out.Write(t.Out, done)
	}
	return cmd
}

func newConsumerExport(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Print the consumers of the state store as YAML",
		Long: `Prints the consumers as manifests that "consumer import" takes, with the hashes of
their keys and passwords. Needs the role operator.

` + adminHelp,
		Example: lines("gridway consumer export > consumers.yaml", "gridway consumer export -n partners"),
		Args:    noArgs,
	}
	a := adminFlag(t, cmd)
	a.patient = true
	namespace := cmd.Flags().StringP("namespace", "n", "", "only consumers of this namespace")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		_, err := ask(cmd.Context(), a, func(ctx context.Context, c *client.Client) (struct{}, error) {
			return struct{}{}, c.ExportConsumers(ctx, *namespace, t.RawOut)
		})
		return err
	}
	return cmd
}

// writeManifest prints a consumer, or in a table's place that it was done.
func writeManifest(t *term.Terminal, f term.Format, m *client.Manifest, err error, done string) error {
	if err != nil {
		return err
	}
	switch f {
	case term.TableFormat:
		var v struct {
			Metadata struct{ Namespace, Name string }
		}
		if err := json.Unmarshal(m.Value, &v); err != nil {
			return err
		}
		t.Printf("consumer %s/%s %s\n", v.Metadata.Namespace, v.Metadata.Name, done)
		return nil
	case term.JSON:
		return f.Write(t.Out, m.Value)
	}
	text, err := yaml.JSONToYAML(m.Value)
	if err != nil {
		return fmt.Errorf("the reply cannot be shown: %w", err)
	}
	t.Printf("%s\n", strings.TrimRight(string(text), "\n"))
	return nil
}
