package members

import (
	"net/netip"
	"testing"

	"github.com/gridway/gridway/internal/mesh/declared"
)

func TestExcepted(t *testing.T) {
	network := netip.MustParsePrefix("10.9.0.0/16")
	for want, e := range map[string]declared.Except{
		"–":                                    {},
		"in :9090, out 10.9.0.0/16, out :5432": {Ports: []uint16{9090}, Networks: []netip.Prefix{network}, OutboundPorts: []uint16{5432}},
		"out :1, out :2, out :3, out :4, out :5, out :6, 2 more": {OutboundPorts: []uint16{1, 2, 3, 4, 5, 6, 7, 8}},
	} {
		if got := excepted(&e); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
