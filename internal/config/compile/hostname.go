package compile

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// intersect returns the hostnames under which a route serves a listener: for
// each pair the more specific one. An empty listener hostname, or a route
// without hostnames, stands for any. ok is false if nothing is in common.
func intersect(listener string, route []string) (out []string, ok bool) {
	if len(route) == 0 {
		return []string{listener}, true
	}
	for _, h := range route {
		var host string
		switch {
		case listener == "" || covers(listener, h):
			host = h
		case covers(h, listener):
			host = listener
		default:
			continue
		}
		if !slices.Contains(out, host) {
			out = append(out, host)
		}
	}
	return out, len(out) > 0
}

// covers tells whether every host that b stands for is one that a stands for.
// "*.example.com" stands for one label or more before the rest, not for example.com.
func covers(a, b string) bool {
	if a == b {
		return true
	}
	suffix, wild := strings.CutPrefix(a, "*")
	return wild && len(b) > len(suffix) && strings.HasSuffix(b, suffix)
}

// checkHostname says what is wrong with a hostname, or nothing.
func checkHostname(h string, wildcard bool) string {
	if len(h) > 253 {
		return "is longer than 253 characters"
	}
	rest := h
	if r, wild := strings.CutPrefix(h, "*."); wild {
		if !wildcard {
			return "must not have a wildcard"
		}
		rest = r
	}
	if _, err := netip.ParseAddr(h); err == nil || strings.Contains(h, ":") {
		return "must be a DNS name, not an IP address or a port"
	}
	for label := range strings.SplitSeq(rest, ".") {
		if !validLabel(label) {
			if validLabel(strings.ToLower(label)) {
				return "must be in lower case"
			}
			return fmt.Sprintf("has the invalid label %q", label)
		}
	}
	return ""
}

func validLabel(l string) bool {
	if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' {
		return false
	}
	for i := range len(l) {
		if c := l[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
