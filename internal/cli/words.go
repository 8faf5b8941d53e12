package cli

import (
	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/cli/command"
	"github.com/gridway/gridway/internal/cli/term"
)

// What package command has, in the short words that every file of this one uses.

// Exit codes of every command.
const (
	CodeOK          = command.CodeOK
	CodeProblems    = command.CodeProblems
	CodeUsage       = command.CodeUsage
	CodeUnreachable = command.CodeUnreachable
)

type (
	usageError       = command.UsageError
	hintError        = command.HintError
	unreachableError = command.UnreachableError
	exitCode         = command.ExitCode
)

var errProblems = command.ErrProblems

func usagef(hint, format string, args ...any) error { return command.Usagef(hint, format, args...) }

func exactArgs(names ...string) cobra.PositionalArgs { return command.ExactArgs(names...) }

func minArgs(n int, name string) cobra.PositionalArgs { return command.MinArgs(n, name) }

func noArgs(cmd *cobra.Command, args []string) error { return command.NoArgs(cmd, args) }

func nearest(word string, candidates []string) string { return command.Nearest(word, candidates) }

func complete(cmd *cobra.Command, flag string, values ...string) {
	command.Complete(cmd, flag, values...)
}

func offer(lists ...[]string) cobra.CompletionFunc { return command.Offer(lists...) }

func outputFlag(cmd *cobra.Command) *term.Format { return command.OutputFlag(cmd) }

func lines(s ...string) string { return command.Lines(s...) }

var methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
