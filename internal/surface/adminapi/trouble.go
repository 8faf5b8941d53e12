package adminapi

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	// maxTroubles bounds an answer, troublesOfStatus and proxiesOfTrouble what Status tells.
	maxTroubles      = 2000
	troublesOfStatus = 100
	proxiesOfTrouble = 16
)

// Trouble is something that is not well on the way to a cluster, or was not until less than
// a minute ago.
type Trouble struct {
	// Cluster is "Service/namespace/name:port", "Backend/namespace/name" or, of the program
	// behind a sidecar, "Workload/namespace/service:port".
	Cluster string `json:"cluster"`
	// Endpoint is an address; empty is the cluster as a whole.
	Endpoint string `json:"endpoint,omitempty"`
	// Kind is breaker (a circuit breaker that is not closed), full (requests were refused
	// at a limit of connections or requests), ejected (by outlier detection) or unhealthy
	// (by health checks).
	Kind string `json:"kind"`
	// Detail is the state of a breaker, open or half-open, or the rule that ejected.
	Detail string `json:"detail,omitempty"`
	// Endpoints of the cluster.
	Endpoints int `json:"endpoints,omitempty"`
	// Since is when it began, and Over when it ended, if it has. What ends and begins again
	// within a minute is one trouble.
	Since time.Time `json:"since"`
	Over  time.Time `json:"over,omitzero"`
	// Times is how often a breaker has opened since then, or how many requests were refused.
	Times uint64 `json:"times,omitempty"`
	// Proxies are those that see it, 16 of SeenBy at most, where there is a mesh.
	Proxies []string `json:"proxies,omitempty"`
	SeenBy  int      `json:"seenBy"`
}

// Troubles is what is not well, the worst first.
type Troubles struct {
	Troubles []Trouble `json:"troubles"`
	// More were too many to be kept or told of.
	More int `json:"more,omitempty"`
}

// boundTroubles is what a process says, within bounds.
func boundTroubles(list []Trouble, more, most int, keep func(*Trouble) bool) Troubles {
	out := Troubles{Troubles: []Trouble{}, More: more}
	for i := range list {
		t := list[i]
		switch {
		case !keep(&t):
		case len(out.Troubles) >= most:
			out.More++
		default:
			t.SeenBy = max(1, len(t.Proxies))
			t.Proxies = slices.Clone(t.Proxies[:min(len(t.Proxies), proxiesOfTrouble)])
			out.Troubles = append(out.Troubles, t)
		}
	}
	return out
}

func (s *Server) troubles(_ http.ResponseWriter, r *http.Request) (any, *Fault) {
	q := r.URL.Query()
	service, proxy := q.Get("service"), q.Get("proxy")
	if namespace, name, ok := strings.Cut(service, "/"); service != "" && (!ok || namespace == "" || name == "" || strings.Contains(name, "/")) {
		return nil, fault(http.StatusBadRequest, "service must be NAMESPACE/NAME, as in shop/catalog")
	}
	keep := func(t *Trouble) bool {
		return (service == "" || towards(t.Cluster, service)) && (proxy == "" || slices.Contains(t.Proxies, proxy))
	}
	list, more := s.opt.Process.Troubles()
	return boundTroubles(list, more, maxTroubles, keep), nil
}

// towards tells whether a cluster is one of a Service: its endpoints, or the program behind a
// sidecar.
func towards(cluster, service string) bool {
	kind, name, _ := strings.Cut(cluster, "/")
	return (kind == "Service" || kind == "Workload") && strings.HasPrefix(name, service+":")
}
