package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/proxy/dryrun"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
)

// routesFor are the Services whose routes are asked for. The zero value is all, and what
// listeners have, too.
type routesFor struct{ namespace, service string }

// parseRoutesOf reads NAME, NAME.NAMESPACE or .NAMESPACE.
func parseRoutesOf(text string) (of routesFor, err error) {
	if text == "" {
		return of, nil
	}
	of.service, of.namespace, _ = strings.Cut(text, ".")
	if of.namespace == "" && strings.HasSuffix(text, ".") || strings.Contains(of.namespace, ".") || strings.Contains(text, "/") {
		return of, usagef("", "--service %q is not NAME, NAME.NAMESPACE or .NAMESPACE", text)
	}
	return of, nil
}

// routesOf asks a running gateway.
func routesOf(ctx context.Context, c *client.Client, host string, of routesFor) ([]dryrun.Row, error) {
	rows := []dryrun.Row{}
	if of == (routesFor{}) {
		cfg, err := c.Config(ctx)
		if err != nil {
			return nil, err
		}
		table, err := dryrun.New(cfg)
		if err != nil {
			return nil, err
		}
		rows = table.Rows(host)
	}
	if host != "" {
		return rows, nil
	}
	mesh, err := c.MeshRoutes(ctx, of.namespace, of.service)
	var fault *adminapi.Fault
	none := errors.As(err, &fault) && (fault.Status == http.StatusNotFound || fault.Status == http.StatusConflict) // an older one, or no control plane
	if none && of == (routesFor{}) {
		return rows, nil
	}
	return append(rows, mesh...), err
}

// routesOfFiles is routesOf for files.
func routesOfFiles(t *term.Terminal, files []string, host string, of routesFor) ([]dryrun.Row, error) {
	cfg, err := readConfig(t, files)
	if err != nil {
		return nil, err
	}
	mesh := cfg.out.Mesh
	if of != (routesFor{}) && mesh == nil {
		return nil, hintError{Err: fmt.Errorf("the configuration has nothing of a mesh"), Hint: "a mesh has Services, and routes or policies on them"}
	}
	rows := []dryrun.Row{}
	if of == (routesFor{}) && (len(cfg.out.Config.Listeners) > 0 || mesh == nil) {
		table, err := tableOf(t, cfg)
		if err != nil {
			return nil, err
		}
		rows = table.Rows(host)
	} else {
		warnOfErrors(t, cfg)
	}
	if mesh != nil && host == "" {
		rows = append(rows, dryrun.MeshRows(mesh, of.namespace, of.service)...)
	}
	return rows, nil
}

// portText is the port of a Service as clients know it.
func portText(p *dryrun.MeshParent) string {
	out := fmt.Sprintf("%s.%s:%d", p.Service, p.Namespace, p.Port)
	if p.PortName != "" {
		out += " (" + p.PortName + ")"
	}
	return out
}

func clientsText(p *dryrun.MeshParent) string {
	if p.Clients == "" {
		return "*"
	}
	return "in " + p.Clients
}
