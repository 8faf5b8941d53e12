package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/dryrun"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
)

func explainer(ctx context.Context, t *term.Terminal, files []string, a *admin) (*source, error) {
	if len(files) > 0 {
		table, _, err := readTable(t, files)
		if err != nil {
			return nil, err
		}
		return &source{decide: func(r dryrun.Request) (*dryrun.Decision, error) {
			d, err := table.Decide(r)
			if err != nil {
				err = usageError{Err: err}
			}
			return d, err
		}}, nil
	}
	clusters, err := ask(ctx, a, func(ctx context.Context, c *client.Client) ([]adminapi.Cluster, error) { return c.Clusters(ctx) })
	if err != nil {
		return nil, err
	}
	s := &source{states: map[string][]endpointState{}}
	for _, c := range clusters {
		for _, e := range c.Endpoints {
			s.states[c.Name] = append(s.states[c.Name], endpointState{Address: e.Address, State: e.State, Active: e.Active})
		}
	}
	s.decide = func(r dryrun.Request) (*dryrun.Decision, error) {
		return ask(ctx, a, func(ctx context.Context, c *client.Client) (*dryrun.Decision, error) { return c.Explain(ctx, r) })
	}
	return s, nil
}

// page is the two-column form of a decision; places stand beside the values.
type page struct{ lines [][3]string }

func (p *page) line(label, value string, ref ir.Ref) {
	p.lines = append(p.lines, [3]string{label, value, place(ref)})
}

func (p *page) String() string {
	width := 0
	for _, l := range p.lines {
		if l[2] != "" {
			width = max(width, term.Width(l[1]))
		}
	}
	var b strings.Builder
	for _, l := range p.lines {
		fmt.Fprintf(&b, "%s%s", term.Paint(fmt.Sprintf("%-10s", l[0]), term.Faint), l[1])
		if l[2] != "" {
			fmt.Fprintf(&b, "%s  %s", strings.Repeat(" ", width-term.Width(l[1])), term.Paint(l[2], term.Place))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// place is "file:line:column".
func place(r ir.Ref) string {
	if r.File == "" {
		return ""
	}
	if r.Line == 0 {
		return r.File
	}
	return fmt.Sprintf("%s:%d:%d", r.File, r.Line, max(r.Column, 1))
}

func printDecision(t *term.Terminal, d *dryrun.Decision, src *source, all bool) {
	t.Printf("%s\n", term.Paint(strings.TrimSpace(d.Request.Method+" "+d.Request.URL), term.Bold))
	for _, h := range d.Request.Headers {
		t.Printf("%s\n", term.Paint("  "+h.Name+": "+h.Value, term.Faint))
	}
	for _, n := range d.Notes {
		t.Printf("%s %s\n", term.Paint("note:", term.Info), n)
	}
	t.Printf("\n")
	p := &page{}
	p.line("listener", d.Listener, ir.Ref{})
	if d.Section != nil {
		p.line("section", short(d.Section.Name), d.Section.Ref)
	}
	if d.Route != nil {
		p.line("route", short(d.Route.Name), d.Route.Ref)
		p.line("rule", ruleLabel(d), d.Rule.Ref)
		if d.Match != nil {
			p.line("match", dryrun.MatchText(d.Match), ir.Ref{})
		}
	}
	for i, s := range callTexts(d.Call) {
		p.line(once("call", i), s, ir.Ref{})
	}
	for i, s := range streamTexts(d.Stream) {
		p.line(once("stream", i), s, ir.Ref{})
	}
	for i, f := range filterTexts(d.Filters) {
		p.line(once("filters", i), f, ir.Ref{})
	}
	for i, r := range d.Policies {
		p.line(once("policies", i), short(r.String()), r)
	}
	if d.Stream == nil {
		for i, s := range policyTexts(d.Policy) {
			p.line(once("in force", i), s, ir.Ref{})
		}
	}
	authenticationLines(p, d)
	if d.Caller != nil {
		p.line("caller", callerText(d.Caller), ir.Ref{})
	}
	for i := range d.Authorization {
		authorizationLines(p, &d.Authorization[i])
	}
	for _, l := range d.RateLimits {
		p.line("limit", rateLimitText(&l), l.Ref)
	}
	if d.DecidedBy != "" {
		p.line("refused", "by "+strings.TrimSpace(strings.TrimPrefix(d.DecidedBy, "default/")+" "+d.DecidedByRule), ir.Ref{})
	}
	t.Printf("%s\n", p)
	switch {
	case d.Action == dryrun.Refuse:
		t.Printf("%s %s: %s\n", term.Paint("→", term.Bad), term.Paint("refused "+d.Local.Reason, term.Bad), d.Local.Detail)
	case d.Local != nil:
		printLocal(t, d.Local)
	default:
		printBackends(t, d, src)
	}
	printTemplates(t, d.Templates)
	printLosers(t, d, all)
}

// streamTexts says what is in force for a stream.
func streamTexts(s *dryrun.Stream) []string {
	if s == nil {
		return nil
	}
	var out []string
	if s.TLS != "" {
		out = append(out, "TLS is "+s.TLS)
	}
	if s.Hostname != "" {
		out = append(out, "server name "+s.Hostname)
	}
	if s.Idle > 0 {
		out = append(out, "ends after "+s.Idle.String()+" of silence")
	}
	if s.MaxStream > 0 {
		out = append(out, "ends after "+s.MaxStream.String())
	}
	if s.Attempts > 0 {
		out = append(out, fmt.Sprintf("%d more when connecting fails", s.Attempts))
	}
	return out
}

func once(label string, i int) string {
	if i > 0 {
		return ""
	}
	return label
}

func ruleLabel(d *dryrun.Decision) string {
	index := fmt.Sprintf("rules[%d]", d.RuleIndex)
	if strings.Contains(d.Rule.Name, "/") {
		return index
	}
	return d.Rule.Name + " (" + index + ")"
}

// printLosers lists the rules that came near: those whose host and path match.
func printLosers(t *term.Terminal, d *dryrun.Decision, all bool) {
	table := term.NewTable().Indent("  ")
	hidden := d.Omitted
	for _, c := range d.Others {
		if !all && (c.Outcome == "host" || c.Outcome == "path") && (d.Rule != nil || table.Len() >= 8) {
			hidden++
			continue
		}
		route, _, _ := strings.Cut(short(c.Rule), "/rules/")
		table.Row(route+"/"+ir.RuleLabel(c.Rule, c.Name), c.Match, c.Why, term.Paint(place(c.Ref), term.Place))
	}
	for _, c := range d.OtherSections {
		if !all && d.Section != nil {
			hidden++
			continue
		}
		table.Row(short(c.Rule), "", c.Why, term.Paint(place(c.Ref), term.Place))
	}
	if table.Len() > 0 {
		t.Printf("\n%s\n%s", term.Paint("lost", term.Faint), table)
	}
	if hidden > 0 {
		t.Printf("\n%s\n", term.Paint(fmt.Sprintf("%d more for other hosts or paths; --all shows them", hidden), term.Faint))
	}
}
