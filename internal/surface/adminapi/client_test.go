package adminapi_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/proxy/dryrun"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
)

// Every call of the client against the real server.
func TestClient(t *testing.T) {
	p := newProcess()
	opt := p.options()
	opt.Token = token(t)
	c := newClient(t, client.Options{Address: start(t, opt), Token: tokenText})
	ctx := t.Context()
	if err := c.Ready(ctx); err != nil {
		t.Error(err)
	}
	if s, err := c.Status(ctx); err != nil || !s.Ready || len(s.Problems) != 1 || s.Problems[0].Place.Line != 12 {
		t.Errorf("Status: %+v, %v", s, err)
	}
	if cfg, err := c.Config(ctx); err != nil || cfg.Revision != 7 || len(cfg.Routes) != 1 {
		t.Errorf("Config: %+v, %v", cfg, err)
	}
	if all, err := c.Objects(ctx, "", false); err != nil || len(all) != 3 || all[0].Value != nil {
		t.Errorf("Objects: %+v, %v", all, err)
	}
	if secrets, err := c.Objects(ctx, "Secret", true); err != nil || len(secrets) != 1 || secrets[0].Value == nil || secrets[0].Hash != "" {
		t.Errorf("Objects: %+v, %v", secrets, err)
	}
	if o, err := c.Object(ctx, "GatewayClass", "", "gridway"); err != nil || o.Name != "gridway" {
		t.Errorf("Object: %+v, %v", o, err)
	}
	if rows, err := c.Routes(ctx); err != nil || len(rows) != 4 || rows[0].Backends[0] != "Backend/default/cart 90 %" {
		t.Errorf("Routes: %+v, %v", rows, err)
	}
	if list, err := c.Clusters(ctx); err != nil || len(list) != 1 || list[0].Endpoints[0].Tries != 10 {
		t.Errorf("Clusters: %+v, %v", list, err)
	}
	if d, err := c.Explain(ctx, dryrun.Request{Method: "GET", URL: "/cart"}); err != nil || d.Action != dryrun.Forward {
		t.Errorf("Explain: %+v, %v", d, err)
	}
	if s, err := c.Top(ctx); err != nil || len(s.Routes) != 1 || s.Routes[0].Requests != 12.5 {
		t.Errorf("Top: %+v, %v", s, err)
	}
	if err := c.SetLogLevel(ctx, "debug"); err != nil {
		t.Error(err)
	}
	if l, err := c.LogLevel(ctx); err != nil || l != "debug" || opt.Level.Level().String() != "DEBUG" {
		t.Errorf("LogLevel: %q, %v", l, err)
	}
	var b bytes.Buffer
	if err := c.Metrics(ctx, &b); err != nil || !strings.Contains(b.String(), "gridway_ready 1") {
		t.Errorf("Metrics: %q, %v", b.String(), err)
	}
	p.state.Store(adminapi.Draining)
	if err := c.Ready(ctx); err == nil || !strings.Contains(err.Error(), "draining") {
		t.Errorf("Ready while draining: %v", err)
	}
}
