package join_test

import (
	"context"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/join"
	"github.com/gridway/gridway/internal/statedb/statetest"
)

// A proxy waits for its control plane, joins once, and starts again without it.
func TestStay(t *testing.T) {
	p := begin(t, statetest.SQLite(t))
	token, folder := p.token(1), t.TempDir()
	var up atomic.Bool
	var dials atomic.Int32
	stay := func(service string, now func() time.Time) (*join.Stay, *identity.Keyring) {
		k := identity.NewKeyring(identity.Options{Now: now})
		c, err := join.NewClient(join.ClientOptions{
			Addresses: []string{p.address}, Keyring: k, Token: token.Text(), Now: now, As: identity.Name{Role: identity.RoleWorkload, Namespace: "shop", Service: service},
			Dial: func(ctx context.Context, address string) (net.Conn, error) {
				if dials.Add(1) > 1 && !up.Load() {
					up.Store(true) // when it was tried twice
				}
				if !up.Load() {
					return nil, fs.ErrClosed
				}
				return new(net.Dialer).DialContext(ctx, "tcp", address)
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		return &join.Stay{Client: c, Folder: folder}, k
	}
	first, k := stay("reviews", nil)
	if err := first.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	if dials.Load() < 2 || p.uses(token) != 1 {
		t.Errorf("%d tries, %d uses", dials.Load(), p.uses(token))
	}
	up.Store(false)
	dials.Store(-1000)
	again, other := stay("reviews", nil)
	if err := again.Begin(t.Context()); err != nil || other.SVID(other.Own()).Serial() != k.SVID(k.Own()).Serial() {
		t.Errorf("%v", err)
	}
	up.Store(true)
	saved := make(chan error, 10)
	renewed := make(chan identity.RenewerState, 10)
	again.Saves, again.Renewals = func(err error) { saved <- err }, func(s identity.RenewerState) { renewed <- s }
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		again.Run(ctx)
	}()
	if err := <-saved; err != nil {
		t.Error(err)
	}
	cancel()
	<-done
	// What was kept is renewed when it is due, by the clock.
	late, lateKeys := stay("reviews", func() time.Time { return time.Now().Add(45 * time.Minute) })
	if err := late.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	late.Renewals = func(s identity.RenewerState) { renewed <- s }
	ctx, cancel = context.WithCancel(t.Context())
	done = make(chan struct{})
	go func() {
		defer close(done)
		late.Run(ctx)
	}()
	if s := <-renewed; s.Err != nil || lateKeys.SVID(lateKeys.Own()).Serial() == k.SVID(k.Own()).Serial() {
		t.Errorf("%+v", s)
	}
	cancel()
	<-done
	// Who is to be somebody else joins anew, which this token does not allow.
	somebody, _ := stay("cart", nil)
	if err := somebody.Begin(t.Context()); !join.Refused(err) {
		t.Errorf("cart begins: %v", err)
	}
	if err := os.WriteFile(filepath.Join(folder, "keyring.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken, _ := stay("reviews", nil)
	if err := broken.Begin(t.Context()); !join.Refused(err) || !strings.Contains(err.Error(), "joining the mesh") {
		t.Errorf("%v", err)
	}
}
