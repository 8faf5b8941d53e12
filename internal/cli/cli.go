// Package cli is the command line: one file per command, each of which parses
// its flags, asks a package that does the work, and prints what came back.
// Commands that look at a running gateway talk to its admin API and to nothing
// else. The package owns no goroutines. Only cmd/gridway imports it.
package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/cli/term"
)

// Main runs one command with the process's own streams and returns the exit code.
func Main(args []string) int {
	return Run(context.Background(), args, Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Environ()})
}

// Streams are what a command sees of its process.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
	Env      []string // "NAME=value"
}

// Run is Main with everything given.
func Run(ctx context.Context, args []string, s Streams) int {
	t := term.New(s.In, s.Out, s.Err, s.Env)
	root := newRoot(t)
	root.SetArgs(args)
	root.SetIn(s.In)
	root.SetOut(t.Out)
	root.SetErr(t.Err)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return CodeOK
	}
	return report(t, cmd, err)
}

// Groups of the help page.
const (
	groupRun   = "run"
	groupFiles = "files"
	groupLive  = "live"
)

func newRoot(t *term.Terminal) *cobra.Command {
	root := &cobra.Command{
		Use:   "gridway",
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

Exit codes: ` + exitCodes,
		SilenceErrors:              true,
		SilenceUsage:               true,
		SuggestionsMinimumDistance: 2,
		Args:                       cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return cmd.Help()
		},
	}
	color := "auto"
	root.PersistentFlags().StringVar(&color, "color", "auto", "colours: auto, always or never (NO_COLOR is honoured)")
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		if err := t.SetColor(color); err != nil {
			return usageError{err: err}
		}
		return nil
	}
	complete(root, "color", "auto", "always", "never")
	root.SetFlagErrorFunc(flagError)
	root.AddGroup(
		&cobra.Group{ID: groupRun, Title: "Run a gateway:"},
		&cobra.Group{ID: groupFiles, Title: "Work with configuration files:"},
		&cobra.Group{ID: groupLive, Title: "Look at a running gateway:"},
	)
	root.AddCommand(commands(t)...)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd("completion")
	completeAlone(t, root)
	refuseUnknown(root)
	root.Version = readBuild().String()
	root.SetVersionTemplate("{{.Version}}\n")
	return root
}

// refuseUnknown lets cobra's own commands fail where they would only print help.
func refuseUnknown(root *cobra.Command) {
	for _, c := range root.Commands() {
		switch c.Name() {
		case "help":
			show := c.Run
			c.Run, c.RunE = nil, func(cmd *cobra.Command, args []string) error {
				if found, _, err := root.Find(args); len(args) > 0 && (err != nil || found == root) {
					return unknownCommand(root, args[0])
				}
				show(cmd, args)
				return nil
			}
		case "completion":
			c.Args = cobra.ArbitraryArgs
			c.RunE = func(cmd *cobra.Command, args []string) error {
				if len(args) > 0 {
					return usagef("gridway completion bash, zsh, fish or powershell", "there is no completion for %q", args[0])
				}
				return cmd.Help()
			}
		}
	}
}

// commands are listed here and nowhere else.
func commands(t *term.Terminal) []*cobra.Command {
	return []*cobra.Command{
		newRun(t),
		newControl(t),
		newEdge(t),
		newSidecar(t),
		newNode(t),
		newUpgrade(t),
		newProxy(t),
		newDemo(t),
		newCheck(t),
		newExplain(t),
		newTest(t),
		newDiff(t),
		newKey(t),
		newStatus(t),
		newWait(t),
		newRoutes(t),
		newGet(t),
		newConsumer(t),
		newToken(t),
		newIdentity(t),
		newPolicy(t),
		newGraph(t),
		newAudit(t),
		newTop(t),
		newCert(t),
		newVersion(t),
	}
}

// complete offers fixed values for a flag.
func complete(cmd *cobra.Command, flag string, values ...string) {
	// The only error is a flag that does not exist, which the first test run shows.
	if err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(fmt.Sprintf("completion of --%s: %v", flag, err))
	}
}

// outputFlag adds -o to a command.
func outputFlag(cmd *cobra.Command) *term.Format {
	f := term.TableFormat
	cmd.Flags().VarP(&f, "output", "o", "output format")
	complete(cmd, "output", "table", "json", "yaml")
	return &f
}

// lines joins help examples.
func lines(s ...string) string { return "  " + strings.Join(s, "\n  ") }
