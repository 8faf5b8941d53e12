package adminapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/manage/access/accessdb"
	"github.com/gridway/gridway/internal/manage/membership"
	"github.com/gridway/gridway/internal/manage/membership/membershipdb"
	"github.com/gridway/gridway/internal/mesh/admit"
	"github.com/gridway/gridway/internal/mesh/ca"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/jointoken"
	"github.com/gridway/gridway/internal/proxy/dryrun"
	"github.com/gridway/gridway/internal/statedb"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
)

// withMesh is the mesh of a control plane that has a state store.
func withMesh(t *testing.T, db *statedb.DB, s *accessdb.Service) *membershipdb.Service {
	t.Helper()
	td, err := identity.ParseTrustDomain("prod.example.com")
	if err != nil {
		t.Fatal(err)
	}
	secrets := [][]byte{[]byte(strings.Repeat("s", 32))}
	a, err := ca.Open(t.Context(), ca.Options{DB: db, TrustDomain: td, Secrets: secrets})
	if err != nil {
		t.Fatal(err)
	}
	return membershipdb.New(membershipdb.Options{DB: db, Access: s, Sealer: admit.NewTokens(db, secrets, nil), Authority: a})
}

func TestMesh(t *testing.T) {
	opt := newProcess().options()
	tokens := withStore(t, &opt)
	base := start(t, opt)
	as := func(role access.Role) *client.Client {
		t.Helper()
		c, err := client.New(client.Options{Address: base, Token: tokens[role]})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	admin, viewer := as(access.Admin), as(access.Viewer)
	made, err := admin.CreateJoinToken(t.Context(), membership.NewToken{Services: []string{"reviews"}, Uses: 3})
	if err != nil {
		t.Fatal(err)
	}
	token, err := jointoken.Parse(made.Text)
	if err != nil {
		t.Fatal(err)
	}
	list, err := admin.JoinTokens(t.Context())
	if err != nil || len(list) != 1 || list[0].ID != made.ID || list[0].MaxUses != 3 {
		t.Errorf("%+v, %v", list, err)
	}
	if text, _ := json.Marshal(list); strings.Contains(string(text), token.Secret()) {
		t.Error("the list has a secret")
	}
	if _, err := viewer.JoinTokens(t.Context()); err == nil {
		t.Error("a viewer sees join tokens")
	}
	if err := admin.RevokeJoinToken(t.Context(), made.ID); err != nil {
		t.Error(err)
	}
	if err := admin.RevokeJoinToken(t.Context(), made.ID); err == nil || !strings.Contains(err.Error(), "not found") {
		t.Errorf("%v", err)
	}
	const id = "spiffe://prod.example.com/ns/shop/sa/reviews"
	if d, err := as(access.Operator).Deny(t.Context(), membership.Denial{ID: id, Reason: "lost", Expires: time.Now().Add(time.Hour)}); err != nil || d.Created.IsZero() {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := as(access.Operator).Deny(t.Context(), membership.Denial{ID: "reviews"}); err == nil || !strings.Contains(err.Error(), "SPIFFE ID") {
		t.Errorf("%v", err)
	}
	if list, err := viewer.Denials(t.Context()); err != nil || len(list) != 1 || list[0].Reason != "lost" {
		t.Errorf("%+v, %v", list, err)
	}
	if err := admin.Allow(t.Context(), id, ""); err != nil {
		t.Error(err)
	}
	if _, err := viewer.Identities(t.Context(), id); err != nil {
		t.Error(err)
	}
	if a, err := viewer.MeshAuthority(t.Context()); err != nil || a.TrustDomain != "prod.example.com" || len(a.Authorities) != 2 {
		t.Errorf("%+v, %v", a, err)
	}
	audit, err := admin.Audit(t.Context(), access.AuditQuery{})
	text, _ := json.Marshal(audit)
	if err != nil || !strings.Contains(string(text), "JoinToken/"+made.ID) || !strings.Contains(string(text), "Identity/"+id) || strings.Contains(string(text), token.Secret()) {
		t.Errorf("%s, %v", text, err)
	}
}

// services is what a control plane has compiled.
type services struct{ mesh *ir.Mesh }

func (s *services) Mesh() *ir.Mesh { return s.mesh }

func (s *services) Passage(_ context.Context, q dryrun.PassageRequest) (*dryrun.Passage, error) {
	if q.Service == "" {
		return nil, errors.New("who?")
	}
	return &dryrun.Passage{Host: q.Request.URL, Service: q.Namespace + "/" + q.Service}, nil
}

func TestMeshRoutes(t *testing.T) {
	opt := newProcess().options()
	tokens := withStore(t, &opt)
	of := &services{}
	opt.Services = of
	c, err := client.New(client.Options{Address: start(t, opt), Token: tokens[access.Viewer]})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.MeshRoutes(t.Context(), "", ""); err == nil || !strings.Contains(err.Error(), "no revision") {
		t.Errorf("before the first revision: %v", err)
	}
	if _, err := c.ExplainPassage(t.Context(), dryrun.PassageRequest{}); err == nil || !strings.Contains(err.Error(), "no revision") {
		t.Errorf("before the first revision: %v", err)
	}
	rule := &ir.Rule{ID: "Service/shop/reviews:80", Matches: []ir.Match{{Path: ir.PathMatch{Type: ir.Prefix, Value: "/"}}}}
	port := &ir.MeshPort{Port: 80, Protocol: ir.HTTP, Outbound: []ir.MeshOutbound{{Protocol: ir.HTTP, Routes: []ir.Attachment{{Route: rule.ID}}}}}
	of.mesh = &ir.Mesh{
		Routes: []*ir.Route{{Name: rule.ID, Rules: []*ir.Rule{rule}}},
		Services: []*ir.MeshService{
			{Namespace: "lab", Name: "reviews", Ports: []*ir.MeshPort{port}},
			{Namespace: "shop", Name: "ratings", Ports: []*ir.MeshPort{port}},
			{Namespace: "shop", Name: "reviews", Ports: []*ir.MeshPort{port}},
		},
	}
	q := dryrun.PassageRequest{Service: "cart", Namespace: "shop", Request: dryrun.Request{URL: "http://reviews/"}}
	if p, err := c.ExplainPassage(t.Context(), q); err != nil || p.Host != "http://reviews/" || p.Service != "shop/cart" {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := c.ExplainPassage(t.Context(), dryrun.PassageRequest{}); err == nil || !strings.Contains(err.Error(), "who?") {
		t.Errorf("nobody: %v", err)
	}
	for _, want := range []struct {
		namespace, service string
		rows               int
	}{{"", "", 3}, {"shop", "", 2}, {"", "reviews", 2}, {"shop", "reviews", 1}, {"other", "", 0}} {
		rows, err := c.MeshRoutes(t.Context(), want.namespace, want.service)
		if err != nil || len(rows) != want.rows {
			t.Errorf("%+v: %+v, %v", want, rows, err)
		}
		for _, r := range rows {
			if r.Mesh == nil || r.Mesh.Port != 80 || r.Mesh.Origin != dryrun.Service || r.Match == "" {
				t.Errorf("%+v", r)
			}
		}
	}
}
