package top_test

import (
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/gridway/gridway/internal/cli/top"
)

func sample() top.Sample {
	return top.Sample{
		Routes: []top.Row{
			{Name: "cart", Requests: 5, Errors: 0.5, P50: 900 * time.Microsecond, P99: 2 * time.Second, Open: 3, Total: 10},
			{Name: "catalog", Requests: 120.4, P50: 3 * time.Millisecond, P99: 40 * time.Millisecond, Open: 12, Total: 999},
			{Name: "reviews", Requests: 12345, Errors: 0.01, P50: 8 * time.Millisecond, P99: 9 * time.Millisecond, Total: 5},
		},
		Clusters: []top.Row{{Name: "Backend/default/cart", Requests: 1}},
	}
}

func order(b *top.Board) string {
	var names []string
	for _, r := range b.Rows() {
		names = append(names, r.Name)
	}
	return strings.Join(names, " ")
}

func TestOrderAndFilter(t *testing.T) {
	b := &top.Board{}
	b.Add(sample())
	for _, tt := range []struct {
		set  func()
		want string
	}{
		{func() {}, "reviews catalog cart"},
		{func() { b.Sort = top.ByErrors }, "cart reviews catalog"},
		{func() { b.Sort = top.ByP50 }, "reviews catalog cart"},
		{func() { b.Sort = top.ByP99 }, "cart catalog reviews"},
		{func() { b.Sort = top.ByOpen }, "catalog cart reviews"},
		{func() { b.Sort = top.ByName }, "cart catalog reviews"},
		{func() { b.Reverse = true }, "reviews catalog cart"},
		{func() { b.Filter = "CA" }, "catalog cart"},
		{func() { b.Clusters = true }, "Backend/default/cart"},
	} {
		tt.set()
		if got := order(b); got != tt.want {
			t.Errorf("%s reversed %v filter %q: got %s, want %s", b.Sort, b.Reverse, b.Filter, got, tt.want)
		}
	}
}

func TestTable(t *testing.T) {
	b := &top.Board{}
	s := sample()
	s.Routes[1].Requests = 60.2
	b.Add(s)
	b.Add(sample())
	want := `ROUTE    REQ/S  ERRORS     P50     P99  OPEN  TOTAL  TREND
reviews  12.3k    1.0%  8.0 ms  9.0 ms     0      5  ██
catalog    120    0.0%  3.0 ms   40 ms    12    999  ▅█
… 1 more
`
	if got := ansi.Strip(b.Table(2)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestSparkKeepsABoundedPast(t *testing.T) {
	b := &top.Board{}
	for i := range 100 {
		s := sample()
		s.Routes[0].Requests = float64(i)
		b.Add(s)
	}
	row := strings.Split(ansi.Strip(b.Table(0)), "\n")[3]
	if !strings.HasPrefix(row, "cart") {
		t.Fatal(row)
	}
	if n := strings.Count(row, "█") + strings.Count(row, "▇") + strings.Count(row, "▆"); n != 24 {
		t.Errorf("%d bars in %q", n, row)
	}
}
