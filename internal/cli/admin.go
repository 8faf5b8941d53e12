package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
)

// admin is how a command reaches a running gateway.
type admin struct {
	t       *term.Terminal
	address string
	// patient: the call may take minutes.
	patient bool
}

const defaultAdmin = adminapi.DefaultAddress

const adminHelp = `The gateway is asked through its admin API, at --admin or $GRIDWAY_ADMIN
(` + defaultAdmin + ` unless it was started with another). $GRIDWAY_TOKEN is presented
where the API asks for a token.`

func adminFlag(t *term.Terminal, cmd *cobra.Command) *admin {
	a := &admin{t: t}
	cmd.Flags().StringVar(&a.address, "admin", "", "address of the admin API: HOST:PORT, unix:PATH or a URL (default $GRIDWAY_ADMIN or "+defaultAdmin+")")
	return a
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
	c, err := client.New(client.Options{Address: address, Token: a.t.Getenv("GRIDWAY_TOKEN"), Timeout: timeout})
	if err != nil {
		return nil, usageError{err: err}
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
	case errors.Is(err, client.ErrUnreachable):
		return unreachableError{err: err, hint: fmt.Sprintf("is a gateway running (\"gridway run\", \"gridway demo\")? Its admin address is printed at its start; give it with --admin\nwhere %s is not the one. Commands that take --file work without a gateway.", address)}
	case errors.As(err, &fault) && fault.Status == 401:
		return hintError{err: err, hint: "set GRIDWAY_TOKEN to a token of the admin API; \"gridway token create\" makes one"}
	}
	return err
}
