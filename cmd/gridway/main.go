// Command gridway is the whole product: an API gateway and a service mesh in
// one binary. Everything is in internal/cli.
package main

import (
	"os"

	"github.com/gridway/gridway/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:])) }
