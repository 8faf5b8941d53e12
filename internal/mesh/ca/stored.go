package ca

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gridway/gridway/internal/statedb"
)

// stored reads the authorities, after it has made those that are due, noted how long the
// ones that sign are needed, and removed those that are over.
func (a *Authority) stored(ctx context.Context) (rows []row, denied []statedb.MeshDenial, version int64, err error) {
	now := a.Now()
	read := func(tx *statedb.Tx) (err error) {
		list, clock, err := tx.MeshAuthorities(ctx, a.opt.TrustDomain.Name())
		if err != nil {
			return err
		}
		if a.opt.Now == nil {
			a.ahead.Store(int64(time.Until(clock)))
		}
		now = a.Now()
		if rows, err = a.open(list); err != nil {
			return err
		}
		if denied, err = tx.MeshDenials(ctx, now); err != nil {
			return err
		}
		version, err = tx.Version(ctx, statedb.MeshAuthorities)
		return err
	}
	if err := a.opt.DB.Read(ctx, read); err != nil {
		return nil, nil, 0, err
	}
	todo, err := a.todo(rows, now)
	if err != nil || todo.nothing() {
		return rows, denied, version, err
	}
	err = a.opt.DB.Write(ctx, func(tx *statedb.Tx) error {
		if err := todo.do(ctx, tx, now); err != nil {
			return err
		}
		return read(tx)
	})
	if errors.Is(err, statedb.ErrNotElected) {
		// Another process does it. What is each process's own is done at the next look,
		// which is long before it matters.
		return rows, denied, version, nil
	}
	if err == nil {
		todo.tell(a)
	}
	return rows, denied, version, err
}

// elected tells whether what one process does for all is done here, and by which mandate,
// if any.
func (a *Authority) elected() (by *statedb.Mandate, is bool) {
	if a.opt.Elected == nil {
		return nil, true
	}
	m, is := a.opt.Elected()
	return &m, is
}

// todo is what is to be written.
type todo struct {
	// by is the mandate for what one process does for all, where some of that is to be done.
	by     *statedb.Mandate
	make   []statedb.MeshAuthority
	forget []statedb.MeshAuthority
	keep   []statedb.MeshAuthority // with KeptUntil as it is to be
	extend []statedb.MeshAuthority // with Lifetime as it is to be
	done   []did
}

func (t *todo) nothing() bool { return len(t.make)+len(t.forget)+len(t.keep)+len(t.extend) == 0 }

// lifetimeOf is how long what is signed for a purpose lives.
func (a *Authority) lifetimeOf(purpose string) time.Duration {
	if purpose == purposeJWT {
		return JWTLifetime
	}
	return a.opt.Lifetime
}

func (a *Authority) todo(rows []row, now time.Time) (t todo, err error) {
	by, elected := a.elected()
	outside := a.signsOutside(rows, now)
	for _, purpose := range []string{purposeX509, purposeJWT} {
		list := of(rows, purpose)
		if purpose == purposeX509 && a.opt.External != nil && !a.opt.External.Leave {
			continue
		}
		if purpose == purposeX509 && a.opt.External == nil && len(list) == 0 && len(of(rows, purposeExternal)) > 0 {
			if kept := of(rows, purposeExternal)[0].KeptUntil; now.Before(kept) && !a.opt.Anew {
				return t, a.unopened(rows)
			}
		}
		// The next one waits for as long as SVIDs live, tokens' keys too: what carries the
		// bundle to proxies is the same.
		wait := ahead(rows, a.opt.Lifetime)
		from, due := next(list, now, a.opt.Rotation, wait, purpose == purposeX509 && outside)
		if len(list) > 0 && signing(list, now) == nil {
			if purpose == purposeX509 && !a.opt.Anew {
				return t, a.unopened(rows)
			}
			from, due = now, true // which cannot wait for an election
		} else if due && len(list) > 0 {
			if !elected {
				continue
			}
			t.by = by
		}
		if !due {
			continue
		}
		serial := int64(1)
		if len(list) > 0 {
			serial = list[len(list)-1].Serial + 1
		}
		made, err := a.generate(purpose, serial, from)
		if err != nil {
			return t, err
		}
		t.make = append(t.make, *made)
	}
	t.make = append(t.make, a.announce(rows, now)...)
	a.upkeep(&t, rows, now, outside)
	switch {
	case !elected:
		t.forget = nil
	case len(t.forget) > 0:
		t.by = by
	}
	return t, nil
}

// upkeep notes what holds on, and finds what is over.
func (a *Authority) upkeep(t *todo, rows []row, now time.Time, outside bool) {
	for i := range rows {
		r := &rows[i]
		lifetime := a.lifetimeOf(r.Purpose)
		signs := a.signer(rows, now, outside)
		if r.Purpose == purposeJWT {
			signs = signing(of(rows, purposeJWT), now)
		}
		if r.Lifetime < lifetime {
			x := r.MeshAuthority
			x.Lifetime = lifetime
			t.extend = append(t.extend, x)
		}
		switch {
		case (r == signs || a.external.configured(r)) && r.KeptUntil.Before(now.Add(lease/2+lifetime+slack)):
			x := r.MeshAuthority
			x.KeptUntil = now.Add(lease + lifetime + slack)
			t.keep = append(t.keep, x)
		case over(r, signs, now):
			t.forget = append(t.forget, r.MeshAuthority)
		}
	}
}

func (t *todo) do(ctx context.Context, tx *statedb.Tx, now time.Time) error {
	t.done = t.done[:0]
	if t.by != nil {
		if err := tx.By(ctx, *t.by); err != nil {
			return err
		}
	}
	for i := range t.make {
		made, err := tx.AddMeshAuthority(ctx, &t.make[i])
		if err != nil {
			return err
		}
		t.note(made, &t.make[i], "a new key is in the bundle of the mesh's authority")
	}
	for i := range t.extend {
		if err := tx.ExtendMeshAuthorities(ctx, t.extend[i].TrustDomain, t.extend[i].Purpose, t.extend[i].Lifetime); err != nil {
			return err
		}
	}
	for i := range t.keep {
		if err := tx.KeepMeshAuthority(ctx, &t.keep[i], t.keep[i].KeptUntil); err != nil {
			return err
		}
	}
	for i := range t.forget {
		gone, err := tx.ForgetMeshAuthority(ctx, &t.forget[i], now)
		if err != nil {
			return err
		}
		t.note(gone, &t.forget[i], "a key of the mesh's authority is over")
	}
	if len(t.done) == 0 { // others were faster
		return nil
	}
	_, err := tx.Advance(ctx, statedb.MeshAuthorities)
	return err
}

func (t *todo) note(done bool, m *statedb.MeshAuthority, what string) {
	if done {
		t.done = append(t.done, did{what, m})
	}
}

// tell logs what has been done, by the one who did it.
func (t *todo) tell(a *Authority) {
	for _, d := range t.done {
		a.opt.Log.Info(d.what, "purpose", d.m.Purpose, "serial", d.m.Serial, "signs-from", d.m.SignsFrom.UTC().Format(time.RFC3339))
	}
}

// did is what this process changed.
type did struct {
	what string
	m    *statedb.MeshAuthority
}

// sealAnew seals by the first secret what an older one has sealed.
func (a *Authority) sealAnew(ctx context.Context, rows []row) error {
	var list []*row
	for i := range rows {
		if r := &rows[i]; r.signer != nil && r.Sealed != "" {
			if _, ok := a.seals[:1].Open(sealedFor(&r.MeshAuthority), []byte(r.Sealed)); !ok {
				list = append(list, r)
			}
		}
	}
	if len(list) == 0 {
		return nil
	}
	err := a.opt.DB.Write(ctx, func(tx *statedb.Tx) error {
		for _, r := range list {
			der, ok := a.seals.Open(sealedFor(&r.MeshAuthority), []byte(r.Sealed))
			if !ok {
				continue
			}
			if err := tx.ResealMeshAuthority(ctx, &r.MeshAuthority, string(a.seals.Seal(nil, sealedFor(&r.MeshAuthority), der))); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("keys could not be sealed by the new secret: %w", err)
	}
	a.opt.Log.Info("keys of the mesh's authority are sealed by the new secret; the old one may go when all control planes have the new one", "keys", len(list))
	return nil
}
