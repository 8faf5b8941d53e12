package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
	"github.com/gridway/gridway/internal/telemetry/trace"
)

// explainRequest says what has happened to a request that was real.
func explainRequest(ctx context.Context, t *term.Terminal, a *admin, id string, out term.Format) error {
	r, err := ask(ctx, a, func(ctx context.Context, c *client.Client) (*adminapi.Request, error) { return c.Request(ctx, id) })
	if err != nil {
		return notRemembered(err)
	}
	if out != term.TableFormat {
		return out.Write(t.Out, r)
	}
	notAsked(t, r.Unreached)
	for i := range r.Hops {
		if i > 0 {
			t.Printf("\n")
		}
		printHop(t, i+1, &r.Hops[i])
	}
	return nil
}

// notRemembered says what to do where nobody remembers the request.
func notRemembered(err error) error {
	var f *adminapi.Fault
	if errors.As(err, &f) && f.Status == 404 {
		return hintError{Err: errors.New(f.Detail), Hint: "the access log has every request for good, by request_id and trace_id; of a mesh, ask its control plane (--admin)"}
	}
	return err
}

func printHop(t *term.Terminal, number int, h *adminapi.Hop) {
	title := fmt.Sprintf("%d. %s", number, h.Side)
	if h.Purpose != "" {
		title += ", " + printable(h.Purpose)
	}
	if h.Proxy != "" {
		title += "  " + printable(h.Proxy)
	}
	t.Printf("%s  %s\n", term.Paint(title, term.Bold), term.Paint(fmt.Sprintf("%s, %s", h.Start.Local().Format("15:04:05.000"), took(h.Duration)), term.Faint))
	p := &page{}
	line := func(label, value string) {
		if value != "" {
			p.line(label, printable(value), ir.Ref{})
		}
	}
	line("request", requestLine(h))
	line("listener", h.Listener)
	line("for", short(h.Of))
	if h.Route != "" {
		p.line("route", printable(routeText(h)), refOf(h.Place))
	} else if !h.Stream {
		line("route", "none")
	}
	line("from", sender(h))
	for i := range h.Decisions {
		d := &h.Decisions[i]
		p.line(once("policies", i), verdictText(d.Verdict)+" by "+printable(decider(d)), refOf(d.Place))
	}
	for i := range h.Questions {
		q := &h.Questions[i]
		p.line(once("asked", i), questionText(q)+", within "+took(q.End-q.Start), ir.Ref{})
	}
	line("to", destination(h))
	for i := range h.Tries {
		p.line(once("tries", i), tryText(&h.Tries[i]), ir.Ref{})
	}
	p.line("answer", answerText(h), ir.Ref{})
	line("bytes", fmt.Sprintf("%d from the client, %d to it", h.RequestBytes, h.ResponseBytes))
	line("trace", traceText(h))
	t.Printf("%s", indented(p.String()))
}

// routeText names the rule, where the route has some.
func routeText(h *adminapi.Hop) string {
	if strings.Contains(h.Rule, "/rules/") {
		return ruleName(h.Route, h.Rule)
	}
	return short(h.Route)
}

func indented(s string) string {
	return "  " + strings.ReplaceAll(strings.TrimSuffix(s, "\n"), "\n", "\n  ") + "\n"
}

func refOf(p *trace.Place) ir.Ref {
	if p == nil {
		return ir.Ref{}
	}
	return ir.Ref{File: printable(p.File), Line: p.Line, Column: p.Column}
}

func requestLine(h *adminapi.Hop) string {
	if h.Stream {
		return strings.TrimSpace(h.Protocol + " " + h.ServerName)
	}
	text := h.Method + " " + h.Scheme + "://" + h.Host + h.Path + " " + h.Protocol
	if h.GRPCService != "" {
		text += ", " + h.GRPCService + "/" + h.GRPCMethod
	}
	return text
}

// sender is who has sent the request.
func sender(h *adminapi.Hop) string {
	var list []string
	add := func(what, value string) {
		if value != "" {
			list = append(list, what+value)
		}
	}
	add("", h.PeerIdentity)
	add("client ", h.Client)
	add("consumer ", h.Consumer)
	add("subject ", h.Subject)
	add("known by ", h.AuthMethod)
	return strings.Join(list, ", ")
}

func destination(h *adminapi.Hop) string {
	text := short(h.Cluster)
	if h.Destination != "" {
		text = strings.TrimSpace(text + " " + h.Destination)
	}
	if h.EndpointIdentity != "" {
		text += ", " + h.EndpointIdentity
	}
	return text
}

var verdictStyles = map[trace.Verdict]term.Style{
	trace.Allowed: term.Good, trace.Denied: term.Bad, trace.Limited: term.Bad, trace.WouldDeny: term.Warn, trace.FailedOpen: term.Warn, trace.Audited: term.Info,
}

func verdictText(v trace.Verdict) string {
	if style, has := verdictStyles[v]; has {
		return term.Paint(v.String(), style)
	}
	return v.String()
}

// tryText is a try with its times since it began.
func tryText(n *trace.Try) string {
	text := fmt.Sprintf("%s to %s after %s", tryName(n), printable(n.Endpoint), took(n.Start))
	if n.Connected > 0 {
		text += ", connected within " + took(n.Connected-n.Start)
	}
	switch {
	case n.Reason != "":
		text += ": " + term.Paint(printable(n.Reason), term.Warn)
		if n.Status > 0 {
			text += " after a status of " + statusText(n.Status, n.GRPCStatus, "")
		}
	case n.Status > 0:
		text += ": " + statusText(n.Status, n.GRPCStatus, "")
	}
	if n.Head > 0 {
		text += ", head within " + took(n.Head-n.Start)
	}
	return text + ", over after " + took(n.End-n.Start)
}

// answerText is what became of it, and who has said so.
func answerText(h *adminapi.Hop) string {
	switch {
	case h.Stream && h.Reason == "":
		return strings.TrimSuffix("closed, "+printable(h.Flags), ", ")
	case h.Stream:
		return term.Paint(printable(h.Reason), term.Bad)
	}
	text := statusText(h.Status, h.GRPCStatus, h.Reason)
	if h.Status == 0 {
		text = term.Paint("none", term.Bad)
	}
	switch {
	case h.Reason != "" && h.Detail != "":
		text += " by this proxy: " + printable(h.Detail)
	case h.Reason != "":
		text += " by this proxy"
	case h.Flags != "":
		text += ", " + printable(h.Flags)
	}
	return text
}

func traceText(h *adminapi.Hop) string {
	text := h.TraceID + ", span " + h.SpanID
	if h.ParentID != "" {
		text += " below " + h.ParentID
	}
	if h.Sampled {
		text += ", sampled"
	}
	return text
}
