package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/cli/excerpt"
	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/effect/delta"
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
files (--from). What comes out is objects that are added, removed or changed, with
their fields; listeners whose limits or TLS differ; and requests that would be
served differently. For the latter Gridway derives requests from the rules of both
sides, decides them with both, and shows those whose results differ: where they
go, what the backend or the client would see, and which settings of filters,
policies and backends are in force. Requests that two rules could take are among
them, for up to 4,000 pairs of matches on each side; it says if there are more.

Secrets are not shown: certificates and private keys are compared by fingerprint,
and other values that a running gateway hides are named as not compared.

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
		before, after, err := readSides(cmd.Context(), t, a, from, args)
		if err != nil {
			return err
		}
		d, err := delta.Compare(cmd.Context(), before, after)
		if err != nil {
			return err
		}
		if *out != term.TableFormat {
			err = out.Write(t.Out, d)
		} else {
			printDifference(t, d)
		}
		if err == nil && len(d.Objects)+len(d.Listeners)+len(d.Behaviour) > 0 {
			return errProblems
		}
		return err
	}
	return cmd
}

// readSides reads the new files, and what they are compared with.
func readSides(ctx context.Context, t *term.Terminal, a *admin, from, files []string) (before, after *delta.Side, err error) {
	now, err := readSide(t, files)
	if err != nil {
		return nil, nil, err
	}
	if len(from) == 0 {
		if after, err = sideOfFiles(now, nil, ir.Hide); err != nil {
			return nil, nil, err
		}
		before, err = sideOfGateway(ctx, a)
		return before, after, err
	}
	was, err := readSide(t, from)
	if err != nil {
		return nil, nil, err
	}
	veil := delta.Numbers()
	if after, err = sideOfFiles(now, was.set, veil); err == nil {
		before, err = sideOfFiles(was, now.set, veil)
	}
	return before, after, err
}

func readSide(t *term.Terminal, paths []string) (*offline, error) {
	cfg, err := readConfig(t, paths)
	if err != nil {
		return nil, err
	}
	if n := countErrors(cfg); n > 0 {
		printProblems(t, cfg.problems, isError)
		t.Errorf("%s %s in %s; objects with errors are left out\n\n", term.Paint("warning:", term.Warn), excerpt.Count(n, "error"), strings.Join(paths, ", "))
	}
	return cfg, nil
}

// sideOfFiles leaves out the objects that the other side, if it is given, has
// exactly so: most are, and comparing them takes time.
func sideOfFiles(cfg *offline, other *store.Set, veil ir.Veil) (*delta.Side, error) {
	s := &delta.Side{Config: cfg.out.Config.Veiled(veil)}
	for _, gk := range cfg.set.Kinds() {
		for _, o := range cfg.set.Kind(gk.Group, gk.Kind) {
			if other != nil {
				if x := other.Get(o.Key); x != nil && x.Hash == o.Hash {
					continue
				}
			}
			v, err := json.Marshal(o.Value)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", o.Key, err)
			}
			shown := adminapi.Object{Kind: o.Key.Kind, Value: v}.Veiled(veil)
			s.Objects = append(s.Objects, delta.Object{Name: o.Key.String(), Place: o.Locate("").String(), Value: shown.Value})
		}
	}
	return s, nil
}

func sideOfGateway(ctx context.Context, a *admin) (*delta.Side, error) {
	return ask(ctx, a, func(ctx context.Context, c *client.Client) (*delta.Side, error) {
		list, err := c.Objects(ctx, "", true)
		if err != nil {
			return nil, err
		}
		s := &delta.Side{}
		for _, o := range list {
			s.Objects = append(s.Objects, delta.Object{Name: objectName(o), Place: placeText(o.Place), Value: o.Value})
		}
		s.Config, err = c.Config(ctx)
		return s, err
	})
}

func objectName(o adminapi.Object) string {
	if o.Namespace == "" {
		return o.Kind + "/" + o.Name
	}
	return o.Kind + "/" + o.Namespace + "/" + o.Name
}

func printDifference(t *term.Terminal, d *delta.Difference) {
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
	if len(d.Listeners) > 0 {
		t.Printf("\n%s\n", term.Paint("Listeners", term.Title))
		for _, c := range d.Listeners {
			t.Printf("%s %s\n", sign(delta.Changed), c.Of)
			printAspects(t, c.Aspects)
		}
	}
	t.Printf("\n%s %s\n", term.Paint("Behaviour", term.Title), term.Paint(fmt.Sprintf("(%s compared)", excerpt.Count(d.Tried, "request")), term.Faint))
	for _, group := range delta.Alike(d.Behaviour) {
		for i, c := range group {
			if i == maxAlike {
				t.Printf("  %s\n", term.Paint(fmt.Sprintf("and %d more alike", len(group)-i), term.Faint))
				break
			}
			t.Printf("%s %s%s\n", sign(delta.Changed), c.Method+" "+c.URL, headerNote(c.Headers))
		}
		printAspects(t, group[0].Aspects)
	}
	if len(d.Behaviour) == 0 {
		t.Printf("no difference\n")
	}
	if d.Bounded {
		t.Printf("\n%s\n", term.Paint(fmt.Sprintf("of the pairs of rules that could take the same request, only the first %d of each side were tried", dryrun.MaxPairs), term.Faint))
	}
	if n := len(d.Unseen); n > 0 {
		t.Printf("\n%s\n", term.Paint(fmt.Sprintf("the gateway hides %s, which could not be compared: %s", excerpt.Count(n, "value"), strings.Join(d.Unseen, ", ")), term.Faint))
	}
}

// maxAlike bounds how many requests are listed that differ in the same way.
const maxAlike = 4

func printAspects(t *term.Terminal, list []delta.Aspect) {
	for _, a := range list {
		t.Printf("    %s: %s → %s\n", a.Name, term.Paint(orNothing(a.Old), term.Bad), term.Paint(orNothing(a.New), term.Good))
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
