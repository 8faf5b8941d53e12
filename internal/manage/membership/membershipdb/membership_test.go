package membershipdb_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/manage/access/accessdb"
	"github.com/gridway/gridway/internal/manage/membership"
	"github.com/gridway/gridway/internal/manage/membership/membershipdb"
	"github.com/gridway/gridway/internal/mesh/admit"
	"github.com/gridway/gridway/internal/mesh/ca"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/jointoken"
	"github.com/gridway/gridway/internal/statedb"
	"github.com/gridway/gridway/internal/statedb/statetest"
)

var by = access.Actor{Name: "ops", Role: access.Admin, Peer: "127.0.0.1"}

func begin(t *testing.T, place string) (*membershipdb.Service, *accessdb.Service) {
	t.Helper()
	db := statetest.Open(t, place)
	secrets := [][]byte{[]byte(strings.Repeat("s", 32))}
	td, err := identity.ParseTrustDomain("prod.example.com")
	if err != nil {
		t.Fatal(err)
	}
	a, err := ca.Open(t.Context(), ca.Options{DB: db, TrustDomain: td, Secrets: secrets})
	if err != nil {
		t.Fatal(err)
	}
	a.Look(t.Context()) // which notes what was issued
	log := accessdb.New(accessdb.Options{DB: db})
	return membershipdb.New(membershipdb.Options{DB: db, Access: log, Sealer: admit.NewTokens(db, secrets, nil), Authority: a}), log
}

func TestTokens(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		s, log := begin(t, place)
		made, err := s.CreateToken(t.Context(), by, membership.NewToken{Services: []string{"reviews"}})
		if err != nil {
			t.Fatal(err)
		}
		token, err := jointoken.Parse(made.Text)
		if err != nil || token.ID() != made.ID || made.MaxUses != 1 || time.Until(made.Expires) > time.Hour {
			t.Errorf("%+v, %v", made, err)
		}
		if _, err := s.CreateToken(t.Context(), by, membership.NewToken{Services: []string{"cart-*"}, Namespaces: []string{"*"}, Reusable: true, Expires: time.Now().Add(24 * time.Hour)}); err != nil {
			t.Fatal(err)
		}
		list, err := s.Tokens(t.Context())
		if len(list) == 2 && list[0].ID != made.ID { // those of one millisecond are in the order of their IDs
			slices.Reverse(list)
		}
		if err != nil || len(list) != 2 || list[1].MaxUses != 0 || list[0].Grants.Namespaces[0] != "default" {
			t.Errorf("%+v, %v", list, err)
		}
		if err := s.RevokeToken(t.Context(), by, made.ID); err != nil {
			t.Error(err)
		}
		if err := s.RevokeToken(t.Context(), by, made.ID); !errors.Is(err, statedb.ErrNotFound) {
			t.Errorf("%v", err)
		}
		changes, err := log.Audit(t.Context(), access.AuditQuery{Object: "JoinToken/" + made.ID})
		if err != nil || len(changes) != 2 || changes[0].Action != "revoke" || changes[1].Action != "create" || changes[0].Actor != "ops" {
			t.Errorf("%+v, %v", changes, err)
		}
		if text, _ := json.Marshal(changes); strings.Contains(string(text), token.Secret()) {
			t.Error("the audit log has a secret")
		}
	})
}

func TestTokensThatAreRefused(t *testing.T) {
	s, _ := begin(t, statetest.SQLite(t))
	for want, q := range map[string]membership.NewToken{
		"1 to 64 service":        {},
		"is no name":             {Services: []string{"A"}},
		"workload or node":       {Role: "edge", Services: []string{"a"}},
		"1 to 64 node":           {Role: identity.RoleNode},
		"none with * at its end": {Role: identity.RoleNode, Nodes: []string{"a"}, Services: []string{"A"}},
		"in the past":            {Services: []string{"a"}, Expires: time.Now().Add(-time.Minute)},
		"a year":                 {Services: []string{"a"}, Expires: time.Now().AddDate(2, 0, 0)},
		"negative":               {Services: []string{"a"}, Uses: -1},
		"not reusable":           {Services: []string{"a"}, Uses: 1, Reusable: true},
	} {
		if _, err := s.CreateToken(t.Context(), by, q); !errors.Is(err, access.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestDenials(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place string) {
		s, log := begin(t, place)
		const id = "spiffe://prod.example.com/ns/shop/sa/reviews"
		if _, err := s.Deny(t.Context(), by, membership.Denial{ID: id, Reason: "lost laptop", Expires: time.Now().Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		if d, err := s.Deny(t.Context(), by, membership.Denial{Serial: "0A:0b"}); err != nil || d.Serial != "a0b" {
			t.Fatalf("%+v, %v", d, err)
		}
		list, err := s.Denials(t.Context())
		// Those of one millisecond are in the order of their names.
		lost := slices.ContainsFunc(list, func(d membership.Denial) bool { return d.ID == id && d.Reason == "lost laptop" })
		if err != nil || len(list) != 2 || !lost {
			t.Errorf("%+v, %v", list, err)
		}
		for want, d := range map[string]membership.Denial{
			"needs a SPIFFE ID":        {},
			"no SPIFFE ID":             {ID: "reviews"},
			"hexadecimal":              {Serial: "xyz"},
			"the control plane itself": {ID: "spiffe://prod.example.com/gridway/control"},
			"in the past":              {ID: id, Expires: time.Now().Add(-time.Minute)},
			"more than 256":            {ID: id, Reason: strings.Repeat("x", 257)},
		} {
			if want == "no SPIFFE ID" {
				want = "SPIFFE ID"
			}
			if _, err := s.Deny(t.Context(), by, d); !errors.Is(err, access.ErrInvalid) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", want, err)
			}
		}
		if err := s.Allow(t.Context(), by, id, ""); err != nil {
			t.Error(err)
		}
		if err := s.Allow(t.Context(), by, id, ""); !errors.Is(err, statedb.ErrNotFound) {
			t.Errorf("%v", err)
		}
		if err := s.Allow(t.Context(), by, "", "A0:B"); err != nil {
			t.Error(err)
		}
		changes, err := log.Audit(t.Context(), access.AuditQuery{Object: "Identity/" + id})
		if err != nil || len(changes) != 2 || changes[0].Action != "allow" || changes[1].Action != "deny" {
			t.Errorf("%+v, %v", changes, err)
		}
		certificates, err := s.Certificates(t.Context(), "", 0)
		if err != nil || len(certificates) != 1 || certificates[0].Via != "own" || certificates[0].ID != "spiffe://prod.example.com/gridway/control" {
			t.Errorf("%+v, %v", certificates, err)
		}
		if a := s.Authority(); a.TrustDomain != "prod.example.com" || len(a.Authorities) != 2 {
			t.Errorf("%+v", a)
		}
	})
}
