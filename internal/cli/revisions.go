package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/cli/command"
	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/manage/objects"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
)

func newRevisions(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "revisions [NUMBER]",
		GroupID: groupLive,
		Short:   "Show what has changed in the configuration of a running gateway",
		Long: `Lists changes of the configuration, the latest first: those by "gridway apply" and its
like, and those of files. With a NUMBER it shows what one of them has changed, as a
difference of each object, secrets hidden. Without a state store the gateway remembers
the last 100 changes of its files.

` + adminHelp,
		Example: lines("gridway revisions", "gridway revisions 12", "gridway revisions --object HTTPRoute/default/catalog", "gridway revisions --before 120 -o json"),
		Args:    command.Takes(0, 1),
	}
	out, a := outputFlag(cmd), adminFlag(t, cmd)
	object := cmd.Flags().String("object", "", "only changes of this one, as in HTTPRoute/default/catalog")
	q := objects.Query{}
	cmd.Flags().Int64Var(&q.Before, "before", 0, "only revisions with a lower number: the next page")
	cmd.Flags().IntVar(&q.Limit, "limit", 50, "how many at most, up to 1000")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			if *object != "" {
				return usagef("", "--object has no meaning with a number")
			}
			return showRevision(cmd.Context(), t, a, out, args[0])
		}
		if *object != "" {
			n, err := objects.ParseName(*object)
			if err != nil {
				return usagef("", "--object: %v", err)
			}
			q.Object = &n
		}
		list, err := ask(cmd.Context(), a, func(ctx context.Context, c *client.Client) ([]objects.Revision, error) { return c.Revisions(ctx, q) })
		if err != nil {
			return err
		}
		if *out != term.TableFormat {
			return out.Write(t.Out, list)
		}
		table := term.NewTable("revision", "time", "by", "source", "changes", "message").Right(0)
		for i := range list {
			x := &list[i]
			table.Row(fmt.Sprint(x.Number), x.At.Format(time.RFC3339), x.By, string(x.Source), changesText(x), x.Message)
		}
		t.Printf("%s", table)
		return nil
	}
	return cmd
}

func revisionNumber(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 {
		return 0, usagef(`"gridway revisions" lists them`, "%q is no number of a revision", text)
	}
	return n, nil
}

// changesShown is how many objects a row names.
const changesShown = 2

// changesText is what a revision has done, in short.
func changesText(x *objects.Revision) string {
	signs := map[objects.Op]string{objects.Created: "+", objects.Changed: "~", objects.Deleted: "-"}
	var parts []string
	for i := range x.Changes[:min(len(x.Changes), changesShown)] {
		c := &x.Changes[i]
		parts = append(parts, signs[c.Op]+c.Name.String())
	}
	text := strings.Join(parts, ", ")
	if more := len(x.Changes) + x.Omitted - changesShown; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

func showRevision(ctx context.Context, t *term.Terminal, a *admin, out *term.Format, number string) error {
	n, err := revisionNumber(number)
	if err != nil {
		return err
	}
	x, err := ask(ctx, a, func(ctx context.Context, c *client.Client) (*objects.Revision, error) { return c.Revision(ctx, n) })
	if err != nil {
		return err
	}
	if *out != term.TableFormat {
		return out.Write(t.Out, x)
	}
	t.Printf("revision %d  %s  by %s  (%s)\n", x.Number, x.At.Format(time.RFC3339), x.By, x.Source)
	if x.Message != "" {
		t.Printf("%s\n", x.Message)
	}
	for i := range x.Changes {
		c := &x.Changes[i]
		t.Printf("\n%s %s", term.Paint(c.Name.String(), term.Bold), c.Op)
		if c.Place != "" {
			t.Printf("  %s", term.Paint(c.Place, term.Place))
		}
		t.Printf("\n")
		printChange(t, c)
	}
	if x.Omitted > 0 {
		t.Printf("\n%d more changes of files were too many, or too long, to be kept\n", x.Omitted)
	}
	return nil
}

// printChange shows the lines of an object that have changed, with some around them.
func printChange(t *term.Terminal, c *objects.ObjectChange) {
	if c.Op != objects.Created && c.Before == "" {
		t.Printf("%s\n", term.Paint("what it was before is not known any more", term.Faint))
	}
	for _, l := range lineDiff(c.Before, c.After) {
		switch l[0] {
		case '+':
			l = term.Paint(l, term.Good)
		case '-':
			l = term.Paint(l, term.Bad)
		}
		t.Printf("%s\n", l)
	}
}

func newRollback(t *term.Terminal) *cobra.Command {
	var f changeFlags
	cmd := &cobra.Command{
		Use:     "rollback NUMBER",
		GroupID: groupLive,
		Short:   "Make managed objects what they were after a revision",
		Long: `Makes the objects that were applied what they were after a revision, which is a
revision of its own. It is checked as any other change. Files stay as they are, and so do
consumers and their keys.

` + adminHelp,
		Example: lines("gridway rollback 12", "gridway rollback 12 --dry-run", "gridway rollback 12 -m 'the new route is too slow'"),
		Args:    exactArgs("NUMBER"),
	}
	f.add(cmd)
	out, a := outputFlag(cmd), adminFlag(t, cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		n, err := revisionNumber(args[0])
		if err != nil {
			return err
		}
		if err := f.check(); err != nil {
			return err
		}
		a.patient = true
		done, err := ask(cmd.Context(), a, func(ctx context.Context, c *client.Client) (*objects.Applied, error) {
			return c.Rollback(ctx, n, f.Options)
		})
		return writeApplied(t, *out, done, err, nil)
	}
	return cmd
}
