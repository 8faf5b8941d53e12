package replica_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/gridway/gridway/internal/mesh/admit"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/identity/identitytest"
	"github.com/gridway/gridway/internal/mesh/question"
	"github.com/gridway/gridway/internal/mesh/replica"
)

// keyring is that of somebody of an authority, who trusts it.
func keyring(a *identitytest.Authority, id identity.ID) *identity.Keyring {
	k := identity.NewKeyring(identity.Options{})
	k.Apply(identity.Change{Own: id, Put: []*identity.SVID{a.SVID(id, time.Hour)}, Bundles: []*identity.Bundle{a.Bundle()}})
	return k
}

// give answers with what it is asked.
type give func(ctx context.Context, query string, give func(...[]byte) error) error

func (g give) Answer(ctx context.Context, query string, to func(...[]byte) error) error {
	return g(ctx, query, to)
}

// serve is a process that answers relays as a replica does.
func serve(t *testing.T, k *identity.Keyring, td identity.TrustDomain, own question.Answerers) (address string, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(grpc.Creds(credentials.NewTLS(admit.ServerTLS(k))))
	question.NewHub(question.HubOptions{
		Identity: func(ctx context.Context) (string, error) {
			id, err := admit.PeerID(ctx, k)
			return id.String(), err
		},
		Control: func(id string) bool { return id == identity.Control(td).String() }, Replica: "other", Own: own,
	}).Register(s)
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Serve(l) })
	stop = sync.OnceFunc(func() { s.Stop(); wg.Wait() })
	t.Cleanup(stop)
	return l.Addr().String(), stop
}

// Control planes of a trust domain reach each other, and nobody else does or is taken for
// one.
func TestDialer(t *testing.T) {
	authority, foreign := identitytest.New(t, "one.test"), identitytest.New(t, "two.test")
	td, elsewhere := authority.TrustDomain(), foreign.TrustDomain()
	control, workload := identity.Control(td), identity.Workload(td, "shop", "cart")
	own := question.Answerers{"echo": give(func(_ context.Context, query string, to func(...[]byte) error) error { return to([]byte(query)) })}
	address, stop := serve(t, keyring(authority, control), td, own)
	impostor, _ := serve(t, keyring(authority, workload), td, own)
	stranger, _ := serve(t, keyring(foreign, identity.Control(elsewhere)), elsewhere, own)
	peers := []replica.Peer{{ID: "other", Address: address}, {ID: "impostor", Address: impostor}, {ID: "stranger", Address: stranger}}
	dialer := func(k *identity.Keyring) *replica.Dialer {
		d := replica.NewDialer(replica.DialerOptions{TLS: k.ControlTLS(td), Peers: func() []replica.Peer { return peers }})
		t.Cleanup(d.Close)
		return d
	}
	ask := func(d *replica.Dialer, p replica.Peer) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		got := ""
		err := d.Ask(ctx, p, question.Ask{Kind: "echo", Query: "hello", Take: func(p *question.Part) error {
			got = string(p.Items[0])
			return nil
		}})
		return got, err
	}
	d := dialer(keyring(authority, control))
	if got, err := ask(d, peers[0]); err != nil || got != "hello" {
		t.Fatalf("%q, %v", got, err)
	}
	for _, c := range []struct {
		name string
		by   *replica.Dialer
		to   replica.Peer
		want string
	}{
		{"a workload asks", dialer(keyring(authority, workload)), peers[0], "only control planes ask others"},
		{"a workload answers", d, peers[1], "and not spiffe://one.test/gridway/control"},
		{"a control plane of elsewhere answers", d, peers[2], ""},
		{"another replica has the address", d, replica.Peer{ID: "gone", Address: address}, "another control plane answers at this address"},
		{"no address", d, replica.Peer{ID: "new"}, "it has not said yet where it is reached"},
		{"no port", d, replica.Peer{ID: "odd", Address: "host"}, `"host" is not HOST:PORT`},
		{"everywhere", d, replica.Peer{ID: "odd", Address: "0.0.0.0:1"}, "names no host"},
	} {
		if got, err := ask(c.by, c.to); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %q, %v", c.name, got, err)
		}
	}
	stop()
	if _, err := ask(d, peers[0]); err == nil || !strings.Contains(err.Error(), address) {
		t.Errorf("who is gone answers: %v", err)
	}
	d.Close()
	if _, err := ask(d, peers[0]); err == nil || !strings.Contains(err.Error(), "this control plane ends") {
		t.Errorf("after the end: %v", err)
	}
}

func TestCheckAddress(t *testing.T) {
	for _, good := range []string{"10.0.0.1:15010", "[2001:db8::1]:1", "control.example:65535"} {
		if err := replica.CheckAddress(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", ":1", "host", "host:", "host:0", "host:65536", "host:x", "[::]:1", "0.0.0.0:1", fmt.Sprintf("%0500d:1", 1)} {
		if replica.CheckAddress(bad) == nil {
			t.Errorf("%q is taken for an address", bad)
		}
	}
}
