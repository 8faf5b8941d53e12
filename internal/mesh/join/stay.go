package join

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/gridway/gridway/internal/mesh/identity"
)

// The waits between two tries to join grow from the first to the last, each ±10%.
const (
	firstJoin = 500 * time.Millisecond
	lastJoin  = 15 * time.Second
	// joinTime bounds a try.
	joinTime = 30 * time.Second
	// silence is how long somebody is left to wonder what is waited for.
	silence = 3 * time.Second
)

// Stay is a proxy's place in the mesh, from its start on: what it kept from before, its
// joining, and the renewal of what it has.
type Stay struct {
	Client *Client
	// Folder keeps the keyring.
	Folder string
	Log    *slog.Logger // nil is nobody
	// Renewals and Saves, unless they are nil, are told how that goes, as Renewer.Report
	// and Saver.Report are.
	Renewals func(identity.RenewerState)
	Saves    func(error)
}

func (s *Stay) log() *slog.Logger {
	if s.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Log
}

// Begin returns when the proxy has an SVID that is valid: the one that it kept, or the one
// it joins for, for which it tries on while no control plane answers. A control plane that
// refuses is an error. What was kept is used as it is, so that a proxy starts while no
// control plane can be reached; Run renews it.
func (s *Stay) Begin(ctx context.Context) error {
	kept, err := s.load()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log().Warn("what was kept of the mesh cannot be used; joining anew", "error", err)
	}
	if kept {
		return nil
	}
	waiting := time.AfterFunc(silence, func() {
		s.log().Warn("no control plane has answered yet; waiting for one", "control", strings.Join(s.Client.opt.Addresses, ", "))
	})
	defer waiting.Stop()
	said := ""
	for wait := firstJoin; ; wait = min(2*wait, lastJoin) {
		err := s.join(ctx)
		switch {
		case err == nil:
			own := s.Client.opt.Keyring.Own()
			s.log().Info("joined the mesh", "id", own.String(), "until", s.Client.opt.Keyring.SVID(own).NotAfter().UTC().Format(time.RFC3339))
			return s.save()
		case Refused(err) || ctx.Err() != nil:
			return fmt.Errorf("joining the mesh: %w", err)
		case err.Error() != said:
			said = err.Error()
			waiting.Stop()
			s.log().Warn("no control plane lets this proxy into the mesh yet; trying again", "error", err)
		}
		timer := time.NewTimer(time.Duration(float64(wait) * (0.9 + 0.2*rand.Float64())))
		select {
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("joining the mesh: %w", err)
		case <-timer.C:
		}
	}
}

func (s *Stay) join(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, joinTime)
	defer cancel()
	return s.Client.Join(ctx)
}

// save keeps the first SVID before it is used: a token for one machine is good once. A
// disk that is full is no reason not to serve.
func (s *Stay) save() error {
	if err := s.Client.opt.Keyring.Save(s.Folder); err != nil {
		s.log().Warn("the keyring cannot be saved: a proxy that is started anew has to join again", "folder", s.Folder, "error", err)
	}
	return nil
}

// load takes what was kept, if it is of who this proxy is to be and holds still.
func (s *Stay) load() (kept bool, err error) {
	c, err := identity.Load(s.Folder)
	if err != nil {
		return false, err
	}
	if want := s.Client.id(c.Own.TrustDomain()); c.Own != want {
		return false, fmt.Errorf("it is of %s, and this proxy is to be %s", c.Own, want)
	}
	for _, v := range c.Put {
		if v.ID() == c.Own && s.Client.opt.Now().Before(v.NotAfter()) {
			s.Client.opt.Keyring.Apply(c)
			s.log().Info("the SVID from before goes on", "id", v.ID().String(), "until", v.NotAfter().UTC().Format(time.RFC3339))
			return true, nil
		}
	}
	return false, fmt.Errorf("the SVID of %s has ended", c.Own)
}

// Run renews and keeps what the proxy has, until ctx ends. It is called after Begin. An
// SVID that has ended is joined for again.
func (s *Stay) Run(ctx context.Context) {
	k := s.Client.opt.Keyring
	renew := func(ctx context.Context) (*identity.SVID, error) {
		own := k.Own()
		if v := k.SVID(own); v != nil && s.Client.opt.Now().Before(v.NotAfter()) {
			return s.Client.Renew(ctx)
		}
		if err := s.Client.Join(ctx); err != nil {
			return nil, fmt.Errorf("the SVID has ended, and joining again failed: %w", err)
		}
		return k.SVID(own), nil
	}
	var all sync.WaitGroup
	all.Go(func() {
		(&identity.Renewer{Keyring: k, ID: k.Own(), Renew: renew, Log: s.Log, Report: s.Renewals, Now: s.Client.opt.Now}).Run(ctx)
	})
	all.Go(func() { (&identity.Saver{Keyring: k, Folder: s.Folder, Log: s.Log, Report: s.Saves}).Run(ctx) })
	all.Wait()
}
