package member

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/mesh/identity"
	"github.com/gridway/gridway/internal/mesh/workloadapi"
)

const (
	// endpointVariable is how programs find the Workload API (SPIFFE_Workload_Endpoint §4).
	endpointVariable = "SPIFFE_ENDPOINT_SOCKET"
	apiSocket        = "workload.sock"
	// NodeSocket is where a node proxy serves the Workload API if nothing else is said.
	NodeSocket = "/run/gridway/workload.sock"
	// maxSocketPath is what a socket's path may have in bytes (unix(7), without its end).
	maxSocketPath = 107
	// signTime bounds the wait for a control plane that is to sign a JWT-SVID.
	signTime = 5 * time.Second
)

// NoWorkloadAPI is the path of no Workload API.
const NoWorkloadAPI = "off"

// openAPI opens the socket by which programs get what the keyring has; m.api is nil if
// there is none.
func (m *member) openAPI(ctx context.Context, identify func(workloadapi.Caller) []identity.ID) (err error) {
	path := m.opt.WorkloadAPI
	if path == NoWorkloadAPI {
		return nil
	}
	given := path != ""
	switch {
	case given:
	case m.node != nil:
		path = NodeSocket
	default:
		if path, err = filepath.Abs(filepath.Join(m.opt.StateDir, apiSocket)); err != nil {
			return err
		}
		if len(path) > maxSocketPath {
			m.log.Warn("there is no Workload API: the path of its socket would be too long; give a shorter one with --workload-api", "path", path)
			return nil
		}
	}
	if len(path) > maxSocketPath {
		return fmt.Errorf("--workload-api %s has %d bytes, and the path of a socket has %d at most", path, len(path), maxSocketPath)
	}
	m.api, err = workloadapi.New(ctx, workloadapi.Options{Path: path, Keyring: m.keys, Identify: identify, SignJWT: m.signJWT, Log: m.log})
	switch {
	case err == nil:
		return nil
	case !given:
		m.log.Warn("there is no Workload API; give its socket another path with --workload-api, or off", "error", err)
		return nil
	}
	return fmt.Errorf("--workload-api: %w", err)
}

// signJWT asks a control plane for a JWT-SVID.
func (m *member) signJWT(ctx context.Context, id identity.ID, audiences []string) (string, time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, signTime)
	defer cancel()
	token, ends, err := m.stay.Client.SignJWT(ctx, id, audiences)
	if err != nil {
		err = fmt.Errorf("a control plane has to sign it: %w", err)
	}
	return token, ends, err
}

// apiEnv is env with the address of the Workload API, and never with that of somebody
// else's.
func (m *member) apiEnv(env []string) []string {
	if m.api == nil {
		return env
	}
	env = slices.DeleteFunc(slices.Clone(env), func(v string) bool { return strings.HasPrefix(v, endpointVariable+"=") })
	return append(env, endpointVariable+"="+m.api.Address())
}
