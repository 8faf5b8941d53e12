package cli

import (
	"cmp"
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
)

// keyFlags are of keys of consumers in the state store.
type keyFlags struct {
	namespace, name, expires string

	isClient                    bool
	clientID                    string
	scopes, defaults, audiences []string
}

// addClient adds what makes a key the secret of a client.
func (f *keyFlags) addClient(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.BoolVar(&f.isClient, "client", false, "make it the secret of a client, for access tokens of a TokenIssuer")
	fl.StringVar(&f.clientID, "client-id", "", "client ID (default NAMESPACE.CONSUMER); with --client")
	fl.StringSliceVar(&f.scopes, "scope", nil, "scope that the client may have, may be repeated; with --client")
	fl.StringSliceVar(&f.defaults, "default-scope", nil, "scope that the client gets without asking, may be repeated (default: all of --scope); with --client")
	fl.StringSliceVar(&f.audiences, "audience", nil, "audience that its tokens may be for, may be repeated (default: all of the TokenIssuer); with --client")
}

func (f *keyFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVarP(&f.namespace, "namespace", "n", "default", "namespace of the consumer")
	fl.StringVar(&f.name, "name", "", "name of the key among the consumer's (default key-1, or the next number)")
	fl.StringVar(&f.expires, "expires", "", "when the key ends: after a time such as 2160h, or at one such as 2027-06-30T00:00:00Z (default: never)")
}

func (f *keyFlags) request(prefix string) (access.NewKey, error) {
	at, err := expiryFlag(f.expires)
	q := access.NewKey{Name: f.name, Prefix: prefix, NotAfter: at}
	if f.isClient {
		q.Client = &access.NewClient{ID: f.clientID, Scopes: f.scopes, DefaultScopes: f.defaults, Audiences: f.audiences}
	} else if f.clientID != "" || len(f.scopes) > 0 || len(f.defaults)+len(f.audiences) > 0 {
		return q, usagef("add --client", "--client-id, --scope, --default-scope and --audience are for the secret of a client")
	}
	return q, err
}

// expiryFlag reads a length of time from now, or a time.
func expiryFlag(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return time.Now().Add(d).UTC().Truncate(time.Second), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, usagef("for example 720h, or 2027-06-30T00:00:00Z", "--expires must be a length of time or a time, not %q", text)
	}
	return at, nil
}

func writeKey(t *term.Terminal, f term.Format, k *access.CreatedKey, err error) error {
	if err != nil {
		return err
	}
	if f != term.TableFormat {
		return f.Write(t.Out, k)
	}
	if k.ClientID != "" {
		t.Printf("%s %s\n", term.Paint("client ID", term.Bold), k.ClientID)
		t.Printf("%s %s\n", term.Paint("secret   ", term.Bold), k.Key)
		t.Printf("%s %s\n", term.Paint("scopes   ", term.Bold), cmp.Or(strings.Join(k.Scopes, " "), "none"))
	} else {
		t.Printf("%s %s\n", term.Paint("key ", term.Bold), k.Key)
	}
	t.Printf("%s %s of consumer %s/%s\n", term.Paint("name", term.Bold), k.Name, k.Namespace, k.Consumer)
	if k.Replaces != "" {
		t.Printf("%s is accepted until %s\n", k.Replaces, k.ReplacedUntil.Format(time.RFC3339))
	}
	what := "key"
	if k.ClientID != "" {
		what = "secret"
	}
	t.Printf("\n%s\n", term.Paint("The "+what+" is shown this once.", term.Faint))
	return nil
}

func newKeyList(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list CONSUMER",
		Short:   "List the keys of a consumer, with their last use",
		Long:    "Lists a consumer's credentials that the gateway knows, from files or its state store.\n\n" + adminHelp,
		Example: lines("gridway key list acme", "gridway key list acme -o json"),
		Args:    exactArgs("CONSUMER"),
	}
	out, a := outputFlag(cmd), adminFlag(t, cmd)
	namespace := cmd.Flags().StringP("namespace", "n", "default", "namespace of the consumer")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		list, err := ask(cmd.Context(), a, func(ctx context.Context, c *client.Client) ([]adminapi.Consumer, error) {
			return c.Consumers(ctx, *namespace, args[0])
		})
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return hintError{Err: errNoConsumer(*namespace, args[0]), Hint: `"gridway consumer list" lists those that there are`}
		}
		if *out != term.TableFormat {
			return out.Write(t.Out, list[0].Credentials)
		}
		t.Printf("%s", consumerTable(list, time.Now()))
		return nil
	}
	return cmd
}

func newKeyRotate(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate CONSUMER KEY",
		Short: "Make a key that takes over from another one",
		Long: `Makes a new key for a consumer of the state store. The old one is accepted for
--overlap more, in which the caller changes over; "key list" shows which of them is
used. Keys of the consumer that have expired are taken away.

` + adminHelp,
		Example: lines("gridway key rotate acme key-1", "gridway key rotate acme key-1 --overlap 0s"),
		Args:    exactArgs("CONSUMER", "KEY"),
	}
	rotates(t, cmd, func(ctx context.Context, c *client.Client, namespace string, args []string, q access.NewKey) (*access.CreatedKey, error) {
		return c.RotateKey(ctx, namespace, args[0], args[1], q)
	})
	return cmd
}

// rotates gives a command the flags of a rotation, and has it make one.
func rotates(t *term.Terminal, cmd *cobra.Command, rotate func(ctx context.Context, c *client.Client, namespace string, args []string, q access.NewKey) (*access.CreatedKey, error)) {
	var f keyFlags
	f.add(cmd)
	prefix := cmd.Flags().String("prefix", "", "what the key begins with, by which people and scanners know it")
	overlap := cmd.Flags().Duration("overlap", 24*time.Hour, "how long what it takes over from is accepted together with the new key")
	out, a := outputFlag(cmd), adminFlag(t, cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		q, err := f.request(*prefix)
		if err != nil {
			return err
		}
		seconds := int64(*overlap / time.Second)
		q.Overlap = &seconds
		k, err := ask(cmd.Context(), a, func(ctx context.Context, c *client.Client) (*access.CreatedKey, error) {
			return rotate(ctx, c, f.namespace, args, q)
		})
		return writeKey(t, *out, k, err)
	}
}

func newKeyRevoke(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "revoke CONSUMER KEY",
		Short:   "Take a key, or another credential, away from a consumer",
		Long:    "Takes a credential of a consumer in the state store away: it is accepted no longer.\n\n" + adminHelp,
		Example: lines("gridway key revoke acme key-1"),
		Args:    exactArgs("CONSUMER", "KEY"),
	}
	a := adminFlag(t, cmd)
	namespace := cmd.Flags().StringP("namespace", "n", "default", "namespace of the consumer")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		_, err := ask(cmd.Context(), a, func(ctx context.Context, c *client.Client) (struct{}, error) {
			return struct{}{}, c.RevokeKey(ctx, *namespace, args[0], args[1])
		})
		if err == nil {
			t.Printf("%s of consumer %s/%s revoked\n", args[1], *namespace, args[0])
		}
		return err
	}
	return cmd
}
