package cli

import (
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/app"
	"github.com/gridway/gridway/internal/cli/command"
	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/config/source/file"
	"github.com/gridway/gridway/internal/mesh/admit"
	"github.com/gridway/gridway/internal/mesh/ca"
	"github.com/gridway/gridway/internal/mesh/federation"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/replica"
	"github.com/gridway/gridway/internal/systemd"
)

const (
	defaultMesh = ":15010"
	// defaultTrustDomain is also that of identities which only a name tells.
	defaultTrustDomain = identity.DefaultTrustDomain
)

// meshing are the flags of a control plane.
type meshing struct {
	listen, trustDomain string
	address             string
	keyFile             string
	lifetime, rotation  time.Duration
	external            ca.External
	anew                bool
	federate            []string
	federationFile      string
	bundleEndpoint      string
	accounts, svids     string
}

func (m *meshing) flags(cmd *cobra.Command, listen, about string) {
	f := cmd.Flags()
	f.StringVar(&m.listen, "mesh", listen, about)
	f.StringVar(&m.address, "mesh-address", "", "where other control planes of the same state store reach this one, HOST or HOST:PORT (default: the host of --mesh or, if that is all addresses, the own one on the way to the state store)")
	f.StringVar(&m.trustDomain, "trust-domain", defaultTrustDomain, "trust domain of the mesh: the first part of all its identities, which cannot change later")
	f.StringVar(&m.keyFile, "ca-key-file", "", "file with the secrets that seal the authority's keys in the state store, one to a line, the first seals (default: a file that is made in --state-dir; needed with PostgreSQL, the same for all)")
	f.DurationVar(&m.lifetime, "svid-lifetime", ca.DefaultLifetime, "how long an identity of a workload lasts, 5m to 24h; it is renewed at half of that")
	f.DurationVar(&m.rotation, "ca-rotation", ca.DefaultRotation, "how often the authority changes its root; the old and the new one overlap")
	f.StringVar(&m.external.ChainFile, "ca-cert", "", "file with the certificate of an authority of yours that signs in place of Gridway's own, in PEM with what is between it and its root")
	f.StringVar(&m.external.KeyFile, "ca-key", "", "file with the private key of --ca-cert")
	f.StringVar(&m.external.RootFile, "ca-root", "", "file with the root of --ca-cert")
	f.BoolVar(&m.external.Leave, "ca-leave", false, "let Gridway's own root take over from --ca-cert, without an interruption")
	f.StringArrayVar(&m.federate, "federate", nil, "another trust domain to trust, TRUST-DOMAIN=URL[,endpoint=SPIFFE-ID][,bundle=FILE]: where its trust bundle is, who serves it if not a host with a public certificate, and a bundle to begin with; may be repeated")
	f.StringVar(&m.federationFile, "federation-file", "", "file with trust domains as of --federate, in YAML")
	f.StringVar(&m.bundleEndpoint, "bundle-endpoint", "", "address on which the own trust bundle is served to other trust domains, over TLS with the control plane's identity (default: none)")
	f.StringVar(&m.accounts, "service-accounts", "", "let pods of Kubernetes join as their service accounts, by issuer=ISSUER,audience=AUDIENCE,keys=FILE|URL[,ca=FILE]: whose tokens, for whom, and the JSON Web Key Set that verifies them")
	f.StringVar(&m.svids, "svid-joins", "", "file with grants, in YAML, that say as what machines may join which have SVIDs already, of this trust domain or of one of --federate; without any they join as themselves (read anew as it changes, and at SIGHUP)")
	f.BoolVar(&m.anew, "ca-anew", false, "give up the authority's keys if no secret opens them: all members have to join again")
}

// options checks the flags; nil is that there is no mesh.
func (m *meshing) options(cmd *cobra.Command) (*app.Mesh, error) {
	if m.listen == "" {
		for _, name := range []string{"mesh-address", "trust-domain", "ca-key-file", "svid-lifetime", "ca-rotation", "ca-cert", "ca-key", "ca-root", "ca-leave", "ca-anew", "federate", "federation-file", "bundle-endpoint", "service-accounts", "svid-joins"} {
			if cmd.Flags().Changed(name) {
				return nil, usagef("", "--%s has no meaning without --mesh", name)
			}
		}
		return nil, nil
	}
	if _, port, err := net.SplitHostPort(m.listen); err != nil || port != "0" && !command.IsPort(port) {
		return nil, usagef("", "--mesh %s is not an address: write HOST:PORT or :PORT", m.listen)
	}
	if err := m.checkAddress(); err != nil {
		return nil, err
	}
	td, err := identity.ParseTrustDomain(m.trustDomain)
	if err != nil {
		return nil, usagef("", "--trust-domain: %v", err)
	}
	if m.lifetime < ca.MinLifetime || m.lifetime > ca.MaxLifetime {
		return nil, usagef("", "--svid-lifetime must be between %s and %s", ca.MinLifetime, ca.MaxLifetime)
	}
	if least := ca.MinRotations * m.lifetime; m.rotation < least || m.rotation > ca.MaxRotation {
		return nil, usagef("", "--ca-rotation must be between %s, which is %d times --svid-lifetime, and five years", least, ca.MinRotations)
	}
	out := &app.Mesh{Listen: m.listen, Address: m.address, TrustDomain: td, KeyFile: m.keyFile, Lifetime: m.lifetime, Rotation: m.rotation, Anew: m.anew}
	if out.Federation, err = m.federation(td); err != nil {
		return nil, err
	}
	if a := m.bundleEndpoint; a != "" {
		if _, port, err := net.SplitHostPort(a); err != nil || port != "0" && !command.IsPort(port) {
			return nil, usagef("", "--bundle-endpoint %s is not an address: write HOST:PORT or :PORT", a)
		}
		out.BundleEndpoint = a
	}
	if m.accounts != "" {
		if out.Accounts, err = admit.ParseAccounts(m.accounts); err != nil {
			return nil, usagef("", "--service-accounts: %v", err)
		}
	}
	if m.svids != "" {
		if out.SVIDs, err = admit.OpenGrants(m.svids); err != nil {
			return nil, usagef("", "--svid-joins: %v", err)
		}
	}
	switch e := m.external; {
	case e == ca.External{}:
	case e.ChainFile == "" || e.KeyFile == "" || e.RootFile == "":
		return nil, usagef("", "an authority of yours needs --ca-cert, --ca-key and --ca-root together")
	default:
		out.External = &e
	}
	return out, nil
}

func (m *meshing) checkAddress() error {
	if m.address == "" {
		return nil
	}
	at := m.address
	if _, _, err := net.SplitHostPort(at); err != nil {
		at = net.JoinHostPort(strings.Trim(at, "[]"), "1")
	}
	if replica.CheckAddress(at) != nil {
		return usagef("", "--mesh-address %s is not an address that others could reach: write HOST or HOST:PORT", m.address)
	}
	return nil
}

// federation is what --federate and --federation-file say.
func (m *meshing) federation(own identity.TrustDomain) (list []federation.Relation, err error) {
	if m.federationFile != "" {
		if list, err = federation.ReadConfig(m.federationFile); err != nil {
			return nil, err
		}
	}
	for _, text := range m.federate {
		r, err := federation.ParseRelation(text)
		if err != nil {
			return nil, usagef("", "--federate %s: %v", text, err)
		}
		list = append(list, r)
	}
	if err := federation.Check(own, list); err != nil {
		return nil, usagef("", "--federate: %v", err)
	}
	return list, nil
}

func newControl(t *term.Terminal) *cobra.Command {
	var (
		s serving
		m meshing
		r replacing
	)
	cmd := &cobra.Command{
		Use:     "control [FILE|DIR...]",
		GroupID: groupRun,
		Short:   "Run the control plane of a mesh",
		Long: `Runs what the proxies of a mesh need: an authority that gives them identities, the
list of workloads, and configuration from files, of which each proxy gets the part
that concerns it. Proxies go on without it, also over a restart.

Its state is in the state store, an SQLite file in --state-dir unless --state says
otherwise; several control planes share a PostgreSQL database.

Gateways in the files are not opened here: "gridway edge" serves them, or use "gridway
run --mesh" for both in one process.`,
		Example: lines("gridway control", "gridway control mesh/ --mesh :15010 --trust-domain prod.example", "gridway control mesh/ --state postgres://gridway@db/gridway --ca-key-file /etc/gridway/ca.key"),
	}
	s.flags(t, cmd, "off", "info")
	s.named = true
	s.stateDefault = "sqlite"
	m.flags(cmd, defaultMesh, "address for the proxies of the mesh")
	r.flags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if m.listen == "" {
			return usagef("", "--mesh must name an address for the proxies")
		}
		o, err := s.options(t)
		if err != nil {
			return err
		}
		if o.Mesh, err = m.options(cmd); err != nil {
			return err
		}
		o.ControlOnly = true
		o.Source = app.Nothing()
		if len(args) > 0 {
			o.Source = app.Files(args, file.Options{Stdin: t.In})
		}
		if err := r.options(cmd.Context(), t, &o, args); err != nil {
			return err
		}
		sup := &supervised{notify: systemd.New(t.Getenv("NOTIFY_SOCKET")), pidFile: r.pidFile, log: o.Log}
		o.Upgrade.Yielded = sup.replaced
		defer sup.ended()
		return s.serve(cmd.Context(), t, o, hooks{stopping: sup.stopping, started: func(g *app.Gateway) {
			o.Log.Info("control plane", "mesh", g.MeshAddr().String(), "trustDomain", o.Mesh.TrustDomain.Name())
			sup.serving()
		}})
	}
	return cmd
}
