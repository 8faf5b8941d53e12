package identity_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/identity/identitytest"
)

// world is an authority and one who renews, whose clock is wrong by ahead.
type world struct {
	a     *identitytest.Authority
	k     *identity.Keyring
	id    identity.ID
	life  time.Duration
	ahead time.Duration
	down  bool
	made  []time.Time
	tries int
	state identity.RenewerState
	log   text
	kick  chan struct{}
	mu    sync.Mutex // guards down, made, tries and state
}

// text is a log that is read while it is written.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (x *text) Write(p []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.b.Write(p)
}

func (x *text) String() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.b.String()
}

// let changes or reads what others see.
func (w *world) let(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *world) run(t *testing.T) (stop func()) {
	w.a, w.kick = identitytest.New(t, "ours"), make(chan struct{}, 1)
	w.id = identity.Workload(w.a.TrustDomain(), "shop", "cart")
	now := func() time.Time { return time.Now().Add(w.ahead) }
	w.k = identity.NewKeyring(identity.Options{Now: now})
	w.k.Apply(identity.Change{Own: w.id, Bundles: []*identity.Bundle{w.a.Bundle()}})
	r := &identity.Renewer{
		Keyring: w.k, ID: w.id, Now: now, Log: slog.New(slog.NewTextHandler(&w.log, nil)), Kick: w.kick,
		Report: func(s identity.RenewerState) { w.let(func() { w.state = s }) },
		Renew: func(context.Context) (*identity.SVID, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.tries++; w.down {
				return nil, errors.New("nobody answers")
			}
			w.made = append(w.made, time.Now())
			return w.a.SVID(w.id, w.life), nil
		},
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.Run(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// An SVID is renewed at the half of its life, whatever the clock says.
func TestRenewal(t *testing.T) {
	for _, life := range []time.Duration{5 * time.Minute, time.Hour, 24 * time.Hour} {
		for _, ahead := range []time.Duration{0, 10 * time.Minute, -10 * time.Minute} {
			t.Run(life.String()+" "+ahead.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := &world{life: life, ahead: ahead}
					defer w.run(t)()
					time.Sleep(10 * life)
					synctest.Wait()
					shortest, longest := life*45/100-max(ahead, 0)-time.Second, life*55/100+31*time.Second
					shortest = max(shortest, 29*time.Second)
					for i := 1; i < len(w.made); i++ {
						if gone := w.made[i].Sub(w.made[i-1]); gone < shortest || gone > longest {
							t.Errorf("renewed after %s", gone)
						}
					}
					if left := time.Until(w.k.SVID(w.id).NotAfter()); left < life*2/5-31*time.Second {
						t.Errorf("%s left", left)
					}
				})
			})
		}
	}
}

// While nobody answers it is tried on, more and more seldom, and the log says it twice.
func TestRenewalFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{life: time.Hour}
		defer w.run(t)()
		time.Sleep(time.Second)
		before := 0
		w.let(func() { w.down, before = true, w.tries })
		time.Sleep(58 * time.Minute)
		synctest.Wait()
		w.let(func() {
			if n := w.tries - before; n < 15 || n > 50 || w.state.Err == nil || w.state.Failures != n {
				t.Errorf("%d tries, %+v", n, w.state)
			}
		})
		if text := w.log.String(); strings.Count(text, "could not be renewed") != 1 || strings.Count(text, "is about to end") != 1 {
			t.Errorf("%s", text)
		}
		w.let(func() { w.down = false })
		time.Sleep(90 * time.Second)
		synctest.Wait()
		if w.state.Err != nil || w.state.Failures != 0 || !strings.Contains(w.log.String(), "renewed again") {
			t.Errorf("%+v\n%s", w.state, &w.log)
		}
	})
}

// A process that starts with an SVID of which much is left does not renew it, one that is
// told to does.
func TestRenewalOfWhatIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{life: time.Hour, down: true}
		stop := w.run(t)
		stop()
		w.down, w.tries = false, 0
		w.k.Apply(identity.Change{Put: []*identity.SVID{w.a.SVID(w.id, time.Hour)}})
		time.Sleep(10 * time.Minute)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			(&identity.Renewer{Keyring: w.k, ID: w.id, Kick: w.kick, Renew: func(context.Context) (*identity.SVID, error) {
				w.let(func() { w.tries++ })
				return w.a.SVID(w.id, time.Hour), nil
			}}).Run(ctx)
		}()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		expect := func(n int) {
			t.Helper()
			w.let(func() {
				if w.tries != n {
					t.Errorf("renewed %d times, want %d", w.tries, n)
				}
			})
		}
		expect(0)
		w.kick <- struct{}{}
		synctest.Wait()
		expect(1)
		time.Sleep(10 * time.Minute)
		cancel()
		<-done
		expect(1)
	})
}
