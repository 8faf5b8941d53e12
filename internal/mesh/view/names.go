package view

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/gridway/gridway/internal/ir"
)

// Hosts are the names by which clients of a namespace call a service, the shortest
// first.
func Hosts(s *ir.MeshService, from, clusterDomain string) []string {
	long := s.Name + "." + s.Namespace
	var out []string
	if s.Namespace == from {
		out = append(out, s.Name)
	}
	return append(out, long, long+".svc", long+".svc."+clusterDomain)
}

// ServerName is what the proxy of a workload is asked for: "PORT.SERVICE.NAMESPACE.mesh".
func ServerName(namespace, service string, port uint16) string {
	return strconv.Itoa(int(port)) + "." + service + "." + namespace + ".mesh"
}

// ServiceOf reads a host, which may have a port, as clients of a namespace call
// services; ok is that it could be one. Whether there is such a service it does not say.
func ServiceOf(host, from, clusterDomain string) (namespace, name string, ok bool) {
	if i := strings.LastIndexByte(host, ':'); i >= 0 {
		if _, err := strconv.ParseUint(host[i+1:], 10, 16); err != nil {
			return "", "", false // an address of IPv6, or no host
		}
		host = host[:i]
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return "", "", false
	}
	rest, full := strings.CutSuffix(host, ".svc."+clusterDomain)
	if !full {
		rest, full = strings.CutSuffix(host, ".svc")
	}
	labels := strings.Split(rest, ".")
	if slices.Contains(labels, "") || strings.ContainsAny(rest, ":[]/") {
		return "", "", false
	}
	switch {
	case len(labels) == 1 && !full && from != "":
		return from, labels[0], true
	case len(labels) >= 2 && (full || len(labels) == 2):
		n := len(labels) - 1
		return labels[n], strings.Join(labels[:n], "."), true
	}
	return "", "", false
}
