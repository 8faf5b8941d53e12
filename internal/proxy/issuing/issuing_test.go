package issuing_test

import (
	"encoding/json"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/jwt"
	"github.com/gridway/gridway/internal/proxy/issuing"
)

const (
	firstKey = `-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIIQg0yhceLY9lL/L+Gof2TPjqCYsNIT19szim3fSxZWx
-----END PRIVATE KEY-----`
	secondKey = `-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIAZyIGWCS0M0f1bX+Y3H4MBxEvbsyy238ehDughvk8dh
-----END PRIVATE KEY-----`
)

func issuerOf(keys ...string) *ir.TokenIssuer {
	t := &ir.TokenIssuer{
		Name: "default/auth", Issuer: "https://a.example/x", Path: "/x", Audiences: []string{"one", "two"}, Scopes: []string{"s"}, Lifetime: time.Minute, Algorithm: "EdDSA",
		Claims: []ir.TokenClaim{{Name: "who", From: ir.PartName}, {Name: "where", From: ir.PartNamespace}, {Name: "groups", From: ir.PartGroups}, {Name: "none", From: ir.PartPlan}, {Name: "l", From: ir.PartLabel, Label: "l"}},
	}
	for _, k := range keys {
		t.Keys = append(t.Keys, []byte(k))
	}
	return t
}

func TestIssue(t *testing.T) {
	s := issuing.New(issuing.Options{})
	cfg := &ir.Config{TokenIssuers: []*ir.TokenIssuer{issuerOf(firstKey, secondKey)}}
	s.Begin(cfg)
	h := s.Issuer("default/auth")
	is := h.Current()
	now := time.Unix(1_900_000_000, 999)
	who := &ir.Consumer{Namespace: "n", Name: "a", Groups: []string{"g"}, Labels: []ir.Label{{Name: "l", Value: "v"}}}
	text, err := is.Issue(&issuing.Grant{Consumer: who, ClientID: "id", Audiences: []string{"one", "two"}, Scope: "s"}, now, func() {})
	if err != nil {
		t.Fatal(err)
	}
	set, _, err := jwt.ParseSet(is.Keys)
	if err != nil || set.Len() != 2 {
		t.Fatal(set, err)
	}
	token, err := jwt.Parse(text)
	if err != nil || token.Type != "at+jwt" || token.KeyID != is.KeyID() {
		t.Fatal(token, err)
	}
	if _, err := set.Verify(token, jwt.Of(jwt.EdDSA)); err != nil {
		t.Fatal(err)
	}
	claims, err := token.Claims()
	if err != nil {
		t.Fatal(err)
	}
	delete(claims, "jti")
	got, _ := json.Marshal(claims)
	const want = `{"aud":["one","two"],"client_id":"id","exp":1900000060,"groups":["g"],"iat":1900000000,"iss":"https://a.example/x","l":"v","scope":"s","sub":"id","where":"n","who":"a"}`
	if string(got) != want {
		t.Errorf("%s, want\n%s", got, want)
	}

	// The key changes, what was counted stays, and the handle sees it.
	is.Count(issuing.Issued)
	cfg = &ir.Config{TokenIssuers: []*ir.TokenIssuer{issuerOf(secondKey, firstKey)}}
	s.Begin(cfg)
	s.End(cfg)
	if h.Current().KeyID() == is.KeyID() {
		t.Error("the key is the same")
	}
	s.States(func(st issuing.State) {
		if st.Counts[issuing.Issued] != 1 || st.Keys != 2 || st.Name != "default/auth" {
			t.Error(st)
		}
	})
	s.Begin(&ir.Config{TokenIssuers: []*ir.TokenIssuer{issuerOf()}})
	if _, err := h.Current().Issue(&issuing.Grant{Consumer: who}, now, func() {}); !errors.Is(err, issuing.ErrUnavailable) {
		t.Error("a token without a key:", err)
	}
	s.End(&ir.Config{})
	if s.Issuer("default/auth") != nil {
		t.Error("it is still there")
	}
}

func TestFailures(t *testing.T) {
	s := issuing.New(issuing.Options{})
	s.Begin(&ir.Config{TokenIssuers: []*ir.TokenIssuer{issuerOf(firstKey)}})
	is := s.Issuer("default/auth").Current()
	now := time.Unix(1_900_000_000, 0)
	at := netip.MustParseAddr("2001:db8::1")
	for i := range 10 {
		if d := is.Wait("id", at, now); d != 0 {
			t.Fatalf("after %d failures: %s", i, d)
		}
		is.Failed("id", at, now)
	}
	for _, c := range []struct {
		client, address string
		after, want     time.Duration
	}{
		{"id", "2001:db8::1", 0, 6 * time.Second},
		{"id", "2001:db8::2", time.Second, 5 * time.Second}, // the same network
		{"id", "2001:db8:0:1::1", 0, 0},
		{"other", "2001:db8::1", 0, 0},
		{"id", "2001:db8::1", 6 * time.Second, 0},
	} {
		if d := is.Wait(c.client, netip.MustParseAddr(c.address), now.Add(c.after)); d != c.want {
			t.Errorf("%+v: %s", c, d)
		}
	}
	for i := range 90 {
		is.Failed(string(rune('a'+i)), at, now)
	}
	if d := is.Wait("other", at, now); d != time.Second {
		t.Error("the address as a whole:", d)
	}
	four := netip.MustParseAddr("192.0.2.1")
	for range 10 {
		is.Failed("id", netip.AddrFrom16(four.As16()), now)
	}
	if d := is.Wait("id", four, now); d == 0 {
		t.Error("an address of IPv4 inside one of IPv6 is another")
	}
}
