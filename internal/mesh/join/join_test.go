package join_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/gridway/gridway/internal/mesh/admit"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/identity/identitytest"
	"github.com/gridway/gridway/internal/mesh/join"
	"github.com/gridway/gridway/internal/mesh/jointoken"
	"github.com/gridway/gridway/internal/mesh/meshpb"
	"github.com/gridway/gridway/internal/statedb"
	"github.com/gridway/gridway/internal/statedb/statetest"
)

// A machine that has nothing but a token and an address gets its SVID, renews it, and gets
// tokens for its workload.
func TestJoin(t *testing.T) {
	each(t, func(t *testing.T, p *plane) {
		token := p.token(1)
		c, k := proxy(t, p.address, token.Text(), "reviews")
		if err := c.Join(t.Context()); err != nil {
			t.Fatal(err)
		}
		first := k.SVID(k.Own())
		if first.ID().String() != "spiffe://prod.example.com/ns/shop/sa/reviews" || p.uses(token) != 1 {
			t.Errorf("%s, %d uses", first.ID(), p.uses(token))
		}
		second, err := c.Renew(t.Context())
		if err != nil || second.Serial() == first.Serial() || second.ID() != first.ID() {
			t.Fatalf("%v", err)
		}
		chain, _ := x509.ParseCertificates(second.Chain())
		if _, err := p.ca.Keyring().VerifyPeer(chain); err != nil {
			t.Error(err)
		}
		if text, ends, err := c.SignJWT(t.Context(), k.Own(), []string{"a"}); err != nil || strings.Count(text, ".") != 2 || time.Until(ends) > 5*time.Minute {
			t.Errorf("%q, %s, %v", text, ends, err)
		}
		if _, _, err := c.SignJWT(t.Context(), k.Own(), nil); err == nil || !strings.Contains(err.Error(), "audiences") {
			t.Errorf("%v", err)
		}
		other, _ := proxy(t, p.address, token.Text(), "reviews")
		if err := other.Join(t.Context()); !join.Refused(err) || !strings.Contains(err.Error(), "has been used") {
			t.Errorf("a token is used twice: %v", err)
		}
	})
}

// Of many at once with a token for one, one joins.
func TestOneWins(t *testing.T) {
	each(t, func(t *testing.T, p *plane) {
		for uses := range int64(3) {
			token := p.token(uses + 1)
			var joined atomic.Int64
			var all sync.WaitGroup
			for range 8 {
				c, _ := proxy(t, p.address, token.Text(), "reviews")
				all.Go(func() {
					if c.Join(t.Context()) == nil {
						joined.Add(1)
					}
				})
			}
			all.Wait()
			if joined.Load() != uses+1 || p.uses(token) != uses+1 {
				t.Errorf("%d joined and %d are counted, of %d", joined.Load(), p.uses(token), uses+1)
			}
		}
	})
}

// An answer that was lost is asked for again, and counts once; after a while it is not.
func TestAnswersThatAreLost(t *testing.T) {
	each(t, func(t *testing.T, p *plane) {
		token := p.token(1)
		p.drop.Store(1)
		c, k := proxy(t, p.address, token.Text(), "reviews")
		if err := c.Join(t.Context()); err == nil || join.Refused(err) {
			t.Fatalf("%v", err)
		}
		if err := c.Join(t.Context()); err != nil || k.Own().IsZero() || p.uses(token) != 1 {
			t.Errorf("%v, %d uses", err, p.uses(token))
		}
		late := p.token(1)
		p.drop.Store(1)
		c, _ = proxy(t, p.address, late.Text(), "reviews")
		if err := c.Join(t.Context()); err == nil {
			t.Fatal("the answer was not lost")
		}
		p.later.Store(int64(11 * time.Minute))
		if err := c.Join(t.Context()); !join.Refused(err) {
			t.Errorf("%v", err)
		}
	})
}

// relay speaks TLS to both sides and passes on what they say.
type relay struct {
	meshpb.UnimplementedJoinServer
	to       meshpb.JoinClient
	change   func(*meshpb.ChallengeResponse)
	enrolled atomic.Int32
}

func (r *relay) Challenge(ctx context.Context, q *meshpb.ChallengeRequest) (*meshpb.ChallengeResponse, error) {
	a, err := r.to.Challenge(ctx, q)
	if err == nil && r.change != nil {
		r.change(a)
	}
	return a, err
}

func (r *relay) Enroll(ctx context.Context, q *meshpb.EnrollRequest) (*meshpb.SVIDResponse, error) {
	r.enrolled.Add(1)
	return r.to.Enroll(ctx, q)
}

func raw(t testing.TB, address string) meshpb.JoinClient {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return meshpb.NewJoinClient(conn)
}

// Whoever is between cannot make a proxy believe, whatever is changed on the way, and sees
// nothing of the token that could be used.
func TestSomebodyBetween(t *testing.T) {
	p := begin(t, statetest.SQLite(t))
	mallory := identitytest.New(t, "prod.example.com")
	shown := mallory.SVID(identity.Control(td), time.Hour)
	config := &tls.Config{Certificates: []tls.Certificate{*shown.Certificate()}, NextProtos: []string{"h2"}}
	for name, change := range map[string]func(*meshpb.ChallengeResponse){
		"passes on":     nil,
		"own bundle":    func(a *meshpb.ChallengeResponse) { a.Bundle = mallory.Bundle().JSON() },
		"trust domain":  func(a *meshpb.ChallengeResponse) { a.TrustDomain = "other" },
		"nonce":         func(a *meshpb.ChallengeResponse) { a.Nonce = make([]byte, 32) },
		"no nonce":      func(a *meshpb.ChallengeResponse) { a.Nonce = nil },
		"no proof":      func(a *meshpb.ChallengeResponse) { a.Proof = nil },
		"echo of proof": func(a *meshpb.ChallengeResponse) { a.Proof = bytes.Clone(a.Nonce) },
	} {
		t.Run(name, func(t *testing.T) {
			r := &relay{to: raw(t, p.address), change: change}
			token := p.token(1)
			c, k := proxy(t, serve(t, config, r), token.Text(), "reviews")
			if err := c.Join(t.Context()); !errors.Is(err, join.ErrImpostor) {
				t.Errorf("%v", err)
			}
			if !k.Own().IsZero() || len(k.Bundles()) != 0 || p.uses(token) != 0 || r.enrolled.Load() != 0 {
				t.Error("something was believed")
			}
		})
	}
}

// Who knows the token, but not the root's key, is no control plane: the certificate of the
// connection must be the authority's.
func TestHonestTokenForeignCertificate(t *testing.T) {
	p := begin(t, statetest.SQLite(t))
	token := p.token(0)
	mallory := identitytest.New(t, "prod.example.com")
	forged := mallory.SVID(identity.Control(td), time.Hour)
	server := admit.NewServer(admit.Options{Authority: p.ca, Tokens: p.tokens})
	address := serve(t, &tls.Config{Certificates: []tls.Certificate{*forged.Certificate()}, NextProtos: []string{"h2"}}, server)
	c, k := proxy(t, address, token.Text(), "reviews")
	if err := c.Join(t.Context()); err == nil || !strings.Contains(err.Error(), "not trusted") || !k.Own().IsZero() {
		t.Errorf("%v", err)
	}
}

// What was said over one connection is worth nothing over another one.
func TestReplay(t *testing.T) {
	p := begin(t, statetest.SQLite(t))
	token := p.token(0)
	var heard *meshpb.EnrollRequest
	spy := admit.NewServer(admit.Options{Authority: p.ca, Tokens: p.tokens})
	address := serve(t, admit.ServerTLS(p.ca.Keyring()), spy, grpc.UnaryInterceptor(
		func(ctx context.Context, r any, _ *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
			if e, ok := r.(*meshpb.EnrollRequest); ok {
				heard = e
			}
			return h(ctx, r)
		}))
	c, _ := proxy(t, address, token.Text(), "reviews")
	if err := c.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	again := raw(t, address)
	if _, err := again.Challenge(t.Context(), &meshpb.ChallengeRequest{TokenId: token.ID(), Nonce: heard.GetToken().GetNonce()}); err != nil {
		t.Fatal(err)
	}
	if _, err := again.Enroll(t.Context(), heard); status.Code(err) != codes.Unauthenticated || p.uses(token) != 1 {
		t.Errorf("%v, %d uses", err, p.uses(token))
	}
}

// A token that nobody has is answered as one that somebody has, and guesses are bounded.
func TestGuesses(t *testing.T) {
	p := begin(t, statetest.SQLite(t))
	at, token := raw(t, p.address), p.token(1)
	challenge := func(id string) *meshpb.ChallengeResponse {
		t.Helper()
		a, err := at.Challenge(t.Context(), &meshpb.ChallengeRequest{TokenId: id, Nonce: make([]byte, 32)})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	known, unknown := challenge(token.ID()), challenge("aaaaaaaaaa")
	if len(known.GetProof()) != len(unknown.GetProof()) || !bytes.Equal(known.GetBundle(), unknown.GetBundle()) || !bytes.Equal(unknown.GetProof(), challenge("aaaaaaaaaa").GetProof()) {
		t.Errorf("%v\n%v", known, unknown)
	}
	wrong, _ := jointoken.FromParts(token.ID(), jointoken.New().Secret())
	c, _ := proxy(t, p.address, wrong.Text(), "reviews")
	if err := c.Join(t.Context()); !errors.Is(err, join.ErrImpostor) {
		t.Errorf("%v", err)
	}
	var texts []string
	for _, id := range []string{token.ID(), "aaaaaaaaaa"} {
		_, err := at.Enroll(t.Context(), &meshpb.EnrollRequest{Evidence: &meshpb.EnrollRequest_Token{Token: &meshpb.TokenEvidence{TokenId: id, Nonce: make([]byte, 32), Proof: make([]byte, 32)}}})
		texts = append(texts, fmt.Sprint(err))
	}
	if texts[0] != texts[1] {
		t.Errorf("%s\n%s", texts[0], texts[1])
	}
	for range 40 {
		_, err := at.Enroll(t.Context(), &meshpb.EnrollRequest{Evidence: &meshpb.EnrollRequest_Token{Token: &meshpb.TokenEvidence{TokenId: "aaaaaaaaaa", Nonce: make([]byte, 32)}}})
		if status.Code(err) == codes.ResourceExhausted {
			return
		}
	}
	t.Error("guesses have no bound")
}

func TestJoinsThatAreRefused(t *testing.T) {
	var log bytes.Buffer
	p := begin(t, statetest.SQLite(t), func(o *admit.Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	refused := func(token, service, want string) {
		t.Helper()
		c, k := proxy(t, p.address, token, service)
		if err := c.Join(t.Context()); err == nil || !strings.Contains(err.Error(), want) || !k.Own().IsZero() {
			t.Errorf("%v", err)
		}
	}
	token := p.token(1)
	refused(token.Text(), "cart", "is not for spiffe://prod.example.com/ns/shop/sa/cart")
	if n := p.uses(token); n != 0 {
		t.Errorf("%d uses", n)
	}
	refused(p.token(1, jointoken.Grants{Role: identity.RoleNode, Nodes: []string{"*"}}).Text(), "reviews", "is not for")
	p.later.Store(int64(2 * time.Hour))
	refused(token.Text(), "reviews", "the token has ended")
	p.later.Store(0)
	if err := p.db.Write(t.Context(), func(tx *statedb.Tx) error {
		return tx.PutMeshDenial(t.Context(), &statedb.MeshDenial{ID: "spiffe://prod.example.com/ns/shop/sa/reviews", Created: time.Now()})
	}); err != nil {
		t.Fatal(err)
	}
	free := p.token(0)
	c, k := proxy(t, p.address, free.Text(), "reviews")
	if err := c.Join(t.Context()); err != nil { // before the control plane knows
		t.Fatal(err)
	}
	p.ca.Look(t.Context())
	refused(free.Text(), "reviews", "deny list")
	if _, err := c.Renew(t.Context()); err == nil {
		t.Error("renewed, though denied")
	}
	if text := log.String(); strings.Contains(text, free.Secret()) || !strings.Contains(text, free.ID()) {
		t.Errorf("%s", text)
	}
	ended := identity.NewKeyring(identity.Options{Now: func() time.Time { return k.SVID(k.Own()).NotAfter().Add(time.Hour) }})
	ended.Apply(identity.Change{Own: k.Own(), Put: k.SVIDs(), Bundles: k.Bundles()})
	late, _ := join.NewClient(join.ClientOptions{Addresses: []string{p.address}, Keyring: ended, As: identity.Name{Role: identity.RoleWorkload, Namespace: "shop", Service: "reviews"}})
	if _, err := late.Renew(t.Context()); err == nil {
		t.Error("an SVID that has ended is renewed")
	}
	if _, err := raw(t, p.address).Renew(t.Context(), &meshpb.RenewRequest{}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("%v", err)
	}
}

// A node joins as one.
func TestNode(t *testing.T) {
	p := begin(t, statetest.SQLite(t))
	token := p.token(1, jointoken.Grants{Role: identity.RoleNode, Nodes: []string{"rack1.*"}})
	k := identity.NewKeyring(identity.Options{})
	c, err := join.NewClient(join.ClientOptions{Addresses: []string{"127.0.0.1:1", p.address}, Keyring: k, Token: token.Text(), As: identity.Name{Role: identity.RoleNode, Node: "rack1.a"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Join(t.Context()); err != nil || k.Own() != identity.Node(td, "rack1.a") {
		t.Errorf("%s, %v", k.Own(), err)
	}
}

// A node proxy gets SVIDs of the workloads that its token grants, and of no others; and so
// do its JWT-SVIDs. What it may have is what its last token says.
func TestDelegate(t *testing.T) {
	each(t, func(t *testing.T, p *plane) {
		grants := jointoken.Grants{Role: identity.RoleNode, Nodes: []string{"rack1"}, Namespaces: []string{"shop"}, Services: []string{"cart*"}}
		enter := func(g jointoken.Grants) (*join.Client, *identity.Keyring) {
			k := identity.NewKeyring(identity.Options{})
			c, err := join.NewClient(join.ClientOptions{Addresses: []string{p.address}, Keyring: k, Token: p.token(1, g).Text(), As: identity.Name{Role: identity.RoleNode, Node: "rack1"}})
			if err == nil {
				err = c.Join(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
			return c, k
		}
		c, k := enter(grants)
		cart, reviews := identity.Workload(td, "shop", "cart-v2"), identity.Workload(td, "shop", "reviews")
		first, err := c.Delegate(t.Context(), cart)
		if err != nil || first.ID() != cart || k.Own() != identity.Node(td, "rack1") || k.SVID(cart) == nil || k.SVID(k.Own()) == nil {
			t.Fatalf("%v, own %s", err, k.Own())
		}
		if next, err := c.Delegate(t.Context(), cart); err != nil || next.Serial() == first.Serial() {
			t.Errorf("%v", err)
		}
		if text, _, err := c.SignJWT(t.Context(), cart, []string{"a"}); err != nil || text == "" {
			t.Errorf("%v", err)
		}
		if n := p.notes("node rack1"); n != 1 {
			t.Errorf("%d notes of one workload", n)
		}
		for _, id := range []identity.ID{reviews, identity.Workload(td, "other", "cart"), identity.Node(td, "rack2"), identity.Node(td, "rack1")} {
			if _, err := c.Delegate(t.Context(), id); !join.Refused(err) || !strings.Contains(err.Error(), "may not have") {
				t.Errorf("%s: %v", id, err)
			}
			if _, _, err := c.SignJWT(t.Context(), id, []string{"a"}); id != k.Own() && !join.Refused(err) {
				t.Errorf("token of %s: %v", id, err)
			}
		}
		// A workload speaks for nobody.
		w, wk := proxy(t, p.address, p.token(1).Text(), "reviews")
		if err := w.Join(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Delegate(t.Context(), cart); !join.Refused(err) || wk.SVID(cart) != nil {
			t.Errorf("a workload delegates: %v", err)
		}
		other := admit.NewNodes(p.db, nil, nil) // another control plane
		if !other.Allow(k.Own(), cart) || other.Allow(k.Own(), reviews) || other.Allow(cart, cart) {
			t.Error("another control plane sees it otherwise")
		}
		grants.Services = []string{"reviews"}
		if c, _ = enter(grants); !p.nodes.Allow(k.Own(), reviews) || p.nodes.Allow(k.Own(), cart) {
			t.Error("the last token does not hold")
		}
		if err := p.db.Write(t.Context(), func(tx *statedb.Tx) error {
			return tx.PutMeshDenial(t.Context(), &statedb.MeshDenial{ID: k.Own().String(), Created: time.Now()})
		}); err != nil {
			t.Fatal(err)
		}
		p.ca.Look(t.Context())
		if _, err := c.Delegate(t.Context(), reviews); err == nil {
			t.Error("a node that is denied has workloads")
		}
	})
}

func FuzzEnroll(f *testing.F) {
	p := begin(f, "sqlite:"+f.TempDir()+"/state.db")
	token, at := p.token(0), raw(f, p.address)
	f.Add(token.ID(), make([]byte, 32), make([]byte, 32), []byte("csr"), "shop", "reviews", "")
	f.Add("", []byte{}, []byte{}, []byte{}, "", "", "node")
	f.Fuzz(func(t *testing.T, id string, nonce, proof, csr []byte, namespace, service, node string) {
		if _, err := at.Enroll(t.Context(), &meshpb.EnrollRequest{
			Identity: &meshpb.Identity{Namespace: namespace, Service: service, Node: node}, Csr: csr,
			Evidence: &meshpb.EnrollRequest_Token{Token: &meshpb.TokenEvidence{TokenId: id, Nonce: nonce, Proof: proof}},
		}); err == nil {
			t.Error("joined without a token")
		}
	})
}
