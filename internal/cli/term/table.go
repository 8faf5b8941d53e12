package term

import (
	"io"
	"strings"
)

// Table prints rows in columns that are as wide as their widest cell. Cells may
// be painted. The last column is not padded, so lines have no trailing blanks.
type Table struct {
	header []string
	rows   [][]string
	right  map[int]bool
	indent string
}

// NewTable starts a table; header cells are printed in upper case.
func NewTable(header ...string) *Table { return &Table{header: header} }

// Right aligns the columns with those indexes to the right, as numbers want it.
func (t *Table) Right(columns ...int) *Table {
	if t.right == nil {
		t.right = map[int]bool{}
	}
	for _, c := range columns {
		t.right[c] = true
	}
	return t
}

// Indent puts s before each line.
func (t *Table) Indent(s string) *Table {
	t.indent = s
	return t
}

// Row adds a row; missing cells are empty.
func (t *Table) Row(cells ...string) { t.rows = append(t.rows, cells) }

// Len is the number of rows.
func (t *Table) Len() int { return len(t.rows) }

// WriteTo prints the table.
func (t *Table) WriteTo(w io.Writer) (int64, error) {
	n, err := io.WriteString(w, t.String())
	return int64(n), err
}

// String is the table as it is printed.
func (t *Table) String() string {
	var header []string
	for _, h := range t.header {
		header = append(header, Paint(strings.ToUpper(h), Faint))
	}
	all := t.rows
	if len(header) > 0 {
		all = append([][]string{header}, t.rows...)
	}
	var widths []int
	for _, row := range all {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], Width(c))
		}
	}
	var b strings.Builder
	for _, row := range all {
		var line strings.Builder
		line.WriteString(t.indent)
		for i, c := range row {
			pad := strings.Repeat(" ", widths[i]-Width(c))
			if t.right[i] {
				c = pad + c
			} else if i < len(row)-1 {
				c += pad
			}
			line.WriteString(c)
			if i < len(row)-1 {
				line.WriteString("  ")
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " "))
		b.WriteByte('\n')
	}
	return b.String()
}
