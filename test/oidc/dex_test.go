package oidc

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dexidp/dex/server"
	"github.com/dexidp/dex/server/session"
	"github.com/dexidp/dex/server/signer"
	"github.com/dexidp/dex/server/tokens"
	"github.com/dexidp/dex/storage"
	"github.com/dexidp/dex/storage/memory"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/crypto/bcrypt"
)

// dex is a provider with the client "shop", maybe others, and one user, who is asked for
// a password at its own page.
type dex struct {
	issuer string
	// gone: connections break.
	gone atomic.Bool
}

const (
	email    = "ada@example.org"
	password = "secret"
)

func newDex(t *testing.T, gateway string, lifetime time.Duration, more ...storage.Client) *dex {
	t.Helper()
	d := &dex{}
	var handler atomic.Pointer[server.Server]
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.gone.Load() {
			panic(http.ErrAbortHandler)
		}
		handler.Load().ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	d.issuer = s.URL + "/dex"
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.DefaultCost)
	must(err)
	store := storage.WithStaticClients(memory.New(log), append(more, storage.Client{
		ID: "shop", Name: "Shop", Secret: "the-secret", RedirectURIs: []string{gateway + "/oauth2/callback"}, PostLogoutRedirectURIs: []string{gateway + "/bye"},
	}))
	store = storage.WithStaticPasswords(store, []storage.Password{{Email: email, Username: "ada", UserID: "1815", Hash: hash}}, log)
	store = storage.WithStaticConnectors(store, []storage.Connector{{ID: "local", Name: "Email", Type: "local"}})
	keys := signer.LocalConfig{KeysRotationPeriod: "6h"}
	sign, err := keys.Open(ctx, store, lifetime, time.Now, log)
	must(err)
	// Each refresh token is good for one use, and for a moment more.
	refresh, err := tokens.NewRefreshTokenPolicy(log, false, "", "", "1s")
	must(err)
	provider, err := server.NewServer(ctx, server.Config{
		Issuer: d.issuer, Storage: store, SkipApprovalScreen: true, IDTokensValidFor: lifetime, Signer: sign, RefreshTokenPolicy: refresh, Logger: log,
		PrometheusRegistry: prometheus.NewRegistry(), SessionConfig: &session.Config{CookieName: "dex_session", AbsoluteLifetime: time.Hour, ValidIfNotUsedFor: time.Hour},
	})
	must(err)
	handler.Store(provider)
	return d
}
