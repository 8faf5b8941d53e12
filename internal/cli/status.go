package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/cli/excerpt"
	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
)

func newStatus(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "status",
		GroupID: groupLive,
		Short:   "Tell which revision serves, and what was refused",
		Long: `Tells which revision of the configuration a running gateway serves, which sockets
are open and what their clients may speak, how many proxies of a mesh serve what they were sent, which
endpoints are ejected or unhealthy, breakers open and pools full, as the gateway and the proxies of its mesh see them, which certificates issuers have given and when they are asked next, which objects were refused and whether their last good version goes on
serving, and every problem with its place. --conditions adds the Gateway API
conditions of each object; in a mesh, gridway.dev/Distributed among them says how many
of the proxies that need the object serve it. --proxy shows one proxy of the mesh.
Of a proxy in a mesh (--admin unix:FOLDER/admin.sock, where FOLDER is
its --state-dir) it tells who it is, which control plane it has its configuration from, and its certificates.

Exits with 1 if the gateway is not serving, or something was refused; with --proxy, if
that proxy does not serve what it was sent.

` + adminHelp,
		Example:           lines("gridway status", "gridway status --conditions --all", "gridway status --proxy shop/reviews", "gridway status -o json | jq .revision.number"),
		Args:              noArgs,
		ValidArgsFunction: offer(),
	}
	out := outputFlag(cmd)
	a := adminFlag(t, cmd)
	conditions := cmd.Flags().Bool("conditions", false, "show the conditions of every object")
	all := cmd.Flags().Bool("all", false, "show every warning, note and proxy, and up to 100 troubles")
	proxy := cmd.Flags().String("proxy", "", "show one proxy of the mesh: its name, or NAMESPACE/SERVICE where that has one alone")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, err := ask(cmd.Context(), a, func(ctx context.Context, c *client.Client) (*adminapi.Status, error) { return c.Status(ctx) })
		if err != nil {
			return err
		}
		if *proxy != "" {
			return writeProxy(t, *out, s.Mesh, *proxy)
		}
		if *out != term.TableFormat {
			err = out.Write(t.Out, s)
		} else {
			printStatus(t, s, *conditions, *all, time.Now())
		}
		wrong := slices.ContainsFunc(s.Problems, func(p adminapi.Problem) bool { return p.Severity == string(store.Error) })
		if err == nil && (!s.Ready || wrong || len(s.Refused) > 0 || s.LastFailure != nil) {
			return errProblems
		}
		return err
	}
	return cmd
}

// writeProxy shows one proxy of the mesh. It is a problem if that does not serve what it is
// to.
func writeProxy(t *term.Terminal, out term.Format, m *adminapi.MeshStatus, name string) error {
	p, err := findProxy(m, name)
	if err != nil {
		return err
	}
	if out != term.TableFormat {
		err = out.Write(t.Out, p)
	} else {
		printProxy(t, p, time.Now())
	}
	if err == nil && p.State != "Serving" {
		return errProblems
	}
	return err
}

func printStatus(t *term.Terminal, s *adminapi.Status, conditions, all bool, now time.Time) {
	style := term.Good
	if !s.Ready {
		style = term.Bad
	}
	head := term.Paint(string(s.State), style)
	if s.Revision.Number > 0 {
		head += fmt.Sprintf(" revision %d", s.Revision.Number)
		if !s.Revision.At.IsZero() {
			head += fmt.Sprintf(", live for %s (took %s)", age(now.Sub(s.Revision.At)), top3(s.Revision.Took))
		}
	}
	t.Printf("%s\n", head)
	up := fmt.Sprintf("gridway %s, up for %s", s.Version, age(now.Sub(s.Started)))
	if len(s.Revision.Sources) > 0 {
		up += ", reads " + strings.Join(s.Revision.Sources, ", ")
	}
	t.Printf("%s\n", up)
	if p := s.Predecessor; p != nil {
		t.Printf("took over from process %d (%s), which has %s left\n", p.PID, p.Version, excerpt.Count(p.Connections, "connection"))
	}
	if line := kinds(s.Objects); line != "" {
		t.Printf("%s\n", line)
	}
	printElection(t, s.Election, now)
	if f := s.LastFailure; f != nil {
		t.Printf("%s %s ago: %s\n", term.Paint("could not be put in service", term.Bad), age(now.Sub(f.At)), f.Error)
	}
	listeners := term.NewTable("listener", "protocol", "speaks", "state", "connections", "sections").Right(4)
	for _, l := range s.Listeners {
		state := term.Paint(l.State, term.Good)
		if l.State != "listening" {
			state = term.Paint(l.State, term.Bad)
		}
		if l.Error != "" {
			state += ": " + l.Error
		}
		if wait := l.NextTry.Sub(now); !l.NextTry.IsZero() {
			state += fmt.Sprintf("; tried again %s, next in %s", times(l.Tries), age(max(wait, 0)))
		}
		var names []string
		for _, n := range l.Sections {
			names = append(names, short(n))
		}
		listeners.Row(l.Name, l.Protocol, spoken(&l), state, fmt.Sprint(l.Connections), strings.Join(names, ", "))
	}
	if listeners.Len() > 0 {
		t.Printf("\n%s", listeners)
	}
	stores := term.NewTable("rate limit store", "kind", "state")
	for _, r := range s.RateLimitStores {
		state := term.Paint(r.State, term.Good)
		if r.State != "up" {
			state = term.Paint(r.State, term.Bad)
			if !r.Since.IsZero() {
				state += " for " + age(now.Sub(r.Since))
			}
			state += ": " + r.Error
		}
		stores.Row(short(r.Name), r.Kind, state)
	}
	if stores.Len() > 0 {
		t.Printf("\n%s", stores)
	}
	printMemberStatus(t, s.Member, now)
	printMeshStatus(t, s.Mesh, all, now)
	printTroubles(t, s.Troubles, s.MoreTroubles, all, now)
	if len(s.Certificates) > 0 {
		t.Printf("\n%s", certificateTable(s.Certificates, now))
	}
	printSinks(t, s.Sinks, now)
	printMissing(t, s.Dependencies, now)
	printRefused(t, s.Refused, now)
	printStatusProblems(t, s.Problems, all)
	if conditions {
		printConditions(t, s.Statuses)
	}
}

// spoken is what clients of a listener may speak, and what their connections
// begin with.
func spoken(l *adminapi.ListenerStatus) string {
	s := strings.Join(l.Speaks, ", ")
	var more []string
	if l.EarlyData {
		more = append(more, "early data")
	}
	if len(l.ALPN) > 0 {
		more = append(more, "ALPN "+strings.Join(l.ALPN, ", "))
	}
	if l.ProxyProtocol != "" {
		more = append(more, "PROXY header "+l.ProxyProtocol)
	}
	if l.DetectTimeout > 0 {
		more = append(more, fmt.Sprintf("detected within %s", l.DetectTimeout))
	}
	if len(more) > 0 {
		s += " (" + strings.Join(more, "; ") + ")"
	}
	return s
}

// likeShown is how many warnings or notes with the same code are shown, and one
// more is no reason to leave it out.
const likeShown = 3

// printStatusProblems shows all errors, and the first of other problems that
// are alike: a gateway may have thousands of Backends that nobody uses.
func printStatusProblems(t *term.Terminal, list []adminapi.Problem, all bool) {
	if len(list) == 0 {
		return
	}
	t.Printf("\n")
	type likeness struct{ severity, code string }
	count, shown := map[likeness]int{}, map[likeness]int{}
	var order []likeness
	for _, p := range list {
		k := likeness{p.Severity, p.Code}
		if count[k]++; count[k] == 1 {
			order = append(order, k)
		}
	}
	p := excerpt.Printer{Width: t.Width()}
	for _, problem := range list {
		k := likeness{problem.Severity, problem.Code}
		if !all && k.severity != string(store.Error) && count[k] > likeShown+1 && shown[k] == likeShown {
			continue
		}
		shown[k]++
		p.Print(t.Out, problemFrom(problem))
		t.Printf("\n")
	}
	for _, k := range order {
		if more := count[k] - shown[k]; more > 0 {
			t.Printf("and %d more of %s; --all shows every one\n", more, term.Paint(k.severity+"["+k.code+"]", term.Warn))
		}
	}
}

// printMissing shows what the gateway needs of others and does not have.
func printMissing(t *term.Terminal, list []adminapi.Dependency, now time.Time) {
	table := term.NewTable("missing", "for", "since", "meanwhile", "why")
	for _, d := range list {
		if d.Up || d.Kind == "sink" { // which has a table of its own
			continue
		}
		what, owner, meanwhile := "keys of "+d.Name, "AuthenticationPolicy/"+d.Owner, term.Paint("nobody gets through with its tokens", term.Bad)
		switch {
		case d.Kind == "dns" || d.Kind == "consul":
			what, owner, meanwhile = "endpoints of "+d.Name, d.Owner, term.Paint("it has none by this", term.Bad)
			if d.Place != "" {
				what += " at " + d.Place
			}
			if d.Kept {
				meanwhile = "the endpoints from before"
			}
		case d.Kind == "login":
			what, owner, meanwhile = "provider "+d.Name, "logins to the console", "with tokens alone"
			if d.Kept {
				meanwhile = "what it has said before"
			}
		case d.Kind == "provider" && d.Kept:
			what, meanwhile = "provider "+d.Name, "the endpoints from before"
		case d.Kind == "provider":
			what, meanwhile = "provider "+d.Name, term.Paint("nobody can log in", term.Bad)
		case d.Kept:
			meanwhile = "the keys from before"
		}
		since, why := "", d.Error
		if !d.Since.IsZero() {
			since = age(now.Sub(d.Since)) + " ago"
		}
		if why == "" {
			why = "no answer yet"
		}
		table.Row(what, owner, since, meanwhile, why)
	}
	if table.Len() > 0 {
		t.Printf("\n%s", table)
	}
}

func printRefused(t *term.Terminal, list []adminapi.Refused, now time.Time) {
	if len(list) == 0 {
		return
	}
	table := term.NewTable("refused", "since", "what serves instead", "written at", "why")
	for _, r := range list {
		instead := term.Paint("nothing", term.Bad)
		if r.LastGood > 0 {
			instead = fmt.Sprintf("the version of revision %d", r.LastGood)
		}
		table.Row(r.Object, age(now.Sub(r.Since))+" ago", instead, placeText(r.Place), strings.Join(r.Why, "; "))
	}
	t.Printf("\n%s", table)
}

func printConditions(t *term.Terminal, list []adminapi.ObjectStatus) {
	table := term.NewTable("object", "of", "condition", "status", "reason", "message")
	for _, o := range list {
		for _, c := range o.Conditions {
			status := term.Paint(c.Status, term.Good)
			if c.Status != "True" {
				status = term.Paint(c.Status, term.Warn)
			}
			table.Row(o.Object, c.Of, c.Type, status, c.Reason, c.Message)
		}
	}
	t.Printf("\n%s", table)
}

// problemFrom is the way back from the API's form.
func problemFrom(p adminapi.Problem) store.Problem {
	out := store.Problem{
		Severity: store.Severity(p.Severity), Code: p.Code, Field: p.Field, Message: p.Message, Remedy: p.Remedy,
		Position: store.Position{File: p.Place.File, Line: p.Place.Line, Column: p.Place.Column},
	}
	switch parts := strings.Split(p.Object, "/"); len(parts) {
	case 2:
		out.Object = store.Key{Kind: parts[0], Name: parts[1]}
	case 3:
		out.Object = store.Key{Kind: parts[0], Namespace: parts[1], Name: parts[2]}
	}
	return out
}

func placeText(p adminapi.Place) string {
	return store.Position{File: p.File, Line: p.Line, Column: p.Column}.String()
}

func kinds(objects map[string]int) string {
	names := make([]string, 0, len(objects))
	for k := range objects {
		names = append(names, k)
	}
	slices.Sort(names)
	for i, k := range names {
		names[i] = excerpt.Count(objects[k], k)
	}
	return strings.Join(names, ", ")
}

// times is a number of times in words.
func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// age is a duration in its two largest units.
func age(d time.Duration) string {
	switch {
	case d < time.Second:
		return "less than a second"
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d d %d h", int(d.Hours())/24, int(d.Hours())%24)
}

// top3 rounds to three digits.
func top3(d time.Duration) string {
	for unit := time.Duration(1); ; unit *= 10 {
		if d/unit < 1000 {
			return d.Round(unit).String()
		}
	}
}
