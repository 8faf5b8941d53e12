package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
)

func errNoConsumer(namespace, name string) error {
	return fmt.Errorf("the gateway has no consumer %s/%s", namespace, name)
}

func newToken(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "token",
		GroupID: groupLive,
		Short:   "Make, list and revoke tokens of the admin API",
		Long: `Tokens let people and programs use the admin API of a gateway with a state store, in
a role: a viewer reads, an operator changes consumers too, an admin has tokens and the
audit log as well. The first ones are made when the state store is, and shown once.`,
		Example: lines("gridway token create ci --role operator --expires 720h", "gridway token list"),
	}
	cmd.AddCommand(newTokenCreate(t), newTokenList(t), newTokenRevoke(t))
	return cmd
}

func newTokenCreate(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "create NAME --role ROLE",
		Short:   "Make a token, and print it",
		Long:    "Makes a token, which is shown this once: the gateway keeps a hash of it. Needs the\nrole admin.\n\n" + adminHelp,
		Example: lines("gridway token create dashboard --role viewer", "gridway token create ci --role operator --expires 720h -o json"),
		Args:    exactArgs("NAME"),
	}
	out, a := outputFlag(cmd), adminFlag(t, cmd)
	role := cmd.Flags().String("role", "", "viewer, operator or admin")
	expires := cmd.Flags().String("expires", "", "when the token ends: after a time such as 720h, or at one such as 2027-06-30T00:00:00Z (default: never)")
	complete(cmd, "role", "viewer", "operator", "admin")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *role == "" {
			return usagef("a viewer reads, an operator changes consumers, an admin has tokens and the audit log", "--role is missing")
		}
		at, err := expiryFlag(*expires)
		if err != nil {
			return err
		}
		made, err := ask(cmd.Context(), a, func(ctx context.Context, c *client.Client) (*access.CreatedToken, error) {
			return c.CreateToken(ctx, access.NewToken{Name: args[0], Role: access.Role(*role), Expires: at})
		})
		if err != nil {
			return err
		}
		if *out != term.TableFormat {
			return out.Write(t.Out, made)
		}
		t.Printf("%s %s\n%s    %s, role %s\n\n%s\n", term.Paint("token", term.Bold), made.Text, term.Paint("id", term.Bold), made.ID, made.Role,
			term.Paint("The token is shown this once. Commands present the one in $GRIDWAY_TOKEN.", term.Faint))
		return nil
	}
	return cmd
}

func newTokenList(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List tokens, with their last use",
		Long:    "Lists the tokens of the admin API. Needs the role admin.\n\n" + adminHelp,
		Example: lines("gridway token list", "gridway token list -o json"),
		Args:    noArgs,
	}
	out, a := outputFlag(cmd), adminFlag(t, cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		list, err := ask(cmd.Context(), a, func(ctx context.Context, c *client.Client) ([]access.Token, error) { return c.Tokens(ctx) })
		if err != nil {
			return err
		}
		if *out != term.TableFormat {
			return out.Write(t.Out, list)
		}
		now := time.Now()
		table := term.NewTable("id", "name", "role", "created", "expires", "last used")
		for _, x := range list {
			expires, used := "never", "never"
			if !x.Expires.IsZero() {
				expires = expiry(x.Expires, now)
			}
			if !x.LastUsed.IsZero() {
				used = age(max(0, now.Sub(x.LastUsed))) + " ago"
			}
			table.Row(x.ID, x.Name, string(x.Role), x.Created.Format(time.DateOnly), expires, used)
		}
		t.Printf("%s", table)
		return nil
	}
	return cmd
}

func newTokenRevoke(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "revoke ID",
		Short:   "Take a token away",
		Long:    "Takes a token away, at once. The last one of an admin that does not expire stays.\nNeeds the role admin.\n\n" + adminHelp,
		Example: lines("gridway token revoke 4fj7xk2q"),
		Args:    exactArgs("ID"),
	}
	a := adminFlag(t, cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		_, err := ask(cmd.Context(), a, func(ctx context.Context, c *client.Client) (struct{}, error) {
			return struct{}{}, c.RevokeToken(ctx, args[0])
		})
		if err == nil {
			t.Printf("token %s revoked\n", args[0])
		}
		return err
	}
	return cmd
}

func newAudit(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "audit",
		GroupID: groupLive,
		Short:   "Show who has changed what in the state store",
		Long: `Lists changes, the latest first: of consumers, keys and tokens. With -o json each has
the object before and after, without secrets. Needs the role admin.

` + adminHelp,
		Example: lines("gridway audit", "gridway audit --object Consumer/default/acme -o json", "gridway audit --before 120"),
		Args:    noArgs,
	}
	out, a := outputFlag(cmd), adminFlag(t, cmd)
	var q access.AuditQuery
	cmd.Flags().StringVar(&q.Object, "object", "", "only changes of this one, as in Consumer/default/acme")
	cmd.Flags().StringVar(&q.Actor, "actor", "", "only changes by this one")
	cmd.Flags().Int64Var(&q.Before, "before", 0, "only changes with a lower id: the next page")
	cmd.Flags().IntVar(&q.Limit, "limit", 50, "how many at most, up to 1000")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		list, err := ask(cmd.Context(), a, func(ctx context.Context, c *client.Client) ([]access.Change, error) { return c.Audit(ctx, q) })
		if err != nil {
			return err
		}
		if *out != term.TableFormat {
			return out.Write(t.Out, list)
		}
		table := term.NewTable("id", "time", "actor", "role", "action", "object").Right(0)
		for _, x := range list {
			table.Row(fmt.Sprint(x.ID), x.At.Format(time.RFC3339), x.Actor, x.Role, x.Action, x.Object)
		}
		t.Printf("%s", table)
		return nil
	}
	return cmd
}
