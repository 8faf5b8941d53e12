// Package top is the live view of "gridway top": a board of rules and clusters
// with rate, errors, latencies and a sparkline each. The board is plain state;
// the view around it belongs to Bubble Tea, which owns the goroutines. Only the
// CLI imports it.
package top

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gridway/gridway/internal/cli/term"
)

// Row is one rule, cluster or service in the last seconds.
type Row struct {
	Name string `json:"name"`
	// Requests per second, share of errors from 0 to 1, and quantiles.
	Requests float64       `json:"requests"`
	Errors   float64       `json:"errors"`
	P50      time.Duration `json:"p50"`
	P99      time.Duration `json:"p99"`
	// Open are streams under way, of a cluster tries, of a service connections and streams.
	Open  int64  `json:"open"`
	Total uint64 `json:"total"`
}

// Sample is what one look at the gateway brings.
type Sample struct {
	At       time.Time `json:"at"`
	Revision uint64    `json:"revision,omitempty"`
	Routes   []Row     `json:"routes"`
	Clusters []Row     `json:"clusters"`
	// Services are nodes of the service graph, with what they have received in the last
	// minute; Total is of that minute.
	Services []Row `json:"services,omitempty"`
}

// Column is what rows are ordered by.
type Column int

const (
	ByRequests Column = iota
	ByErrors
	ByP50
	ByP99
	ByOpen
	ByName
	columns
)

var columnNames = [columns]string{"rate", "errors", "p50", "p99", "open", "name"}

func (c Column) String() string { return columnNames[c] }

// ParseColumn reads a column's name.
func ParseColumn(s string) (Column, error) {
	if i := slices.Index(columnNames[:], s); i >= 0 {
		return Column(i), nil
	}
	return 0, fmt.Errorf("must be one of %s, not %q", strings.Join(columnNames[:], ", "), s)
}

// Columns are the names that ParseColumn takes.
func Columns() []string { return slices.Clone(columnNames[:]) }

// history is how many samples a sparkline shows.
const history = 24

// Board keeps samples and how they are looked at.
type Board struct {
	Sort     Column
	Reverse  bool
	Filter   string
	Clusters bool
	// Services shows those, and comes before Clusters.
	Services bool

	last Sample
	past map[string][]float64 // rates by "r/name", "c/name" or "s/name", oldest first
}

// Add takes a sample.
func (b *Board) Add(s Sample) {
	b.last = s
	past := make(map[string][]float64, len(s.Routes)+len(s.Clusters))
	keep := func(prefix string, rows []Row) {
		for _, r := range rows {
			h := append(b.past[prefix+r.Name], r.Requests)
			past[prefix+r.Name] = h[max(0, len(h)-history):]
		}
	}
	keep("r/", s.Routes)
	keep("c/", s.Clusters)
	keep("s/", s.Services)
	b.past = past
}

// Rows are the rows in view, in order.
func (b *Board) Rows() []Row {
	rows := b.last.Routes
	switch {
	case b.Services:
		rows = b.last.Services
	case b.Clusters:
		rows = b.last.Clusters
	}
	out := slices.DeleteFunc(slices.Clone(rows), func(r Row) bool {
		return b.Filter != "" && !strings.Contains(strings.ToLower(r.Name), strings.ToLower(b.Filter))
	})
	slices.SortStableFunc(out, func(x, y Row) int {
		var c int
		switch b.Sort {
		case ByRequests:
			c = cmp.Compare(y.Requests, x.Requests)
		case ByErrors:
			c = cmp.Compare(y.Errors, x.Errors)
		case ByP50:
			c = cmp.Compare(y.P50, x.P50)
		case ByP99:
			c = cmp.Compare(y.P99, x.P99)
		case ByOpen:
			c = cmp.Compare(y.Open, x.Open)
		}
		if c == 0 {
			return cmp.Compare(x.Name, y.Name)
		}
		return c
	})
	if b.Reverse {
		slices.Reverse(out)
	}
	return out
}

// Table prints the rows; height bounds their number, zero is all of them.
func (b *Board) Table(height int) string {
	what, prefix, total := "route", "r/", "total"
	switch {
	case b.Services:
		what, prefix, total = "service", "s/", "last min"
	case b.Clusters:
		what, prefix = "cluster", "c/"
	}
	t := term.NewTable(what, "req/s", "errors", "p50", "p99", "open", total, "trend").Right(1, 2, 3, 4, 5, 6)
	rows := b.Rows()
	hidden := 0
	if height > 0 && len(rows) > height {
		hidden = len(rows) - height
		rows = rows[:height]
	}
	for _, r := range rows {
		t.Row(r.Name, Rate(r.Requests), Errors(r.Errors), Latency(r.P50), Latency(r.P99), fmt.Sprint(r.Open), fmt.Sprint(r.Total), term.Paint(Spark(b.past[prefix+r.Name]), term.Info))
	}
	s := t.String()
	if hidden > 0 {
		s += term.Paint(fmt.Sprintf("… %d more", hidden), term.Faint) + "\n"
	}
	return s
}

// Total adds up the rows of the routes, or of the services if these are shown.
func (b *Board) Total() (requests, errors float64) {
	failed, rows := 0.0, b.last.Routes
	if b.Services {
		rows = b.last.Services
	}
	for _, r := range rows {
		requests += r.Requests
		failed += r.Requests * r.Errors
	}
	if requests > 0 {
		errors = failed / requests
	}
	return requests, errors
}

// Turn shows the next kind of rows: routes, clusters, services if there are any.
func (b *Board) Turn() {
	switch {
	case b.Services:
		b.Services, b.Clusters = false, false
	case b.Clusters:
		b.Clusters, b.Services = false, len(b.last.Services) > 0
	default:
		b.Clusters = true
	}
}

// Rate prints requests per second with three digits.
func Rate(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	case v < 100:
		return fmt.Sprintf("%.1f", v)
	case v < 10_000:
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.1fk", v/1000)
}

// Errors prints a share of errors, from 0 to 1.
func Errors(share float64) string {
	s := fmt.Sprintf("%.1f%%", share*100)
	switch {
	case share >= 0.05:
		return term.Paint(s, term.Bad)
	case share > 0:
		return term.Paint(s, term.Warn)
	}
	return s
}

// Latency prints a duration with three digits or fewer.
func Latency(d time.Duration) string {
	switch {
	case d == 0:
		return "-"
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d)/1e6)
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

// Spark draws values as bars from zero to the largest.
func Spark(values []float64) string {
	bars := []rune("▁▂▃▄▅▆▇█")
	top := 0.0
	for _, v := range values {
		top = max(top, v)
	}
	var b strings.Builder
	for _, v := range values {
		i := 0
		if top > 0 {
			i = min(int(v/top*float64(len(bars)-1)+0.5), len(bars)-1)
		}
		b.WriteRune(bars[i])
	}
	return b.String()
}
