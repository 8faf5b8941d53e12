package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/cli/excerpt"
	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/config/source/file"
	"github.com/gridway/gridway/internal/config/store"
)

func newCheck(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "check FILE|DIR...",
		GroupID: groupFiles,
		Short:   "Find mistakes in configuration files",
		Long: `Reads configuration as "gridway run" would, without opening a port, and lists
everything that is wrong (errors: the object would not serve) or suspicious
(warnings: shadowed routes, rules that no request can reach, backends without
endpoints, certificates that have expired). Route tests among the files are read
too, and not run. "-" reads standard input.

Exits with 1 if there are errors, and with --strict also if there are warnings.`,
		Example: lines("gridway check shop.yaml", "gridway check --strict config/", "kustomize build . | gridway check -", "gridway check config/ -o json | jq '.problems[].message'"),
		Args:    minArgs(1, "at least one file or folder"),
	}
	out := outputFlag(cmd)
	strict := cmd.Flags().Bool("strict", false, "fail on warnings too")
	notes := cmd.Flags().Bool("notes", true, "show notes, such as objects of other gateways")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		cfg, err := readConfig(t, args)
		if err != nil {
			return err
		}
		suites, mistakes, err := findSuites(slices.DeleteFunc(slices.Clone(args), func(p string) bool { return p == file.Stdin }))
		if err != nil {
			return err
		}
		cfg.problems = append(cfg.problems, mistakes...)
		if cfg.set.Len() == 0 && len(cfg.problems) == 0 && len(suites) == 0 {
			return hintError{
				Err:  fmt.Errorf("there is nothing to check in %s", strings.Join(args, ", ")),
				Hint: "objects are read from files that end in .yaml, .yml or .json, in folders and below",
			}
		}
		sortProblems(cfg.problems)
		problems := cfg.problems
		errorsFound, warnings := count(problems, store.Error), count(problems, store.Warning)
		failed := errorsFound > 0 || *strict && warnings > 0
		if *out != term.TableFormat {
			if err := out.Write(t.Out, newCheckResult(cfg, !failed)); err != nil {
				return err
			}
		} else {
			printProblems(t, problems, func(p store.Problem) bool { return *notes || p.Severity != store.Note })
			t.Printf("%s\n", checkSummary(cfg, failed))
		}
		if failed {
			return errProblems
		}
		return nil
	}
	return cmd
}

func checkSummary(cfg *offline, failed bool) string {
	mark := term.Paint("ok", term.Good)
	if failed {
		mark = term.Paint("failed", term.Bad)
	}
	s := fmt.Sprintf("%s: %s", mark, strings.Join(inventory(cfg), ", "))
	if sum := excerpt.Summary(cfg.problems); sum != "" {
		s += "; " + sum
	}
	return s
}

// inventory counts what is in the files.
func inventory(cfg *offline) []string {
	list := []string{excerpt.Count(cfg.set.Len(), "object")}
	sections := 0
	for _, l := range cfg.out.Config.Listeners {
		sections += len(l.Sections)
	}
	rules := 0
	for _, r := range cfg.out.Config.Routes {
		rules += len(r.Rules)
	}
	rules += len(cfg.out.Config.Streams)
	if m := cfg.out.Mesh; m != nil {
		list = append(list, excerpt.Count(len(m.Services), "service")+" of a mesh")
		if sections == 0 {
			return list
		}
	}
	return append(list, excerpt.Count(sections, "listener"), excerpt.Count(rules, "rule"), excerpt.Count(len(cfg.out.Config.Clusters), "backend"))
}

// problem is store.Problem for -o json.
type problem struct {
	Severity store.Severity `json:"severity"`
	Code     string         `json:"code,omitempty"`
	Object   string         `json:"object,omitempty"`
	Field    string         `json:"field,omitempty"`
	File     string         `json:"file,omitempty"`
	Line     int            `json:"line,omitempty"`
	Column   int            `json:"column,omitempty"`
	Message  string         `json:"message"`
	Remedy   string         `json:"remedy,omitempty"`
}

func newProblem(p store.Problem) problem {
	out := problem{
		Severity: p.Severity, Code: p.Code, Field: p.Field, Message: p.Message, Remedy: p.Remedy,
		File: p.Position.File, Line: p.Position.Line, Column: p.Position.Column,
	}
	if p.Object != (store.Key{}) {
		out.Object = p.Object.String()
	}
	return out
}

type checkResult struct {
	OK       bool      `json:"ok"`
	Objects  int       `json:"objects"`
	Errors   int       `json:"errors"`
	Warnings int       `json:"warnings"`
	Notes    int       `json:"notes"`
	Problems []problem `json:"problems"`
}

func newCheckResult(cfg *offline, ok bool) checkResult {
	r := checkResult{
		OK: ok, Objects: cfg.set.Len(), Problems: []problem{},
		Errors: count(cfg.problems, store.Error), Warnings: count(cfg.problems, store.Warning), Notes: count(cfg.problems, store.Note),
	}
	for _, p := range cfg.problems {
		r.Problems = append(r.Problems, newProblem(p))
	}
	return r
}
