package member

import (
	"testing"

	"github.com/gridway/gridway/internal/ir"
)

// Full names of services end as the control plane says.
func TestClusterDomain(t *testing.T) {
	for want, cfg := range map[string]*ir.Config{
		"cluster.local": {Listeners: []*ir.Listener{{Name: "in"}}},
		"corp.internal": {Listeners: []*ir.Listener{{Name: "in"}, {Name: "out", ClusterDomain: "corp.internal"}}},
	} {
		if got := (&plane{config: cfg}).clusterDomain(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if got := (&plane{}).clusterDomain(); got != "cluster.local" {
		t.Errorf("without a configuration: %s", got)
	}
}
