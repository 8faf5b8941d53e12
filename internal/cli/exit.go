package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/config/spelling"
)

// Exit codes of every command.
const (
	CodeOK          = 0
	CodeProblems    = 1
	CodeUsage       = 2
	CodeUnreachable = 3
)

const exitCodes = `0 done and nothing to complain about, 1 problems found (or
differences, or failed tests) or the work failed, 2 the command was used wrongly,
3 the gateway's admin API cannot be reached.`

// errProblems ends a command that has already printed what it found.
var errProblems = errors.New("problems found")

// usageError is a command line that makes no sense.
type usageError struct {
	err  error
	hint string
}

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

func usagef(hint, format string, args ...any) error {
	return usageError{err: fmt.Errorf(format, args...), hint: hint}
}

// hintError says what to do about an error.
type hintError struct {
	err  error
	hint string
}

func (e hintError) Error() string { return e.err.Error() }
func (e hintError) Unwrap() error { return e.err }

// exitCode ends with the code of a program that was run, about which there is nothing
// more to say.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit status %d", int(c)) }

// programError is why a program did not run, or was stopped, with the exit code that
// this process has for it.
type programError struct {
	err  error
	code int
}

func (e programError) Error() string { return e.err.Error() }
func (e programError) Unwrap() error { return e.err }

// unreachableError: nobody answers at the admin address.
type unreachableError struct {
	err  error
	hint string
}

func (e unreachableError) Error() string { return e.err.Error() }
func (e unreachableError) Unwrap() error { return e.err }

// report prints err in the one form that all commands share and picks the exit code.
func report(t *term.Terminal, cmd *cobra.Command, err error) int {
	if errors.Is(err, errProblems) {
		return CodeProblems
	}
	var program exitCode
	if errors.As(err, &program) {
		return int(program)
	}
	code, hint := CodeProblems, ""
	var (
		usage       usageError
		hinted      hintError
		unreachable unreachableError
		unrun       programError
	)
	switch {
	case errors.As(err, &usage):
		code, hint = CodeUsage, usage.hint
		if hint == "" {
			hint = fmt.Sprintf("see %q", cmd.CommandPath()+" --help")
		}
	case errors.As(err, &unreachable):
		code, hint = CodeUnreachable, unreachable.hint
	case errors.As(err, &unrun):
		code = unrun.code
	case errors.As(err, &hinted):
		hint = hinted.hint
	}
	for line := range strings.Lines(err.Error()) { // joined errors are one on each line
		t.Errorf("%s %s\n", term.Paint("error:", term.Bad), strings.TrimSuffix(line, "\n"))
	}
	if hint != "" {
		t.Errorf("%s %s\n", term.Paint("hint:", term.Info), strings.ReplaceAll(hint, "\n", "\n      "))
	}
	return code
}

// flagError adds the nearest flag to what pflag says.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		name := unknown.GetSpecifiedName()
		if unknown.GetSpecifiedShortnames() != "" {
			return usagef("", "%s has no flag -%s", cmd.CommandPath(), name)
		}
		var all []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { all = append(all, f.Name) })
		cmd.InheritedFlags().VisitAll(func(f *pflag.Flag) { all = append(all, f.Name) })
		hint := ""
		if near := nearest(name, all); near != "" {
			hint = "did you mean --" + near + "?"
		}
		return usagef(hint, "%s has no flag --%s", cmd.CommandPath(), name)
	}
	return usageError{err: err}
}

func unknownCommand(root *cobra.Command, name string) error {
	var all []string
	for _, c := range root.Commands() {
		if !c.Hidden {
			all = append(all, c.Name())
		}
	}
	hint := `"gridway help" lists the commands`
	if near := nearest(name, all); near != "" {
		hint = fmt.Sprintf("did you mean %q?", "gridway "+near)
	}
	return usagef(hint, "there is no command %q", name)
}

// exactArgs and minArgs are cobra's, with errors that name what is missing.
func exactArgs(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return usagef("usage: "+cmd.UseLine(), "%s needs %s", cmd.CommandPath(), strings.Join(names[len(args):], " and "))
		case len(args) > len(names):
			return usagef("usage: "+cmd.UseLine(), "%s does not take %q", cmd.CommandPath(), args[len(names)])
		}
		return nil
	}
}

func minArgs(n int, name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < n {
			return usagef("usage: "+cmd.UseLine(), "%s needs %s", cmd.CommandPath(), name)
		}
		return nil
	}
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("usage: "+cmd.UseLine(), "%s does not take %q", cmd.CommandPath(), args[0])
	}
	return nil
}

// nearest returns the candidate that is at most a third of the word away, or "".
func nearest(word string, candidates []string) string {
	best, bestDistance := "", max(1, len(word)/3)+1
	slices.Sort(candidates)
	for _, c := range candidates {
		d := spelling.Distance(strings.ToLower(word), strings.ToLower(c), bestDistance)
		if d >= bestDistance && len(word) >= 2 && strings.HasPrefix(c, word) {
			d = bestDistance - 1
		}
		if d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}
