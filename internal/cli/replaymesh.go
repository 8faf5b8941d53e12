package cli

import (
	"encoding/json"
	"fmt"

	"github.com/gridway/gridway/internal/cli/excerpt"
	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/config/decode"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/effect/replay"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/view"
	"github.com/gridway/gridway/internal/proxy/dryrun"
	"github.com/gridway/gridway/internal/telemetry/tap"
)

// replaySide reads files on which requests are decided again, above the Services that
// workloads had made when they were recorded. Files with errors would not be served, and
// are an error if they are strictly asked for.
func replaySide(t *term.Terminal, paths []string, services []*store.Object, strict bool) (*replay.Side, error) {
	cfg, err := readConfigAbove(t, paths, services)
	if err != nil {
		return nil, err
	}
	if n := countErrors(cfg); n > 0 && strict {
		printProblems(t, cfg.problems, isError)
		return nil, hintError{
			Err:  fmt.Errorf("the candidate has %s, and no gateway would serve it: nothing was compared", excerpt.Count(n, "error")),
			Hint: `"gridway check" says all that is wrong with files`,
		}
	}
	warnOfErrors(t, cfg)
	edge, err := dryrun.NewTranscoding(cfg.out.Config, nil, nil)
	if err != nil {
		return nil, err
	}
	side := &replay.Side{Edge: edge}
	if mesh := cfg.out.Mesh; mesh != nil {
		side.Mesh = &replayMesh{cfg: cfg.out.Config, mesh: mesh, imagine: view.NewImagination(cfg.out.Config, mesh), ports: map[replayPort]*replay.Port{}}
	}
	return side, nil
}

// recordedServices are the Services of a recording as objects.
func recordedServices(r *replay.Recording, file string) (out []*store.Object, err error) {
	for _, text := range r.Services {
		d := decode.Decode(decode.Document{File: file, Line: 1, Text: text})
		if len(d.Objects) != 1 || d.Objects[0].Key.Kind != "Service" || d.Objects[0].Key.Group != "" {
			return nil, fmt.Errorf("%s: a Service in the recording cannot be read", file)
		}
		o := *d.Objects[0]
		o.Source = recordedSource
		out = append(out, &o)
	}
	return out, nil
}

// recordedSource is what Services of a recording say where they came from; in a mesh that
// runs they are the registry's.
const recordedSource = "registry"

// serviceLine is the line of a recording for a Service that workloads have made.
func serviceLine(value json.RawMessage) ([]byte, error) {
	return json.Marshal(replay.Service{Type: replay.ServiceType, Object: value})
}

// replayMesh has what the proxies of a mesh would have of a configuration, made when it
// is first asked for.
type replayMesh struct {
	cfg     *ir.Config
	mesh    *ir.Mesh
	imagine *view.Imagination
	ports   map[replayPort]*replay.Port
}

type replayPort struct {
	clients string
	asked   tap.Asked
}

// Port implements replay.Mesh.
func (m *replayMesh) Port(clients string, asked tap.Asked) (*replay.Port, error) {
	k := replayPort{clients, asked}
	if p, known := m.ports[k]; known {
		return p, nil
	}
	i := m.imagine.Port(clients, asked.Namespace, asked.Service, asked.Port)
	if i == nil {
		m.ports[k] = nil
		return nil, nil //nolint:nilnil // that there is none is an answer
	}
	i.Server.Consumers = m.cfg.Consumers // whom edges know
	p := &replay.Port{Listener: i.Client.Listeners[0].Name, Plaintext: i.Port.Plaintext}
	var err error
	if p.Client, err = dryrun.NewTranscoding(i.Client, nil, nil); err != nil {
		return nil, err
	}
	if p.Server, err = dryrun.NewTranscoding(i.Server, nil, nil); err != nil {
		return nil, err
	}
	m.ports[k] = p
	return p, nil
}

// Host implements replay.Mesh.
func (m *replayMesh) Host(clients, host string) (tap.Asked, bool) {
	i, err := m.imagine.Host(clients, host)
	if err != nil || i.Service == nil { // a port that a Service does not have is no Service's
		return tap.Asked{}, false
	}
	return tap.Asked{Namespace: i.Service.Namespace, Service: i.Service.Name, Port: i.Port.Port}, true
}

// Egress implements replay.Mesh.
func (m *replayMesh) Egress(clients string) ir.Egress { return m.mesh.EgressFor(clients) }
