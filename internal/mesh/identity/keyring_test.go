package identity_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/identity/identitytest"
	"github.com/gridway/gridway/internal/wire/tlsx"
)

func TestPeersThatAreRefused(t *testing.T) {
	ours, foreign, federated := identitytest.New(t, "ours"), identitytest.New(t, "foreign"), identitytest.New(t, "federated")
	k := ours.Keyring("shop", "cart", federated)
	id := identity.Workload(ours.TrustDomain(), "shop", "reviews")
	change := func(f func(*x509.Certificate)) []*x509.Certificate {
		chain, _ := ours.Issue(id, time.Hour, f)
		return chain
	}
	forged := identitytest.New(t, "ours").Workload("shop", "reviews")
	crossed, _ := federated.Issue(id, time.Hour) // an authority that is trusted, but not for this
	deep := ours
	for range 4 {
		deep = deep.Intermediate()
	}
	deeper := deep.Intermediate()
	tooDeep, _ := deeper.Issue(id, time.Hour)
	parse := func(text string) *url.URL { u, _ := url.Parse(text); return u }
	for name, c := range map[string]struct {
		chain []*x509.Certificate
		want  string // empty: accepted
	}{
		"good":            {change(func(*x509.Certificate) {}), ""},
		"another name":    {change(func(c *x509.Certificate) { c.DNSNames = []string{"reviews"} }), ""},
		"intermediates":   {chainOf(deep.SVID(id, time.Hour)), ""},
		"no usage":        {change(func(c *x509.Certificate) { c.ExtKeyUsage = nil }), ""},
		"federated":       {chainOf(federated.Workload("a", "b")), ""},
		"nothing":         {nil, "no certificate"},
		"too many":        {tooDeep, "at most 5"},
		"forged":          {chainOf(forged), "not trusted"},
		"foreign":         {chainOf(foreign.Workload("a", "b")), "trust domain that is not trusted here"},
		"crossed":         {crossed, "not trusted"},
		"ended":           {change(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), "it ended at"},
		"not yet":         {change(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }), "is a clock wrong"},
		"an authority":    {change(func(c *x509.Certificate) { c.IsCA = true }), "of an authority"},
		"the root":        {[]*x509.Certificate{ours.Root}, "has no path"},
		"signs":           {change(func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCertSign }), "may sign certificates"},
		"revokes":         {change(func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCRLSign }), "may sign certificates"},
		"no signature":    {change(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }), "digitalSignature"},
		"client alone":    {change(func(c *x509.Certificate) { c.ExtKeyUsage = c.ExtKeyUsage[1:] }), "extKeyUsage"},
		"two names":       {change(func(c *x509.Certificate) { c.URIs = append(c.URIs, parse("spiffe://ours/b")) }), "2 URI names"},
		"no name":         {change(func(c *x509.Certificate) { c.URIs = nil }), "0 URI names"},
		"no SPIFFE ID":    {change(func(c *x509.Certificate) { c.URIs[0] = parse("https://ours/ns/a/sa/b") }), "no SPIFFE ID"},
		"hidden segments": {change(func(c *x509.Certificate) { c.URIs[0] = parse("spiffe://ours/ns/a/sa/b%2f..") }), "no SPIFFE ID"},
		"trust domain":    {change(func(c *x509.Certificate) { c.URIs[0] = parse("spiffe://ours") }), "has no path"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := k.VerifyPeer(c.chain)
			if c.want == "" {
				if err != nil || !strings.HasPrefix(got, "spiffe://") {
					t.Errorf("%q, %v", got, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || got != "" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

func chainOf(s *identity.SVID) []*x509.Certificate {
	list, _ := x509.ParseCertificates(s.Chain())
	return list
}

func TestDenied(t *testing.T) {
	a, b := identitytest.New(t, "ours"), identitytest.New(t, "theirs")
	now := time.Now()
	var mu sync.Mutex
	k := identity.NewKeyring(identity.Options{Now: func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}})
	k.Apply(identity.Change{Bundles: []*identity.Bundle{a.Bundle(), b.Bundle()}})
	reviews, cart, foreign := a.Workload("shop", "reviews"), a.Workload("shop", "cart"), b.Workload("x", "y")
	var cut []string
	stop := k.WatchDenied(func(denied func(id, serial string) bool) {
		for _, s := range []*identity.SVID{reviews, cart, foreign} {
			if denied(s.ID().String(), s.Serial()) {
				cut = append(cut, s.ID().Path())
			}
		}
	})
	expect := func(want ...string) {
		t.Helper()
		if !slices.Equal(cut, want) {
			t.Errorf("cut %v, want %v", cut, want)
		}
		cut = nil
	}
	k.Apply(identity.Change{Denied: []identity.Denial{{ID: reviews.ID().String(), Expires: now.Add(time.Hour)}}})
	expect(reviews.ID().Path())
	_, err := k.VerifyPeer(chainOf(reviews))
	var denied *identity.DeniedError
	if !errors.As(err, &denied) || denied.Serial != reviews.Serial() {
		t.Errorf("%v", err)
	}
	mu.Lock()
	now = now.Add(59 * time.Minute)
	mu.Unlock()
	if _, err := k.VerifyPeer(chainOf(reviews)); !errors.As(err, &denied) {
		t.Errorf("%v", err)
	}
	k.Apply(identity.Change{Denied: []identity.Denial{{Serial: cart.Serial()}, {Serial: reviews.Serial(), ID: cart.ID().String()}}})
	expect(cart.ID().Path())
	if _, err := k.VerifyPeer(chainOf(reviews)); err != nil {
		t.Errorf("the serial of another identity: %v", err)
	}
	k.Apply(identity.Change{Denied: []identity.Denial{}, Bundles: []*identity.Bundle{a.Bundle()}})
	expect(foreign.ID().Path())
	stop()
	k.Apply(identity.Change{Denied: []identity.Denial{{Serial: cart.Serial()}}})
	expect()
}

// The SVID that was made last stays, and one that ended is not shown for long.
func TestCertificates(t *testing.T) {
	a := identitytest.New(t, "ours")
	k := a.Keyring("shop", "cart")
	own := k.SVID(k.Own())
	if got, err := k.Certificate(""); err != nil || got != own.Certificate() {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := k.Certificate("spiffe://ours/ns/shop/sa/x"); err == nil || !strings.Contains(err.Error(), "no SVID of spiffe://ours/ns/shop/sa/x") {
		t.Error(err)
	}
	if _, err := identity.NewKeyring(identity.Options{}).Certificate(""); err == nil || !strings.Contains(err.Error(), "no identity yet") {
		t.Error(err)
	}
	a.Now = func() time.Time { return time.Now().Add(-30 * time.Minute) }
	older := a.Workload("shop", "cart")
	k.Apply(identity.Change{Put: []*identity.SVID{older}})
	if k.SVID(k.Own()) != own {
		t.Error("an older SVID took the place of a newer one")
	}
	ended := func(ago time.Duration) error {
		k := identity.NewKeyring(identity.Options{})
		a.Now = func() time.Time { return time.Now().Add(-ago - time.Minute) }
		s := a.SVID(own.ID(), time.Minute)
		k.Apply(identity.Change{Own: s.ID(), Put: []*identity.SVID{s}})
		_, err := k.Certificate("")
		return err
	}
	if err := ended(5 * time.Minute); err != nil {
		t.Error(err)
	}
	if err := ended(11 * time.Minute); err == nil || !strings.Contains(err.Error(), "ended at") {
		t.Error(err)
	}
	k.Apply(identity.Change{Drop: []identity.ID{own.ID()}})
	if list := k.SVIDs(); len(list) != 0 {
		t.Errorf("%d SVIDs", len(list))
	}
}

// A handshake of both ends by keyrings alone.
func TestHandshake(t *testing.T) {
	a := identitytest.New(t, "ours")
	server, client := a.Keyring("shop", "reviews"), a.Keyring("shop", "cart")
	config := func(k *identity.Keyring, peer *string) *tls.Config {
		verify := func(s tls.ConnectionState) (err error) {
			*peer, err = k.VerifyPeer(s.PeerCertificates)
			return err
		}
		return &tls.Config{
			MinVersion: tls.VersionTLS13, InsecureSkipVerify: true, ClientAuth: tls.RequireAnyClientCert, VerifyConnection: verify,
			GetCertificate:       func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return k.Certificate("") },
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return k.Certificate("") },
		}
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", config(server, new(string)))
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
			_, _ = c.Write([]byte("x"))
			_ = c.Close()
		}
	}()
	var peer string
	dial := func() error {
		c, err := tls.Dial("tcp", l.Addr().String(), config(client, &peer))
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Read(make([]byte, 1))
		return err
	}
	if err := dial(); err != nil || peer != "spiffe://ours/ns/shop/sa/reviews" {
		t.Errorf("%q, %v", peer, err)
	}
	server.Apply(identity.Change{Denied: []identity.Denial{{ID: client.Own().String()}}})
	if err := dial(); err == nil {
		t.Error("a client that is denied is served")
	}
}

var _ tlsx.Identities = (*identity.Keyring)(nil)
