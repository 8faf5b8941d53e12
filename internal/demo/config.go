package demo

import (
	_ "embed"
	"fmt"
	"strings"
)

// The ports of the edge, unless they are taken.
const (
	PublicPort = 8080
	SecurePort = 8443
	CallsPort  = 50051
)

// Ports are those of the edge: for customers, for customers with TLS, which is
// HTTP/3 on UDP too, and for calls of gRPC.
type Ports struct{ Public, Secure, Calls int }

//go:embed shop.yaml
var shopYAML string

// Config is the shop's configuration for the ports that were found.
func (s *Shop) Config(at Ports) string {
	pairs := []string{
		fmt.Sprintf("port: %d,", PublicPort), fmt.Sprintf("port: %d,", at.Public),
		fmt.Sprintf("port: %d,", SecurePort), fmt.Sprintf("port: %d,", at.Secure),
		fmt.Sprintf("localhost:%d/", SecurePort), fmt.Sprintf("localhost:%d/", at.Secure),
		fmt.Sprintf("port: %d,", CallsPort), fmt.Sprintf("port: %d,", at.Calls),
	}
	for _, i := range instances {
		if !i.Mesh {
			pairs = append(pairs, fmt.Sprintf(`"127.0.0.1:%d"`, i.Port), fmt.Sprintf("%q", s.addresses[i.Name]))
		}
	}
	return strings.NewReplacer(pairs...).Replace(shopYAML)
}
