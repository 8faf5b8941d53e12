package acme

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"github.com/gridway/gridway/internal/config/issuance"
)

// prove shows the authority that the names lead here.
func (t *conversation) prove(ctx context.Context, account acme.Account, order acme.Order, turn int) (err error) {
	var open []acme.Authorization
	for _, url := range order.Authorizations {
		authz, err := t.acme.GetAuthorization(ctx, account, url)
		if err != nil {
			return fmt.Errorf("authorization: %w", err)
		}
		if authz.Status != acme.StatusValid {
			open = append(open, authz)
		}
	}
	defer func() {
		if err != nil {
			t.abandon(ctx, account, open)
		}
	}()
	// Two orders at once for one name would overwrite each other's answers.
	unlock, err := t.claim(ctx, open)
	if err != nil {
		return err
	}
	defer unlock()
	chosen := make([]acme.Challenge, len(open))
	for i, authz := range open {
		c, err := choose(authz, t.order.Challenges, turn)
		if err != nil {
			return err
		}
		withdraw, err := t.responder.present(ctx, c)
		if err != nil {
			return fmt.Errorf("challenge: %w", err)
		}
		defer withdraw()
		chosen[i] = c
	}
	for i, c := range chosen {
		if _, err := t.acme.InitiateChallenge(ctx, account, c); err != nil {
			return fmt.Errorf("%s for %s: %w", c.Type, open[i].IdentifierValue(), err)
		}
	}
	for i, authz := range open {
		authz.Status = acme.StatusPending
		if open[i], err = t.acme.PollAuthorization(ctx, account, authz); err != nil {
			return fmt.Errorf("%s for %s: %w", chosen[i].Type, authz.IdentifierValue(), err)
		}
	}
	return nil
}

// claim locks the names, in an order that all keep.
func (t *conversation) claim(ctx context.Context, open []acme.Authorization) (unlock func(), err error) {
	var held []func()
	unlock = func() {
		for _, u := range held {
			u()
		}
	}
	var names []string
	for _, authz := range open {
		names = append(names, clip(authz.Identifier.Value))
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		u, err := t.storage.Lock(ctx, "name-"+name+".lock")
		if err != nil {
			unlock()
			return nil, err
		}
		held = append(held, u)
	}
	return unlock, nil
}

// choose picks the challenge whose turn it is, or the next one that the
// authority offers.
func choose(authz acme.Authorization, want []issuance.Challenge, turn int) (acme.Challenge, error) {
	for i := range want {
		kind := want[(turn+i)%len(want)]
		for _, c := range authz.Challenges {
			if issuance.Challenge(c.Type) == kind {
				return c, nil
			}
		}
	}
	var offered []string
	for _, c := range authz.Challenges {
		offered = append(offered, c.Type)
	}
	return acme.Challenge{}, fmt.Errorf("%s: the authority offers the challenges %q, of which %q could be answered", authz.IdentifierValue(), offered, want)
}

// abandon tells the authority that what is pending will not be answered: it
// counts such authorizations.
func (t *conversation) abandon(ctx context.Context, account acme.Account, open []acme.Authorization) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	for _, authz := range open {
		if authz.Status != acme.StatusPending {
			continue
		}
		// One that fails is forgotten by the authority within days.
		if _, err := t.acme.DeactivateAuthorization(ctx, account, authz.Location); errors.Is(err, context.DeadlineExceeded) {
			return
		}
	}
}
