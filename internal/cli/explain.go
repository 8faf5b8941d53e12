package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/dryrun"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
)

func newExplain(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "explain [METHOD] URL | --request-id ID",
		GroupID: groupFiles,
		Short:   "Say what would happen to a request, and why",
		Long: `Says which listener, section, route and rule would serve a request, what its
filters make of it, which policies are in force, and where it would go, each with
the file and line it was written in; and for the rules that lost, why. Where JSON
is transcoded to gRPC it names the method and the template, or why the nearest
templates do not match. Nothing is sent.

With --file the answer comes from files alone; otherwise from a running gateway
(--admin), with the present state of its endpoints. The URL's scheme and port
choose the listener; without a port the one that fits. "tcp://host:port",
"tls://name:port" and "udp://host:port" stand for connections that are not HTTP,
and have no method. Without a method a request is a GET.

Who sends the request is told by the credentials in its headers. --token-file,
--api-key-file and --basic-file put one where the policy in force looks for it. For
each method of authentication the answer says what it makes of that and, of what
is refused, why, which no client is told. No credential is printed. With --consumer,
--claim or --auth-method it is somebody whom authentication is taken to have let
through; --identity is a verified client certificate. For each
AuthorizationPolicy the answer names the rule that matches or, where none does,
what each rule lacks.

With --request-id it is a request that was real: what each proxy that it has passed
remembers of it, with its policies, endpoints, retries and times, and the reason if it
was refused. Responses of the gateway carry the ID in X-Request-Id, as the access log
does. What newer requests have taken the place of is forgotten (--telemetry-memory).

With --from the request is one of a service in a mesh: the answer says what its own
proxy does with it and, if it goes on to the service that was asked for, what the
proxies of that do.`,
		Example: lines(
			"gridway explain GET http://shop.example/api/products",
			`gridway explain GET /api/reviews/1 -H "X-Canary: always" --file shop.yaml`,
			"gridway explain POST https://shop.example/api/orders --file config/ -o json",
			"gridway explain GET https://shop.example/api/orders --token-file token.jwt",
			"gridway explain tls://shop.example:443",
			"gridway explain --request-id 7d5a0f0e-2b64-4a3e-9a2f-2f6f0d1c9b1a",
			"gridway explain --from reviews.shop GET http://ratings:9080/ --file mesh.yaml",
			"gridway explain DELETE http://shop.example/api/orders/7 --consumer acme --claim role=admin --client 203.0.113.7",
		),
		Args: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("request-id") {
				return noArgs(cmd, args)
			}
			if len(args) == 1 && strings.Contains(args[0], "/") {
				return nil
			}
			return exactArgs("a method", "a URL")(cmd, args)
		},
		ValidArgsFunction: offer(methods),
	}
	out := outputFlag(cmd)
	var (
		headers []string
		files   []string
		at      string
		client  string
		all     bool
		from    string
		real    string
		who     caller
	)
	admin := adminFlag(t, cmd)
	cmd.Flags().StringArrayVarP(&headers, "header", "H", nil, `request header "Name: value" (repeatable)`)
	cmd.Flags().StringArrayVarP(&files, "file", "f", nil, "file or folder with configuration, instead of a running gateway (repeatable)")
	cmd.Flags().StringVar(&at, "listener", "", "listener or section that gets the request, whatever the URL's port")
	cmd.Flags().StringVar(&client, "client", "", "address of the client, after trusted proxies (default 127.0.0.1)")
	cmd.Flags().StringVar(&from, "from", "", "service of the mesh that sends the request: SERVICE or SERVICE.NAMESPACE (with --file)")
	cmd.Flags().StringVar(&real, "request-id", "", "ID of a request that has passed, instead of one that is imagined")
	who.flags(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "show all rules that lost, also those for other hosts and paths")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if cmd.Flags().Changed("request-id") {
			if len(files) > 0 || from != "" || real == "" {
				return usagef("", "--request-id asks a running gateway for a request that has passed: it goes with --admin and -o alone, and is not empty")
			}
			return explainRequest(cmd.Context(), t, admin, real, *out)
		}
		req := dryrun.Request{URL: args[len(args)-1], Listener: at, Client: client}
		if len(args) == 2 {
			req.Method = strings.ToUpper(args[0])
		}
		for _, h := range headers {
			name, value, ok := strings.Cut(h, ":")
			if !ok {
				return usagef("", "the header %q has no colon; write \"Name: value\"", h)
			}
			req.Headers = append(req.Headers, ir.Header{Name: strings.TrimSpace(name), Value: strings.TrimSpace(value)})
		}
		if err := who.fill(&req, t.In); err != nil {
			return err
		}
		if from != "" {
			return explainFrom(t, files, from, req, *out, all)
		}
		e, err := explainer(cmd.Context(), t, files, admin)
		if err != nil {
			return err
		}
		d, err := e.decide(req)
		if err != nil {
			return err
		}
		d = d.Redacted() // both ways alike: output ends up in logs of CI
		if *out != term.TableFormat {
			return out.Write(t.Out, explained{Decision: d, Endpoints: e.endpoints(d)})
		}
		printDecision(t, d, e, all)
		return nil
	}
	return cmd
}

// explained is a Decision with what a running gateway knows of the endpoints.
type explained struct {
	*dryrun.Decision
	Endpoints map[string][]endpointState `json:"endpointStates,omitempty"`
}

// endpointState is one endpoint as the running gateway sees it.
type endpointState struct {
	Address string `json:"address"`
	State   string `json:"state"`
	Active  int    `json:"active"`
}

// source of decisions: files, or a running gateway with its endpoint states.
type source struct {
	decide func(dryrun.Request) (*dryrun.Decision, error)
	states map[string][]endpointState // by cluster; nil offline
}

func (s *source) endpoints(d *dryrun.Decision) map[string][]endpointState {
	out := map[string][]endpointState{}
	for _, b := range d.Backends {
		if st := s.states[b.Cluster]; st != nil {
			out[b.Cluster] = st
		}
	}
	return out
}

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

func printLocal(t *term.Terminal, l *dryrun.Local) {
	style := term.Good
	if l.Status >= 400 {
		style = term.Bad
	}
	s := fmt.Sprintf("replies %d", l.Status)
	if l.Reason != "" {
		s += " " + l.Reason
	}
	t.Printf("%s %s", term.Paint("→", style), term.Paint(s, style))
	if l.Detail != "" {
		t.Printf(": %s", l.Detail)
	}
	t.Printf("\n")
	for _, h := range l.Headers {
		t.Printf("    %s: %s\n", h.Name, h.Value)
	}
	if l.Body != "" {
		body := []rune(strings.TrimSpace(l.Body))
		if len(body) > 300 {
			body = append(body[:300], '…')
		}
		t.Printf("\n    %s\n", strings.ReplaceAll(string(body), "\n", "\n    "))
	}
}

func printBackends(t *term.Terminal, d *dryrun.Decision, src *source) {
	for i := range d.Backends {
		b := &d.Backends[i]
		name := term.Paint(short(b.Name), term.Bold)
		t.Printf("%s %s %s  %s\n", term.Paint("→", term.Good), share(b.Percent), name, term.Paint(place(b.Ref), term.Place))
		if b.Problem != "" {
			what := "answers 500:"
			if d.Stream != nil {
				what = "refuses:"
			}
			t.Printf("     %s %s\n", term.Paint(what, term.Bad), b.Problem)
			continue
		}
		if b.Upstream != nil {
			t.Printf("     %s\n", upstreamLine(b.Upstream))
		}
		printEndpoints(t, b, src.states[b.Cluster])
		for _, f := range filterTexts(b.Filters) {
			t.Printf("     only here: %s\n", f)
		}
	}
	for _, m := range d.Mirrors {
		t.Printf("%s %s copied to %s\n", term.Paint("⇢", term.Info), share(m.Percent), short(m.Name))
	}
}

func share(percent float64) string { return fmt.Sprintf("%5.4g%%", percent) }

func upstreamLine(u *dryrun.Upstream) string {
	s := fmt.Sprintf("as %s %s", u.Method, u.Path)
	if u.Query != "" {
		s += "?" + u.Query
	}
	return s + ", Host: " + u.Host
}

// maxEndpoints bounds what is listed of a backend.
const maxEndpoints = 16

func printEndpoints(t *term.Terminal, b *dryrun.Backend, states []endpointState) {
	for _, s := range b.Sources {
		t.Printf("     found by %s\n", s)
	}
	if len(b.Endpoints) == 0 && len(states) == 0 {
		t.Printf("     %s\n", term.Paint("no endpoints are known here", term.Warn))
		return
	}
	t.Printf("     %s of\n", b.Balance)
	notes := map[string]string{}
	for _, e := range b.Endpoints {
		notes[e.Address] = endpointNotes(e)
	}
	if states != nil {
		for i, e := range states {
			if i == maxEndpoints {
				t.Printf("       … %d more\n", len(states)-i)
				break
			}
			style := term.Good
			if e.State != "healthy" {
				style = term.Bad
			}
			t.Printf("       %s  %s, %d active%s\n", e.Address, term.Paint(e.State, style), e.Active, strings.Replace(notes[e.Address], "  ", ", ", 1))
		}
		return
	}
	for i, e := range b.Endpoints {
		if i == maxEndpoints {
			t.Printf("       … %d more\n", len(b.Endpoints)-i)
			break
		}
		t.Printf("       %s%s\n", e.Address, endpointNotes(e))
	}
}

func endpointNotes(e ir.Endpoint) string {
	var s []string
	if e.Weight != 1 {
		s = append(s, fmt.Sprintf("weight %d", e.Weight))
	}
	if e.Zone != "" {
		s = append(s, "zone "+e.Zone)
	}
	if e.Priority > 0 {
		s = append(s, fmt.Sprintf("priority %d", e.Priority))
	}
	if e.Origin != "" {
		s = append(s, e.Origin)
	}
	if e.Draining {
		s = append(s, "draining")
	}
	if len(s) == 0 {
		return ""
	}
	return "  " + strings.Join(s, ", ")
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
