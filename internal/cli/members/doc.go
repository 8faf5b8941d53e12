// Package members is the commands that join a mesh: edge, sidecar and node, and the program
// that has these alone. Neither reaches a control plane's parts.
//
// It owns no goroutines. internal/cli and cmd/gridway-proxy are its users.
package members

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/cli/command"
	"github.com/gridway/gridway/internal/cli/term"
)

// Group of the help page that the commands are in.
const Group = "run"

// Main runs one command of gridway-proxy, the data plane alone, and returns the exit code.
func Main(args []string) int {
	return program().Run(context.Background(), args, command.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Environ()})
}

func program() *command.Program {
	return &command.Program{
		Name:  "gridway-proxy",
		Short: "Gridway's data plane alone: edges, sidecars and node proxies",
		Long: `gridway-proxy is what "gridway edge", "gridway sidecar" and "gridway node" are, with the
same flags, in a smaller binary that takes less memory: for images in which nothing else
of Gridway is needed. It joins a control plane ("gridway control", or "gridway run --mesh")
and is looked at by the commands of gridway, such as "gridway status --admin unix:PATH".

Exit codes: ` + command.ExitCodes + `
and that of the program which a sidecar runs.`,
		Groups: []*cobra.Group{{ID: Group, Title: "Join a mesh:"}},
		Commands: func(t *term.Terminal) []*cobra.Command {
			return []*cobra.Command{Edge(t), Sidecar(t), Node(t), command.NewVersion(t)}
		},
	}
}
