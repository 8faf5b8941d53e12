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

func (m *member) serve() {
	for {
		c, err := m.l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			_, _ = io.Copy(c, c) // until its peer leaves
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

// The authority changes its root twice and more, while proxies join, renew, and make
// connections all the time: none fails, and the connection that was there from the
// beginning is there at the end.
func TestRotationUnderLoad(t *testing.T) {
	var ahead atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	db := statetest.Open(t, statetest.SQLite(t))
	const life, rotation = 5 * time.Minute, time.Hour
	a, err := ca.Open(t.Context(), ca.Options{DB: db, TrustDomain: td, Secrets: secrets, Lifetime: life, Rotation: rotation, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	p := &plane{t: t, db: db, ca: a, tokens: admit.NewTokens(db, secrets, clock)}
	p.address = serve(t, admit.ServerTLS(a.Keyring()), admit.NewServer(admit.Options{Authority: a, Tokens: p.tokens}))
	token := p.token(0, jointoken.Grants{Role: identity.RoleWorkload, Namespaces: []string{"shop"}, Services: []string{"*"}})
	enter := func(service string) *member {
		k := identity.NewKeyring(identity.Options{Now: clock})
		c, err := join.NewClient(join.ClientOptions{Addresses: []string{p.address}, Keyring: k, Token: token.Text(), Now: clock, As: identity.Name{Role: identity.RoleWorkload, Namespace: "shop", Service: service}})
		if err == nil {
			err = c.Join(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		l, err := tls.Listen("tcp", "127.0.0.1:0", meshTLS(k))
		if err != nil {
			t.Fatal(err)
		}
		m := &member{c, k, l}
		go m.serve()
		t.Cleanup(func() { _ = l.Close() })
		return m
	}
	members := []*member{enter("a"), enter("b"), enter("c")}
	kept, err := tls.Dial("tcp", members[0].l.Addr().String(), meshTLS(members[1].k))
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()

	// No handshake takes minutes: the clock stands still for each.
	var still sync.RWMutex
	var stop atomic.Bool
	var made atomic.Int64
	var failed error
	var once sync.Once
	var load sync.WaitGroup
	for i := range members {
		load.Go(func() {
			for !stop.Load() {
				still.RLock()
				c, err := tls.Dial("tcp", members[(i+1)%len(members)].l.Addr().String(), meshTLS(members[i].k))
				if err == nil {
					err = errors.Join(echo(c), c.Close())
				}
				still.RUnlock()
				if err != nil {
					once.Do(func() { failed = fmt.Errorf("after %s: %w", time.Duration(ahead.Load()), err) })
					return
				}
				made.Add(1)
			}
		})
	}
	roots := map[string]bool{}
	for time.Duration(ahead.Load()) < 7*rotation/2 {
		still.Lock()
		ahead.Add(int64(time.Minute))
		still.Unlock()
		a.Look(t.Context())
		for _, m := range members {
			s := m.k.SVID(m.k.Own())
			roots[s.Leaf().Issuer.CommonName] = true
			if s.NotAfter().Sub(clock()) > life/2 {
				continue
			}
			if _, err := m.Renew(t.Context()); err != nil {
				t.Fatalf("after %s: %v", time.Duration(ahead.Load()), err)
			}
		}
	}
	stop.Store(true)
	load.Wait()
	if failed != nil || made.Load() < 100 {
		t.Errorf("%d connections, %v", made.Load(), failed)
	}
	if len(roots) < 3 {
		t.Errorf("%d roots have signed", len(roots))
	}
	if err := echo(kept); err != nil {
		t.Errorf("the connection from the beginning: %v", err)
	}
	peer := kept.ConnectionState().PeerCertificates
	if _, err := members[1].k.VerifyPeer(peer); err == nil {
		t.Error("the certificate from the beginning is as good as ever")
	}
}
