package members

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/cli/command"
	"github.com/gridway/gridway/internal/member"
	"github.com/gridway/gridway/internal/mesh/identity"
)

// maxAccountToken bounds the token of a service account, in bytes.
const maxAccountToken = 64 << 10

// accountFlags are those of members that join as service accounts of Kubernetes.
type accountFlags struct{ token, bundle, trustDomain string }

func (a *accountFlags) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&a.token, "service-account-token", "", "file with the token of a Kubernetes service account to join by, instead of a join token; it is read at each join")
	f.StringVar(&a.bundle, "trust-bundle", "", "file with the trust bundle by which the control plane is verified before it gets that token, as \"gridway identity bundle\" prints it")
	f.StringVar(&a.trustDomain, "trust-domain", identity.DefaultTrustDomain, "trust domain of --trust-bundle")
}

// options checks the flags, and that the files can be read.
func (a *accountFlags) options(o *member.Options) error {
	if a.token == "" {
		if a.bundle != "" {
			return command.Usagef("", "--trust-bundle has no meaning without --service-account-token")
		}
		return nil
	}
	if o.Token != "" {
		return command.Usagef("", "a join token and --service-account-token are two ways to join: give one")
	}
	if a.bundle == "" {
		return command.Usagef("gridway identity bundle > bundle.json", "--service-account-token needs --trust-bundle: the token is sent, so the control plane is verified before")
	}
	td, err := identity.ParseTrustDomain(a.trustDomain)
	if err != nil {
		return command.Usagef("", "--trust-domain: %v", err)
	}
	o.Account = func() (string, error) {
		text, err := readBounded(a.token, maxAccountToken)
		return strings.TrimSpace(string(text)), err
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
	if _, err := o.Account(); err != nil {
		return fmt.Errorf("--service-account-token: %w", err)
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
