package cli

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/cli/command"
	"github.com/gridway/gridway/internal/cli/excerpt"
	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
)

// certRow is a certificate that is in use, or believed in.
type certRow struct {
	// Use is listener, upstream, identity or root; Where is which one of those.
	Use   string `json:"use"`
	Where string `json:"where"`
	// Object is where it comes from, if it is the configuration's.
	Object string    `json:"object,omitempty"`
	Names  []string  `json:"names"`
	Issuer string    `json:"issuer,omitempty"`
	Serial string    `json:"serial,omitempty"`
	Begins time.Time `json:"begins,omitzero"`
	Ends   time.Time `json:"ends,omitzero"`
	// Problem is why it is of no use.
	Problem string `json:"problem,omitempty"`
}

func newCert(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "cert [NAME]",
		GroupID: groupLive,
		Short:   "List certificates, and when they end",
		Long: `Lists the certificates that a gateway, a member of a mesh or a control plane uses and
believes in, those that end first at the top: of listeners, for upstreams that ask for
one, identities of the mesh, and the roots of its authority. With NAME, those that have it
among their names.

` + adminHelp,
		Example: lines("gridway cert", "gridway cert shop.example.com", "gridway cert -o json"),
		Args:    command.Takes(0, 1),
	}
	out, a := outputFlag(cmd), adminFlag(t, cmd)
	within := cmd.Flags().Duration("within", 0, "only those that end within this time or have ended; exits with 1 if there are any")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		list, err := ask(cmd.Context(), a, certificatesOf)
		if err != nil {
			return err
		}
		now := time.Now()
		list = slices.DeleteFunc(list, func(c certRow) bool {
			return len(args) > 0 && !slices.Contains(c.Names, args[0]) || *within > 0 && c.Problem == "" && (c.Ends.IsZero() || c.Ends.After(now.Add(*within)))
		})
		if *out != term.TableFormat {
			err = out.Write(t.Out, list)
		} else {
			printCertificates(t, list, now)
		}
		if err == nil && *within > 0 && len(list) > 0 {
			return exitCode(1)
		}
		return err
	}
	return cmd
}

// certificatesOf collects what the process knows of.
func certificatesOf(ctx context.Context, c *client.Client) ([]certRow, error) {
	cfg, err := c.Config(ctx)
	if err != nil {
		return nil, err
	}
	status, err := c.Status(ctx)
	if err != nil {
		return nil, err
	}
	list := configured(cfg)
	if m := status.Member; m != nil {
		for _, s := range m.SVIDs {
			list = append(list, certRow{Use: "identity", Where: "this proxy", Names: []string{s.ID}, Serial: s.Serial, Begins: s.NotBefore, Ends: s.NotAfter})
		}
		for _, d := range m.TrustDomains {
			list = append(list, certRow{Use: "root", Where: excerpt.Count(d.Roots, "certificate"), Names: []string{d.Name}, Ends: d.NotAfter})
		}
	}
	if status.Mesh != nil {
		more, err := ofMesh(ctx, c)
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
	}
	slices.SortStableFunc(list, func(a, b certRow) int {
		return cmp.Or(order(a)-order(b), a.Ends.Compare(b.Ends))
	})
	return list, nil
}

// order has what is of no use first, and what never ends last.
func order(c certRow) int {
	switch {
	case c.Problem != "":
		return 0
	case c.Ends.IsZero():
		return 2
	}
	return 1
}

// ofMesh are the identities that a control plane gave, and what it signs them by.
func ofMesh(ctx context.Context, c *client.Client) (list []certRow, err error) {
	given, err := c.Identities(ctx, "")
	if err != nil {
		return nil, err
	}
	for _, x := range given {
		list = append(list, certRow{Use: "identity", Where: cmp.Or(x.Peer, "here"), Names: []string{x.ID}, Issuer: x.Via, Serial: x.Serial, Begins: x.Issued, Ends: x.Ends})
	}
	state, err := c.MeshAuthority(ctx)
	if err != nil {
		return nil, err
	}
	for _, x := range state.Authorities {
		where := "kept"
		if x.Signs {
			where = "signs"
		}
		list = append(list, certRow{Use: "root", Where: where, Names: []string{state.TrustDomain}, Issuer: x.Purpose, Serial: x.Fingerprint, Begins: x.SignsFrom, Ends: x.Ends})
	}
	return list, nil
}

// configured are those of a configuration, each once for each use.
func configured(cfg *ir.Config) (list []certRow) {
	add := func(use, where string, c *ir.Certificate) {
		row := certRow{Use: use, Where: where, Object: c.Name}
		if block, _ := pem.Decode(bytes.TrimSpace(c.Chain)); block == nil {
			row.Problem = "it is not PEM"
		} else if leaf, err := x509.ParseCertificate(block.Bytes); err != nil {
			row.Problem = err.Error()
		} else {
			row.Names, row.Issuer, row.Serial = subjectNames(leaf), leaf.Issuer.CommonName, fmt.Sprintf("%x", leaf.SerialNumber)
			row.Begins, row.Ends = leaf.NotBefore, leaf.NotAfter
		}
		for _, known := range list {
			if known.Use == use && known.Where == where && known.Object == row.Object {
				return
			}
		}
		list = append(list, row)
	}
	for _, l := range cfg.Listeners {
		for _, s := range l.Sections {
			if s.TLS == nil {
				continue
			}
			for _, c := range s.TLS.Certificates {
				add("listener", l.Name, c)
			}
		}
	}
	for _, c := range cfg.Clusters {
		if c.TLS != nil && c.TLS.Certificate != nil {
			add("upstream", short(c.Name), c.TLS.Certificate)
		}
	}
	return list
}

func subjectNames(c *x509.Certificate) []string {
	names := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	for _, uri := range c.URIs {
		names = append(names, uri.String())
	}
	if len(names) == 0 {
		names = append(names, c.Subject.CommonName)
	}
	return names
}

func printCertificates(t *term.Terminal, list []certRow, now time.Time) {
	if len(list) == 0 {
		t.Printf("no certificate\n")
		return
	}
	table := term.NewTable("ends", "use", "names", "where", "by", "serial")
	for _, c := range list {
		ends := "never"
		switch {
		case c.Problem != "":
			ends = term.Paint(c.Problem, term.Bad)
		case !c.Ends.IsZero():
			ends = expiry(c.Ends, now)
		}
		where := c.Where
		if c.Object != "" {
			where += ", " + short(c.Object)
		}
		table.Row(ends, c.Use, strings.Join(c.Names, ", "), where, c.Issuer, c.Serial)
	}
	t.Printf("%s", table)
}
