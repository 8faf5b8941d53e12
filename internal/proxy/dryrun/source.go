package dryrun

import (
	"strings"

	"github.com/gridway/gridway/internal/ir"
)

// sourcesOf says what endpoints are found by.
func sourcesOf(d *ir.Discovery) (list []string) {
	if d == nil {
		return nil
	}
	for _, n := range d.DNS {
		s := "dns " + n.Name
		if n.SRV {
			s += " (SRV)"
		}
		if n.Resolver != "" {
			s += " at " + n.Resolver
		}
		list = append(list, s)
	}
	for _, c := range d.Consul {
		s := "consul " + c.Service
		if len(c.Tags) > 0 {
			s += " with tags " + strings.Join(c.Tags, ", ")
		}
		if c.Datacenter != "" {
			s += " in " + c.Datacenter
		}
		list = append(list, s+" at "+c.Agent.Address)
	}
	return list
}
