package metric

import (
	"crypto/x509"
	"encoding/pem"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/gridway/gridway/internal/ir"
)

// What follows is said by the configuration itself: how long what it holds is good
// for, and the limits that the gauges of saturation are to be compared with.
var (
	servedFamily          = define("gridway_tls_certificate_not_after_timestamp_seconds", gauge, "Unix time at which a certificate of the configuration ends, whoever issued it: one that a listener shows (use listener) or that is shown to endpoints (upstream).", "use", "certificate")
	crlNextFamily         = define("gridway_crl_next_update_timestamp_seconds", gauge, "Unix time by which the authority promised a newer list of revoked certificates, by method of authentication and the ConfigMap that the list is in.", "method", "list")
	crlThisFamily         = define("gridway_crl_this_update_timestamp_seconds", gauge, "Unix time at which the list of revoked certificates was made.", "method", "list")
	crlRevokedFamily      = define("gridway_crl_revoked_certificates", gauge, "Certificates that the list has.", "method", "list")
	clusterLimitFamily    = define("gridway_cluster_limit", gauge, "What the circuit breaker allows at once, where it bounds that: connections, pending (tries that wait for one), requests, retries.", "cluster", "limit")
	connectionLimitFamily = define("gridway_listener_connections_limit", gauge, "Connections that the listener takes at once, where that is bounded.", "listener")

	configuredFamilies = []family{servedFamily, crlNextFamily, crlThisFamily, crlRevokedFamily, clusterLimitFamily, connectionLimitFamily}
)

// leaves remembers when certificates end, which are parsed once.
type leaves struct {
	mu   sync.Mutex // guards ends
	ends map[*ir.Certificate]time.Time
}

// of are the ends of these certificates. One that cannot be parsed, which the
// compiler refuses, ends at the zero time.
func (l *leaves) of(list map[[2]string]*ir.Certificate) map[[2]string]time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := make(map[*ir.Certificate]time.Time, len(list))
	out := make(map[[2]string]time.Time, len(list))
	for key, c := range list {
		at, ok := now[c]
		if !ok {
			if at, ok = l.ends[c]; !ok {
				at = ending(c)
			}
			now[c] = at
		}
		out[key] = at
	}
	l.ends = now
	return out
}

func ending(c *ir.Certificate) time.Time {
	block, _ := pem.Decode(c.Chain)
	if block == nil {
		return time.Time{}
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return time.Time{}
	}
	return leaf.NotAfter
}

// certificatesOf are those that cfg shows to others, by use and name.
func certificatesOf(cfg *ir.Config) map[[2]string]*ir.Certificate {
	out := map[[2]string]*ir.Certificate{}
	for _, l := range cfg.Listeners {
		for _, s := range l.Sections {
			if s.TLS == nil {
				continue
			}
			for _, c := range s.TLS.Certificates {
				out[[2]string{"listener", c.Name}] = c
			}
		}
	}
	for _, c := range cfg.Clusters {
		if c.TLS != nil && c.TLS.Certificate != nil {
			out[[2]string{"upstream", c.TLS.Certificate.Name}] = c.TLS.Certificate
		}
	}
	return out
}

func (e *emitter) configured(r *Registry, cfg *ir.Config) {
	ends := r.leaves.of(certificatesOf(cfg))
	for _, key := range slices.SortedFunc(maps.Keys(ends), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
		if at := ends[key]; !at.IsZero() && e.room("certificate") {
			e.gauge(&servedFamily, float64(at.Unix()), key[0], key[1])
		}
	}
	for _, l := range cfg.RevocationLists {
		for _, c := range l.CRLs {
			if e.room("crl") {
				e.crl(l.Name, c)
			}
		}
	}
	for _, l := range cfg.Listeners {
		if l.Client.MaxConnections > 0 && e.room("listener_limit") {
			e.gauge(&connectionLimitFamily, float64(l.Client.MaxConnections), l.Name)
		}
	}
	for _, c := range cfg.Clusters {
		if c.Breaker == nil {
			continue
		}
		r.mu.RLock()
		h := r.clusters[c.Name]
		r.mu.RUnlock()
		if h == nil || h.place.state.Load() != placeOwn || !e.room("cluster_limit") {
			continue
		}
		for _, l := range []struct {
			name string
			n    int
		}{{"connections", c.Breaker.MaxConnections}, {"pending", c.Breaker.MaxPending}, {"requests", c.Breaker.MaxRequests}, {"retries", c.Breaker.MaxRetries}} {
			if l.n > 0 {
				e.gauge(&clusterLimitFamily, float64(l.n), c.Name, l.name)
			}
		}
	}
}

func (e *emitter) crl(method string, c *ir.CRL) {
	if !c.NextUpdate.IsZero() {
		e.gauge(&crlNextFamily, float64(c.NextUpdate.Unix()), method, c.From)
	}
	e.gauge(&crlThisFamily, float64(c.ThisUpdate.Unix()), method, c.From)
	e.gauge(&crlRevokedFamily, float64(c.Revoked), method, c.From)
}
