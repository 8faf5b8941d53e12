// Package cli is the command line: one file per command, each of which parses
// its flags, asks a package that does the work, and prints what came back.
// Commands that look at a running gateway talk to its admin API and to nothing
// else. The package owns no goroutines. Only cmd/gridway imports it.
package cli

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/cli/command"
	"github.com/gridway/gridway/internal/cli/members"
	"github.com/gridway/gridway/internal/cli/term"
)

// Main runs one command with the process's own streams and returns the exit code.
func Main(args []string) int {
	return Run(context.Background(), args, Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Environ()})
}

// Streams are what a command sees of its process.
type Streams = command.Streams

// Run is Main with everything given.
func Run(ctx context.Context, args []string, s Streams) int { return program().Run(ctx, args, s) }

// Groups of the help page.
const (
	groupRun   = members.Group
	groupFiles = "files"
	groupLive  = "live"
)

func program() *command.Program {
	return &command.Program{
		Name:  "gridway",
		Short: "An API gateway and a service mesh in one binary",
		Long: `Gridway is an API gateway and a service mesh. As a gateway it takes traffic that
enters a system (HTTP/1.1, HTTP/2, HTTP/3, gRPC, WebSocket, TCP, TLS and UDP) and brings
it to services; as a mesh it gives each service an identity, and traffic between services
mutual TLS, the same routes and the same policies. Both are configured by Kubernetes
Gateway API objects in plain files. What it does not do yet: reading objects from a
Kubernetes cluster.

New here? "gridway demo" starts a small shop behind a gateway and tells you what
to try. "gridway proxy --to http://localhost:3000" puts a gateway in front of
one program.

Exit codes: ` + command.ExitCodes + `
3 the gateway's admin API cannot be reached.`,
		Groups: []*cobra.Group{
			{ID: groupRun, Title: "Run a gateway:"},
			{ID: groupFiles, Title: "Work with configuration files:"},
			{ID: groupLive, Title: "Look at a running gateway:"},
		},
		Commands: commands,
	}
}

func newRoot(t *term.Terminal) *cobra.Command { return program().Root(t) }

// commands are listed here and nowhere else.
func commands(t *term.Terminal) []*cobra.Command {
	return []*cobra.Command{
		newRun(t),
		newControl(t),
		members.Edge(t),
		members.Sidecar(t),
		members.Node(t),
		newUpgrade(t),
		newProxy(t),
		newDemo(t),
		newCheck(t),
		newExplain(t),
		newTest(t),
		newDiff(t),
		newReplay(t),
		newKey(t),
		newStatus(t),
		newWait(t),
		newRoutes(t),
		newGet(t),
		newApply(t),
		newDelete(t),
		newRevisions(t),
		newRollback(t),
		newConsumer(t),
		newToken(t),
		newIdentity(t),
		newPolicy(t),
		newGraph(t),
		newAudit(t),
		newTop(t),
		newTrace(t),
		newTap(t),
		newRecord(t),
		newCert(t),
		command.NewVersion(t),
	}
}
