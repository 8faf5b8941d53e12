package signingkeys_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/gridway/gridway/internal/config/issuance"
	"github.com/gridway/gridway/internal/config/source/signingkeys"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/jwt"
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

func open(t *testing.T, place string) *statedb.DB {
	t.Helper()
	at, err := statedb.ParseLocation(place, "")
	if err != nil {
		t.Fatal(err)
	}
	db, err := statedb.Open(t.Context(), statedb.Options{Location: at, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// gateway is a process that has the keys of one issuer.
type gateway struct {
	t *testing.T
	*signingkeys.Source
	log bytes.Buffer
}

func begin(t *testing.T, db *statedb.DB, c *clock, o issuance.SigningOrder) *gateway {
	t.Helper()
	g := &gateway{t: t}
	g.Source = signingkeys.New(signingkeys.Options{DB: db, Now: c.now, Log: slog.New(slog.NewTextHandler(&g.log, nil))})
	g.Set(t.Context(), []issuance.SigningOrder{o})
	return g
}

func order(seals ...string) issuance.SigningOrder {
	issuer := store.Key{Group: "gridway.dev", Kind: "TokenIssuer", Namespace: "default", Name: "auth"}
	o := issuance.SigningOrder{
		Secret: issuance.SigningSecret(issuer), Issuer: issuer, Algorithm: "EdDSA", RotateEvery: 24 * time.Hour, Lifetime: 5 * time.Minute,
	}
	for _, s := range seals {
		o.Seals = append(o.Seals, []byte(strings.Repeat(s, 32)))
	}
	return o
}

// ids are those of the keys: the first signs.
func (g *gateway) ids() (out []string) {
	g.t.Helper()
	list := g.Objects()
	if len(list) != 1 {
		return nil
	}
	data := list[0].Value.(*corev1.Secret).Data
	for n := range len(data) {
		s, err := jwt.NewSigner(data[issuance.SigningEntry(n)], jwt.EdDSA)
		if err != nil {
			g.t.Fatal(err)
		}
		out = append(out, s.ID())
	}
	return out
}

func same(a, b []string) bool { return strings.Join(a, " ") == strings.Join(b, " ") }

// Over many rotations two gateways have the same keys, each of which was published
// before it signs, and stays until its last token has expired.
func TestRotation(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		db, c := open(t, place), newClock()
		one, two := begin(t, db, c, order("s")), begin(t, open(t, place), c, order("s"))
		const step = time.Minute
		published := map[string]time.Time{} // since when
		lastSigned := map[string]time.Time{}
		for range int(5 * 24 * time.Hour / (10 * step)) {
			for _, g := range []*gateway{one, two} {
				g.Look(t.Context())
				ids := g.ids()
				if len(ids) == 0 || len(ids) > 3 {
					t.Fatalf("%d keys", len(ids))
				}
				now := map[string]bool{}
				for _, id := range ids {
					now[id] = true
					if published[id].IsZero() {
						published[id] = c.now()
					}
				}
				if since := c.now().Sub(published[ids[0]]); len(published) > 1 && since < 15*time.Minute && ids[0] != "" && lastSigned[ids[0]].IsZero() {
					t.Errorf("a key signs %s after it was published", since)
				}
				lastSigned[ids[0]] = c.now()
				for id, at := range lastSigned {
					if !now[id] && c.now().Sub(at) < 5*time.Minute {
						t.Errorf("a key is gone %s after it has signed", c.now().Sub(at))
					}
				}
			}
			if !same(one.ids(), two.ids()) {
				t.Fatalf("%v and %v", one.ids(), two.ids())
			}
			c.add(10 * step)
		}
		if n := len(lastSigned); n != 5 {
			t.Errorf("%d keys have signed in five days", n)
		}
		one.Look(t.Context())
		before := one.ids()
		if again := begin(t, db, c, order("s")); !same(again.ids(), before) {
			t.Error("a process that starts anew has other keys")
		}
		var rows []statedb.SigningKey
		if err := db.Read(t.Context(), func(tx *statedb.Tx) (err error) {
			rows, _, err = tx.SigningKeys(t.Context(), "default/auth", "EdDSA")
			return err
		}); err != nil || len(rows) > 2 {
			t.Errorf("%d rows are kept, %v", len(rows), err)
		}
		for _, r := range rows {
			if strings.Contains(r.Sealed, "PRIVATE") || len(r.Sealed) < 60 {
				t.Errorf("a key is stored as %q", r.Sealed)
			}
		}
	})
}

// Many that begin at once have one key.
func TestFirstKey(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		c := newClock()
		db := open(t, place)
		sources := make([]*gateway, 8)
		var all sync.WaitGroup
		for i := range sources {
			all.Go(func() { sources[i] = begin(t, db, c, order("s")) })
		}
		all.Wait()
		for _, g := range sources[1:] {
			if ids := g.ids(); len(ids) != 1 || !same(ids, sources[0].ids()) {
				t.Errorf("%v, and not %v\n%s", ids, sources[0].ids(), &g.log)
			}
		}
	})
}

// The secret that seals can be changed with the old one behind it. Without it there is
// a new key, and the log says so.
func TestSecretsThatSeal(t *testing.T) {
	db, c := open(t, statetest.SQLite(t)), newClock()
	old := begin(t, db, c, order("a"))
	both := begin(t, db, c, order("b", "a"))
	if !same(old.ids(), both.ids()) {
		t.Error("the secret before opens nothing")
	}
	for range 60 { // days, in which a second key is made by the new secret
		c.add(time.Hour)
		both.Look(t.Context())
	}
	renewed := begin(t, db, c, order("b"))
	if !same(renewed.ids(), both.ids()) {
		t.Errorf("%v, and not %v\n%s", renewed.ids(), both.ids(), &renewed.log)
	}
	lost := begin(t, db, c, order("z"))
	if ids := lost.ids(); len(ids) != 1 || ids[0] == both.ids()[0] || !strings.Contains(lost.log.String(), "takes the place of those that cannot be opened") {
		t.Errorf("%v\n%s", ids, &lost.log)
	}
	both.Look(t.Context())
	if !strings.Contains(both.log.String(), "cannot be opened") || len(both.ids()) == 0 {
		t.Errorf("%v\n%s", both.ids(), &both.log)
	}
	if again := begin(t, db, c, order("z")); !same(again.ids(), lost.ids()) {
		t.Error("a key is made each time")
	}
}

// Without the store the keys that are known go on, and what is late is made up for.
func TestStoreIsAway(t *testing.T) {
	place := statetest.SQLite(t)
	db, c := open(t, place), newClock()
	g := begin(t, db, c, order("s"))
	first := g.ids()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	c.add(72 * time.Hour)
	g.Look(t.Context())
	if !same(g.ids(), first) || !strings.Contains(g.log.String(), "those that are known go on") {
		t.Errorf("%v\n%s", g.ids(), &g.log)
	}
	next := begin(t, open(t, place), c, order("s"))
	if ids := next.ids(); len(ids) != 2 || ids[0] != first[0] {
		t.Errorf("a key that nobody knows signs: %v", ids)
	}
}

// What changes of an order holds at once; what is not wanted any more is gone.
func TestOrders(t *testing.T) {
	db, c := open(t, statetest.SQLite(t)), newClock()
	g := begin(t, db, c, order("s"))
	first := g.ids()
	longer := order("s")
	longer.Lifetime = 24 * time.Hour
	g.Set(t.Context(), []issuance.SigningOrder{longer})
	if !same(g.ids(), first) {
		t.Error("another lifetime makes other keys")
	}
	c.add(26 * time.Hour)
	g.Look(t.Context()) // which makes the next
	c.add(12 * time.Hour)
	g.Look(t.Context())
	if ids := g.ids(); len(ids) != 2 || ids[1] != first[0] {
		t.Errorf("a key is gone before its tokens: %v", ids)
	}
	rsa := order("s")
	rsa.Algorithm = "RS256"
	g.Set(t.Context(), []issuance.SigningOrder{rsa})
	data := g.Objects()[0].Value.(*corev1.Secret).Data
	if _, err := jwt.NewSigner(data[issuance.SigningEntry(0)], jwt.RS256); err != nil || len(data) != 1 {
		t.Errorf("%d keys, %v", len(data), err)
	}
	g.Set(t.Context(), nil)
	if list := g.Objects(); len(list) != 0 {
		t.Errorf("%d objects that nobody wants", len(list))
	}
}
