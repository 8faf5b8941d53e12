package member

import (
	"cmp"
	"os"

	"github.com/gridway/gridway/internal/mesh/distrib"
	"github.com/gridway/gridway/internal/telemetry/otlp"
)

// resource says to receivers of telemetry whose proxy sends it: a sidecar's records are of
// its service.
func (m *member) resource() *otlp.Resource {
	host, _ := os.Hostname() // without a name there is none
	version := m.opt.Version // of the program, as the service is its
	if m.opt.Role != distrib.RoleSidecar {
		version = m.opt.Build.Version
	}
	return otlp.NewResource(m.opt.Build.Version,
		otlp.Attribute{Key: "service.name", Value: cmp.Or(m.opt.Service, "gridway")},
		otlp.Attribute{Key: "service.namespace", Value: m.opt.Namespace},
		otlp.Attribute{Key: "service.version", Value: version},
		otlp.Attribute{Key: "service.instance.id", Value: otlp.Instance(host)},
		otlp.Attribute{Key: "host.name", Value: host},
		otlp.Attribute{Key: "gridway.role", Value: string(m.opt.Role)})
}
