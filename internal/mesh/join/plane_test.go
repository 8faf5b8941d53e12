package join_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/gridway/gridway/internal/mesh/admit"
	"github.com/gridway/gridway/internal/mesh/ca"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/join"
	"github.com/gridway/gridway/internal/mesh/jointoken"
	"github.com/gridway/gridway/internal/mesh/meshpb"
	"github.com/gridway/gridway/internal/statedb"
	"github.com/gridway/gridway/internal/statedb/statetest"
)

var (
	td, _   = identity.ParseTrustDomain("prod.example.com")
	secrets = [][]byte{[]byte("ssssssssssssssssssssssssssssssss")}
)

// plane is a control plane that listens.
type plane struct {
	t       testing.TB
	db      *statedb.DB
	ca      *ca.Authority
	tokens  *admit.Tokens
	address string
	// drop loses the next answers, after what they answer has been done.
	drop atomic.Int32
	// later is added to the clock of the tokens.
	later atomic.Int64
	nodes *admit.Nodes
	mu    sync.Mutex
	noted []string // guarded by mu: by what they joined
}

// notes counts joins by something.
func (p *plane) notes(via string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.noted {
		if s == via {
			n++
		}
	}
	return n
}

func begin(t testing.TB, place string, change ...func(*admit.Options)) *plane {
	t.Helper()
	at, err := statedb.ParseLocation(place, "")
	if err != nil {
		t.Fatal(err)
	}
	db, err := statedb.Open(context.Background(), statedb.Options{Location: at})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	p := &plane{t: t, db: db}
	if p.ca, err = ca.Open(context.Background(), ca.Options{DB: db, TrustDomain: td, Secrets: secrets}); err != nil {
		t.Fatal(err)
	}
	p.tokens = admit.NewTokens(db, secrets, func() time.Time { return time.Now().Add(time.Duration(p.later.Load())) })
	o := admit.Options{Authority: p.ca, Tokens: p.tokens, Issued: p.ca.Via, Note: func(_ context.Context, _ identity.ID, via, _ string) error {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.noted = append(p.noted, via)
		return nil
	}}
	for _, f := range change {
		f(&o)
	}
	p.nodes = admit.NewNodes(db, o.SVIDs, nil)
	o.Nodes = p.nodes
	p.address = serve(t, admit.ServerTLS(p.ca.Keyring()), admit.NewServer(o), grpc.UnaryInterceptor(
		func(ctx context.Context, r any, _ *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
			out, err := h(ctx, r)
			if _, enroll := r.(*meshpb.EnrollRequest); enroll && p.drop.Add(-1) >= 0 {
				return nil, context.DeadlineExceeded
			}
			return out, err
		}))
	return p
}

func serve(t testing.TB, config *tls.Config, s meshpb.JoinServer, options ...grpc.ServerOption) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(append(options, grpc.Creds(credentials.NewTLS(config)))...)
	meshpb.RegisterJoinServer(server, s)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l) // until it is stopped
	}()
	t.Cleanup(func() {
		server.Stop()
		<-done
	})
	return l.Addr().String()
}

// token makes one in the store, for reviews in shop unless grants say otherwise.
func (p *plane) token(uses int64, grants ...jointoken.Grants) jointoken.Token {
	p.t.Helper()
	token := jointoken.New()
	g := jointoken.Grants{Role: identity.RoleWorkload, Namespaces: []string{"shop"}, Services: []string{"reviews"}}
	if len(grants) > 0 {
		g = grants[0]
	}
	text, err := json.Marshal(g)
	if err != nil {
		p.t.Fatal(err)
	}
	row := statedb.JoinToken{ID: token.ID(), Sealed: p.tokens.Seal(token), Grants: string(text), Created: time.Now(), Expires: time.Now().Add(time.Hour), MaxUses: uses}
	if err := p.db.Write(context.Background(), func(tx *statedb.Tx) error { return tx.AddJoinToken(context.Background(), &row) }); err != nil {
		p.t.Fatal(err)
	}
	return token
}

func (p *plane) uses(token jointoken.Token) (n int64) {
	p.t.Helper()
	if err := p.db.Read(context.Background(), func(tx *statedb.Tx) error {
		row, err := tx.JoinToken(context.Background(), token.ID())
		n = row.Uses
		return err
	}); err != nil {
		p.t.Fatal(err)
	}
	return n
}

// proxy is one that is to be a service of shop.
func proxy(t testing.TB, address, token, service string) (*join.Client, *identity.Keyring) {
	t.Helper()
	k := identity.NewKeyring(identity.Options{})
	c, err := join.NewClient(join.ClientOptions{
		Addresses: []string{address}, Keyring: k, Token: token, As: identity.Name{Role: identity.RoleWorkload, Namespace: "shop", Service: service},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c, k
}

func each(t *testing.T, f func(t *testing.T, p *plane)) {
	statetest.Each(t, func(t *testing.T, place string) { f(t, begin(t, place)) })
}
