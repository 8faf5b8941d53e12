package members

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/cli/command"
	"github.com/gridway/gridway/internal/member"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/join"
)

// maxAccountToken bounds the token of a service account, in bytes.
const maxAccountToken = 64 << 10

// proofFlags are those of members that join by what they have already, in place of a join
// token: the SVID of somebody else, or the token of a service account of Kubernetes.
type proofFlags struct{ svid, token, bundle, trustDomain string }

// hostFlags are those of members that are not one workload, too.
func (a *proofFlags) hostFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&a.svid, "join-svid", "", "an SVID to join by, instead of a join token: a folder with svid.pem, svid_key.pem and bundle.pem, or unix:PATH of a SPIFFE Workload API; it is read at each join")
	f.StringVar(&a.bundle, "trust-bundle", "", "file with the trust bundle by which the control plane is verified before it is shown what proves us, as \"gridway identity bundle\" prints it (default with --join-svid: the one that comes with it)")
	f.StringVar(&a.trustDomain, "trust-domain", "", "trust domain of the mesh: of --trust-bundle (default "+identity.DefaultTrustDomain+"), or without it, of the bundle that a Workload API gives beside the SVID of --join-svid (default: the SVID's own)")
}

func (a *proofFlags) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&a.token, "service-account-token", "", "file with the token of a Kubernetes service account to join by, instead of a join token; it is read at each join")
}

// options checks the flags, and that the files can be read.
func (a *proofFlags) options(o *member.Options) error {
	switch {
	case a.svid == "" && a.token == "" && a.bundle == "":
		return nil
	case a.svid == "" && a.token == "":
		return command.Usagef("", "--trust-bundle has no meaning without --join-svid or --service-account-token")
	case o.Token != "" || a.svid != "" && a.token != "":
		return command.Usagef("", "a join token, --join-svid and --service-account-token are ways to join: give one")
	}
	if a.svid != "" {
		if err := a.held(o); err != nil {
			return err
		}
	}
	if a.bundle != "" {
		if err := a.trust(o); err != nil {
			return err
		}
	}
	if a.token == "" {
		return nil
	}
	if a.bundle == "" {
		return command.Usagef("gridway identity bundle > bundle.json", "--service-account-token needs --trust-bundle: the token is sent, so the control plane is verified before")
	}
	o.Account = func() (string, error) {
		text, err := readBounded(a.token, maxAccountToken)
		return strings.TrimSpace(string(text)), err
	}
	if _, err := o.Account(); err != nil {
		return fmt.Errorf("--service-account-token: %w", err)
	}
	return nil
}

// held is the SVID of a folder, or of a Workload API. What is in a folder has to be in
// order; a Workload API may come later.
func (a *proofFlags) held(o *member.Options) error {
	var mesh identity.TrustDomain
	if a.trustDomain != "" && a.bundle == "" {
		var err error
		if mesh, err = identity.ParseTrustDomain(a.trustDomain); err != nil {
			return command.Usagef("", "--trust-domain: %v", err)
		}
	}
	socket, isSocket := strings.CutPrefix(a.svid, "unix:")
	if !isSocket {
		o.SVID = func(context.Context) (*join.Held, error) { return join.ReadHeld(a.svid) }
		h, err := join.ReadHeld(a.svid)
		if err != nil {
			return fmt.Errorf("--join-svid: %w", err)
		}
		if own := h.SVID.ID().TrustDomain(); !mesh.IsZero() && mesh != own {
			return command.Usagef("", "--trust-domain %s: the folder of --join-svid has the bundle of %s alone; give that of the mesh by --trust-bundle", mesh, own)
		}
		return nil
	}
	if socket = strings.TrimPrefix(socket, "//"); !filepath.IsAbs(socket) {
		return command.Usagef("", "--join-svid %s: the path of a socket begins with /, as in unix:/run/spire/agent.sock", a.svid)
	}
	o.SVID = func(ctx context.Context) (*join.Held, error) {
		h, err := join.AskHeld(ctx, socket)
		if err == nil {
			h.Mesh = mesh
		}
		return h, err
	}
	return nil
}

// trust is what the control plane is verified by.
func (a *proofFlags) trust(o *member.Options) error {
	td, err := identity.ParseTrustDomain(cmp.Or(a.trustDomain, identity.DefaultTrustDomain))
	if err != nil {
		return command.Usagef("", "--trust-domain: %v", err)
	}
	o.Bundle = func() (*identity.Bundle, error) {
		text, err := readBounded(a.bundle, identity.MaxBundle)
		if err != nil {
			return nil, fmt.Errorf("--trust-bundle: %w", err)
		}
		b, err := identity.ParseBundle(td, text)
		if err != nil {
			return nil, fmt.Errorf("--trust-bundle %s: %w", a.bundle, err)
		}
		return b, nil
	}
	_, err = o.Bundle()
	return err
}

func readBounded(path string, most int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("%s has more than %d bytes", path, most)
	}
	return text, err
}
