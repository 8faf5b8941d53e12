// Package excerpt prints a problem together with the line it is about and a
// mark under the words that are meant. It owns no goroutines; only the CLI
// imports it.
package excerpt

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/gridway/gridway/internal/cli/term"
	"github.com/gridway/gridway/internal/config/store"
)

// Printer prints problems. It reads each file once.
type Printer struct {
	// ReadFile may be nil for os.ReadFile.
	ReadFile func(name string) ([]byte, error)
	// Width cuts long lines; zero leaves them.
	Width int

	files map[string][]string
}

// maxFile bounds what is read for an excerpt, in bytes.
const maxFile = 16 << 20

// Print writes one problem:
//
//	error[UnknownField]: there is no field "path"
//	  --> edge.yaml:14:7
//	   |
//	14 |       path: /api
//	   |       ^^^^
//	   = in HTTPRoute/default/catalog, field spec.rules[0].path
//	   = help: did you mean "matches"?
func (p *Printer) Print(w io.Writer, problem store.Problem) {
	head := string(problem.Severity)
	if problem.Code != "" {
		head += "[" + problem.Code + "]"
	}
	fmt.Fprintf(w, "%s%s\n", term.Paint(head, style(problem.Severity)), term.Paint(": "+problem.Message, term.Bold))
	margin := ""
	if pos := problem.Position; pos.File != "" {
		number := ""
		if pos.Line > 0 {
			number = fmt.Sprint(pos.Line)
		}
		margin = strings.Repeat(" ", max(len(number), 1))
		fmt.Fprintf(w, "%s%s %s\n", margin, term.Paint("-->", term.Title), pos)
		if line, ok := p.line(problem); ok {
			bar := term.Paint("|", term.Title)
			text, from, length := window(line, pos.Column, p.Width-len(margin)-4)
			fmt.Fprintf(w, "%s %s\n", margin, bar)
			fmt.Fprintf(w, "%s %s %s\n", term.Paint(number, term.Title), bar, text)
			if pos.Column > 0 {
				fmt.Fprintf(w, "%s %s %s%s\n", margin, bar, strings.Repeat(" ", from), term.Paint(strings.Repeat("^", length), style(problem.Severity)))
			} else {
				fmt.Fprintf(w, "%s %s\n", margin, bar)
			}
		}
	}
	note := func(s string) { fmt.Fprintf(w, "%s %s %s\n", margin, term.Paint("=", term.Title), s) }
	if problem.Object != (store.Key{}) {
		s := "in " + problem.Object.String()
		if problem.Field != "" {
			s += ", field " + problem.Field
		}
		note(s)
	}
	if problem.Remedy != "" {
		note(term.Paint("help:", term.Info) + " " + problem.Remedy)
	}
}

func style(s store.Severity) term.Style {
	switch s {
	case store.Error:
		return term.Bad
	case store.Warning:
		return term.Warn
	}
	return term.Info
}

// line returns the line of a problem, tabs as one blank so that columns hold.
func (p *Printer) line(problem store.Problem) (string, bool) {
	pos := problem.Position
	if pos.Line < 1 {
		return "", false
	}
	all, ok := p.files[pos.File]
	if !ok {
		read := p.ReadFile
		if read == nil {
			read = readBounded
		}
		if b, err := read(pos.File); err == nil {
			all = strings.Split(string(b), "\n")
		}
		if p.files == nil {
			p.files = map[string][]string{}
		}
		p.files[pos.File] = all
	}
	if pos.Line > len(all) {
		return "", false
	}
	s := strings.TrimRight(all[pos.Line-1], "\r")
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	return conceal(problem, all, s), true
}

func readBounded(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile))
}

// window cuts line to width cells around column (from 1, in characters) and
// says where the marked word starts in it and how long it is, in cells.
func window(line string, column, width int) (text string, from, length int) {
	runes := []rune(line)
	at := min(max(column-1, 0), len(runes))
	n := word(runes[at:])
	start, cutLeft := 0, ""
	if width > 20 && len(runes) > width && at > width/2 {
		start, cutLeft = at-width/3, "…"
	}
	end, cutRight := len(runes), ""
	if width > 20 && end-start > width {
		end, cutRight = start+width-1, "…"
	}
	n = min(n, max(end-at, 1))
	before := cutLeft + string(runes[start:at])
	text = cutLeft + string(runes[start:end]) + cutRight
	return text, term.Width(before), max(term.Width(string(runes[at:min(at+n, len(runes))])), 1)
}

// word is how many characters belong to the YAML token that s begins with.
func word(s []rune) int {
	if len(s) == 0 {
		return 1
	}
	if q := s[0]; q == '"' || q == '\'' {
		for i := 1; i < len(s); i++ {
			if s[i] == '\\' && q == '"' {
				i++
			} else if s[i] == q {
				return i + 1
			}
		}
		return len(s)
	}
	for i, r := range s {
		switch {
		case strings.ContainsRune(" ,]}{[", r):
			return max(i, 1)
		case r == ':' && (i+1 == len(s) || s[i+1] == ' '):
			return max(i, 1)
		}
	}
	return len(s)
}

// Summary is the line under a list of problems: "2 errors, 1 warning".
func Summary(problems []store.Problem) string {
	count := map[store.Severity]int{}
	for _, p := range problems {
		count[p.Severity]++
	}
	var parts []string
	for _, s := range []store.Severity{store.Error, store.Warning, store.Note} {
		if n := count[s]; n > 0 {
			parts = append(parts, term.Paint(Count(n, string(s)), style(s)))
		}
	}
	return strings.Join(parts, ", ")
}

// Count is "1 error", "2 errors".
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if r, _ := utf8.DecodeLastRuneInString(noun); r == 'y' {
		return fmt.Sprintf("%d %sies", n, noun[:len(noun)-1])
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
