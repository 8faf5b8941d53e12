package cli

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/gridway/gridway/internal/cli/command"
	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
	"github.com/gridway/gridway/internal/telemetry/trace"
)

func newTrace(t *term.Terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "trace [ID]",
		GroupID: groupLive,
		Short:   "Show what has passed: notable requests, or one hop by hop",
		Long: `Without an ID it lists notable requests, the newest first: those that were sampled,
that took long, that have failed, or that a policy has refused. With the ID of a trace,
or of a request (X-Request-Id), it draws what became of it at each proxy, with all tries
and what policies have decided, on one line of time.

Every proxy remembers what has passed it, in memory of a fixed size
(--telemetry-memory): each request for a while, notable ones for longer. A control
plane asks the proxies of its mesh. "gridway explain --request-id" says the same in
words, with the file and line of each rule and policy.

` + adminHelp,
		Example:           lines("gridway trace", "gridway trace --errors --since 15m", "gridway trace --slow=250ms --service shop/cart", "gridway trace 0af7651916cd43dd8448eb211c80319c", "gridway trace 7d5a0f0e-2b64-4a3e-9a2f-2f6f0d1c9b1a -o json"),
		Args:              command.Takes(0, 1),
		ValidArgsFunction: offer(),
	}
	out := outputFlag(cmd)
	a := adminFlag(t, cmd)
	var (
		slow, service, route, since string
		failed                      bool
		limit                       int
	)
	f := cmd.Flags()
	f.StringVar(&slow, "slow", "", "only those that took at least so long (250ms; without a value 1s)")
	f.Lookup("slow").NoOptDefVal = trace.DefaultSlow.String()
	f.BoolVar(&failed, "errors", false, "only those that have failed or were refused")
	f.StringVar(&service, "service", "", "only those that this service has sent or got: NAME or NAMESPACE/NAME")
	f.StringVar(&route, "route", "", "only those of this route: NAME, NAMESPACE/NAME or KIND/NAMESPACE/NAME")
	f.StringVar(&since, "since", "", "only those since then: a duration before now (15m), or a time of RFC 3339")
	f.IntVar(&limit, "limit", 20, "how many at most, 1 to 500")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			if f.Changed("slow") || failed || service != "" || route != "" || since != "" || f.Changed("limit") {
				if _, err := time.ParseDuration(args[0]); err == nil && f.Changed("slow") {
					return usagef("write --slow="+args[0], "%q is no ID, and the value of --slow stands behind an equals sign", args[0])
				}
				return usagef("", "an ID stands alone: --slow, --errors, --service, --route, --since and --limit are for the list")
			}
			return showTrace(cmd.Context(), t, a, args[0], *out)
		}
		if limit < 1 || limit > 500 {
			return usagef("", "--limit must be from 1 to 500, not %d", limit)
		}
		v := url.Values{"limit": {strconv.Itoa(limit)}}
		for name, value := range map[string]string{"slow": slow, "service": service, "route": route, "since": since} {
			if value != "" {
				v.Set(name, value)
			}
		}
		if failed {
			v.Set("errors", "true")
		}
		q := v
		if _, err := trace.ParseQuery(without(q, "limit"), time.Now()); err != nil {
			return usagef("", "--%v", err)
		}
		list, err := ask(cmd.Context(), a, func(ctx context.Context, c *client.Client) (*adminapi.Traces, error) { return c.Traces(ctx, v) })
		if err != nil {
			return err
		}
		if *out != term.TableFormat {
			return out.Write(t.Out, list)
		}
		printTraces(t, list)
		return nil
	}
	return cmd
}

func without(v url.Values, name string) url.Values {
	out := url.Values{}
	for k := range v {
		if k != name {
			out[k] = v[k]
		}
	}
	return out
}

func printTraces(t *term.Terminal, list *adminapi.Traces) {
	notAsked(t, list.Unreached)
	if len(list.Traces) == 0 {
		t.Errorf("nothing notable has passed, or newer requests have taken its place\n")
		return
	}
	table := term.NewTable("time", "took", "status", "request", "why", "hops", "tries", "trace").Right(1, 5, 6)
	for i := range list.Traces {
		s := &list.Traces[i]
		table.Row(s.Start.Local().Format("15:04:05.000"), took(s.Duration), statusText(s.Status, s.GRPCStatus, s.Reason),
			requestText(s.Method, s.Host, s.Path, s.Protocol), why(s.Failed, s.Denied, s.Slow, s.Sampled), strconv.Itoa(s.Records), strconv.Itoa(s.Tries), s.TraceID)
	}
	t.Printf("%s", table)
}

func notAsked(t *term.Terminal, list []trace.Unreached) {
	for _, u := range list {
		who := u.Proxy
		if who == "" {
			who = "incomplete"
		}
		t.Errorf("%s %s: %s\n", term.Paint("note:", term.Warn), printable(who), printable(u.Why))
	}
}

// why is why something is notable.
func why(failed, denied, slow, sampled bool) string {
	var list []string
	for _, w := range []struct {
		is   bool
		text string
	}{{failed, term.Paint("failed", term.Bad)}, {denied, term.Paint("refused", term.Warn)}, {slow, term.Paint("slow", term.Warn)}, {sampled, "sampled"}} {
		if w.is {
			list = append(list, w.text)
		}
	}
	return strings.Join(list, ", ")
}

// statusText is what the client got.
func statusText(status int, grpc, reason string) string {
	text, style := "-", term.Bad
	if status > 0 {
		text = strconv.Itoa(status)
	}
	switch {
	case grpc == "OK", grpc == "" && status > 0 && status < 400:
		style = term.Good
	case grpc == "" && status > 0 && status < 500:
		style = term.Warn
	}
	if grpc != "" {
		text = printable(grpc)
	}
	text = term.Paint(text, style)
	if reason != "" {
		text += " " + printable(reason)
	}
	return text
}

func requestText(method, host, path, protocol string) string {
	const most = 60
	text := []rune(printable(strings.TrimSpace(method + " " + host + path)))
	if method == "" {
		text = []rune(printable(strings.TrimSpace(protocol + " " + host)))
	}
	if len(text) > most {
		text = append(text[:most-1], '…')
	}
	return string(text)
}

// printable takes out of what clients send whatever a terminal would not just show.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '\uFFFD'
	}, s)
}

// took is a duration that has three digits or so.
func took(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%dµs", d.Microseconds())
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.2fms", d.Seconds()*1e3)
	case d < time.Second:
		return fmt.Sprintf("%.0fms", d.Seconds()*1e3)
	case d < time.Minute:
		return fmt.Sprintf("%.2fs", d.Seconds())
	}
	return d.Round(time.Second).String()
}

// showTrace draws a trace, or a request if the ID is none of a trace.
func showTrace(ctx context.Context, t *term.Terminal, a *admin, id string, out term.Format) error {
	if _, is := trace.ParseID(id); !is || len(id) != 32 {
		r, err := ask(ctx, a, func(ctx context.Context, c *client.Client) (*adminapi.Request, error) { return c.Request(ctx, id) })
		if err != nil {
			return notRemembered(err)
		}
		if out != term.TableFormat {
			return out.Write(t.Out, r)
		}
		notAsked(t, r.Unreached)
		drawHops(t, "request "+printable(r.RequestID), r.Hops)
		return nil
	}
	tr, err := ask(ctx, a, func(ctx context.Context, c *client.Client) (*adminapi.Trace, error) { return c.Trace(ctx, id) })
	if err != nil {
		return notRemembered(err)
	}
	if out != term.TableFormat {
		return out.Write(t.Out, tr)
	}
	notAsked(t, tr.Unreached)
	drawHops(t, "trace "+tr.TraceID, tr.Hops)
	return nil
}
