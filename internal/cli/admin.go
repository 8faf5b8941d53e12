package cli

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
)

// admin is how a command reaches a running gateway.
type admin struct {
	t       *term.Terminal
	address string
	// ca is a file with authorities, for https.
	ca string
	// patient: the call may take minutes.
	patient bool
}

const defaultAdmin = adminapi.DefaultAddress

const adminHelp = `The gateway is asked through its admin API, at --admin or $GRIDWAY_ADMIN
(` + defaultAdmin + ` unless it was started with another). $GRIDWAY_TOKEN is presented
where the API asks for a token. Of https://HOST:PORT the certificate must be of an
authority in --ca or $GRIDWAY_CA, or else one of the system's; $GRIDWAY_CERT and
$GRIDWAY_KEY name files with the client's own, where the API asks for one.`

func adminFlag(t *term.Terminal, cmd *cobra.Command) *admin {
	a := &admin{t: t}
	cmd.Flags().StringVar(&a.address, "admin", "", "address of the admin API: HOST:PORT, unix:PATH or a URL (default $GRIDWAY_ADMIN or "+defaultAdmin+")")
	cmd.Flags().StringVar(&a.ca, "ca", "", "file with the authorities that vouch for the admin API at https (default $GRIDWAY_CA or the system's)")
	return a
}

// secure are the certificates for https; nil are the system's.
func (a *admin) secure() (*tls.Config, error) {
	ca, cert, key := cmp.Or(a.ca, a.t.Getenv("GRIDWAY_CA")), a.t.Getenv("GRIDWAY_CERT"), a.t.Getenv("GRIDWAY_KEY")
	if ca == "" && cert == "" && key == "" {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		text, err := os.ReadFile(ca)
		if err != nil {
			return nil, fmt.Errorf("--ca: %w", err)
		}
		if c.RootCAs = x509.NewCertPool(); !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("--ca: %s has no certificate in PEM", ca)
		}
	}
	if cert == "" && key == "" {
		return c, nil
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("the client's certificate ($GRIDWAY_CERT, $GRIDWAY_KEY): %w", err)
	}
	c.Certificates = []tls.Certificate{pair}
	return c, nil
}

func (a *admin) client() (*client.Client, error) {
	address := a.address
	if address == "" {
		address = a.t.Getenv("GRIDWAY_ADMIN")
	}
	timeout := 10 * time.Second
	if a.patient {
		timeout = 10 * time.Minute
	}
	secure, err := a.secure()
	if err != nil {
		return nil, err
	}
	token := a.t.Getenv("GRIDWAY_TOKEN")
	if strings.ContainsFunc(token, unicode.IsControl) {
		return nil, usagef("was it read from more than one file?", "$GRIDWAY_TOKEN is no token: it has a line break or another control character in it")
	}
	c, err := client.New(client.Options{Address: address, TLS: secure, Token: token, Timeout: timeout})
	if err != nil {
		return nil, usageError{Err: err}
	}
	return c, nil
}

// ask connects, calls f and gives its errors the form of the command line.
func ask[T any](ctx context.Context, a *admin, f func(context.Context, *client.Client) (T, error)) (T, error) {
	c, err := a.client()
	if err != nil {
		var zero T
		return zero, err
	}
	defer c.Close()
	v, err := f(ctx, c)
	return v, adminError(err, c.Address())
}

func adminError(err error, address string) error {
	var fault *adminapi.Fault
	switch {
	case err == nil:
		return nil
	case errors.As(err, new(*tls.CertificateVerificationError)):
		return hintError{Err: err, Hint: "name the authority of the API's certificate with --ca FILE or $GRIDWAY_CA, and use a name that is in it"}
	case errors.Is(err, client.ErrUnreachable):
		return unreachableError{Err: err, Hint: fmt.Sprintf("is a gateway running (\"gridway run\", \"gridway demo\")? Its admin address is printed at its start; give it with --admin\nwhere %s is not the one. Commands that take --file work without a gateway.", address)}
	case errors.As(err, &fault) && fault.Status == 401:
		return hintError{Err: err, Hint: "set GRIDWAY_TOKEN to a token of the admin API; \"gridway token create\" makes one"}
	}
	return err
}
