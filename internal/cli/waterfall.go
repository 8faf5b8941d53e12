package cli

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/telemetry/trace"
)

// bar is one line of a waterfall.
type bar struct {
	label    string
	from, to time.Time
	style    term.Style
}

const (
	minBar = 16
	maxBar = 60
)

// drawHops draws hops and their tries under one line of time.
func drawHops(t *term.Terminal, title string, hops []adminapi.Hop) {
	if len(hops) == 0 {
		return
	}
	begin, end := span(hops)
	t.Printf("%s  %s, %s from %s\n\n", term.Paint(title, term.Bold), counted(len(hops), "hop"), took(end.Sub(begin)), begin.Local().Format("2006-01-02 15:04:05.000"))
	bars := barsOf(hops)
	width := 0
	for i := range bars {
		width = max(width, term.Width(bars[i].label))
	}
	room := min(maxBar, max(minBar, t.Width()-width-14))
	for i := range bars {
		b := &bars[i]
		t.Printf("%s%s %8s %s\n", b.label, strings.Repeat(" ", width-term.Width(b.label)), took(b.to.Sub(b.from)), b.draw(begin, end, room))
	}
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// span is from the first beginning to the last end.
func span(hops []adminapi.Hop) (begin, end time.Time) {
	begin, end = hops[0].Start, hops[0].Start
	for i := range hops {
		h := &hops[i]
		if h.Start.Before(begin) {
			begin = h.Start
		}
		if e := h.Start.Add(h.Duration); e.After(end) {
			end = e
		}
	}
	return begin, end
}

// barsOf are the lines: a hop, then each of its tries with the hops that it has led to.
func barsOf(hops []adminapi.Hop) []bar {
	var out []bar
	// hops are in the order of a walk: what follows deeper belongs to this one.
	var add func(i, indent int) (next int)
	add = func(i, indent int) int {
		h := &hops[i]
		out = append(out, hopBar(h, indent))
		next := i + 1
		children := map[int][]int{}
		for next < len(hops) && hops[next].Depth > h.Depth {
			if hops[next].Depth == h.Depth+1 {
				children[hops[next].Through] = append(children[hops[next].Through], next)
			}
			next++
		}
		for j := range h.Questions {
			out = append(out, questionBar(h, &h.Questions[j], indent+1))
		}
		for j := range h.Tries {
			n := &h.Tries[j]
			out = append(out, tryBar(h, n, indent+1))
			for _, c := range children[n.Number] {
				add(c, indent+2)
			}
			delete(children, n.Number)
		}
		for _, through := range slices.Sorted(maps.Keys(children)) {
			for _, c := range children[through] {
				add(c, indent+1)
			}
		}
		return next
	}
	for i := 0; i < len(hops); {
		i = add(i, 0)
	}
	return out
}

func hopBar(h *adminapi.Hop, indent int) bar {
	where := h.Side.String()
	switch {
	case h.Purpose != "":
		where = printable(h.Purpose) + " → " + printable(cmp.Or(h.Endpoint, short(h.Cluster), h.Host))
	case h.Of != "":
		where += " " + short(printable(h.Of))
	}
	what := requestText(h.Method, "", h.Path, h.Protocol)
	text := statusText(h.Status, h.GRPCStatus, h.Reason)
	if h.Stream {
		what, text = requestText("", h.Destination, "", h.Protocol), printable(h.Reason)
	}
	label := strings.Repeat("  ", indent) + term.Paint(where, term.Bold) + "  " + what + "  " + text
	if v := refusedBy(h.Decisions); v != "" {
		label += " " + v
	}
	style := term.Info
	if h.Failed {
		style = term.Bad
	}
	return bar{label: strings.TrimRight(label, " "), from: h.Start, to: h.Start.Add(h.Duration), style: style}
}

func refusedBy(list []trace.Decision) string {
	for i := range list {
		if d := &list[i]; d.Verdict == trace.Denied || d.Verdict == trace.Limited {
			return term.Paint("by "+printable(decider(d)), term.Warn)
		}
	}
	return ""
}

// decider names a policy and its rule.
func decider(d *trace.Decision) string {
	text := d.Policy
	if d.Kind != "" {
		text = d.Kind + " " + text
	}
	if d.Rule != "" {
		text += ", " + d.Rule
	}
	return text
}

func tryBar(h *adminapi.Hop, n *trace.Try, indent int) bar {
	label := strings.Repeat("  ", indent) + tryName(n) + " → " + printable(n.Endpoint)
	style := term.Faint
	switch {
	case n.Reason != "":
		label, style = label+"  "+term.Paint(printable(n.Reason), term.Warn), term.Warn
	case n.Status >= 500, n.GRPCStatus != "" && n.GRPCStatus != "OK":
		style = term.Warn
		fallthrough
	case n.Status > 0:
		label += "  " + statusText(n.Status, n.GRPCStatus, "")
	}
	return bar{label: label, from: h.Start.Add(n.Start), to: h.Start.Add(max(n.End, n.Start)), style: style}
}

// questionBar is of a server that was asked before the request went on.
func questionBar(h *adminapi.Hop, q *trace.Question, indent int) bar {
	return bar{label: strings.Repeat("  ", indent) + questionText(q), from: h.Start.Add(q.Start), to: h.Start.Add(max(q.End, q.Start)), style: term.Faint}
}

// questionText says what for and whom a proxy has asked, and what came of it.
func questionText(q *trace.Question) string {
	text := "asked " + printable(q.Purpose)
	if q.Endpoint != "" {
		text += " → " + printable(q.Endpoint)
	}
	if q.Problem != "" {
		return text + "  " + term.Paint(printable(q.Problem), term.Warn)
	}
	return text + "  " + statusText(q.Status, q.GRPCStatus, "")
}

// tryName is "try 1", "retry 2", "hedge 3".
func tryName(n *trace.Try) string {
	name := "try"
	if n.Kind != trace.First {
		name = n.Kind.String()
	}
	return fmt.Sprintf("%s %d", name, n.Number)
}

// draw shows when it was between begin and end, on so many columns.
func (b *bar) draw(begin, end time.Time, room int) string {
	all := max(end.Sub(begin), 1)
	at := func(x time.Time) int { return int(int64(room) * int64(x.Sub(begin)) / int64(all)) }
	from := min(max(at(b.from), 0), room-1)
	to := min(max(at(b.to), from+1), room)
	return term.Paint("▕", term.Faint) + strings.Repeat(" ", from) + term.Paint(strings.Repeat("█", to-from), b.style) + strings.Repeat(" ", room-to) + term.Paint("▏", term.Faint)
}
