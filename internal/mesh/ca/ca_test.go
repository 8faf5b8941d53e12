package ca_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/mesh/ca"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/statedb"
	"github.com/gridway/gridway/internal/statedb/statetest"
)

// clock is one that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func newClock() *clock { return &clock{at: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)} }

var td, _ = identity.ParseTrustDomain("prod.example.com")

func secret(s string) [][]byte {
	var out [][]byte
	for _, c := range s {
		out = append(out, bytes.Repeat([]byte{byte(c)}, 32))
	}
	return out
}

// control is a control plane.
type control struct {
	*ca.Authority
	t   testing.TB
	log *bytes.Buffer
}

func options(db *statedb.DB, c *clock) ca.Options {
	return ca.Options{DB: db, TrustDomain: td, Secrets: secret("s"), Rotation: 6 * time.Hour, Now: c.now}
}

func begin(t testing.TB, o ca.Options) *control {
	t.Helper()
	log := &bytes.Buffer{}
	o.Log = slog.New(slog.NewTextHandler(log, nil))
	a, err := ca.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return &control{a, t, log}
}

func (c *control) svid(name string) *identity.SVID {
	c.t.Helper()
	id := identity.Workload(td, "shop", name)
	csr, key, err := identity.NewRequest(id)
	if err != nil {
		c.t.Fatal(err)
	}
	chain, err := c.Sign(ca.Request{ID: id, CSR: csr, Via: "test"})
	if err != nil {
		c.t.Fatal(err)
	}
	s, err := identity.NewSVID(chain, key)
	if err != nil {
		c.t.Fatal(err)
	}
	return s
}

// trusts tells whether a bundle proves an SVID at a time.
func trusts(b *identity.Bundle, s *identity.SVID, at time.Time) error {
	chain, err := x509.ParseCertificates(s.Chain())
	if err != nil {
		return err
	}
	_, err = identity.Verify(chain, func(identity.TrustDomain) *identity.Bundle { return b }, at)
	return err
}

// proxy renews at half of the life of its SVID and takes the bundle only then, as the one
// that hears least of all does.
type proxy struct {
	svid    *identity.SVID
	bundle  *identity.Bundle
	renewed time.Time
}

// Over many rotations no proxy ever meets another one that it does not trust, whatever
// control plane each renews at, and none of them has more than it needs.
func TestRotation(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		c := newClock()
		db := statetest.Open(t, place)
		planes := []*control{begin(t, options(db, c)), begin(t, options(statetest.Open(t, place), c))}
		proxies := make([]*proxy, 4)
		roots, step := map[string]bool{}, 10*time.Minute
		for n := range int(36 * time.Hour / step) {
			plane := planes[n%2]
			if n%7 != 0 { // now and then nobody looks for a while
				plane.Look(t.Context())
			}
			if n%60 == 30 { // a control plane is started anew
				planes[0] = begin(t, options(db, c))
			}
			for i := range proxies {
				p := proxies[i]
				if p == nil || c.now().Sub(p.renewed) >= 30*time.Minute+time.Duration(i)*time.Minute {
					p = &proxy{plane.svid("p"), plane.Bundle(), c.now()}
					proxies[i] = p
				}
				for _, o := range proxies[:i] {
					if err := errors.Join(trusts(p.bundle, o.svid, c.now()), trusts(o.bundle, p.svid, c.now())); err != nil {
						t.Fatalf("after %s: %v", time.Duration(n)*step, err)
					}
				}
				for _, own := range []*control{planes[0], planes[1]} { // who renews asks any control plane
					if err := trusts(p.bundle, own.Keyring().SVID(own.Keyring().Own()), c.now()); err != nil {
						t.Fatalf("after %s, a control plane: %v", time.Duration(n)*step, err)
					}
				}
			}
			if n := len(plane.Bundle().Roots()); n < 1 || n > 2 {
				t.Fatalf("%d roots", n)
			}
			for _, r := range plane.Bundle().Roots() {
				roots[r.Subject.String()] = true
			}
			c.add(step)
		}
		if n := len(roots); n < 6 || n > 8 {
			t.Errorf("%d roots in six rotations", n)
		}
		for _, p := range planes {
			p.Look(t.Context())
		}
		if !planes[0].Bundle().Equal(planes[1].Bundle()) {
			t.Error("two bundles")
		}
	})
}

// Many that begin at once have one root.
func TestManyBeginAtOnce(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		c, db := newClock(), statetest.Open(t, place)
		planes := make([]*control, 8)
		var all sync.WaitGroup
		for i := range planes {
			all.Go(func() { planes[i] = begin(t, options(db, c)) })
		}
		all.Wait()
		planes[0].Look(t.Context())
		for _, p := range planes {
			p.Look(t.Context())
			if !p.Bundle().Equal(planes[0].Bundle()) || len(p.Bundle().Roots()) != 1 || len(p.Bundle().JWTKeys()) != 1 {
				t.Errorf("%d roots, sequence %d, and not %d", len(p.Bundle().Roots()), p.Bundle().Sequence(), planes[0].Bundle().Sequence())
			}
			if err := trusts(planes[0].Bundle(), p.svid("a"), c.now()); err != nil {
				t.Error(err)
			}
		}
	})
}

// Another secret opens nothing and changes nothing; it can be changed with the old one
// behind it; and who has lost it begins anew by saying so.
func TestSecretsThatSeal(t *testing.T) {
	c, db := newClock(), statetest.Open(t, statetest.SQLite(t))
	old := begin(t, options(db, c))
	with := func(secrets string, anew bool) (*ca.Authority, error) {
		o := options(db, c)
		o.Secrets, o.Anew = secret(secrets), anew
		return ca.Open(t.Context(), o)
	}
	if _, err := with("x", false); !errors.Is(err, ca.ErrSealed) || !strings.Contains(err.Error(), "--ca-key-file") || !strings.Contains(err.Error(), "--ca-anew") {
		t.Errorf("%v", err)
	}
	old.Look(t.Context())
	if n := len(old.Bundle().Roots()); n != 1 {
		t.Errorf("%d roots", n)
	}
	if a, err := with("ns", false); err != nil || !a.Bundle().Equal(old.Bundle()) {
		t.Fatalf("%v", err)
	}
	if a, err := with("n", false); err != nil || !a.Bundle().Equal(old.Bundle()) { // sealed anew
		t.Fatalf("%v", err)
	}
	var rows []statedb.MeshAuthority
	if err := db.Read(t.Context(), func(tx *statedb.Tx) (err error) {
		rows, _, err = tx.MeshAuthorities(t.Context(), td.Name())
		return err
	}); err != nil || len(rows) != 2 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for _, r := range rows {
		if len(r.Sealed) < 100 || strings.Contains(r.Public, "PRIVATE") {
			t.Errorf("%s is kept as %q and %q", r.Purpose, r.Public, r.Sealed)
		}
	}
	a, err := with("z", true)
	if err != nil {
		t.Fatal(err)
	}
	lost := &control{a, t, nil}
	if err := trusts(lost.Bundle(), lost.svid("a"), c.now()); err != nil || len(lost.Bundle().Roots()) != 2 {
		t.Errorf("%v", err)
	}
	if err := trusts(old.Bundle(), lost.svid("a"), c.now()); err == nil {
		t.Error("the new root is the old one")
	}
	if text := old.log.String(); strings.Contains(text, "ssss") || strings.Contains(text, rows[0].Sealed) {
		t.Errorf("secrets are logged: %s", text)
	}
}

// While the store is away, what is known goes on, and what was issued is noted later.
func TestStoreIsAway(t *testing.T) {
	server := statetest.OwnPostgres(t)
	c := newClock()
	plane := begin(t, options(statetest.Open(t, server.Place), c))
	server.Stop()
	c.add(40 * time.Minute)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	plane.Look(ctx)
	s := plane.svid("away")
	if err := trusts(plane.Bundle(), s, c.now()); err != nil {
		t.Error(err)
	}
	if _, _, err := plane.SignJWT(s.ID(), []string{"a"}); err != nil {
		t.Error(err)
	}
	if own := plane.Keyring().SVID(plane.Keyring().Own()); own.NotAfter().Sub(c.now()) < 50*time.Minute {
		t.Errorf("the control plane's own SVID ends at %s", own.NotAfter())
	}
	server.Start()
	plane.Look(t.Context())
	db := statetest.Open(t, server.Place)
	var list []statedb.MeshSVID
	if err := db.Read(t.Context(), func(tx *statedb.Tx) (err error) {
		list, err = tx.MeshSVIDs(t.Context(), s.ID().String(), c.now(), 10)
		return err
	}); err != nil || len(list) != 1 || list[0].Serial != s.Serial() || list[0].Via != "test" {
		t.Errorf("%+v, %v", list, err)
	}
}

// What another process denies is refused here at once, and is cut.
func TestDenials(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		db := statetest.Open(t, place)
		o := options(statetest.Open(t, place), newClock())
		o.Now = nil
		plane := begin(t, o)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { plane.Run(ctx) })
		defer running.Wait()
		defer cancel()
		s := plane.svid("reviews")
		changed, stop := plane.Keyring().Watch()
		defer stop()
		cut := make(chan bool, 10)
		defer plane.Keyring().WatchDenied(func(denied func(id, serial string) bool) { cut <- denied(s.ID().String(), s.Serial()) })()
		put := func(d statedb.MeshDenial) {
			t.Helper()
			if err := db.Write(t.Context(), func(tx *statedb.Tx) error { return tx.PutMeshDenial(t.Context(), &d) }); err != nil {
				t.Fatal(err)
			}
			for len(plane.Denials()) == 0 {
				<-changed
			}
		}
		put(statedb.MeshDenial{ID: s.ID().String(), Created: time.Now(), Expires: time.Now().Add(time.Hour), Reason: "lost"})
		if !<-cut {
			t.Error("not cut")
		}
		csr, _, _ := identity.NewRequest(s.ID())
		var denied *identity.DeniedError
		if _, err := plane.Sign(ca.Request{ID: s.ID(), CSR: csr}); !errors.As(err, &denied) {
			t.Errorf("%v", err)
		}
		if _, _, err := plane.SignJWT(s.ID(), []string{"a"}); !errors.As(err, &denied) {
			t.Errorf("%v", err)
		}
		if err := db.Write(t.Context(), func(tx *statedb.Tx) error { return tx.DeleteMeshDenial(t.Context(), s.ID().String(), "") }); err != nil {
			t.Fatal(err)
		}
		for len(plane.Denials()) > 0 {
			<-changed
		}
		plane.svid("reviews")
	})
}

func TestBounds(t *testing.T) {
	db, c := statetest.Open(t, statetest.SQLite(t)), newClock()
	for want, f := range map[string]func(*ca.Options){
		"--state":         func(o *ca.Options) { o.DB = nil },
		"--trust-domain":  func(o *ca.Options) { o.TrustDomain = identity.TrustDomain{} },
		"--ca-key-file":   func(o *ca.Options) { o.Secrets = nil },
		"not 4m0s":        func(o *ca.Options) { o.Lifetime = 4 * time.Minute },
		"not 25h0m0s":     func(o *ca.Options) { o.Lifetime = 25 * time.Hour },
		"not every 3h0m0": func(o *ca.Options) { o.Rotation = 3 * time.Hour },
	} {
		o := options(db, c)
		f(&o)
		if _, err := ca.Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// Roots are made and removed by the one that is elected, and by nobody who only thinks so;
// what each notes for itself needs no election.
func TestElected(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		c := newClock()
		db := statetest.Open(t, place)
		take := func(holder string) (m statedb.Mandate) {
			t.Helper()
			if err := db.Write(t.Context(), func(tx *statedb.Tx) (err error) {
				m, err = tx.TakeMandate(t.Context(), "test", holder, 0) // over at once
				return err
			}); err != nil {
				t.Fatal(err)
			}
			return m
		}
		by, elected := statedb.Mandate{}, false
		o := options(db, c)
		o.Elected = func() (statedb.Mandate, bool) { return by, elected }
		plane := begin(t, o) // the first root waits for nobody
		roots := func() int { return len(plane.Bundle().Roots()) }
		if roots() != 1 {
			t.Fatalf("%d roots", roots())
		}
		c.add(5 * time.Hour) // of 6
		if plane.Look(t.Context()); roots() != 1 {
			t.Error("one that is not elected makes a root")
		}
		plane.svid("a") // and signs
		by, elected = take("late"), true
		newer := take("other")
		if plane.Look(t.Context()); roots() != 1 {
			t.Error("one that was elected before makes a root")
		}
		if strings.Contains(plane.log.String(), "goes on with what it knows") {
			t.Errorf("that another one is elected is no error: %s", plane.log)
		}
		by = newer
		if plane.Look(t.Context()); roots() != 2 {
			t.Errorf("one that is elected makes no root: %s", plane.log)
		}
		elected = false
		c.add(5 * time.Hour) // the first one is over
		if plane.Look(t.Context()); roots() != 2 {
			t.Errorf("one that is not elected removes a root: %s", plane.log)
		}
		elected = true
		if plane.Look(t.Context()); roots() != 1 {
			t.Errorf("one that is elected removes none: %s", plane.log)
		}
	})
}
