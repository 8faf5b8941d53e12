package join_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/mesh/admit"
	"github.com/gridway/gridway/internal/mesh/ca"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/join"
	"github.com/gridway/gridway/internal/mesh/jointoken"
	"github.com/gridway/gridway/internal/statedb/statetest"
)

// meshTLS is mutual TLS by a keyring alone.
func meshTLS(k *identity.Keyring) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, InsecureSkipVerify: true, ClientAuth: tls.RequireAnyClientCert, SessionTicketsDisabled: true,
		GetCertificate:       func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return k.Certificate("") },
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return k.Certificate("") },
		VerifyConnection: func(s tls.ConnectionState) error {
			_, err := k.VerifyPeer(s.PeerCertificates)
			return err
		},
	}
}

// member is a proxy that renews, at half of the life of what it has, and answers peers.
type member struct {
	*join.Client
	k *identity.Keyring
	l net.Listener
}

func (m *member) serve(each func(net.Conn)) {
	for {
		c, err := m.l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			each(c)
		}()
	}
}

func echo(c net.Conn) error {
	if _, err := c.Write([]byte("x")); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, 1))
	return err
}

// rotating is a mesh whose clock is moved, so that its authority changes its root every
// hour of that, and proxies renew every two and a half minutes.
type rotating struct {
	*plane
	entry jointoken.Token
	ahead atomic.Int64
	// still is held by what takes no time by that clock.
	still sync.RWMutex
	roots map[string]bool // that have signed
}

const (
	rotatingLife = 5 * time.Minute
	rotation     = time.Hour
)

func newRotating(t *testing.T) *rotating {
	t.Helper()
	r := &rotating{roots: map[string]bool{}}
	db := statetest.Open(t, statetest.SQLite(t))
	a, err := ca.Open(t.Context(), ca.Options{DB: db, TrustDomain: td, Secrets: secrets, Lifetime: rotatingLife, Rotation: rotation, Now: r.clock})
	if err != nil {
		t.Fatal(err)
	}
	r.plane = &plane{t: t, db: db, ca: a, tokens: admit.NewTokens(db, secrets, r.clock)}
	r.address = serve(t, admit.ServerTLS(a.Keyring()), admit.NewServer(admit.Options{Authority: a, Tokens: r.tokens}))
	r.entry = r.token(0, jointoken.Grants{Role: identity.RoleWorkload, Namespaces: []string{"shop"}, Services: []string{"*"}})
	return r
}

func (r *rotating) clock() time.Time { return time.Now().Add(time.Duration(r.ahead.Load())) }

// enter has a proxy join, which does with connections of its peers what serves says.
func (r *rotating) enter(service string, serves func(net.Conn)) *member {
	r.t.Helper()
	k := identity.NewKeyring(identity.Options{Now: r.clock})
	c, err := join.NewClient(join.ClientOptions{Addresses: []string{r.address}, Keyring: k, Token: r.entry.Text(), Now: r.clock, As: identity.Name{Role: identity.RoleWorkload, Namespace: "shop", Service: service}})
	if err == nil {
		err = c.Join(r.t.Context())
	}
	if err != nil {
		r.t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", meshTLS(k))
	if err != nil {
		r.t.Fatal(err)
	}
	m := &member{c, k, l}
	go m.serve(serves)
	r.t.Cleanup(func() { _ = l.Close() })
	return m
}

// under moves the clock by steps in turn until roots have changed three times, while loads
// ask again and again. It returns how often they did, and the first error.
func (r *rotating) under(members []*member, steps []time.Duration, loads ...func() error) (int64, error) {
	r.t.Helper()
	var stop atomic.Bool
	var made atomic.Int64
	var failed error
	var once sync.Once
	var work sync.WaitGroup
	for _, load := range loads {
		work.Go(func() {
			for !stop.Load() {
				r.still.RLock()
				err := load()
				r.still.RUnlock()
				if err != nil {
					once.Do(func() { failed = fmt.Errorf("after %s: %w", time.Duration(r.ahead.Load()), err) })
					return
				}
				made.Add(1)
			}
		})
	}
	end := func() {
		stop.Store(true)
		work.Wait()
	}
	defer end()
	for n := 0; time.Duration(r.ahead.Load()) < 7*rotation/2; n++ {
		r.still.Lock()
		r.ahead.Add(int64(steps[n%len(steps)]))
		r.still.Unlock()
		r.ca.Look(r.t.Context())
		for _, m := range members {
			s := m.k.SVID(m.k.Own())
			r.roots[s.Leaf().Issuer.CommonName] = true
			if s.NotAfter().Sub(r.clock()) > rotatingLife/2 {
				continue
			}
			if _, err := m.Renew(r.t.Context()); err != nil {
				r.t.Fatalf("after %s: %v", time.Duration(r.ahead.Load()), err)
			}
		}
	}
	end()
	return made.Load(), failed
}

// The authority changes its root twice and more, while proxies join, renew, and make
// connections all the time: none fails, and the connection that was there from the
// beginning is there at the end.
func TestRotationUnderLoad(t *testing.T) {
	t.Parallel()
	r := newRotating(t)
	back := func(c net.Conn) { _, _ = io.Copy(c, c) } // until its peer leaves
	members := []*member{r.enter("a", back), r.enter("b", back), r.enter("c", back)}
	kept, err := tls.Dial("tcp", members[0].l.Addr().String(), meshTLS(members[1].k))
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	loads := make([]func() error, len(members))
	for i := range members {
		loads[i] = func() error {
			c, err := tls.Dial("tcp", members[(i+1)%len(members)].l.Addr().String(), meshTLS(members[i].k))
			if err != nil {
				return err
			}
			return errors.Join(echo(c), c.Close())
		}
	}
	made, failed := r.under(members, []time.Duration{time.Minute}, loads...)
	if failed != nil || made < 100 {
		t.Errorf("%d connections, %v", made, failed)
	}
	if len(r.roots) < 3 {
		t.Errorf("%d roots have signed", len(r.roots))
	}
	if err := echo(kept); err != nil {
		t.Errorf("the connection from the beginning: %v", err)
	}
	peer := kept.ConnectionState().PeerCertificates
	if _, err := members[1].k.VerifyPeer(peer); err == nil {
		t.Error("the certificate from the beginning is as good as ever")
	}
}
