package report

import (
	"fmt"
	"html"
	"strings"
)

// Sizes of the chart, in pixels.
const (
	chartWidth = 860
	chartLeft  = 250 // of the bars; case names stand before it
	chartRight = 130 // behind the longest bar, for its figure
	barHeight  = 13
	groupGap   = 16
	chartTop   = 64
)

var colours = map[string]string{"gridway": "#0f766e", "nginx": "#94a3b8", "haproxy": "#64748b", "reverseproxy": "#d6a35c"}

// Chart draws CPU per request by case and proxy as SVG. The cases differ by
// orders of magnitude, so each has a scale of its own: its longest bar is as
// long as that of the others, and the figures stand beside the bars.
func (r *Results) Chart() string {
	labels := r.labels()
	var body strings.Builder
	y := chartTop
	for i := range r.Cases {
		c := &r.Cases[i]
		longest := 0.0
		for _, l := range labels {
			if p := c.Proxy(l); p != nil {
				longest = max(longest, p.CPU.Median)
			}
		}
		if longest == 0 {
			continue
		}
		first := y
		for _, l := range labels {
			p := c.Proxy(l)
			if p == nil || p.CPU.N == 0 {
				continue
			}
			w := p.CPU.Median / longest * (chartWidth - chartLeft - chartRight)
			fmt.Fprintf(&body, `<rect x="%d" y="%d" width="%.1f" height="%d" rx="2" fill="%s"/>`+"\n", chartLeft, y, w, barHeight-2, colours[l])
			fmt.Fprintf(&body, `<text class="f" x="%.1f" y="%d">%s µs</text>`+"\n", chartLeft+w+6, y+barHeight-4, micro(p.CPU.Median))
			y += barHeight
		}
		fmt.Fprintf(&body, `<text class="c" x="%d" y="%d" text-anchor="end">%s</text>`+"\n", chartLeft-12, (first+y)/2+3, html.EscapeString(c.Title))
		y += groupGap
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="CPU time per request by proxy and case">`+"\n", chartWidth, y, chartWidth, y)
	b.WriteString("<style>text{font-family:system-ui,sans-serif;fill:#1f2937}.t{font-size:16px;font-weight:600}.c{font-size:12px}.f{font-size:10px;fill:#475569}.l{font-size:12px}</style>\n")
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", chartWidth, y)
	fmt.Fprintf(&b, `<text class="t" x="16" y="26">CPU time per request on one core (shorter is better)</text>`+"\n")
	x := 16
	for _, l := range labels {
		fmt.Fprintf(&b, `<rect x="%d" y="38" width="11" height="11" rx="2" fill="%s"/><text class="l" x="%d" y="48">%s</text>`+"\n", x, colours[l], x+16, l)
		x += 34 + 8*len(l)
	}
	b.WriteString(body.String())
	b.WriteString("</svg>\n")
	return b.String()
}
