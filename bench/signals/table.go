package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/gridway/gridway/internal/telemetry/tap"
)

// note counts a line of a tap.
func (t *tapping) note(line []byte) {
	var e struct {
		Type          string
		Limited, Lost uint64
	}
	switch err := json.Unmarshal(line, &e); {
	case err != nil:
	case e.Type == tap.LeftOut:
		t.limited.Add(e.Limited)
		t.lost.Add(e.Lost)
	default:
		t.told.Add(1)
	}
}

// table prints the parts side by side, as Markdown.
func table(all []*part) {
	row := func(what string, of func(p *part) string) {
		fmt.Printf("| %s |", what)
		for _, p := range all {
			fmt.Printf(" %s |", of(p))
		}
		fmt.Println()
	}
	row("", func(p *part) string { return p.Name })
	row("---", func(*part) string { return "---" })
	row("CPU of the control plane, of one core", func(p *part) string { return fmt.Sprintf("%.1f %%", p.CPU) })
	row("CPU for each report", func(p *part) string { return p.PerReport.Round(time.Microsecond).String() })
	row("heap, resident", func(p *part) string { return fmt.Sprintf("%d MiB, %d MiB", p.Heap>>20, p.Resident>>20) })
	row("telemetry: memory, of its bound", func(p *part) string { return fmt.Sprintf("%d of %d MiB", p.Table>>20, p.Limit>>20) })
	row("edges folded", func(p *part) string { return fmt.Sprint(p.Folded) })
	row("a route changes: half of the proxies have it, the last has it (p50, worst)", func(p *part) string {
		return fmt.Sprintf("%s, %s, %s", round(p.PushHalf), round(p.PushLast), round(p.PushWorst))
	})
	row("a request is in the graph after (p50, worst)", func(p *part) string { return fmt.Sprintf("%s, %s", round(p.SeenHalf), round(p.SeenWorst)) })
	for i, a := range all[0].Asked {
		row("`GET "+a.Path+"` (p50, worst, bytes)", func(p *part) string {
			a := p.Asked[i]
			return fmt.Sprintf("%s, %s, %d KiB", round(a.Half), round(a.Most), a.Bytes>>10)
		})
	}
	row("events of the tap per second, left out by proxies, lost by the reader", func(p *part) string { return fmt.Sprintf("%.0f, %.0f, %.0f", p.Told, p.LeftOut, p.Lost) })
}

// round keeps three digits.
func round(d time.Duration) time.Duration {
	unit := time.Microsecond
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit)
}
