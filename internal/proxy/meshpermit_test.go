package proxy_test

import (
	"io"
	"net/netip"
	"testing"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/wire/netx"
)

func permit(action ir.AuthorizationAction, c ir.AuthorizationConditions) []*ir.Authorization {
	rule := ir.AuthorizationRule{Name: "clients", AuthorizationConditions: c}
	return []*ir.Authorization{{Policy: "default/clients", Action: action, Rules: []ir.AuthorizationRule{rule}, Hash: 1}}
}

func (h *harness) authorize(list []*ir.Authorization) {
	cfg := h.edit()
	cfg.Authorizations, cfg.Streams[0].Authorization = list, list
	h.apply()
}

// Who the client's proxy is decides which tunnels open, and a change of the policy cuts
// those that it does not let go on, while others stay.
func TestMeshStreamAuthorization(t *testing.T) {
	m := startMeshStreams(t, named(t, "db"), func(_, server *ir.Config) {
		server.Streams[0].Authorization = permit(ir.AuthorizationAllow, ir.AuthorizationConditions{Identities: []string{ratingsID}})
		server.Authorizations = server.Streams[0].Authorization
	})
	if !m.client.refused() {
		t.Fatal("another identity was let in")
	}
	m.server.authorize(permit(ir.AuthorizationAllow, ir.AuthorizationConditions{Identities: []string{shopID}}))
	c := m.client.connect()
	if got := greeting(c); got != "db" {
		t.Fatalf("got %q", got)
	}
	m.server.authorize(permit(ir.AuthorizationAllow, ir.AuthorizationConditions{Identities: []string{shopID, ratingsID}}))
	io.WriteString(c, "x")
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Errorf("cut though it is allowed still: %v", err)
	}
	m.server.authorize(permit(ir.AuthorizationDeny, ir.AuthorizationConditions{Identities: []string{shopID}, Methods: []string{"GET"}}))
	if _, err := c.Read(make([]byte, 1)); !netx.IsReset(err) {
		t.Errorf("not cut, but %v", err)
	}
	if !m.client.refused() {
		t.Error("let in by a policy that denies")
	}
	m.server.authorize(nil)
	if got := greeting(m.client.connect()); got != "db" {
		t.Errorf("got %q", got)
	}
}

// At an edge addresses and ports decide, the same way.
func TestStreamAuthorization(t *testing.T) {
	h := start(t, nil, streams([]string{named(t, "db")}))
	c := h.connect()
	if got := greeting(c); got != "db" {
		t.Fatalf("got %q", got)
	}
	loopback := ir.AuthorizationConditions{ClientIPs: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	h.authorize(permit(ir.AuthorizationAllow, loopback))
	io.WriteString(c, "x")
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Errorf("cut though it is allowed: %v", err)
	}
	h.authorize(permit(ir.AuthorizationDeny, loopback))
	if _, err := c.Read(make([]byte, 1)); !netx.IsReset(err) {
		t.Errorf("not cut, but %v", err)
	}
	if !h.refused() {
		t.Error("not refused")
	}
	h.authorize([]*ir.Authorization{{Policy: "default/broken", Broken: true, Hash: 1}})
	if !h.refused() {
		t.Error("a broken policy lets connections in")
	}
}
