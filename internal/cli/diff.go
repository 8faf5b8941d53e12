package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/cli/delta"
	"github.com/gridway/gridway/internal/cli/excerpt"
	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/dryrun"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
)

func newDiff(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "diff FILE|DIR...",
		GroupID: groupFiles,
		Short:   "Say what new files would change, by object and by behaviour",
		Long: `Compares configuration files with what a running gateway serves, or with other
files (--from). Two lists come out: objects that are added, removed or changed,
with their fields; and requests that would be served differently. For the latter
Gridway derives requests from the rules of both sides, decides them with both, and
shows those whose results differ: where they go, what the backend or the client
would see, and which policies are in force.

Exits with 0 if nothing differs and 1 if something does.

` + adminHelp,
		Example: lines("gridway diff config/", "gridway diff --from main/ branch/", "gridway diff config/ -o json | jq '.behaviour[].url'"),
		Args:    minArgs(1, "at least one file or folder"),
	}
	out := outputFlag(cmd)
	a := adminFlag(t, cmd)
	var from []string
	cmd.Flags().StringArrayVar(&from, "from", nil, "files or folders to compare with, instead of a running gateway (repeatable)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		after, err := sideOfFiles(t, args)
		if err != nil {
			return err
		}
		var before *side
		if len(from) > 0 {
			before, err = sideOfFiles(t, from)
		} else {
			before, err = sideOfGateway(cmd.Context(), a)
		}
		if err != nil {
			return err
		}
		d := difference{}
		if d.Objects, err = delta.Objects(before.objects, after.objects); err != nil {
			return err
		}
		if d.Behaviour, d.Tried, err = behaviour(before.config, after.config); err != nil {
			return err
		}
		if *out != term.TableFormat {
			err = out.Write(t.Out, d)
		} else {
			printDifference(t, &d)
		}
		if err == nil && (len(d.Objects) > 0 || len(d.Behaviour) > 0) {
			return errProblems
		}
		return err
	}
	return cmd
}

type difference struct {
	Objects   []delta.ObjectChange  `json:"objects"`
	Behaviour []delta.RequestChange `json:"behaviour"`
	// Tried is how many requests were compared.
	Tried int `json:"requestsTried"`
}

// side is one of the two configurations.
type side struct {
	objects []delta.Object
	config  *ir.Config
}

func sideOfFiles(t *term.Terminal, paths []string) (*side, error) {
	cfg, err := readConfig(t, paths)
	if err != nil {
		return nil, err
	}
	if n := countErrors(cfg); n > 0 {
		printProblems(t, cfg.problems, isError)
		t.Errorf("%s %s in %s; objects with errors are left out\n\n", term.Paint("warning:", term.Warn), excerpt.Count(n, "error"), strings.Join(paths, ", "))
	}
	s := &side{config: cfg.out.Config}
	for _, gk := range cfg.set.Kinds() {
		for _, o := range cfg.set.Kind(gk.Group, gk.Kind) {
			v, err := json.Marshal(o.Value)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", o.Key, err)
			}
			s.objects = append(s.objects, delta.Object{Name: o.Key.String(), Place: o.Locate("").String(), Value: v})
		}
	}
	return s, nil
}

func sideOfGateway(ctx context.Context, a *admin) (*side, error) {
	return ask(ctx, a, func(ctx context.Context, c *client.Client) (*side, error) {
		list, err := c.Objects(ctx, "", true)
		if err != nil {
			return nil, err
		}
		s := &side{}
		for _, o := range list {
			s.objects = append(s.objects, delta.Object{Name: objectName(o), Place: placeText(o.Place), Value: o.Value})
		}
		s.config, err = c.Config(ctx)
		return s, err
	})
}

func objectName(o adminapi.Object) string {
	if o.Namespace == "" {
		return o.Kind + "/" + o.Name
	}
	return o.Kind + "/" + o.Namespace + "/" + o.Name
}

// behaviour compares both with their secrets hidden, as one of them may come
// from a gateway that hides them.
func behaviour(before, after *ir.Config) ([]delta.RequestChange, int, error) {
	a, err := dryrun.New(before.Redacted())
	if err != nil {
		return nil, 0, err
	}
	b, err := dryrun.New(after.Redacted())
	if err != nil {
		return nil, 0, err
	}
	changes, tried := delta.Behaviour(a, b, policyTexts)
	return changes, tried, nil
}

func printDifference(t *term.Terminal, d *difference) {
	t.Printf("%s\n", term.Paint("Objects", term.Title))
	for _, c := range d.Objects {
		t.Printf("%s %s  %s\n", sign(c.Op), c.Object, term.Paint(c.Place, term.Place))
		for _, f := range c.Fields {
			switch f.Op {
			case delta.Added:
				t.Printf("    %s %s: %s\n", sign(f.Op), f.Path, value(f.New))
			case delta.Removed:
				t.Printf("    %s %s: %s\n", sign(f.Op), f.Path, value(f.Old))
			default:
				t.Printf("    %s %s: %s → %s\n", sign(f.Op), f.Path, value(f.Old), value(f.New))
			}
		}
	}
	if len(d.Objects) == 0 {
		t.Printf("no difference\n")
	}
	t.Printf("\n%s %s\n", term.Paint("Behaviour", term.Title), term.Paint(fmt.Sprintf("(%s compared)", excerpt.Count(d.Tried, "request")), term.Faint))
	for _, c := range d.Behaviour {
		t.Printf("%s %s%s\n", sign(delta.Changed), c.Method+" "+c.URL, headerNote(c.Headers))
		for _, a := range c.Aspects {
			t.Printf("    %s: %s → %s\n", a.Name, term.Paint(orNothing(a.Old), term.Bad), term.Paint(orNothing(a.New), term.Good))
		}
	}
	if len(d.Behaviour) == 0 {
		t.Printf("no difference\n")
	}
}

func sign(op delta.Op) string {
	switch op {
	case delta.Added:
		return term.Paint("+", term.Good)
	case delta.Removed:
		return term.Paint("-", term.Bad)
	}
	return term.Paint("~", term.Warn)
}

func value(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	if s := []rune(string(b)); len(s) > 160 {
		return string(s[:160]) + "…"
	}
	return string(b)
}

func orNothing(s string) string {
	if s == "" {
		return "(none)"
	}
	return s
}

func headerNote(list []ir.Header) string {
	s := ""
	for _, h := range list {
		s += " -H '" + h.Name + ": " + h.Value + "'"
	}
	return s
}
