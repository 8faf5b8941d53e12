package demo

import (
	_ "embed"
	"fmt"
	"strings"
)

// The ports of the edge, unless they are taken.
const (
	PublicPort = 8080
	InnerPort  = 8081
)

//go:embed shop.yaml
var shopYAML string

// Config is the edge's configuration for the ports that were found.
func (s *Shop) Config(public, inner int) string {
	pairs := []string{
		fmt.Sprintf("port: %d,", PublicPort), fmt.Sprintf("port: %d,", public),
		fmt.Sprintf("port: %d,", InnerPort), fmt.Sprintf("port: %d,", inner),
	}
	for i, p := range plans {
		pairs = append(pairs, fmt.Sprintf(`"127.0.0.1:%d"`, p.port), fmt.Sprintf("%q", s.instances[i].Address))
	}
	return strings.NewReplacer(pairs...).Replace(shopYAML)
}
