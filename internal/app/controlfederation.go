package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/gridway/gridway/internal/mesh/federation"
)

// openFederation has the trust bundles of other trust domains, as they were kept.
func (g *Gateway) openFederation(c *control) (*federation.Federation, error) {
	m := g.opt.Mesh
	return federation.New(federation.Options{
		Own: m.TrustDomain, Relations: m.Federation, Folder: filepath.Join(g.opt.StateDir, "federation"), Log: g.log,
		Changed: func() { c.authority.Nudge() },
	})
}

// bundleEndpoint serves the own trust bundle to other trust domains.
type bundleEndpoint struct {
	server   *http.Server
	listener net.Listener
}

func (c *control) openBundles(g *Gateway) error {
	address := g.opt.Mesh.BundleEndpoint
	if address == "" {
		return nil
	}
	l, err := g.listenMesh(address)
	if err != nil {
		return fmt.Errorf("the bundle endpoint: %w", err)
	}
	c.bundles = &bundleEndpoint{listener: l, server: &http.Server{
		Handler: federation.Handler(c.authority.Bundle), TLSConfig: federation.ServerTLS(c.authority.Keyring()),
		ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(g.log.Handler(), slog.LevelDebug),
	}}
	return nil
}

// run serves until ctx ends; nil serves nothing.
func (b *bundleEndpoint) run(ctx context.Context) error {
	if b == nil {
		return nil
	}
	stop := context.AfterFunc(ctx, func() { _ = b.server.Close() })
	defer stop()
	if err := b.server.ServeTLS(b.listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// sockets are those of the control plane, by the addresses as they were configured.
func (c *control) sockets(m *Mesh) map[string]net.Listener {
	out := map[string]net.Listener{m.Listen: c.listener}
	if c.bundles != nil {
		out[m.BundleEndpoint] = c.bundles.listener
	}
	return out
}
