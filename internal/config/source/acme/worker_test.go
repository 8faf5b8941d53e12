package acme

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gridway/gridway/internal/config/issuance"
	"github.com/gridway/gridway/internal/config/store"
)

// memory is a Storage that can be told to fail.
type memory struct {
	mu     sync.Mutex
	values map[string][]byte        // guarded by mu
	locks  map[string]chan struct{} // guarded by mu
	broken error                    // guarded by mu
}

func newMemory() *memory {
	return &memory{values: map[string][]byte{}, locks: map[string]chan struct{}{}}
}

func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.broken = err
}

func (m *memory) Load(_ context.Context, key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.values[key]
	if !ok && m.broken == nil {
		return nil, fs.ErrNotExist
	}
	return slices.Clone(v), m.broken
}

func (m *memory) Store(_ context.Context, key string, value []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken == nil {
		m.values[key] = slices.Clone(value)
	}
	return m.broken
}

func (m *memory) Delete(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.values, key)
	return m.broken
}

func (m *memory) Move(_ context.Context, from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken == nil {
		m.values[to] = m.values[from]
		delete(m.values, from)
	}
	return m.broken
}

func (m *memory) Lock(ctx context.Context, key string) (func(), error) {
	m.mu.Lock()
	l := m.locks[key]
	if l == nil {
		l = make(chan struct{}, 1)
		m.locks[key] = l
	}
	m.mu.Unlock()
	select {
	case l <- struct{}{}:
		return func() { <-l }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// scripted is an authority that does what it is told.
type scripted struct {
	life time.Duration
	mu   sync.Mutex
	err  error       // guarded by mu; what the next tries come to
	said *advice     // guarded by mu; nil is none
	at   []time.Time // guarded by mu; when it was asked
	turn []int       // guarded by mu
	old  []*x509.Certificate
}

func (a *scripted) set(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
}

func (a *scripted) asked() []time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.at)
}

func (a *scripted) obtain(ctx context.Context, o *issuance.Order, old *x509.Certificate, turn int) (*bundle, error) {
	a.mu.Lock()
	a.at, a.turn, a.old = append(a.at, time.Now()), append(a.turn, turn), append(a.old, old)
	err := a.err
	a.mu.Unlock()
	select {
	case <-time.After(2 * time.Second):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	return issue(o, time.Now(), a.life)
}

func (a *scripted) advise(context.Context, *issuance.Order, *x509.Certificate) (*advice, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.said == nil {
		return nil, errors.New("there is no advice")
	}
	said := *a.said
	return &said, nil
}

func issue(o *issuance.Order, now time.Time, life time.Duration) (*bundle, error) {
	key, err := newKey(o.KeyType)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{SerialNumber: serial, DNSNames: o.Names, NotBefore: now, NotAfter: now.Add(life)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return newBundle(o, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), key, now)
}

var shop = issuance.Order{
	Secret: store.Key{Kind: "Secret", Namespace: "default", Name: "le:shop.example"},
	Issuer: store.Key{Kind: "CertificateIssuer", Namespace: "default", Name: "le"},
	Names:  []string{"shop.example"}, Directory: "https://ca.example/dir", KeyType: "ECDSA-P256",
	Challenges: []issuance.Challenge{issuance.HTTP01, issuance.TLSALPN01},
}

const life = 90 * 24 * time.Hour

// edge is a running Source.
type edge struct {
	*Source
	stop func()
}

func startEdge(t *testing.T, s Storage, a authority, orders ...issuance.Order) *edge {
	t.Helper()
	// Not every minute, so that years are soon over.
	p := usual
	p.look = 6 * time.Hour
	return startEdgeWith(t, p, s, a, orders...)
}

func startEdgeWith(t *testing.T, p pauses, s Storage, a authority, orders ...issuance.Order) *edge {
	t.Helper()
	e := &edge{Source: New(Options{Storage: s, pauses: p})}
	e.authority = a
	e.Set(t.Context(), orders)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.Run(ctx)
	}()
	e.stop = func() {
		cancel()
		<-done
	}
	return e
}

// state is that of the only order.
func (e *edge) state(t *testing.T) issuance.State {
	t.Helper()
	synctest.Wait()
	list := e.States()
	if len(list) != 1 {
		t.Fatalf("%d orders", len(list))
	}
	return list[0]
}

// A certificate is renewed at two thirds of its life, and every few minutes for
// years nothing else happens.
func TestRenewsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &scripted{life: life}
		e := startEdge(t, newMemory(), a, shop)
		defer e.stop()
		<-time.After(365 * 24 * time.Hour)
		at := a.asked()
		if len(at) != 7 {
			t.Fatalf("asked %d times in a year: %v", len(at), at)
		}
		for i := range at[1:] {
			if pause := at[i+1].Sub(at[i]); pause < life*64/100 || pause > life*67/100 {
				t.Errorf("the renewal %d came after %v", i, pause)
			}
			if a.old[i+1] == nil {
				t.Error("a renewal does not name what it replaces")
			}
		}
		if st := e.state(t); st.Phase != issuance.Issued || !st.Valid(time.Now()) || !st.Next.After(time.Now()) {
			t.Errorf("%+v", st)
		}
	})
}

func TestRenewsAsAdvised(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &scripted{life: life}
		e := startEdge(t, newMemory(), a, shop)
		defer e.stop()
		<-time.After(time.Hour)
		serial := e.state(t).Serial
		early := time.Now().Add(20 * time.Hour)
		a.set(func() { a.said = &advice{Serial: serial, Renew: early, Explanation: "https://ca.example/incident"} })
		<-time.After(24 * time.Hour)
		at := a.asked()
		if len(at) != 2 || at[1].Before(early) || at[1].Sub(early) > 7*time.Hour {
			t.Fatalf("asked at %v, advised for %v", at, early)
		}
		// Advice for a certificate that is no more, and advice to renew at once
		// what was just issued, are no reason to ask and ask.
		a.set(func() { a.said = &advice{Serial: serial, Renew: early} })
		<-time.After(24 * time.Hour)
		if n := len(a.asked()); n != 2 {
			t.Fatalf("asked %d times", n)
		}
		a.set(func() {
			a.said = &advice{Serial: e.States()[0].Serial, Renew: early, Again: time.Now().Add(time.Second)}
		})
		<-time.After(24 * time.Hour)
		if n := len(a.asked()); n != 3 {
			t.Fatalf("asked %d times", n)
		}
	})
}

// Let's Encrypt allows five failed validations of a name in an hour.
func TestBacksOff(t *testing.T) {
	for _, tt := range []struct {
		name          string
		err           error
		hour, day     int // most tries in the first hour, and in the second day
		least, second time.Duration
	}{
		{"refused", &setbackError{err: errors.New("no"), refused: true}, 5, 5, 0, 150 * time.Second},
		{"not reached", &setbackError{err: errors.New("no route")}, 16, 170, 0, 5 * time.Second},
		{"told to wait", &setbackError{err: errors.New("later"), refused: true, wait: 30 * time.Hour}, 1, 1, 30 * time.Hour, 30 * time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := &scripted{life: life, err: tt.err}
				e := startEdge(t, newMemory(), a, shop)
				defer e.stop()
				<-time.After(time.Hour)
				at := a.asked()
				if len(at) > tt.hour {
					t.Errorf("%d tries in the first hour", len(at))
				}
				st := e.state(t)
				if st.Phase != issuance.Failing || st.Tries != len(at) || st.Error != tt.err.Error() || !st.Next.After(time.Now().Add(tt.least-time.Hour)) {
					t.Errorf("%+v", st)
				}
				if len(at) > 1 {
					if d := at[1].Sub(at[0]) - 2*time.Second; d < tt.second*9/10 || d > tt.second*12/10 {
						t.Errorf("the second try came after %v", d)
					}
				}
				<-time.After(23 * time.Hour)
				before := len(a.asked())
				<-time.After(24 * time.Hour)
				if n := len(a.asked()) - before; n > tt.day {
					t.Errorf("%d tries in the second day", n)
				}
				a.set(func() { a.err = nil })
				<-time.After(72 * time.Hour)
				if st := e.state(t); st.Phase != issuance.Issued || st.Tries != 0 {
					t.Errorf("after it went well: %+v", st)
				}
			})
		})
	}
}

// Refusals take turns between the challenges; an authority that was not reached
// has not seen any.
func TestTakesTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &scripted{life: life, err: &setbackError{err: errors.New("no route")}}
		e := startEdge(t, newMemory(), a, shop)
		defer e.stop()
		<-time.After(4 * time.Second)
		a.set(func() { a.err = &setbackError{err: errors.New("no"), refused: true} })
		<-time.After(10 * time.Minute)
		if want := []int{0, 0, 1, 2}; len(a.turn) < 4 || !slices.Equal(a.turn[:4], want) {
			t.Errorf("turns %v", a.turn)
		}
	})
}

// Whatever fails, the last certificate serves, also when it has expired.
func TestKeepsWhatThereIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &scripted{life: life}
		storage := newMemory()
		e := startEdge(t, storage, a, shop)
		<-time.After(time.Hour)
		synctest.Wait()
		first := e.Objects()
		if len(first) != 1 {
			t.Fatal("no certificate")
		}
		same := func(what string) {
			t.Helper()
			synctest.Wait()
			if now := e.Objects(); len(now) != 1 || now[0].Hash != first[0].Hash {
				t.Errorf("%s: another certificate, or none", what)
			}
		}
		held := shop
		held.Hold = "ConfigMap/default/ca not found"
		e.Set(t.Context(), []issuance.Order{held})
		<-time.After(2 * life)
		same("held")
		if st := e.state(t); st.Phase != issuance.Held || st.Error != held.Hold || st.Valid(time.Now()) || len(a.asked()) != 1 {
			t.Errorf("held: %+v, asked %d times", st, len(a.asked()))
		}
		a.set(func() { a.err = &setbackError{err: errors.New("no"), refused: true} })
		e.Set(t.Context(), []issuance.Order{shop})
		<-time.After(time.Hour)
		same("failing")
		// Another authority: the old one's certificate until the first of the new.
		moved := shop
		moved.Directory = "https://other.example/dir"
		e.Set(t.Context(), []issuance.Order{moved})
		<-time.After(time.Second)
		same("moved")
		e.stop()
		e = startEdge(t, storage, a, shop)
		same("restarted")
		storage.fail(errors.New("input/output error"))
		<-time.After(2 * time.Hour)
		same("with a storage that fails")
		a.set(func() { a.err = nil })
		<-time.After(24 * time.Hour)
		synctest.Wait()
		if now := e.Objects(); now[0].Hash == first[0].Hash {
			t.Error("a new certificate that cannot be stored is not served")
		}
		e.Set(t.Context(), nil)
		if len(e.Objects()) != 0 || len(e.States()) != 0 {
			t.Error("an order that is gone is still there")
		}
		e.stop()
	})
}

// Without an account's key that is kept nothing is asked for.
func TestStorageFailsAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, storage := &scripted{life: life}, newMemory()
		storage.fail(errors.New("permission denied"))
		e := startEdgeWith(t, usual, storage, a, shop)
		defer e.stop()
		<-time.After(time.Hour)
		if st := e.state(t); st.Phase != issuance.Failing || !strings.Contains(st.Error, "permission denied") || len(a.asked()) != 0 {
			t.Errorf("%+v, asked %d times", st, len(a.asked()))
		}
		storage.fail(nil)
		<-time.After(2 * time.Minute)
		if st := e.state(t); st.Phase != issuance.Issued {
			t.Errorf("%+v", st)
		}
	})
}

// Of edges with one storage one asks. The others wait as long after a failure,
// and serve what it gets, renewals too.
func TestEdgesShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, storage := &scripted{life: life, err: &setbackError{err: errors.New("no"), refused: true}}, newMemory()
		var edges []*edge
		p := usual
		p.look = time.Hour
		for range 3 {
			edges = append(edges, startEdgeWith(t, p, storage, a, shop))
		}
		<-time.After(90 * time.Second)
		synctest.Wait()
		if n := len(a.asked()); n != 1 {
			t.Errorf("after a failure: asked %d times", n)
		}
		a.set(func() { a.err = nil })
		for _, after := range []time.Duration{10 * time.Minute, 62 * 24 * time.Hour} {
			<-time.After(after)
			synctest.Wait()
			for _, e := range edges {
				if e.Objects()[0].Hash != edges[0].Objects()[0].Hash {
					t.Errorf("after %v: the edges serve different certificates", after)
				}
			}
		}
		if n := len(a.asked()); n != 3 {
			t.Errorf("asked %d times", n)
		}
		for _, e := range edges {
			e.stop()
		}
	})
}

func TestDamagedStorage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, storage := &scripted{life: life}, newMemory()
		for _, text := range []string{"", "{", "null", `{"chain":"x","key":"y"}`, `{"names":1}`} {
			if err := storage.Store(t.Context(), certificateKey(&shop), []byte(text)); err != nil {
				t.Fatal(err)
			}
			before := len(a.asked())
			e := startEdge(t, storage, a, shop)
			<-time.After(time.Minute)
			if st := e.state(t); st.Phase != issuance.Issued || len(a.asked()) != before+1 {
				t.Errorf("%q: %+v", text, st)
			}
			e.stop()
		}
	})
}
