package cli

import (
	"fmt"
	"strings"

	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/dryrun"
)

func printLocal(t *term.Terminal, l *dryrun.Local) {
	style := term.Good
	if l.Status >= 400 {
		style = term.Bad
	}
	s := fmt.Sprintf("replies %d", l.Status)
	if l.Reason != "" {
		s += " " + l.Reason
	}
	if g := l.GRPC; g != nil {
		s += fmt.Sprintf(", to gRPC as %s (%d) in an HTTP status of %d", g.Name, g.Code, g.HTTPStatus)
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
