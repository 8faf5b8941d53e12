package command

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/cli/term"
)

// Streams are what a command sees of its process.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
	Env      []string // "NAME=value"
}

// Program is a binary with commands.
type Program struct {
	Name, Short, Long string
	Groups            []*cobra.Group
	// Commands are listed where the program is, and nowhere else.
	Commands func(*term.Terminal) []*cobra.Command
}

// Run runs one command and returns the exit code.
func (p *Program) Run(ctx context.Context, args []string, s Streams) int {
	t := term.New(s.In, s.Out, s.Err, s.Env)
	root := p.Root(t)
	root.SetArgs(args)
	root.SetIn(s.In)
	root.SetOut(t.Out)
	root.SetErr(t.Err)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return CodeOK
	}
	return Report(t, cmd, err)
}

// Root is the command that has all others.
func (p *Program) Root(t *term.Terminal) *cobra.Command {
	root := &cobra.Command{
		Use: p.Name, Short: p.Short, Long: p.Long,
		SilenceErrors:              true,
		SilenceUsage:               true,
		SuggestionsMinimumDistance: 2,
		Args:                       cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return UnknownCommand(cmd, args[0])
			}
			return cmd.Help()
		},
	}
	color := "auto"
	root.PersistentFlags().StringVar(&color, "color", "auto", "colours: auto, always or never (NO_COLOR is honoured)")
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		if err := t.SetColor(color); err != nil {
			return UsageError{Err: err}
		}
		return nil
	}
	Complete(root, "color", "auto", "always", "never")
	root.SetFlagErrorFunc(FlagError)
	root.AddGroup(p.Groups...)
	for _, c := range p.Commands(t) {
		// Commands that several programs have are written down as gridway's.
		c.Example = strings.ReplaceAll(c.Example, "  gridway ", "  "+p.Name+" ")
		root.AddCommand(c)
	}
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd("completion")
	CompleteAlone(t, root)
	refuseUnknown(root)
	root.Version = ReadBuild().text(p.Name)
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
					return UnknownCommand(root, args[0])
				}
				show(cmd, args)
				return nil
			}
		case "completion":
			c.Args = cobra.ArbitraryArgs
			c.RunE = func(cmd *cobra.Command, args []string) error {
				if len(args) > 0 {
					return Usagef(root.Name()+" completion bash, zsh, fish or powershell", "there is no completion for %q", args[0])
				}
				return cmd.Help()
			}
		}
	}
}

// Complete offers fixed values for a flag.
func Complete(cmd *cobra.Command, flag string, values ...string) {
	// The only error is a flag that does not exist, which the first test run shows.
	if err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(fmt.Sprintf("completion of --%s: %v", flag, err))
	}
}

// OutputFlag adds -o to a command.
func OutputFlag(cmd *cobra.Command) *term.Format {
	f := term.TableFormat
	cmd.Flags().VarP(&f, "output", "o", "output format")
	Complete(cmd, "output", "table", "json", "yaml")
	return &f
}

// Lines joins help examples.
func Lines(s ...string) string { return "  " + strings.Join(s, "\n  ") }
