package report

import (
	"fmt"
	"slices"
)

var caseHead = []string{"proxy", "CPU µs/request (spread)", "gridway is", "requests/s", "p50 µs", "p99 µs", "RSS MiB", "errors"}

// rows of one case: each proxy with Gridway's CPU as a multiple of its.
func (c *Case) rows() table {
	t := table{caseHead}
	us := c.Proxy("gridway")
	for i := range c.Proxies {
		p := &c.Proxies[i]
		ratio := none
		if p != us {
			if s := Ratio(us, p); s.N > 0 {
				ratio = spread(s, 1) + " ×"
			}
		}
		t = append(t, []string{
			p.Label, spread(p.CPU, 1000), ratio, digits(p.RPS.Median), latency(p.P50), latency(p.P99), mebibytes(p.RSS), fmt.Sprint(p.Errors),
		})
	}
	if slices.ContainsFunc(c.Proxies, func(p Proxy) bool { return p.Logged > 0 }) {
		t[0] = append(slices.Clip(t[0]), "logged")
		for i := range c.Proxies {
			cell := none
			if l := c.Proxies[i].Logged; l > 0 {
				cell = fmt.Sprintf("%.1f %%", 100*l)
			}
			t[i+1] = append(t[i+1], cell)
		}
	}
	if c.DirectP99 > 0 {
		t[0] = append(slices.Clip(t[0]), "added p50 µs", "added p99 µs")
		for i := range c.Proxies {
			p50, p99 := none, none
			if a, b, ok := c.Added(c.Proxies[i].Label); ok {
				p50, p99 = fmt.Sprint(a.Microseconds()), fmt.Sprint(b.Microseconds())
			}
			t[i+1] = append(t[i+1], p50, p99)
		}
	}
	return t
}

// heading says what a case is in a line.
func (c *Case) heading() string {
	s := fmt.Sprintf("%s (%s; %d connections", c.Title, c.Name, c.Conns)
	if c.Rate > 0 {
		s += fmt.Sprintf("; latency at %g/s", c.Rate)
	}
	return s + ")"
}

// Text is a case for the terminal.
func (c *Case) Text() string { return c.heading() + "\n" + c.rows().text() }

// Text is a figure for the terminal.
func (m *Measure) Text() string {
	return fmt.Sprintf("%-62s %s", m.Title, m.value())
}

func (m *Measure) value() string {
	s := spread(m.Value, 1)
	if m.Unit != "" {
		s += " " + m.Unit
	}
	if m.Note != "" {
		s += ", " + m.Note
	}
	return s
}

func aimRows(aims []Aim) table {
	t := table{{"aim", "bound", "measured", "verdict"}}
	for _, a := range aims {
		t = append(t, []string{a.What, a.Bound, spread(a.Got, 1), string(a.Verdict)})
	}
	return t
}

// AimsText is the aims for the terminal.
func AimsText(aims []Aim) string { return aimRows(aims).text() }

// summary has a case per row and a proxy per column: median CPU per request.
func (r *Results) summary() table {
	labels := r.labels()
	t := table{append(append([]string{"CPU µs per request"}, labels...), "gridway / best of NGINX and HAProxy")}
	for i := range r.Cases {
		c := &r.Cases[i]
		row := []string{c.Title}
		for _, l := range labels {
			cell := none
			if p := c.Proxy(l); p != nil {
				cell = micro(p.CPU.Median)
			}
			row = append(row, cell)
		}
		t = append(t, append(row, spread(Ratio(c.Proxy("gridway"), c.Best(peers...)), 1)))
	}
	return t
}

// labels of the proxies that take part in most cases, in their order.
func (r *Results) labels() []string {
	var labels []string
	for _, l := range []string{"gridway", "nginx", "haproxy", "reverseproxy"} {
		if slices.ContainsFunc(r.Cases, func(c Case) bool { return c.Proxy(l) != nil }) {
			labels = append(labels, l)
		}
	}
	return labels
}
