package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/cli/command"
	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/manage/membership"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
)

func newIdentity(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "identity",
		GroupID: groupLive,
		Short:   "Say who may be in the mesh: join tokens, certificates, denials",
		Long: `Identities of a mesh are SPIFFE IDs, such as
spiffe://prod.example.com/ns/shop/sa/reviews. Machines get theirs by a join token, and
renew it as long as nobody denies it. The commands ask a control plane.`,
		Example: lines("gridway identity token create --service reviews", "gridway identity list", "gridway identity deny spiffe://prod.example.com/ns/shop/sa/reviews --reason 'host lost'"),
	}
	tokens := &cobra.Command{
		Use:     "token",
		Short:   "Make, list and revoke tokens by which machines join",
		Long:    "A join token lets machines into the mesh, as services or nodes that it grants. It is\nnever sent: both ends prove that they know it.",
		Example: lines("gridway identity token create --service reviews --namespace shop", "gridway identity token list"),
	}
	tokens.AddCommand(newJoinTokenCreate(t), newJoinTokenList(t), newJoinTokenRevoke(t))
	cmd.AddCommand(tokens, newIdentityList(t), newIdentityDeny(t), newIdentityAllow(t), newIdentityDenied(t), newIdentityBundle(t), newIdentityAuthority(t))
	return cmd
}

func newJoinTokenCreate(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create --service NAME... | --node NAME... [--service NAME...]",
		Short: "Make a join token, and print it",
		Long: `Makes a token by which machines join the mesh. It is good for one machine and one hour
unless flags say otherwise. Names may end in *, which is any ending. Needs the role admin.

With --node it is for the proxies of hosts ("gridway node"), which join as themselves and
may then have SVIDs of workloads of those services, and of no others.

` + adminHelp,
		Example: lines("gridway identity token create --service reviews --namespace shop", "gridway identity token create --service 'cart-*' --reusable --expires 24h",
			"gridway identity token create --node 'rack1-*' --namespace shop --service '*' --uses 40"),
		Args: noArgs,
	}
	out, a := outputFlag(cmd), adminFlag(t, cmd)
	var q membership.NewToken
	cmd.Flags().StringSliceVar(&q.Services, "service", nil, "services that may join by it")
	cmd.Flags().StringSliceVar(&q.Namespaces, "namespace", nil, "namespaces of those services (default default)")
	cmd.Flags().StringSliceVar(&q.Nodes, "node", nil, "nodes that may join by it: proxies of hosts, which may have workloads of the services")
	cmd.Flags().Int64Var(&q.Uses, "uses", 0, "how many machines may join by it (default 1)")
	cmd.Flags().BoolVar(&q.Reusable, "reusable", false, "any number of machines may, until it expires")
	expires := cmd.Flags().String("expires", "", "when it ends: after a time such as 24h, or at one such as 2027-06-30T00:00:00Z (default: after an hour)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if len(q.Services)+len(q.Nodes) == 0 {
			return usagef("for example --service reviews --namespace shop", "--service or --node is missing")
		}
		var err error
		if q.Expires, err = expiryFlag(*expires); err != nil {
			return err
		}
		if len(q.Nodes) > 0 {
			q.Role = identity.RoleNode
		}
		made, err := ask(cmd.Context(), a, func(ctx context.Context, c *client.Client) (*membership.CreatedToken, error) {
			return c.CreateJoinToken(ctx, q)
		})
		if err != nil {
			return err
		}
		if *out != term.TableFormat {
			return out.Write(t.Out, made)
		}
		t.Printf("%s %s\n%s    %s, for %s, %s, until %s\n\n%s\n", term.Paint("token", term.Bold), made.Text, term.Paint("id", term.Bold), made.ID,
			granted(&made.Token), usesOf(&made.Token), made.Expires.Format(time.RFC3339),
			term.Paint("The token is shown this once. A proxy takes it from $GRIDWAY_JOIN_TOKEN.", term.Faint))
		return nil
	}
	return cmd
}

// granted is what a token is for, in short.
func granted(x *membership.Token) string {
	if x.Grants.Role == identity.RoleNode {
		nodes := "node " + strings.Join(x.Grants.Nodes, ",")
		if len(x.Grants.Services) == 0 {
			return nodes
		}
		return nodes + " with " + strings.Join(x.Grants.Namespaces, ",") + "/" + strings.Join(x.Grants.Services, ",")
	}
	return strings.Join(x.Grants.Namespaces, ",") + "/" + strings.Join(x.Grants.Services, ",")
}

func usesOf(x *membership.Token) string {
	if x.MaxUses == 0 {
		return fmt.Sprintf("used %d times", x.Uses)
	}
	return fmt.Sprintf("used %d of %d times", x.Uses, x.MaxUses)
}

func newJoinTokenList(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List join tokens, with what they grant and their use",
		Long:    "Lists join tokens; those that have ended stay in the list for a week. Needs the role\nadmin.\n\n" + adminHelp,
		Example: lines("gridway identity token list", "gridway identity token list -o json"),
		Args:    noArgs,
	}
	out, a := outputFlag(cmd), adminFlag(t, cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		list, err := ask(cmd.Context(), a, func(ctx context.Context, c *client.Client) ([]membership.Token, error) { return c.JoinTokens(ctx) })
		if err != nil {
			return err
		}
		if *out != term.TableFormat {
			return out.Write(t.Out, list)
		}
		now := time.Now()
		table := term.NewTable("id", "grants", "use", "expires")
		for i := range list {
			table.Row(list[i].ID, granted(&list[i]), usesOf(&list[i]), expiry(list[i].Expires, now))
		}
		t.Printf("%s", table)
		return nil
	}
	return cmd
}

func newJoinTokenRevoke(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "revoke ID",
		Short:   "Take a join token away",
		Long:    "Takes a join token away, at once. Who has joined by it stays: deny its identity if it\nmust not. Needs the role admin.\n\n" + adminHelp,
		Example: lines("gridway identity token revoke 4fj7xk2qab"),
		Args:    exactArgs("ID"),
	}
	a := adminFlag(t, cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		_, err := ask(cmd.Context(), a, func(ctx context.Context, c *client.Client) (struct{}, error) {
			return struct{}{}, c.RevokeJoinToken(ctx, args[0])
		})
		if err == nil {
			t.Printf("join token %s revoked\n", args[0])
		}
		return err
	}
	return cmd
}

func newIdentityList(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "list [ID]",
		Short:   "List certificates of the mesh that are alive",
		Long:    "Lists the certificates that are alive, of all identities or of one, with how their\nowners proved who they are.\n\n" + adminHelp,
		Example: lines("gridway identity list", "gridway identity list spiffe://prod.example.com/ns/shop/sa/reviews -o json"),
		Args:    command.Takes(0, 1),
	}
	out, a := outputFlag(cmd), adminFlag(t, cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		id := strings.Join(args, "")
		list, err := ask(cmd.Context(), a, func(ctx context.Context, c *client.Client) ([]membership.Certificate, error) {
			return c.Identities(ctx, id)
		})
		if err != nil {
			return err
		}
		if *out != term.TableFormat {
			return out.Write(t.Out, list)
		}
		now := time.Now()
		table := term.NewTable("identity", "serial", "issued", "ends", "via", "from")
		for _, x := range list {
			table.Row(x.ID, x.Serial, age(max(0, now.Sub(x.Issued)))+" ago", expiry(x.Ends, now), x.Via, x.Peer)
		}
		t.Printf("%s", table)
		return nil
	}
	return cmd
}

func newIdentityDeny(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "deny [ID] [--serial SERIAL]",
		Short: "Keep an identity or a certificate out of the mesh",
		Long: `Denies an identity, a certificate by its serial number, or with both a certificate of
an identity: no SVID is issued to it, handshakes with it fail, and connections that it
has are cut. Needs the role operator.

` + adminHelp,
		Example: lines("gridway identity deny spiffe://prod.example.com/ns/shop/sa/reviews --reason 'host lost'", "gridway identity deny --serial 4f:00:1a --expires 24h"),
		Args:    command.Takes(0, 1),
	}
	a := adminFlag(t, cmd)
	var q membership.Denial
	cmd.Flags().StringVar(&q.Serial, "serial", "", "serial number of a certificate, in hexadecimal")
	cmd.Flags().StringVar(&q.Reason, "reason", "", "why, for the list and the audit log")
	expires := cmd.Flags().String("expires", "", "when the denial ends: after a time such as 24h, or at one such as 2027-06-30T00:00:00Z (default: never)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		q.ID = strings.Join(args, "")
		if q.ID == "" && q.Serial == "" {
			return usagef("for example gridway identity deny spiffe://prod.example.com/ns/shop/sa/reviews", "give a SPIFFE ID, or --serial")
		}
		var err error
		if q.Expires, err = expiryFlag(*expires); err != nil {
			return err
		}
		made, err := ask(cmd.Context(), a, func(ctx context.Context, c *client.Client) (*membership.Denial, error) { return c.Deny(ctx, q) })
		if err == nil {
			t.Printf("%s is denied\n", denied(made))
		}
		return err
	}
	return cmd
}

func denied(d *membership.Denial) string {
	switch {
	case d.Serial == "":
		return d.ID
	case d.ID == "":
		return "certificate " + d.Serial
	}
	return "certificate " + d.Serial + " of " + d.ID
}

func newIdentityAllow(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "allow [ID] [--serial SERIAL]",
		Short:   "Take a denial away",
		Long:    "Takes a denial away, which names exactly this identity and serial number. Needs the\nrole operator.\n\n" + adminHelp,
		Example: lines("gridway identity allow spiffe://prod.example.com/ns/shop/sa/reviews", "gridway identity allow --serial 4f001a"),
		Args:    command.Takes(0, 1),
	}
	a := adminFlag(t, cmd)
	serial := cmd.Flags().String("serial", "", "serial number of a certificate, in hexadecimal")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		d := &membership.Denial{ID: strings.Join(args, ""), Serial: *serial}
		if d.ID == "" && d.Serial == "" {
			return usagef("for example gridway identity allow spiffe://prod.example.com/ns/shop/sa/reviews", "give a SPIFFE ID, or --serial")
		}
		_, err := ask(cmd.Context(), a, func(ctx context.Context, c *client.Client) (struct{}, error) {
			return struct{}{}, c.Allow(ctx, d.ID, d.Serial)
		})
		if err == nil {
			t.Printf("%s is denied no more\n", denied(d))
		}
		return err
	}
	return cmd
}

func newIdentityDenied(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "denied",
		Short:   "List identities and certificates that are denied",
		Long:    "Lists what is kept out of the mesh, and why.\n\n" + adminHelp,
		Example: lines("gridway identity denied", "gridway identity denied -o json"),
		Args:    noArgs,
	}
	out, a := outputFlag(cmd), adminFlag(t, cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		list, err := ask(cmd.Context(), a, func(ctx context.Context, c *client.Client) ([]membership.Denial, error) { return c.Denials(ctx) })
		if err != nil {
			return err
		}
		if *out != term.TableFormat {
			return out.Write(t.Out, list)
		}
		now := time.Now()
		table := term.NewTable("denied", "since", "expires", "reason")
		for i := range list {
			expires := "never"
			if !list[i].Expires.IsZero() {
				expires = expiry(list[i].Expires, now)
			}
			table.Row(denied(&list[i]), list[i].Created.Format(time.RFC3339), expires, list[i].Reason)
		}
		t.Printf("%s", table)
		return nil
	}
	return cmd
}

func newIdentityBundle(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "bundle",
		Short:   "Print the mesh's trust bundle",
		Long:    "Prints what the identities of this mesh are verified by, in the format of SPIFFE (a\nJWK Set): a control plane of another trust domain takes it with --federate, to begin\nwith. It has no secrets.\n\n" + adminHelp,
		Example: lines("gridway identity bundle > west.json"),
		Args:    noArgs,
	}
	a := adminFlag(t, cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		state, err := ask(cmd.Context(), a, func(ctx context.Context, c *client.Client) (*identity.AuthorityState, error) {
			return c.MeshAuthority(ctx)
		})
		if err != nil {
			return err
		}
		if len(state.Bundle) == 0 {
			return fmt.Errorf("the control plane says no trust bundle: it is of an older version")
		}
		t.Printf("%s\n", state.Bundle)
		return nil
	}
	return cmd
}

func newIdentityAuthority(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "authority",
		Short:   "Show the roots and keys of the mesh's authority",
		Long:    "Shows what is trusted in the mesh: roots of certificates (x509), keys of tokens (jwt)\nand roots of an authority outside (external), which of them sign, and until when the\nothers are needed.\n\n" + adminHelp,
		Example: lines("gridway identity authority", "gridway identity authority -o json"),
		Args:    noArgs,
	}
	out, a := outputFlag(cmd), adminFlag(t, cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		state, err := ask(cmd.Context(), a, func(ctx context.Context, c *client.Client) (*identity.AuthorityState, error) {
			return c.MeshAuthority(ctx)
		})
		if err != nil {
			return err
		}
		if *out != term.TableFormat {
			return out.Write(t.Out, state)
		}
		t.Printf("%s %s\n\n", term.Paint("trust domain", term.Bold), state.TrustDomain)
		table := term.NewTable("purpose", "serial", "signs", "signs from", "kept until", "ends", "fingerprint").Right(1)
		for _, x := range state.Authorities {
			signs, ends := "no", ""
			if x.Signs {
				signs = "yes"
			}
			if !x.Ends.IsZero() {
				ends = x.Ends.UTC().Format(time.RFC3339)
			}
			table.Row(x.Purpose, fmt.Sprint(x.Serial), signs, x.SignsFrom.UTC().Format(time.RFC3339), x.KeptUntil.UTC().Format(time.RFC3339), ends, x.Fingerprint)
		}
		t.Printf("%s", table)
		return nil
	}
	return cmd
}
