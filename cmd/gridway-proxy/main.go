// Command gridway-proxy is Gridway's data plane alone: edges, sidecars and node proxies
// that join a control plane. Everything is in internal/cli/members.
package main

import (
	"os"

	"github.com/gridway/gridway/internal/cli/members"
)

func main() { os.Exit(members.Main(os.Args[1:])) }
