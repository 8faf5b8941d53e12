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
)

// printSinks shows where telemetry goes, and what has not got there.
func printSinks(t *term.Terminal, list []adminapi.SinkStatus, now time.Time) {
	table := term.NewTable("telemetry sink", "at", "signal", "sent", "lost", "waiting", "last taken", "state").Right(3)
	for _, s := range list {
		state := s.State
		switch s.State {
		case "up":
			state = term.Paint(state, term.Good)
		case "down":
			state = term.Paint(state, term.Bad)
			if !s.Since.IsZero() {
				state += " for " + age(max(now.Sub(s.Since), 0))
			}
			state += ": " + cmp.Or(s.Error, "no answer yet")
		}
		at := cmp.Or(s.Address, "standard output")
		if len(s.Signals) == 0 {
			table.Row(short(s.Name), at, "", "", "", "", "", state)
		}
		for i, n := range s.Signals {
			if i > 0 {
				state = "" // it is the sink's
			}
			table.Row(short(s.Name), at, n.Signal, fmt.Sprint(n.Sent), lost(n.Lost), queued(&n), lastTaken(n.LastSuccess, now), state)
		}
	}
	if table.Len() > 0 {
		t.Printf("\n%s", table)
	}
}

func queued(n *adminapi.SinkSignal) string {
	if n.QueueLimit == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d", n.Queued, n.QueueLimit)
}

func lastTaken(at, now time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return age(max(now.Sub(at), 0)) + " ago"
}

func lost(by map[string]uint64) string {
	var parts []string
	for _, reason := range slices.Sorted(maps.Keys(by)) {
		parts = append(parts, fmt.Sprintf("%d %s", by[reason], reason))
	}
	if len(parts) == 0 {
		return "0"
	}
	return term.Paint(strings.Join(parts, ", "), term.Warn)
}
