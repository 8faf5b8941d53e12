package main

import (
	"fmt"
	"html"
	"io"
)

// Sizes in user units.
const (
	cellWidth  = 8.4
	lineHeight = 21.0
	fontSize   = 14
	padding    = 18.0
	titleBar   = 36.0
)

var palette = [...]string{
	"#d5dbe6", "#4a5263", "#f2777a", "#8fd694", "#f5c76b", "#7aa8ff", "#c9a1f5", "#62d0d8", "#d5dbe6",
	"#7d8799", "#ff9da0", "#b3ecb6", "#ffdf96", "#a8c7ff", "#e0c8ff", "#98e8ee", "#ffffff",
}

func draw(w io.Writer, lines [][]cell, title string) {
	columns := 0
	for _, l := range lines {
		columns = max(columns, len(l))
	}
	width := float64(columns)*cellWidth + 2*padding
	height := titleBar + float64(len(lines))*lineHeight + 1.4*padding
	fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" role="img" aria-label="%s">`+"\n",
		width, height, width, height, html.EscapeString(title))
	fmt.Fprintf(w, `<rect x="0.5" y="0.5" width="%.0f" height="%.0f" rx="9" fill="#161b24" stroke="#323a49"/>`+"\n", width-1, height-1)
	for i, c := range []string{"#f2777a", "#f5c76b", "#8fd694"} {
		fmt.Fprintf(w, `<circle cx="%d" cy="18" r="5.5" fill="%s"/>`+"\n", 20+18*i, c)
	}
	fmt.Fprintf(w, `<g font-family="ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace" font-size="%d" xml:space="preserve">`+"\n", fontSize)
	fmt.Fprintf(w, `<text x="%.1f" y="23" text-anchor="middle" fill="#7d8799" font-size="13">%s</text>`+"\n", width/2, html.EscapeString(title))
	for row, l := range lines {
		drawLine(w, l, titleBar+padding/2+float64(row)*lineHeight)
	}
	fmt.Fprint(w, "</g>\n</svg>\n")
}

// drawLine writes runs of one style as text of a fixed length, so that columns
// stay columns in any font, and block elements as rectangles.
func drawLine(w io.Writer, l []cell, top float64) {
	for start := 0; start < len(l); {
		if eighths := block(l[start].r); eighths > 0 {
			h := 0.62 * lineHeight * float64(eighths) / 8
			fmt.Fprintf(w, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`+"\n",
				padding+float64(start)*cellWidth, top+0.78*lineHeight-h, cellWidth-1.6, h, fill(l[start].style))
			start++
			continue
		}
		end := start + 1
		for end < len(l) && l[end].style == l[start].style && block(l[end].r) == 0 && !gap(l, end) {
			end++
		}
		drawText(w, l[start:end], padding+float64(start)*cellWidth, top+0.75*lineHeight)
		start = end
	}
}

// gap tells whether a run of spaces begins at i: words are placed each by itself.
func gap(l []cell, i int) bool {
	return (l[i].r == ' ' && i+1 < len(l) && l[i+1].r == ' ') || (l[i-1].r == ' ' && l[i].r != ' ' && i >= 2 && l[i-2].r == ' ')
}

func drawText(w io.Writer, run []cell, x, y float64) {
	text, blank := "", true
	for _, c := range run {
		text += string(c.r)
		blank = blank && c.r == ' '
	}
	if blank {
		return
	}
	weight := ""
	if run[0].bold {
		weight = ` font-weight="bold"`
	}
	fmt.Fprintf(w, `<text x="%.1f" y="%.1f" textLength="%.1f" lengthAdjust="spacingAndGlyphs" fill="%s"%s>%s</text>`+"\n",
		x, y, float64(len(run))*cellWidth, fill(run[0].style), weight, html.EscapeString(text))
}

func fill(s style) string {
	if s.faint && s.color == 0 {
		return palette[9]
	}
	return palette[s.color]
}

// block is the height in eighths of ▁ to █, 0 for other characters.
func block(r rune) int {
	if r >= '▁' && r <= '█' {
		return int(r-'▁') + 1
	}
	return 0
}
