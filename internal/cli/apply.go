package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/cli/excerpt"
	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/manage/objects"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
)

// changeFlags are those of every command that makes a revision.
type changeFlags struct{ objects.Options }

func (f *changeFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.BoolVar(&f.DryRun, "dry-run", false, "only say what would be done")
	fl.StringVarP(&f.Message, "message", "m", "", "why, for the list of revisions")
	fl.Int64Var(&f.Expect, "expect", 0, "only if this is still the latest revision")
}

func (f *changeFlags) check() error {
	if f.Expect < 0 {
		return usagef("", "--expect must be the number of a revision, not %d", f.Expect)
	}
	if len(f.Message) > objects.MaxMessage {
		return usagef("", "--message has %d bytes; at most %d are kept", len(f.Message), objects.MaxMessage)
	}
	return nil
}

func newApply(t *term.Terminal) *cobra.Command {
	var f changeFlags
	cmd := &cobra.Command{
		Use:     "apply -f FILE|DIR...",
		GroupID: groupLive,
		Short:   "Change the configuration of a running gateway",
		Long: `Makes the objects of a file, - for standard input, part of the configuration of a
running gateway, or changes them: all of them or none, of all files that are named.
A folder is read as a gateway reads it: *.yaml, *.yml and *.json, with the folders
beneath. Objects that the files do not name stay as they are. They are kept in the gateway's state store, and in service at
every gateway that shares it.

The gateway checks them first, together with everything else that it serves, as
"gridway check" does; what is wrong is told with its place in the file, and nothing is
changed then. Each change is a revision: "gridway revisions" lists them, and "gridway
rollback" goes back. An object that is in a file of the gateway is changed there.

` + adminHelp,
		Example: lines("gridway apply -f shop.yaml -m 'open the shop'", "gridway apply -f shop.yaml --dry-run", "gridway apply -f base/ -f shop.yaml", "kustomize build . | gridway apply -f -", "gridway apply -f shop.yaml && gridway wait"),
		Args:    noArgs,
	}
	paths := cmd.Flags().StringArrayP("file", "f", nil, "file or folder with objects in YAML or JSON, - for standard input (repeatable)")
	f.add(cmd)
	out, a := outputFlag(cmd), adminFlag(t, cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if len(*paths) == 0 || slices.Contains(*paths, "") {
			return usagef("for example gridway apply -f shop.yaml", "%s needs a file with -f", cmd.CommandPath())
		}
		if err := f.check(); err != nil {
			return err
		}
		what, err := readTexts(t, *paths)
		if err != nil {
			return err
		}
		a.patient = true
		done, err := ask(cmd.Context(), a, func(ctx context.Context, c *client.Client) (*objects.Applied, error) {
			return c.Apply(ctx, what.text, f.Options)
		})
		return writeApplied(t, *out, done, err, what)
	}
	return cmd
}

func newDelete(t *term.Terminal) *cobra.Command {
	var f changeFlags
	cmd := &cobra.Command{
		Use:     "delete KIND NAME | KIND/NAME",
		GroupID: groupLive,
		Short:   "Take an object out of the configuration of a running gateway",
		Long: `Takes an object away that was made by "gridway apply". It is a revision, which
"gridway rollback" undoes. An object that is in a file of the gateway is taken out there.

` + adminHelp,
		Example: lines("gridway delete httproute/catalog", "gridway delete httproute catalog -n shop -m 'not sold any more'", "gridway delete backend/old --dry-run"),
		Args:    getArgs,
	}
	namespace := cmd.Flags().StringP("namespace", "n", "", "namespace of the object (default \"default\", and none where the kind has none)")
	f.add(cmd)
	out, a := outputFlag(cmd), adminFlag(t, cmd)
	cmd.ValidArgsFunction = completeGet(a, namespace)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		kind, name := whichObject(args)
		if kind == "" || name == "" {
			return usagef("usage: "+cmd.UseLine(), "%s needs a kind and a name", cmd.CommandPath())
		}
		if err := f.check(); err != nil {
			return err
		}
		ns := *namespace
		if before, bare, ok := strings.Cut(name, "/"); ok {
			if ns != "" && ns != before {
				return usagef("", "the object is in namespace %s, and --namespace says %s", before, ns)
			}
			ns, name = before, bare
		}
		done, err := ask(cmd.Context(), a, func(ctx context.Context, c *client.Client) (*objects.Applied, error) {
			list, err := c.Objects(ctx, "", false)
			if err != nil {
				return nil, err
			}
			n, err := named(list, kind, ns, name)
			if err != nil {
				return nil, err
			}
			return c.Delete(ctx, n, f.Options)
		})
		return writeApplied(t, *out, done, err, nil)
	}
	return cmd
}

// named finds the full name of an object. Without a namespace it is that of "default", or
// one of a kind without namespaces.
func named(list []adminapi.Object, kind, namespace, name string) (objects.Name, error) {
	for _, o := range selectObjects(list, kind, "", name) {
		if o.Namespace == namespace || namespace == "" && o.Namespace == "default" {
			return objects.Name{Kind: o.Kind, Namespace: o.Namespace, Name: o.Name}, nil
		}
	}
	return objects.Name{}, notFound(list, kind, namespace, name)
}

// writeApplied tells what a change has done, or why it was refused. What was sent is
// shown where it is wrong.
func writeApplied(t *term.Terminal, f term.Format, done *objects.Applied, err error, what *texts) error {
	var fault *adminapi.Fault
	if errors.As(err, &fault) && len(fault.Errors) > 0 {
		printDiagnostics(t, fault.Errors, store.Error, what)
		return hintError{Err: fmt.Errorf("nothing was changed: %s", excerpt.Count(len(fault.Errors), "error")), Hint: `"gridway check" finds what is wrong with files alone, without a gateway`}
	}
	if err != nil {
		return err
	}
	if f != term.TableFormat {
		return f.Write(t.Out, done)
	}
	printDiagnostics(t, done.Warnings, store.Warning, what)
	changed := 0
	for _, c := range done.Changes {
		word := string(c.Op)
		switch c.Op {
		case objects.Unchanged:
			word = term.Paint(word, term.Faint)
		default:
			changed++
		}
		t.Printf("%s %s\n", c.Name, word)
	}
	switch {
	case done.DryRun && changed > 0:
		t.Printf("%s\n", term.Paint("nothing was changed: this was a dry run", term.Faint))
	case changed == 0:
		t.Printf("nothing to change; the latest revision is %d\n", done.Revision)
	default:
		t.Printf("revision %d\n", done.Revision)
	}
	return nil
}

// printDiagnostics writes them as "gridway check" does, with the lines of what was sent.
func printDiagnostics(t *term.Terminal, list []objects.Diagnostic, severity store.Severity, what *texts) {
	p := excerpt.Printer{Width: t.Width(), ReadFile: func(name string) ([]byte, error) {
		if text, was := what.read(name); was {
			return text, nil
		}
		return nil, os.ErrNotExist // files that the gateway names are on its machine
	}}
	for i := range list {
		d := &list[i]
		problem := store.Problem{Severity: severity, Code: d.Code, Field: d.Field, Message: what.message(d.Message), Remedy: d.Hint}
		if n, err := objects.ParseName(d.Object); err == nil {
			problem.Object = store.Key{Kind: n.Kind, Namespace: n.Namespace, Name: n.Name}
		}
		problem.Position = store.Position{File: d.File, Line: d.Line, Column: d.Column}
		if d.File == "" {
			problem.Position.File, problem.Position.Line = what.at(d.Line)
		}
		p.Print(t.Err, problem)
		t.Errorf("\n")
	}
}
