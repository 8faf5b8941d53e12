package member

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/join"
)

// The waits between two tries to join grow from the first to the last.
const firstTry, lastTry = 250 * time.Millisecond, 5 * time.Second

// joiner gets the member its identity, and keeps it.
type joiner struct {
	client *join.Client
	keys   *identity.Keyring
	log    *slog.Logger
	token  bool
	wait   time.Duration
}

// newJoiner begins with what the state folder has.
func newJoiner(o *Options, keys *identity.Keyring) (*joiner, error) {
	had, err := identity.Load(o.StateDir)
	switch {
	case err == nil:
		keys.Apply(had)
	case !errors.Is(err, fs.ErrNotExist):
		o.Log.Warn("the identity in the state folder cannot be read, and is asked for anew", "folder", o.StateDir, "error", err)
	}
	j := &joiner{keys: keys, log: o.Log, token: o.Token != "", wait: o.StartTimeout}
	j.client, err = join.NewClient(join.ClientOptions{
		Addresses: o.Control, Keyring: keys, Token: o.Token, As: identity.Name{Role: identity.RoleWorkload, Namespace: o.Namespace, Service: o.Service},
	})
	if err != nil {
		return nil, err
	}
	if own := keys.Own(); !own.IsZero() {
		if n := identity.NameOf(own); n.Namespace != o.Namespace || n.Service != o.Service {
			return nil, fmt.Errorf("the state folder %s has the identity %s: give %s/%s one of its own with --state-dir", o.StateDir, own, o.Namespace, o.Service)
		}
	}
	return j, nil
}

// valid tells whether there is an SVID that others take.
func (j *joiner) valid() bool {
	s := j.keys.SVID(j.keys.Own())
	return s != nil && time.Now().Before(s.NotAfter())
}

// begin returns when there is an identity.
func (j *joiner) begin(ctx context.Context) error {
	if j.valid() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, j.wait)
	defer cancel()
	for wait := firstTry; ; wait = min(2*wait, lastTry) {
		err := j.client.Join(ctx)
		switch {
		case err == nil:
			return nil
		case join.Refused(err), errors.Is(err, join.ErrImpostor), ctx.Err() != nil:
			return fmt.Errorf("cannot join the mesh: %w", err)
		}
		j.log.Warn("cannot join the mesh yet", "error", err, "again", wait)
		select {
		case <-ctx.Done():
			return fmt.Errorf("cannot join the mesh: %w", err)
		case <-time.After(wait):
		}
	}
}

// renew keeps the identity fresh until ctx ends.
func (j *joiner) renew(ctx context.Context) {
	(&identity.Renewer{Keyring: j.keys, ID: j.keys.Own(), Log: j.log, Renew: func(ctx context.Context) (*identity.SVID, error) {
		s, err := j.client.Renew(ctx)
		if err == nil || j.valid() || !j.token {
			return s, err
		}
		// What has ended renews nothing. A token that is reusable still lets us in.
		if again := j.client.Join(ctx); again != nil {
			return nil, errors.Join(err, again)
		}
		return j.keys.SVID(j.keys.Own()), nil
	}}).Run(ctx)
}
