// Package ca is the authority of a trust domain: it signs SVIDs and the SPIFFE JWTs of
// workloads, changes its own keys before they are old, and tells what its bundle of trust
// is. Its keys are in the state store, sealed, so that processes that share a store are one
// authority; certificates may be signed by an authority outside instead, whose key is in a
// file.
//
// Roots follow one another. The next is in the bundle for as long as the longest SVID lives
// before it signs, by when each proxy has renewed and got it; the last stays until all that
// it signed is over. Whoever signs by a root has noted in the store, ahead of time, until
// when that root must be trusted, so that nobody removes one that another process may still
// sign by. While the store cannot be reached what is known goes on.
//
// Run is the package's only goroutine's work, and its caller's. The package may be imported
// by mesh/join, manage and app.
package ca

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/seal"
	"github.com/gridway/gridway/internal/statedb"
)

const (
	// DefaultLifetime of SVIDs; MinLifetime and MaxLifetime are its bounds.
	DefaultLifetime = time.Hour
	MinLifetime     = 5 * time.Minute
	MaxLifetime     = 24 * time.Hour
	// JWTLifetime is that of SPIFFE JWTs, which are asked for anew each time.
	JWTLifetime = 5 * time.Minute
	// DefaultRotation is how often roots and keys change; MinRotations is the least, in
	// lifetimes of SVIDs.
	DefaultRotation = 30 * 24 * time.Hour
	MinRotations    = 3
	MaxRotation     = 5 * 365 * 24 * time.Hour

	// slack is for clocks of those who verify, and for processes that learn late.
	slack = 15 * time.Minute
	// lease is for how long ahead a process notes that it may sign by a root.
	lease = time.Hour
	// every is how often it is looked at the store and at files, besides when it tells of
	// changes.
	every = 20 * time.Second
	// patience bounds a look.
	patience = 10 * time.Second
	// refreshHint is what those who trust us from outside are told.
	refreshHint = 5 * time.Minute
)

// Options of an Authority.
type Options struct {
	DB          *statedb.DB
	TrustDomain identity.TrustDomain
	// Secrets seal keys in the store: the first seals, all open. What an older one has
	// sealed is sealed anew by the first.
	Secrets [][]byte
	// Lifetime of SVIDs and Rotation of roots; zero is the default.
	Lifetime, Rotation time.Duration
	// External is an authority outside that signs certificates in our place; nil is none.
	External *External
	// Anew gives up keys that no secret opens, for new ones: whoever trusts the old ones
	// alone has to join again.
	Anew bool
	// Keyring is fed with the bundle, the deny list and the control plane's own SVID. Nil
	// is one of the authority's own.
	Keyring *identity.Keyring
	// Federated are bundles of other trust domains, which the keyring gets too; it is asked
	// at each look. Nil is none.
	Federated func() []*identity.Bundle
	Log       *slog.Logger
	// Elected tells whether this process is the one of all that share the store which makes
	// roots when it is time, and removes those that are over. Nil is that it is; what they
	// do is the same if several are, only not ordered.
	Elected func() (statedb.Mandate, bool)
	// Now is the clock; nil is the store's.
	Now func() time.Time
}

// Authority signs for a trust domain. Its methods may be called at the same time.
type Authority struct {
	opt   Options
	seals seal.Keys
	ring  *identity.Keyring
	seen  ledger
	wake  chan struct{}

	work     sync.Mutex     // held while the store is asked; guards what follows
	external externalFiles  // guarded by work
	opened   map[string]key // guarded by work; by PEM of what is public
	failing  string         // guarded by work
	own      time.Time      // guarded by work: when the SVID of the control plane is renewed

	ahead atomic.Int64 // the store's clock before ours, in nanoseconds
	at    atomic.Pointer[moment]
}

// moment is what the authority knows at one moment; it never changes.
type moment struct {
	rows    []row
	bundle  *identity.Bundle
	denied  []identity.Denial
	read    time.Time // when the store was read last
	chain   []*x509.Certificate
	outside bool // External signs
}

// row is an authority of the store, with its key if we have it.
type row struct {
	statedb.MeshAuthority
	key
	root *x509.Certificate // of purposes that sign certificates
}

// key signs. jwk is its "kid", of purposeJWT.
type key struct {
	signer crypto.Signer
	kid    string
}

// The purposes of authorities.
const (
	purposeX509     = "x509"
	purposeJWT      = "jwt"
	purposeExternal = "external"
)

var (
	// ErrSealed: the keys in the store were sealed by another secret.
	ErrSealed = errors.New("the keys of the mesh's authority cannot be opened")
	// ErrNoRoot: there is nothing to sign by yet, or not any more.
	ErrNoRoot = errors.New("the mesh's authority has no root that signs")
)

func (o *Options) check() error {
	if o.Lifetime == 0 {
		o.Lifetime = DefaultLifetime
	}
	if o.Rotation == 0 {
		o.Rotation = DefaultRotation
	}
	switch {
	case o.DB == nil:
		return errors.New("the mesh's authority needs a state store: give one with --state")
	case o.TrustDomain.IsZero():
		return errors.New("the mesh's authority needs a trust domain: give one with --trust-domain")
	case len(o.Secrets) == 0:
		return errors.New("the mesh's authority needs a secret that seals its keys: give a file with --ca-key-file")
	case o.Lifetime < MinLifetime || o.Lifetime > MaxLifetime:
		return fmt.Errorf("SVIDs may live %s to %s, not %s", MinLifetime, MaxLifetime, o.Lifetime)
	case o.Rotation < MinRotations*(o.Lifetime+slack) || o.Rotation > MaxRotation:
		return fmt.Errorf("roots may change every %s (%d times the life of SVIDs and %s) to %s, not every %s", MinRotations*(o.Lifetime+slack), MinRotations, slack, MaxRotation, o.Rotation)
	}
	return nil
}

// Open makes the authority, and its first root if the store has none.
func Open(ctx context.Context, o Options) (*Authority, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Keyring == nil {
		o.Keyring = identity.NewKeyring(identity.Options{Now: o.Now})
	}
	a := &Authority{opt: o, seals: seal.New(o.Secrets, "gridway mesh authority v1"), ring: o.Keyring, opened: map[string]key{}, wake: make(chan struct{}, 1)}
	a.at.Store(&moment{})
	a.work.Lock()
	defer a.work.Unlock()
	if err := a.look(ctx); err != nil {
		return nil, fmt.Errorf("the mesh's authority: %w", err)
	}
	return a, nil
}

// TrustDomain is whose authority it is.
func (a *Authority) TrustDomain() identity.TrustDomain { return a.opt.TrustDomain }

// Bundle is what SVIDs are verified by.
func (a *Authority) Bundle() *identity.Bundle { return a.at.Load().bundle }

// Keyring has the bundle, the deny list and the SVID of the control plane.
func (a *Authority) Keyring() *identity.Keyring { return a.ring }

// Denials are those that hold.
func (a *Authority) Denials() []identity.Denial { return a.ring.Denials() }

// Now is the time by which the authority signs: the store's, so that all who share it have
// the same.
func (a *Authority) Now() time.Time {
	if a.opt.Now != nil {
		return a.opt.Now()
	}
	return time.Now().Add(time.Duration(a.ahead.Load()))
}

// Run keeps the authority up to date with the store, the clock and its files, until ctx
// ends. What others deny is known here as soon as the store tells it.
func (a *Authority) Run(ctx context.Context) {
	watch := a.opt.DB.Watch(statedb.MeshAuthorities, statedb.MeshDenials)
	defer watch.Stop()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		a.Look(ctx)
		select {
		case <-ctx.Done():
			flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			_ = a.flush(flush) // what is lost is a line in a list
			cancel()
			return
		case <-watch.C():
		case <-a.wake:
		case <-tick.C:
		}
	}
}

// Look does at once what Run does from time to time.
func (a *Authority) Look(ctx context.Context) {
	a.work.Lock()
	defer a.work.Unlock()
	err := a.look(ctx)
	switch {
	case ctx.Err() != nil:
	case err == nil && a.failing != "":
		a.opt.Log.Info("the mesh's authority is in order again")
		a.failing = ""
	case err != nil && err.Error() != a.failing:
		a.opt.Log.Warn("the mesh's authority goes on with what it knows", "error", err)
		a.failing = err.Error()
	}
}

// Nudge has Run look soon.
func (a *Authority) Nudge() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// look brings what is known up to date. The caller holds work.
func (a *Authority) look(ctx context.Context) error {
	asked, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	outside := a.external.read(a.opt.External, a.opt.TrustDomain, a.Now())
	rows, denied, version, err := a.stored(asked)
	if err != nil {
		a.feed(nil) // our own SVID is renewed by what we know
		return errors.Join(outside, err)
	}
	m, err := a.moment(rows, denied, version)
	if err != nil {
		return errors.Join(outside, err)
	}
	a.at.Store(m)
	if err := a.sealAnew(asked, rows); err != nil {
		outside = errors.Join(outside, err)
	}
	return errors.Join(outside, a.feed(m), a.flush(asked))
}

// moment puts together what the store says.
func (a *Authority) moment(rows []row, denied []statedb.MeshDenial, version int64) (*moment, error) {
	m := &moment{rows: rows, read: a.Now(), denied: make([]identity.Denial, 0, len(denied))}
	parts := identity.BundleParts{TrustDomain: a.opt.TrustDomain, Sequence: uint64(version), RefreshHint: refreshHint, JWTKeys: map[string]crypto.PublicKey{}}
	for i := range rows {
		if r := &rows[i]; r.root != nil {
			parts.Roots = append(parts.Roots, r.root)
		} else {
			public, kid, err := parsePublic(r.Public)
			if err != nil {
				return nil, err
			}
			parts.JWTKeys[kid] = public
		}
	}
	for _, d := range denied {
		m.denied = append(m.denied, identity.Denial{ID: d.ID, Serial: d.Serial, Expires: d.Expires, Reason: d.Reason})
	}
	if m.outside = a.signsOutside(rows, m.read); m.outside {
		m.chain = a.external.chain
	}
	if a.signer(rows, m.read, m.outside) == nil && !m.outside {
		return nil, a.unopened(rows)
	}
	var err error
	m.bundle, err = identity.NewBundle(parts)
	return m, err
}

func (a *Authority) unopened(rows []row) error {
	for i := range rows {
		if rows[i].Purpose == purposeX509 && rows[i].signer == nil {
			return fmt.Errorf("%w: they were sealed by another secret than that of --ca-key-file. Give the file that sealed them; or, if it is lost, start once with --ca-anew, after which every proxy has to join again", ErrSealed)
		}
	}
	if a.opt.External == nil {
		for i := range rows {
			if rows[i].Purpose == purposeExternal {
				return fmt.Errorf("an authority outside has signed what is alive until %s: give its files again, with --ca-leave to have Gridway's own root take over without an interruption", rows[i].KeptUntil.UTC().Format(time.RFC3339))
			}
		}
	}
	return ErrNoRoot
}

// feed gives the keyring what m says and, at half of its life, a new SVID of the control
// plane.
func (a *Authority) feed(m *moment) error {
	var c identity.Change
	if m != nil {
		c.Bundles, c.Denied = []*identity.Bundle{m.bundle}, m.denied
		if a.opt.Federated != nil {
			c.Bundles = append(c.Bundles, a.opt.Federated()...)
		}
	}
	var err error
	if now := a.Now(); !now.Before(a.own) {
		var s *identity.SVID
		if s, err = a.Issue(identity.Control(a.opt.TrustDomain), "own"); err == nil {
			c.Own, c.Put = s.ID(), []*identity.SVID{s}
			a.own = now.Add(a.opt.Lifetime / 2)
		}
	}
	a.ring.Apply(c)
	return err
}
