package cli

import (
	"strings"
	"testing"
)

func TestLineDiff(t *testing.T) {
	for _, c := range []struct{ before, after, want string }{
		{"", "a\nb\n", "+ a|+ b"},
		{"a\n", "", "- a"},
		{"", "", ""},
		{"a\nb\nc\nd\ne\nf\ng\n", "a\nb\nc\nx\ne\nf\ng\n", "  …|  b|  c|- d|+ x|  e|  f|  …"},
		{"a\nb\n", "b\na\n", "- a|  b|+ a"},
		{"same\n", "same", "  …"},
		{"a\n\nb\n", "a\nb\n", "  a|- |  b"},
	} {
		if got := strings.Join(lineDiff(c.before, c.after), "|"); got != c.want {
			t.Errorf("%q → %q: %q, want %q", c.before, c.after, got, c.want)
		}
	}
	long := strings.Repeat("x\n", 4000)
	if got := lineDiff(long+"a\n"+long, long+"b\n"+long); strings.Join(got, "|") != "  …|  x|  x|- a|+ b|  x|  x|  …" {
		t.Errorf("%q", got)
	}
}

// The lines of either text come out again, in their order.
func FuzzLineDiff(f *testing.F) {
	f.Add("a\nb\nc", "a\nc\nd")
	f.Add("", "\n\n")
	f.Fuzz(func(t *testing.T, before, after string) {
		if len(before)+len(after) > 2000 {
			return
		}
		var was, is []string
		for _, l := range middleDiff(textLines(before), textLines(after)) {
			if l[0] != '+' {
				was = append(was, l[2:])
			}
			if l[0] != '-' {
				is = append(is, l[2:])
			}
		}
		if strings.Join(was, "\n") != strings.Join(textLines(before), "\n") || strings.Join(is, "\n") != strings.Join(textLines(after), "\n") {
			t.Errorf("%q %q: %q %q", before, after, was, is)
		}
	})
}
