package members

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/member"
	"github.com/gridway/gridway/internal/mesh/distrib"
)

func TestExceptions(t *testing.T) {
	o := member.Options{Intercept: true, Ports: []distrib.Port{{Number: 9080}, {Number: 9081}}}
	e := exceptions{ports: []string{"9081"}, networks: []string{"10.9.8.7/16", " fd00::1", "::ffff:192.0.2.1"}, outboundPorts: []string{"5432", "53"}}
	if err := e.options(&o); err != nil {
		t.Fatal(err)
	}
	want := []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16"), netip.MustParsePrefix("fd00::1/128"), netip.MustParsePrefix("192.0.2.1/32")}
	if !slices.Equal(o.Except.Ports, []uint16{9081}) || !slices.Equal(o.Except.Networks, want) || !slices.Equal(o.Except.OutboundPorts, []uint16{5432, 53}) {
		t.Errorf("%+v", o.Except)
	}
}

func TestBadExceptions(t *testing.T) {
	many := make([]string, member.MaxExceptions+1)
	for i := range many {
		many[i] = fmt.Sprint(i + 1)
	}
	for want, c := range map[string]struct {
		without bool
		exceptions
	}{
		"nothing is":                    {true, exceptions{ports: []string{"9080"}}},
		"is no --port of the program":   {exceptions: exceptions{ports: []string{"8080"}}},
		`"0" is not a port`:             {exceptions: exceptions{ports: []string{"0"}}},
		`"http" is not a port`:          {exceptions: exceptions{outboundPorts: []string{"http"}}},
		"is there twice":                {exceptions: exceptions{outboundPorts: []string{"1", "1"}}},
		`"10.0.0.0/33" is not a net`:    {exceptions: exceptions{networks: []string{"10.0.0.0/33"}}},
		`"fe80::1%eth0" is not a net`:   {exceptions: exceptions{networks: []string{"fe80::1%eth0"}}},
		`"::ffff:1.2.3.0/120" is not a`: {exceptions: exceptions{networks: []string{"::ffff:1.2.3.0/120"}}},
		"10.1.0.0/16 is there twice":    {exceptions: exceptions{networks: []string{"10.1.2.3/16", "10.1.0.0/16"}}},
		"257 networks and ports":        {exceptions: exceptions{outboundPorts: many}},
	} {
		o := member.Options{Intercept: !c.without, Ports: []distrib.Port{{Number: 9080}}}
		if err := c.options(&o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
