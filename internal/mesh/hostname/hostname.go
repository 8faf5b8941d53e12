// Package hostname is how services of a mesh are called: by which names, and which
// service a name may mean. It knows no service; it imports nothing of Gridway.
package hostname

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Of are the names by which clients of a namespace call a service, the shortest first.
func Of(namespace, name, from, clusterDomain string) []string {
	long := name + "." + namespace
	var out []string
	if namespace == from {
		out = append(out, name)
	}
	return append(out, long, long+".svc", long+".svc."+clusterDomain)
}

// Server is what the proxy of a workload is asked for: "PORT.SERVICE.NAMESPACE.mesh".
func Server(namespace, service string, port uint16) string {
	return strconv.Itoa(int(port)) + "." + service + "." + namespace + ".mesh"
}

// Service reads a host, which may have a port, as clients of a namespace call
// services; ok is that it could be one. Whether there is such a service it does not say.
func Service(host, from, clusterDomain string) (namespace, name string, ok bool) {
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
