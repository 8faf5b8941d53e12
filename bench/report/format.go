package report

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gridway/gridway/bench/stats"
)

// table is rows of cells, the first of them the head.
type table [][]string

// text sets columns in spaces, the first to the left and the others to the right.
func (t table) text() string {
	width := make([]int, len(t[0]))
	for _, row := range t {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, row := range t {
		for i, cell := range row {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				b.WriteString(cell + pad)
				continue
			}
			b.WriteString("  " + pad + cell)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// markdown sets the same cells as a table of Markdown.
func (t table) markdown() string {
	var b strings.Builder
	for i, row := range t {
		b.WriteString("| " + strings.Join(row, " | ") + " |\n")
		if i == 0 {
			b.WriteString("|---|" + strings.Repeat("---:|", len(row)-1) + "\n")
		}
	}
	return b.String()
}

const none = "–"

// micro shows nanoseconds as microseconds with three digits that count.
func micro(ns float64) string {
	if ns <= 0 {
		return none
	}
	return digits(ns / 1000)
}

// digits rounds to three digits, never less than whole numbers.
func digits(v float64) string {
	switch a := math.Abs(v); {
	case a == 0 || a >= 99.95:
		return fmt.Sprintf("%.0f", v)
	case a >= 9.995:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

// spread shows a median with the lowest and highest round.
func spread(s stats.Spread, scale float64) string {
	if s.N == 0 {
		return none
	}
	m := digits(s.Median / scale)
	if s.N == 1 {
		return m
	}
	return fmt.Sprintf("%s (%s–%s)", m, digits(s.Min/scale), digits(s.Max/scale))
}

func latency(d time.Duration) string { return micro(float64(d)) }

func mebibytes(b int64) string {
	if b == 0 {
		return none
	}
	return digits(float64(b) / (1 << 20))
}
