package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/cli/excerpt"
	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/surface/adminapi"
)

const (
	// troublesShown bounds the table of troubles, and proxiesNamed the proxies of a row.
	troublesShown = 20
	proxiesNamed  = 3
)

// printTroubles shows what is not well on the way to clusters, and who sees it.
func printTroubles(t *term.Terminal, list []adminapi.Trouble, more int, all bool, now time.Time) {
	columns := []string{"not well", "endpoint", "what", "since"}
	mesh := false
	for i := range list {
		mesh = mesh || len(list[i].Proxies) > 0
	}
	if mesh {
		columns = append(columns, "seen by")
	}
	table := term.NewTable(columns...)
	for i := range list {
		if !all && i >= troublesShown {
			more += len(list) - i
			break
		}
		x := &list[i]
		row := []string{short(x.Cluster), x.Endpoint, troubleText(x), troubleTime(x, now)}
		if mesh {
			row = append(row, seenBy(x))
		}
		table.Row(row...)
	}
	if table.Len() == 0 {
		return
	}
	t.Printf("\n%s", table)
	if more > 0 {
		t.Printf("and %d more; --all shows more of them\n", more)
	}
}

func troubleText(x *adminapi.Trouble) string {
	style, text := term.Bad, x.Kind
	switch x.Kind {
	case "breaker":
		text = "circuit breaker " + x.Detail
		if x.Detail == "half-open" {
			style = term.Warn
		}
		if !x.Over.IsZero() {
			text = "circuit breaker opened"
		}
		if x.Times > 0 {
			text += ", " + times(int(min(x.Times, 1<<30)))
		}
	case "full":
		text = excerpt.Count(int(min(x.Times, 1<<30)), "request") + " refused at a limit"
	case "ejected":
		if x.Detail != "" {
			text += ": " + x.Detail
		}
	case "unhealthy":
		text = "fails its health checks"
	}
	if !x.Over.IsZero() {
		style = term.Warn
	}
	return term.Paint(text, style)
}

func troubleTime(x *adminapi.Trouble, now time.Time) string {
	if x.Over.IsZero() {
		return age(max(now.Sub(x.Since), 0)) + " ago"
	}
	return "over for " + age(max(now.Sub(x.Over), 0))
}

func seenBy(x *adminapi.Trouble) string {
	names := x.Proxies[:min(len(x.Proxies), proxiesNamed)]
	text := strings.Join(names, ", ")
	if others := x.SeenBy - len(names); others > 0 {
		text += fmt.Sprintf(" and %d more", others)
	}
	return text
}
