package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gridway/gridway/internal/cli/excerpt"
	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/telemetry/tap"
)

func newTap(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "tap",
		GroupID: groupLive,
		Short:   "Watch requests as they pass, here and in the proxies of the mesh",
		Long: `Shows what passes from now on: each request with its response when that has ended,
and connections and other streams when they open and when they end. Filters run in
the proxies, each of which gives a bounded number of events per second; what was left
out is said. A flag that is given several times means any of its values, and all
flags that are given must agree. Header fields are shown if --show names them;
credentials, and the values of query parameters, are always masked.

Asked of a gateway with a mesh, it shows its own traffic and that of all proxies;
asked of a sidecar at its socket, that sidecar's. It needs the role operator and is
written to the audit log.

With -o json each line is one event.

` + adminHelp,
		Example: lines("gridway tap", "gridway tap --to shop/catalog --failed", "gridway tap --path '/api/*' --status 5xx --max 20", "gridway tap --slower 250ms --for 5m -o json", "gridway tap --denied --show user-agent"),
		Args:    noArgs, ValidArgsFunction: offer(),
	}
	out, a := outputFlag(cmd), adminFlag(t, cmd)
	values := tapFlags(cmd, "record")
	proxies := cmd.Flags().StringArray("proxy", nil, "only what this proxy sees: its name, or a part of it such as NAMESPACE/SERVICE (repeatable)")
	most := cmd.Flags().Int("max", 0, "end after so many events (default: no bound)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		q, err := values()
		if err != nil {
			return err
		}
		if cmd.Flags().Changed("max") {
			if *most < 1 {
				return usagef("", "--max must be at least 1")
			}
			q.Set("max", strconv.Itoa(*most))
		}
		q["proxy"] = *proxies
		if *out == term.YAML {
			return usagef("use -o json", "a tap has no form in YAML")
		}
		return watchTap(cmd.Context(), t, a, q, *out == term.JSON)
	}
	return cmd
}

// tapFlags has a flag for each parameter of a tap but some. What it returns reads them.
func tapFlags(cmd *cobra.Command, without ...string) func() (url.Values, error) {
	names := map[string]string{} // of flags, by parameter
	for _, p := range tap.Parameters() {
		if slices.Contains(without, p.Name) {
			continue
		}
		name := flagName(p.Name)
		names[p.Name] = name
		switch p.Name {
		case "open":
			cmd.Flags().Bool(name, false, "show each request when it is sent on, too, and not only those that go on for long")
		case "failed", "denied":
			about, _, _ := strings.Cut(strings.TrimPrefix(p.About, "true: "), "; false")
			cmd.Flags().Bool(name, false, about+" (=false: only the rest)")
		case "slower", "sample", "rate", "for":
			cmd.Flags().String(name, "", p.About)
		default:
			cmd.Flags().StringArray(name, nil, p.About+" (repeatable)")
		}
	}
	for name, values := range map[string][]string{
		"method": methods, "direction": {tap.Edge, tap.Inbound, tap.Outbound}, "protocol": {"http", "grpc", "websocket", "tcp", "tls", "udp"}, "status": {"2xx", "3xx", "4xx", "5xx"},
	} {
		if names[name] != "" {
			complete(cmd, name, values...)
		}
	}
	return func() (url.Values, error) {
		q := url.Values{}
		for _, p := range tap.Parameters() {
			f := cmd.Flags().Lookup(names[p.Name])
			if f == nil || !f.Changed {
				continue
			}
			if list, is := f.Value.(pflag.SliceValue); is {
				q[p.Name] = list.GetSlice()
			} else {
				q.Set(p.Name, f.Value.String())
			}
		}
		if _, err := tap.FromValues(q); err != nil {
			name, rest, found := strings.Cut(err.Error(), ": ")
			if found && names[name] != "" {
				return nil, usagef("", "--%s: %s", names[name], rest)
			}
			return nil, usageError{Err: err}
		}
		return q, nil
	}
}

// flagName is grpc-status for grpcStatus.
func flagName(parameter string) string {
	var b strings.Builder
	for _, r := range parameter {
		if unicode.IsUpper(r) {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// watchTap prints until the tap ends, or somebody interrupts it.
func watchTap(ctx context.Context, t *term.Terminal, a *admin, q url.Values, raw bool) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	c, err := a.client()
	if err != nil {
		return err
	}
	defer c.Close()
	noteUnknown(ctx, t, c, q)
	p := &tapPrinter{t: t, show: len(q["show"]) > 0}
	err = c.Tap(ctx, q, func(e *tap.Event, line []byte) error {
		if raw {
			_, err := t.RawOut.Write(append(line, '\n'))
			return err
		}
		p.print(e)
		return nil
	})
	if err != nil && !errors.Is(err, context.Canceled) {
		return adminError(err, c.Address())
	}
	if !raw {
		p.end()
	}
	return nil
}

// tapPrinter writes events as lines.
type tapPrinter struct {
	t       *term.Terminal
	show    bool
	seen    int
	limited uint64
	lost    uint64
	// unreached are the proxies that were named as not answering.
	unreached map[string]bool
}

func (p *tapPrinter) print(e *tap.Event) {
	switch e.Type {
	case tap.LeftOut:
		p.limited += e.Limited
		p.lost += e.Lost
		return
	case tap.Unreached:
		if p.unreached == nil {
			p.unreached = map[string]bool{}
		}
		if !p.unreached[e.Proxy] {
			p.unreached[e.Proxy] = true
			p.t.Errorf("%s %s\n", term.Paint("not seen:", term.Warn), harmless(strings.TrimPrefix(e.Proxy+": "+e.Why, ": ")))
		}
		return
	}
	p.seen++
	clean(e)
	p.t.Printf("%s\n", tapLine(e))
	if p.show {
		for _, side := range []struct {
			sign string
			list []ir.Header
		}{{">", e.RequestHeaders}, {"<", e.ResponseHeaders}} {
			for _, h := range side.list {
				p.t.Printf("    %s\n", term.Paint(side.sign+" "+harmless(h.Name+": "+h.Value), term.Faint))
			}
		}
	}
}

func (p *tapPrinter) end() {
	p.t.Errorf("%s\n", term.Paint(excerpt.Count(p.seen, "event"), term.Faint))
	p.endLeftOut()
}

// endLeftOut says what was left out.
func (p *tapPrinter) endLeftOut() {
	if p.limited > 0 {
		p.t.Errorf("%s\n", term.Paint(fmt.Sprintf("%d more were beyond the rate: a filter, --sample or a higher --rate shows what you look for", p.limited), term.Warn))
	}
	if p.lost > 0 {
		p.t.Errorf("%s\n", term.Paint(fmt.Sprintf("%d more were lost since this reader was too slow", p.lost), term.Warn))
	}
}

// tapLine is an event in one line.
func tapLine(e *tap.Event) string {
	parts := []string{term.Paint(e.Time.Local().Format("15:04:05.000"), term.Faint)}
	from, to := peerName(e.Source), peerName(e.Destination)
	arrow := "→"
	if e.Source.MTLS || e.Destination.MTLS {
		arrow = "⇒" // mutual TLS
	}
	parts = append(parts, term.Paint(from, term.Info)+" "+arrow+" "+term.Paint(to, term.Info))
	switch {
	case e.Type == tap.Stream || e.Type == tap.Open && e.Method == "":
		parts = append(parts, e.Protocol)
	case e.GRPC != nil && e.GRPC.Method != "":
		parts = append(parts, term.Paint(e.GRPC.Service+"/"+e.GRPC.Method, term.Bold))
	default:
		target := e.Path
		if e.Query != "" {
			target += "?" + e.Query
		}
		parts = append(parts, term.Paint(e.Method+" "+target, term.Bold))
	}
	parts = append(parts, outcome(e))
	if e.Type != tap.Open {
		parts = append(parts, duration(e.DurationMs))
	}
	return strings.Join(append(parts, remarks(e)...), "  ")
}

// outcome is how it went, in a colour.
func outcome(e *tap.Event) string {
	text, style := strconv.Itoa(e.Status), term.Good
	switch {
	case e.Type == tap.Open:
		return term.Paint("opened", term.Faint)
	case e.Type == tap.Stream && e.Failed:
		text = "failed"
	case e.Type == tap.Stream:
		text = "closed"
	case e.GRPC != nil:
		text = e.GRPC.Status
	case e.Status == 0:
		text = "no answer"
	}
	switch {
	case e.Failed:
		style = term.Bad
	case e.Status >= 400 || e.Policy != "" || e.GRPC != nil && e.GRPC.Status != "OK" || e.Status == 0 && e.Type == tap.Exchange:
		style = term.Warn
	}
	return term.Paint(text, style)
}

// remarks are what is not always there.
func remarks(e *tap.Event) (out []string) {
	add := func(name, value string) {
		if value != "" {
			out = append(out, term.Paint(name+"=", term.Faint)+value)
		}
	}
	if e.Direction != tap.Edge {
		out = append(out, term.Paint(e.Direction, term.Faint))
	}
	add("reason", e.Reason)
	if e.Policy != "" {
		policy := e.Policy
		if e.PolicyRule != "" {
			policy += " (" + e.PolicyRule + ")"
		}
		add("policy", policy)
	}
	add("would-deny", e.WouldDeny)
	if e.Attempts > 1 {
		add("tries", strconv.Itoa(e.Attempts))
	}
	if e.Reason == "" {
		add("flags", strings.Join(e.Flags, ","))
	}
	add("consumer", e.Consumer)
	add("id", e.RequestID)
	return out
}

func peerName(p tap.Peer) string {
	switch {
	case p.Service != "" && p.Namespace != "":
		return p.Namespace + "/" + p.Service
	case p.Service != "":
		return p.Service
	case p.Identity != "":
		return p.Identity
	case p.Address != "":
		return p.Address
	}
	return "-"
}

func duration(ms float64) string {
	d := time.Duration(ms * float64(time.Millisecond))
	switch {
	case d >= 10*time.Second:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= 10*time.Millisecond:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(10 * time.Microsecond).String()
}

// clean takes out of an event what could steer a terminal.
func clean(e *tap.Event) {
	for _, s := range []*string{
		&e.Method, &e.Host, &e.Path, &e.Query, &e.RequestID, &e.Reason, &e.Policy, &e.PolicyRule, &e.WouldDeny, &e.Consumer, &e.Protocol,
		&e.Source.Namespace, &e.Source.Service, &e.Source.Identity, &e.Source.Address,
		&e.Destination.Namespace, &e.Destination.Service, &e.Destination.Identity, &e.Destination.Address,
	} {
		*s = harmless(*s)
	}
	for i := range e.Flags {
		e.Flags[i] = harmless(e.Flags[i])
	}
	if e.GRPC != nil {
		e.GRPC.Service, e.GRPC.Method, e.GRPC.Status = harmless(e.GRPC.Service), harmless(e.GRPC.Method), harmless(e.GRPC.Status)
	}
}

// harmless is a text in which nothing steers a terminal.
func harmless(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return '\ufffd'
		}
		return r
	}, s)
}
