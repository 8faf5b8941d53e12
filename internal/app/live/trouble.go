package live

import (
	"strings"

	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/telemetry/trouble"
)

// Trouble is one as the proxies with these names see it.
func Trouble(t *trouble.Trouble, proxies []string) adminapi.Trouble {
	return adminapi.Trouble{
		Cluster: t.Cluster, Endpoint: t.Endpoint, Kind: t.Kind.String(), Detail: t.Detail, Endpoints: t.Endpoints, Since: t.Since, Over: t.Over, Times: t.Times, Proxies: proxies,
	}
}

// ClusterOf is the name of a cluster without what tells apart those of one Service or
// Backend, which proxies have by the policies of their own.
func ClusterOf(name string) string {
	name, _, _ = strings.Cut(name, "~")
	return name
}
