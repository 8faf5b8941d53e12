package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
)

func newConsumerRotate(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate NAME",
		Short: "Make an API key that takes over from all that a consumer has",
		Long: `Makes a new API key for a consumer of the state store. All API keys that it had are
accepted for --overlap more; with --overlap 0s they end at once. Its passwords,
certificates and client secrets stay as they are. "gridway key rotate" takes over
from one key alone.

` + adminHelp,
		Example: lines("gridway consumer rotate acme", "gridway consumer rotate acme --overlap 0s"),
		Args:    exactArgs("NAME"),
	}
	rotates(t, cmd, func(ctx context.Context, c *client.Client, namespace string, args []string, q access.NewKey) (*access.CreatedKey, error) {
		return c.RotateKeys(ctx, namespace, args[0], q)
	})
	return cmd
}

func newConsumerRevoke(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "revoke NAME",
		Short: "Take all credentials away from a consumer",
		Long: `Takes all credentials of a consumer in the state store away, of every kind: none of
them is accepted any longer. The consumer stays, with its groups, plan and labels;
"gridway key create" makes a key for it again.

` + adminHelp,
		Example: lines("gridway consumer revoke acme"),
		Args:    exactArgs("NAME"),
	}
	out, a := outputFlag(cmd), adminFlag(t, cmd)
	namespace := cmd.Flags().StringP("namespace", "n", "default", "namespace of the consumer")
	etag := cmd.Flags().String("if-match", "", "only if the consumer still has this ETag")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		none := map[string]any{"spec": map[string]any{"credentials": nil}}
		m, err := ask(cmd.Context(), a, func(ctx context.Context, c *client.Client) (*client.Manifest, error) {
			return c.PatchConsumer(ctx, *namespace, args[0], none, *etag)
		})
		return writeManifest(t, *out, m, err, "has no credentials any more")
	}
	return cmd
}
