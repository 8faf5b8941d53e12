// Package tour executes the tour of the README, and the commands of the READMEs
// of the examples, as a newcomer would, and compares what is printed with what
// they say. Nothing imports it; its
// goroutines end with the test that starts them.
package tour

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// step is one block of the tour.
type step struct {
	line int // of the README, where its text begins

	file string // write text to this file
	text string

	command string // or run this
	exit    int
	want    []string // lines that it prints, "…" standing for anything
}

var (
	fileName = regexp.MustCompile("Save this as `([a-z.]+)`")
	exitsAs  = regexp.MustCompile(`\s+# exits with ([0-9]+):.*$`)
)

// steps reads the blocks between the tour's markers.
func steps(readme string) ([]step, error) {
	const begin, end = "<!-- tour -->", "<!-- end of tour -->"
	head, rest, ok := strings.Cut(readme, begin)
	tour, _, ended := strings.Cut(rest, end)
	if !ok || !ended {
		return nil, fmt.Errorf("the README does not have both %s and %s", begin, end)
	}
	return blocks(tour, strings.Count(head, "\n")+1)
}

// blocks reads the steps in a text whose first line has a number.
func blocks(text string, first int) ([]step, error) {
	var list []step
	name, kind, block := "", "", []string(nil)
	for i, l := range strings.Split(text, "\n") {
		switch {
		case kind == "" && strings.HasPrefix(l, "```"):
			kind, block = strings.TrimPrefix(l, "```"), nil
		case kind == "":
			if m := fileName.FindStringSubmatch(l); m != nil {
				name = m[1]
			}
		case l != "```":
			block = append(block, l)
		default:
			at := first + i - len(block)
			var err error
			if list, err = appendBlock(list, kind, name, block, at); err != nil {
				return nil, fmt.Errorf("line %d: %w", at, err)
			}
			kind = ""
		}
	}
	return list, nil
}

func appendBlock(list []step, kind, name string, block []string, at int) ([]step, error) {
	switch kind {
	case "yaml":
		if name == "" {
			return nil, fmt.Errorf("a file without a name: write %q before it", "Save this as `…`")
		}
		return append(list, step{line: at, file: name, text: strings.Join(block, "\n") + "\n"}), nil
	case "sh":
		for i := 0; i < len(block); i++ {
			c := block[i]
			for strings.HasSuffix(c, "\\") && i+1 < len(block) {
				i++
				c = strings.TrimSuffix(c, "\\") + block[i]
			}
			s := step{line: at + i, command: c}
			if m := exitsAs.FindStringSubmatch(c); m != nil {
				s.exit, _ = strconv.Atoi(m[1])
				s.command = strings.TrimSuffix(c, m[0])
			}
			list = append(list, s)
		}
		return list, nil
	case "text":
		if len(list) == 0 || list[len(list)-1].command == "" {
			return nil, fmt.Errorf("output that follows no command")
		}
		list[len(list)-1].want = block
		return list, nil
	}
	return nil, fmt.Errorf("a block of kind %q", kind)
}

// missing returns the first wanted line that got does not have after the ones
// before it. Spaces at line ends and their number within a line do not count,
// as tables are as wide as their longest value.
func missing(want []string, got string) (string, bool) {
	rest := strings.Split(got, "\n")
	adjacent := false
	for _, w := range want {
		if w == "…" {
			adjacent = false
			continue
		}
		i := index(rest, pattern(w), adjacent)
		if i < 0 {
			return w, true
		}
		rest, adjacent = rest[i+1:], true
	}
	return "", false
}

// index finds the first line that matches; where lines must be adjacent, only
// the first is looked at. Lines of the access log, which a gateway in the
// background prints when it likes, may come in between.
func index(lines []string, p *regexp.Regexp, adjacent bool) int {
	for i, l := range lines {
		if p.MatchString(fold(l)) {
			return i
		}
		if adjacent && !strings.HasPrefix(l, `{"time":"`) {
			break
		}
	}
	return -1
}

func pattern(w string) *regexp.Regexp {
	return regexp.MustCompile("^" + strings.NewReplacer(" … ", " .*", "…", ".*").Replace(regexp.QuoteMeta(fold(w))) + "$")
}

func fold(l string) string { return strings.Join(strings.Fields(l), " ") }
