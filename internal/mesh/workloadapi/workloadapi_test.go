package workloadapi_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	client "github.com/spiffe/go-spiffe/v2/workloadapi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/gridway/gridway/internal/mesh/ca"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/identity/identitytest"
	"github.com/gridway/gridway/internal/mesh/workloadapi"
	"github.com/gridway/gridway/internal/statedb/statetest"
)

func TestMain(m *testing.M) { statetest.Main(m) }

// mesh is an authority with its own keys.
func mesh(t *testing.T) *ca.Authority {
	t.Helper()
	td, err := identity.ParseTrustDomain("prod.example.com")
	if err != nil {
		t.Fatal(err)
	}
	a, err := ca.Open(t.Context(), ca.Options{DB: statetest.Open(t, statetest.SQLite(t)), TrustDomain: td, Secrets: [][]byte{[]byte(strings.Repeat("s", 32))}})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// proxy is a keyring of a service, and what gives it a new SVID.
func proxy(t *testing.T, a *ca.Authority, service string) (k *identity.Keyring, renew func() *identity.SVID) {
	t.Helper()
	k = identity.NewKeyring(identity.Options{})
	renew = func() *identity.SVID {
		t.Helper()
		s, err := a.Issue(identity.Workload(a.TrustDomain(), "shop", service), "test")
		if err != nil {
			t.Fatal(err)
		}
		k.Apply(identity.Change{Own: s.ID(), Put: []*identity.SVID{s}, Bundles: []*identity.Bundle{a.Bundle()}})
		return s
	}
	renew()
	return k, renew
}

func serve(t *testing.T, o workloadapi.Options) string {
	t.Helper()
	if o.Path == "" {
		dir, err := os.MkdirTemp("", "gwwl") // short: a socket's path has 107 bytes
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		o.Path = filepath.Join(dir, "api.sock")
	}
	s, err := workloadapi.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s.Address()
}

// go-spiffe's sources, unmodified: two programs speak mutual TLS, and go on after a renewal.
func TestTwoPrograms(t *testing.T) {
	a := mesh(t)
	reviewsKeys, renew := proxy(t, a, "reviews")
	cartKeys, _ := proxy(t, a, "cart")
	source := func(k *identity.Keyring) *client.X509Source {
		s, err := client.NewX509Source(t.Context(), client.WithClientOptions(client.WithAddr(serve(t, workloadapi.Options{Keyring: k}))))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	reviews, cart := source(reviewsKeys), source(cartKeys)
	l, err := tls.Listen("tcp", "127.0.0.1:0", tlsconfig.MTLSServerConfig(reviews, reviews, tlsconfig.AuthorizeID(cartKeys.Own())))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("hello"))
			_ = c.Close()
		}
	}()
	hello := func(want spiffeid.ID) (string, error) {
		c, err := tls.Dial("tcp", l.Addr().String(), tlsconfig.MTLSClientConfig(cart, cart, tlsconfig.AuthorizeID(want)))
		if err != nil {
			return "", err
		}
		defer c.Close()
		text, err := io.ReadAll(c)
		return string(text), err
	}
	if text, err := hello(reviewsKeys.Own()); err != nil || text != "hello" {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := hello(cartKeys.Own()); err == nil {
		t.Error("reviews is taken for cart")
	}
	newest := renew()
	for {
		got, err := reviews.GetX509SVID()
		if err != nil {
			t.Fatal(err)
		}
		if identity.Serial(got.Certificates[0].SerialNumber) == newest.Serial() {
			break
		}
		<-reviews.Updated()
	}
	if text, err := hello(reviewsKeys.Own()); err != nil || text != "hello" {
		t.Errorf("%q, %v", text, err)
	}
}

func TestTokens(t *testing.T) {
	a := mesh(t)
	k, _ := proxy(t, a, "reviews")
	var signed atomic.Int32
	address := serve(t, workloadapi.Options{Keyring: k, SignJWT: func(_ context.Context, id identity.ID, audiences []string) (string, time.Time, error) {
		signed.Add(1)
		return a.SignJWT(id, audiences)
	}})
	source, err := client.NewJWTSource(t.Context(), client.WithClientOptions(client.WithAddr(address)))
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	var token *jwtsvid.SVID
	for range 3 {
		if token, err = source.FetchJWTSVID(t.Context(), jwtsvid.Params{Audience: "billing", ExtraAudiences: []string{"b"}}); err != nil {
			t.Fatal(err)
		}
	}
	if n := signed.Load(); n != 1 {
		t.Errorf("signed %d times", n)
	}
	if token.ID != k.Own() || !slices.Contains(token.Audience, "billing") {
		t.Errorf("%+v", token)
	}
	if got, err := jwtsvid.ParseAndValidate(token.Marshal(), source, []string{"billing"}); err != nil || got.ID != k.Own() {
		t.Errorf("%v", err)
	}
	c, err := client.New(t.Context(), client.WithAddr(address))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got, err := c.ValidateJWTSVID(t.Context(), token.Marshal(), "billing"); err != nil || got.ID != k.Own() {
		t.Errorf("%v", err)
	}
	if _, err := c.ValidateJWTSVID(t.Context(), token.Marshal(), "other"); status.Code(err) != codes.InvalidArgument {
		t.Errorf("%v", err)
	}
	if _, err := c.FetchJWTSVID(t.Context(), jwtsvid.Params{Audience: "a", Subject: identity.Workload(a.TrustDomain(), "shop", "cart")}); err == nil {
		t.Error("a token of somebody else")
	}
	foreign := mesh(t)
	stolen, _, err := foreign.SignJWT(k.Own(), []string{"billing"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.ValidateJWTSVID(t.Context(), stolen, "billing"); err == nil {
		t.Error("a token of another authority is valid")
	}
	k.Apply(identity.Change{Denied: []identity.Denial{{ID: k.Own().String()}}})
	if _, err := c.ValidateJWTSVID(t.Context(), token.Marshal(), "billing"); err == nil || !strings.Contains(err.Error(), "deny list") {
		t.Errorf("%v", err)
	}
}

// Bundles of other trust domains are given out with the own one.
func TestFederatedBundles(t *testing.T) {
	a, other := mesh(t), identitytest.New(t, "partner.example.org")
	k, _ := proxy(t, a, "reviews")
	k.Apply(identity.Change{Bundles: []*identity.Bundle{a.Bundle(), other.Bundle()}})
	c, err := client.New(t.Context(), client.WithAddr(serve(t, workloadapi.Options{Keyring: k})))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	x, err := c.FetchX509Context(t.Context())
	if err != nil || !x.Bundles.Has(a.TrustDomain()) || !x.Bundles.Has(other.TrustDomain()) {
		t.Errorf("%v", err)
	}
	if set, err := c.FetchX509Bundles(t.Context()); err != nil || set.Len() != 2 {
		t.Errorf("%v", err)
	}
	if set, err := c.FetchJWTBundles(t.Context()); err != nil || set.Len() != 2 {
		t.Errorf("%v", err)
	}
}

// Who calls is known by the kernel; who is nobody gets nothing, and calls have the header.
func TestWhoMayCall(t *testing.T) {
	a := mesh(t)
	k, _ := proxy(t, a, "reviews")
	own := uint32(os.Geteuid())
	for name, x := range map[string]struct {
		o    workloadapi.Options
		want codes.Code
	}{
		"own user":   {workloadapi.Options{Keyring: k}, codes.OK},
		"other user": {workloadapi.Options{Keyring: k, Users: []uint32{own + 1}}, codes.PermissionDenied},
		"this process": {workloadapi.Options{Keyring: k, Identify: func(c workloadapi.Caller) []identity.ID {
			if int(c.PID) != os.Getpid() || c.UID != own || c.GID != uint32(os.Getegid()) {
				return nil
			}
			return []identity.ID{k.Own()}
		}}, codes.OK},
		"not joined": {workloadapi.Options{Keyring: identity.NewKeyring(identity.Options{})}, codes.PermissionDenied},
		"not yet there": {workloadapi.Options{Keyring: k, Identify: func(workloadapi.Caller) []identity.ID {
			return []identity.ID{identity.Workload(a.TrustDomain(), "shop", "cart")}
		}}, codes.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := client.New(t.Context(), client.WithAddr(serve(t, x.o)))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_, err = c.FetchX509SVID(t.Context())
			if got := status.Code(err); (err == nil) != (x.want == codes.OK) || err != nil && got != x.want {
				t.Errorf("%v", err)
			}
		})
	}
	address := serve(t, workloadapi.Options{Keyring: k})
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	bare := workload.NewSpiffeWorkloadAPIClient(conn)
	for _, header := range [][]string{nil, {"workload.spiffe.io", "false"}, {"workload.spiffe.io", "true", "workload.spiffe.io", "true"}} {
		ctx := metadata.AppendToOutgoingContext(t.Context(), header...)
		st, err := bare.FetchX509SVID(ctx, &workload.X509SVIDRequest{})
		if err == nil {
			_, err = st.Recv()
		}
		if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "security header missing") {
			t.Errorf("%v: %v", header, err)
		}
	}
}

func TestSocket(t *testing.T) {
	dir, err := os.MkdirTemp("", "gwwl")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "api.sock")
	k, _ := proxy(t, mesh(t), "reviews")
	l, err := net.Listen("unix", path) // of a process that was killed
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = l.Close()
	serve(t, workloadapi.Options{Keyring: k, Path: path})
	if _, err := workloadapi.New(t.Context(), workloadapi.Options{Keyring: k, Path: path}); err == nil || !strings.Contains(err.Error(), "served by another process") {
		t.Errorf("%v", err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := workloadapi.New(t.Context(), workloadapi.Options{Keyring: k, Path: file}); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("%v", err)
	}
}
