package file

import (
	"fmt"
	"strings"
	"testing"
)

func TestSplit(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want string // "line:text" joined by |
	}{
		{"", ""},
		{"\n# only\n", ""},
		{"---\n---\n\n---\n# c\n", ""},
		{"a: 1\n", "1:a: 1\n"},
		{"a: 1", "1:a: 1"},
		{"---\na: 1\n---\nb: 2\n", "1:---\na: 1\n|3:---\nb: 2\n"},
		{"a: 1\n--- # two\nb: 2\n", "1:a: 1\n|2:--- # two\nb: 2\n"},
		{"a: 1\n--- {b: 2}\n", "1:a: 1\n|2:--- {b: 2}\n"},
		{"a: 1\n---b: 2\n", "1:a: 1\n---b: 2\n"},
		{"a: |\n  ---\n  x\n---\nb: 1\n", "1:a: |\n  ---\n  x\n|4:---\nb: 1\n"},
		{"a: 1\n...\nb: 2\n", "1:a: 1\n|3:b: 2\n"},
		{"a: 1\n...\n---\nb: 2\n", "1:a: 1\n|3:---\nb: 2\n"},
		{"%YAML 1.2\n---\na: 1\n---\nb: 2\n", "1:%YAML 1.2\n---\na: 1\n|4:---\nb: 2\n"},
		{"a: 1\n...\n%YAML 1.2\n---\nb: 2\n", "1:a: 1\n|3:%YAML 1.2\n---\nb: 2\n"},
		{"a: 1\r\n---\r\nb: 2\r\n", "1:a: 1\r\n|2:---\r\nb: 2\r\n"},
		{"a: |\n%x\n", "1:a: |\n%x\n"},
		{"\xef\xbb\xbf---\na: 1\n", "1:\xef\xbb\xbf---\na: 1\n"},
	} {
		var got []string
		for _, c := range split([]byte(tc.in), 0) {
			got = append(got, fmt.Sprintf("%d:%s", c.line, c.text))
		}
		if strings.Join(got, "|") != tc.want {
			t.Errorf("split(%q) = %q, want %q", tc.in, strings.Join(got, "|"), tc.want)
		}
	}
}

// FuzzSplit: documents are parts of the input in order, each on its line.
func FuzzSplit(f *testing.F) {
	for _, s := range []string{"a\n---\nb\n...\n%X\n---\nc", "---\n---", "\n...\n", "%\n%\n---\n--- \n", "\xef\xbb\xbf---"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		rest, line := string(data), 1
		for _, c := range split(data, 1) {
			at := strings.Index(rest, string(c.text))
			if at < 0 {
				t.Fatalf("document %q is not in the rest %q", c.text, rest)
			}
			// The same text may stand there more than once.
			for line+strings.Count(rest[:at], "\n") != c.line {
				next := strings.Index(rest[at+1:], string(c.text))
				if next < 0 {
					t.Fatalf("document %q is not on line %d", c.text, c.line)
				}
				at += 1 + next
			}
			line = c.line + strings.Count(string(c.text), "\n")
			rest = rest[at+len(c.text):]
		}
	})
}
