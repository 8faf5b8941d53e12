package cli_test

import (
	"context"
	"log/slog"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/gridway/gridway/internal/manage/access"
	"github.com/gridway/gridway/internal/manage/access/accessdb"
	"github.com/gridway/gridway/internal/manage/membership/membershipdb"
	"github.com/gridway/gridway/internal/mesh/admit"
	"github.com/gridway/gridway/internal/mesh/ca"
	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/statedb"
	"github.com/gridway/gridway/internal/surface/adminapi"
)

// idle is a process that serves nothing.
type idle struct{}

func (idle) State() adminapi.State   { return adminapi.Serving }
func (idle) Status() adminapi.Status { return adminapi.Status{} }

func (idle) Troubles() ([]adminapi.Trouble, int) { return nil, 0 }

// cmdControl starts the admin API of a control plane, and sets $GRIDWAY_ADMIN and, to a
// token of each role, $ADMIN, $OPERATOR and $VIEWER.
func cmdControl(ts *testscript.TestScript, _ bool, _ []string) {
	ctx, cancel := context.WithCancel(context.Background())
	at, err := statedb.ParseLocation("sqlite:"+ts.MkAbs("state.db"), "")
	ts.Check(err)
	db, err := statedb.Open(ctx, statedb.Options{Location: at})
	ts.Check(err)
	secrets := [][]byte{[]byte(strings.Repeat("s", 32))}
	td, err := identity.ParseTrustDomain("prod.example.com")
	ts.Check(err)
	authority, err := ca.Open(ctx, ca.Options{DB: db, TrustDomain: td, Secrets: secrets})
	ts.Check(err)
	authority.Look(ctx) // which notes what was issued
	users := accessdb.New(accessdb.Options{DB: db})
	ts.Check(users.Bootstrap(ctx, func(list []access.CreatedToken) error {
		for _, c := range list {
			ts.Setenv(strings.ToUpper(string(c.Role)), c.Text)
		}
		return nil
	}))
	mesh := membershipdb.New(membershipdb.Options{DB: db, Access: users, Sealer: admit.NewTokens(db, secrets, nil), Authority: authority})
	s, err := adminapi.New(ctx, adminapi.Options{Address: "127.0.0.1:0", Access: users, Mesh: mesh, Process: idle{}, Log: slog.New(slog.DiscardHandler)})
	ts.Check(err)
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	ts.Setenv("GRIDWAY_ADMIN", s.Addr().String())
	ts.Defer(func() {
		cancel()
		<-done
		_ = db.Close()
	})
}
