package docs

import (
	"iter"
	"strings"
)

// splitCommands yields the simple commands of a line of shell that call
// gridway, without that word. It knows quotes, operators, redirections and comments.
func splitCommands(line string) iter.Seq[[]string] {
	return func(yield func([]string) bool) {
		words, word, quote, started := []string(nil), strings.Builder{}, rune(0), false
		endWord := func() {
			if started {
				words = append(words, word.String())
			}
			word.Reset()
			started = false
		}
		endCommand := func() bool {
			endWord()
			w := words
			words = nil
			for len(w) > 0 && (strings.Contains(w[0], "=") || w[0] == "do" || w[0] == "then") { // A=b gridway …, do gridway …
				w = w[1:]
			}
			return len(w) == 0 || w[0] != "gridway" || yield(untilRedirect(w[1:]))
		}
		for _, r := range line {
			switch {
			case quote != 0 && r == quote:
				quote = 0
			case quote != 0:
				word.WriteRune(r)
			case r == '\'' || r == '"':
				quote, started = r, true
			case r == ' ' || r == '\t' || r == '\n':
				endWord()
			case r == '#' && !started:
				endCommand()
				return
			case strings.ContainsRune("|&;()", r):
				if !endCommand() {
					return
				}
			default:
				word.WriteRune(r)
				started = true
			}
		}
		endCommand()
	}
}

func untilRedirect(words []string) []string {
	for i, w := range words {
		if strings.HasPrefix(w, ">") || strings.HasPrefix(w, "<") || w == "2>" {
			return words[:i]
		}
	}
	return words
}
