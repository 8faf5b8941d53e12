package cli

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/config/status"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
)

const (
	waitFirst = 50 * time.Millisecond
	waitMax   = time.Second
)

func newWait(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "wait [FILE|DIR...]",
		GroupID: groupLive,
		Short:   "Wait until what files say is served by all proxies that need it",
		Long: `Waits until a running gateway has read the objects of files as they are now, and until
all proxies that need them serve them: its own, and in a mesh the edges, sidecars and
nodes of all control planes. Without files it waits for all objects that the gateway has
read. Objects that were taken out of the files are not waited for.

Exits with 0 once they are served. With 1 after --timeout, having said which proxies
do not serve which object and why, and at once if an object is refused.

` + adminHelp,
		Example: lines("gridway wait config/", "gridway wait config/ --timeout 2m", "gridway wait"),
		Args:    cobra.ArbitraryArgs,
	}
	a := adminFlag(t, cmd)
	timeout := cmd.Flags().Duration("timeout", 30*time.Second, "how long to wait")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *timeout <= 0 {
			return usagef("usage: "+cmd.UseLine(), "--timeout %s is no time to wait", *timeout)
		}
		w := &waiting{t: t}
		if len(args) > 0 {
			if err := w.read(args); err != nil {
				return err
			}
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), *timeout)
		defer cancel()
		began := time.Now()
		done, err := ask(ctx, a, w.until)
		if err != nil {
			return err
		}
		if !done {
			w.printLate(*timeout)
			return errProblems
		}
		if w.refused != nil {
			return errProblems
		}
		t.Printf("served after %s by all proxies that need it\n", top3(time.Since(began)))
		return nil
	}
	return cmd
}

// waiting is what is waited for.
type waiting struct {
	t *term.Terminal
	// want are the objects of files, nil without files; their hashes are as the admin
	// API writes them, and empty for those of which it tells none.
	want map[string]string
	// late are those that are missing, with the reason, as of the last look.
	late    [][2]string
	refused []adminapi.Refused
}

func (w *waiting) read(paths []string) error {
	cfg, err := readConfig(w.t, paths)
	if err != nil {
		return err
	}
	if countErrors(cfg) > 0 {
		printProblems(w.t, cfg.problems, isError)
		return errProblems
	}
	w.want = map[string]string{}
	for _, gk := range cfg.set.Kinds() {
		for _, o := range cfg.set.Kind(gk.Group, gk.Kind) {
			w.want[o.Key.String()] = strconv.FormatUint(o.Hash, 16)
		}
	}
	return nil
}

// until asks again and again, and is true when all is served or something is refused.
func (w *waiting) until(ctx context.Context, c *client.Client) (bool, error) {
	pause := waitFirst
	for {
		done, err := w.look(ctx, c)
		switch {
		case ctx.Err() != nil && errors.Is(context.Cause(ctx), context.DeadlineExceeded):
			return false, nil
		case err != nil, done:
			return done, err
		}
		select {
		case <-ctx.Done():
			if !errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
				return false, context.Cause(ctx)
			}
			return false, nil
		case <-time.After(pause):
			pause = min(2*pause, waitMax)
		}
	}
}

func (w *waiting) look(ctx context.Context, c *client.Client) (bool, error) {
	var late [][2]string
	if w.want != nil {
		list, err := c.Objects(ctx, "", false)
		if err != nil {
			return false, err
		}
		late = w.unread(list)
	}
	s, err := c.Status(ctx)
	if err != nil {
		return false, err
	}
	for _, r := range s.Refused {
		if _, wanted := w.want[r.Object]; wanted || w.want == nil {
			w.refused = append(w.refused, r)
		}
	}
	if len(w.refused) > 0 && len(late) == 0 {
		printRefused(w.t, w.refused, time.Now())
		return true, nil
	}
	w.refused = nil
	for i := range s.Statuses {
		o := &s.Statuses[i]
		if _, wanted := w.want[o.Object]; !wanted && w.want != nil {
			continue
		}
		if why := unserved(o); why != "" {
			late = append(late, [2]string{o.Object, why})
		}
	}
	if !s.Ready {
		late = append(late, [2]string{"the gateway", "is " + string(s.State)})
	}
	w.late = late
	return len(late) == 0, nil
}

// unread are the objects that the gateway has not read as they are in the files.
func (w *waiting) unread(list []adminapi.Object) (late [][2]string) {
	have := make(map[string]string, len(list))
	for _, o := range list {
		have[objectName(o)] = o.Hash
	}
	for _, name := range sortedNames(w.want) {
		hash, there := have[name]
		switch {
		case !there:
			late = append(late, [2]string{name, "the gateway has not read it: is the file among those that it serves?"})
		case hash != "" && hash != w.want[name]:
			late = append(late, [2]string{name, "the gateway has read another version of it"})
		}
	}
	return late
}

func sortedNames(m map[string]string) []string {
	out := make([]string, 0, len(m))
	for name := range m {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// unserved is why not all proxies that need an object serve it.
func unserved(o *adminapi.ObjectStatus) string {
	for _, c := range o.Conditions {
		if (c.Type == status.Distributed || c.Type == "Programmed" && c.Reason != "Invalid") && c.Status != string(status.True) {
			return c.Message
		}
	}
	return ""
}

func (w *waiting) printLate(timeout time.Duration) {
	w.t.Printf("%s after %s:\n", term.Paint("not served by all", term.Bad), timeout)
	table := term.NewTable("object", "why")
	for i, l := range w.late {
		if i == lateShown {
			break
		}
		table.Row(l[0], l[1])
	}
	w.t.Printf("%s", table)
	if more := len(w.late) - lateShown; more > 0 {
		w.t.Printf("and %d more\n", more)
	}
}

// lateShown bounds the objects that are shown.
const lateShown = 20
