package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/gridway/gridway/internal/cli/excerpt"
	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/config/compile"
	"github.com/gridway/gridway/internal/config/lint"
	"github.com/gridway/gridway/internal/config/source/file"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/proxy/dryrun"
)

// offline is a configuration that was read from files without running it.
type offline struct {
	set      *store.Set
	out      *compile.Output
	problems []store.Problem
}

const missingHint = "give files or folders that exist, or - for standard input"

// readConfig loads and compiles files. The error is about paths that cannot be
// read; what is wrong inside is in problems, with lint's findings.
func readConfig(t *term.Terminal, paths []string) (*offline, error) {
	return readConfigAbove(t, paths, nil)
}

// readConfigAbove is readConfig with Services beneath those of the files, which hold.
func readConfigAbove(t *term.Terminal, paths []string, services []*store.Object) (*offline, error) {
	set, problems, err := file.Load(paths, file.Options{Stdin: t.In})
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, hintError{Err: err, Hint: missingHint}
		}
		return nil, err
	}
	mesh := len(services) > 0 || compile.HasMesh(set)
	set, _ = set.Beneath(store.GroupKind{Kind: "Service"}, services)
	out := compile.Compile(compile.Input{Set: set, Refused: store.Refused(set, problems), Now: time.Now(), Mesh: mesh}, nil)
	problems = append(slices.Clone(problems), out.Problems...)
	findings, err := lint.Check(out.Config, set)
	if err != nil {
		return nil, err
	}
	problems = append(problems, findings...)
	sortProblems(problems)
	return &offline{set: set, out: out, problems: problems}, nil
}

// sortProblems orders by place.
func sortProblems(list []store.Problem) {
	slices.SortStableFunc(list, func(a, b store.Problem) int {
		if c := compareStrings(a.Position.File, b.Position.File); c != 0 {
			return c
		}
		if a.Position.Line != b.Position.Line {
			return a.Position.Line - b.Position.Line
		}
		return a.Position.Column - b.Position.Column
	})
}

func compareStrings(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func count(problems []store.Problem, s store.Severity) int {
	n := 0
	for _, p := range problems {
		if p.Severity == s {
			n++
		}
	}
	return n
}

func countErrors(cfg *offline) int { return count(cfg.problems, store.Error) }

// printProblems writes those of at least a severity to w.
func printProblems(t *term.Terminal, problems []store.Problem, keep func(store.Problem) bool) {
	p := excerpt.Printer{Width: t.Width()}
	for _, problem := range problems {
		if keep == nil || keep(problem) {
			p.Print(t.Err, problem)
			t.Errorf("\n")
		}
	}
}

func isError(p store.Problem) bool { return p.Severity == store.Error }

// readTable is readConfig for commands that decide requests. Errors in the
// files are printed, and what is valid is used, as a running gateway would.
func readTable(t *term.Terminal, paths []string) (*dryrun.Table, *offline, error) {
	cfg, err := readConfig(t, paths)
	if err != nil {
		return nil, nil, err
	}
	table, err := tableOf(t, cfg)
	return table, cfg, err
}

func tableOf(t *term.Terminal, cfg *offline) (*dryrun.Table, error) {
	warnOfErrors(t, cfg)
	if len(cfg.out.Config.Listeners) == 0 {
		return nil, hintError{Err: fmt.Errorf("the configuration has no listener that could serve"), Hint: `a Gateway with gatewayClassName "gridway" opens listeners; "gridway check" says what is wrong`}
	}
	return dryrun.NewTranscoding(cfg.out.Config, nil, nil)
}

// warnOfErrors prints the errors of a configuration of which the rest is used.
func warnOfErrors(t *term.Terminal, cfg *offline) {
	if n := countErrors(cfg); n > 0 {
		printProblems(t, cfg.problems, isError)
		t.Errorf("%s %s in the configuration; what follows is about the rest\n\n", term.Paint("warning:", term.Warn), excerpt.Count(n, "error"))
	}
}
