package command

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
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

// ExitCodes says what they mean, for people.
const ExitCodes = `0 done and nothing to complain about, 1 problems found (or
differences, or failed tests) or the work failed, 2 the command was used wrongly,`

// ErrProblems ends a command that has already printed what it found.
var ErrProblems = errors.New("problems found")

// UsageError is a command line that makes no sense.
type UsageError struct {
	Err  error
	Hint string
}

func (e UsageError) Error() string { return e.Err.Error() }
func (e UsageError) Unwrap() error { return e.Err }

func Usagef(hint, format string, args ...any) error {
	return UsageError{Err: fmt.Errorf(format, args...), Hint: hint}
}

// HintError says what to do about an error.
type HintError struct {
	Err  error
	Hint string
}

func (e HintError) Error() string { return e.Err.Error() }
func (e HintError) Unwrap() error { return e.Err }

// ExitCode ends with the code of a program that was run, about which there is nothing
// more to say.
type ExitCode int

func (c ExitCode) Error() string { return fmt.Sprintf("exit status %d", int(c)) }

// ProgramError is why a program did not run, or was stopped, with the exit code that
// this process has for it.
type ProgramError struct {
	Err  error
	Code int
}

func (e ProgramError) Error() string { return e.Err.Error() }
func (e ProgramError) Unwrap() error { return e.Err }

// UnreachableError: nobody answers at the admin address.
type UnreachableError struct {
	Err  error
	Hint string
}

func (e UnreachableError) Error() string { return e.Err.Error() }
func (e UnreachableError) Unwrap() error { return e.Err }

// Report prints err in the one form that all commands share and picks the exit code.
func Report(t *term.Terminal, cmd *cobra.Command, err error) int {
	if errors.Is(err, ErrProblems) {
		return CodeProblems
	}
	var program ExitCode
	if errors.As(err, &program) {
		return int(program)
	}
	code, hint := CodeProblems, ""
	var (
		usage       UsageError
		hinted      HintError
		unreachable UnreachableError
		unrun       ProgramError
	)
	switch {
	case errors.As(err, &usage):
		code, hint = CodeUsage, usage.Hint
		if hint == "" {
			hint = fmt.Sprintf("see %q", cmd.CommandPath()+" --help")
		}
	case errors.As(err, &unreachable):
		code, hint = CodeUnreachable, unreachable.Hint
	case errors.As(err, &unrun):
		code = unrun.Code
	case errors.As(err, &hinted):
		hint = hinted.Hint
	}
	for line := range strings.Lines(err.Error()) { // joined errors are one on each line
		t.Errorf("%s %s\n", term.Paint("error:", term.Bad), strings.TrimSuffix(line, "\n"))
	}
	if hint != "" {
		t.Errorf("%s %s\n", term.Paint("hint:", term.Info), strings.ReplaceAll(hint, "\n", "\n      "))
	}
	return code
}

// FlagError adds the nearest flag to what pflag says.
func FlagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		name := unknown.GetSpecifiedName()
		if unknown.GetSpecifiedShortnames() != "" {
			return Usagef("", "%s has no flag -%s", cmd.CommandPath(), name)
		}
		var all []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { all = append(all, f.Name) })
		cmd.InheritedFlags().VisitAll(func(f *pflag.Flag) { all = append(all, f.Name) })
		hint := ""
		if near := Nearest(name, all); near != "" {
			hint = "did you mean --" + near + "?"
		}
		return Usagef(hint, "%s has no flag --%s", cmd.CommandPath(), name)
	}
	return UsageError{Err: err}
}

func UnknownCommand(root *cobra.Command, name string) error {
	var all []string
	for _, c := range root.Commands() {
		if !c.Hidden {
			all = append(all, c.Name())
		}
	}
	hint := fmt.Sprintf("%q lists the commands", root.Name()+" help")
	if near := Nearest(name, all); near != "" {
		hint = fmt.Sprintf("did you mean %q?", root.Name()+" "+near)
	}
	return Usagef(hint, "there is no command %q", name)
}

// ExactArgs and MinArgs are cobra's, with errors that name what is missing.
func ExactArgs(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return Usagef("usage: "+cmd.UseLine(), "%s needs %s", cmd.CommandPath(), strings.Join(names[len(args):], " and "))
		case len(args) > len(names):
			return Usagef("usage: "+cmd.UseLine(), "%s does not take %q", cmd.CommandPath(), args[len(names)])
		}
		return nil
	}
}

func MinArgs(n int, name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < n {
			return Usagef("usage: "+cmd.UseLine(), "%s needs %s", cmd.CommandPath(), name)
		}
		return nil
	}
}

func NoArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return Usagef("usage: "+cmd.UseLine(), "%s does not take %q", cmd.CommandPath(), args[0])
	}
	return nil
}

// Takes checks how many arguments a command has; another number is a mistake of usage,
// and no answer of the command.
func Takes(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch hint := "usage: " + cmd.UseLine(); {
		case len(args) < least:
			return Usagef(hint, "%s needs %s, and was given %d", cmd.CommandPath(), count(least), len(args))
		case len(args) > most:
			return Usagef(hint, "%s does not take %q: it has %s", cmd.CommandPath(), args[most], count(most))
		}
		return nil
	}
}

func count(arguments int) string {
	if arguments == 1 {
		return "one argument"
	}
	return strconv.Itoa(arguments) + " arguments"
}

// Nearest returns the candidate that is at most a third of the word away, or "".
func Nearest(word string, candidates []string) string {
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
