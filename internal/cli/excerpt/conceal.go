package excerpt

import (
	"regexp"
	"slices"
	"strings"

	"github.com/gridway/gridway/internal/config/store"
)

const hidden = "(hidden)"

var (
	secretKind = regexp.MustCompile(`(^|[\s{,"'])kind["']?\s*:\s*["']?Secret(List)?\b`)
	leadingKey = regexp.MustCompile(`^\s*(?:- +)*(?:"[^"]*"|'[^']*'|[A-Za-z0-9._/-]+)\s*:(?:\s+|$)`)
	plainField = regexp.MustCompile(`^\s*(?:- +)*["']?(apiVersion|kind|metadata|type|immutable)\b`)
	valueField = regexp.MustCompile(`\b(d|stringD)ata\b`)
)

// ofSecret tells whether a line says that something is a Secret. The expression
// is slow on long lines, of which a document may have many.
func ofSecret(line string) bool {
	return strings.Contains(line, "Secret") && secretKind.MatchString(line)
}

// conceal hides what may be a value of a Secret in a line: an excerpt goes into
// logs of CI systems. The name of the field before it stays.
func conceal(problem store.Problem, lines []string, line string) string {
	switch {
	case problem.Object.Kind == "Secret":
	case problem.Object == (store.Key{}) && slices.ContainsFunc(document(lines, problem.Position.Line), ofSecret):
	case ofSecret(line) && valueField.MatchString(line): // a whole list may be one line
	default:
		return line
	}
	if !valueField.MatchString(line) && (plainField.MatchString(line) || strings.HasPrefix(problem.Field, "metadata")) {
		return line
	}
	key := leadingKey.FindString(line)
	if key == line {
		return line
	}
	if key == "" {
		key = line[:len(line)-len(strings.TrimLeft(line, " "))]
	}
	return key + hidden
}

// document returns the lines of the document that a line, from 1, is in.
func document(lines []string, n int) []string {
	parts := func(s string) bool { return strings.HasPrefix(s, "---") }
	from, to := min(n, len(lines)), min(n, len(lines))
	for from > 0 && !parts(lines[from-1]) {
		from--
	}
	for to < len(lines) && !parts(lines[to]) {
		to++
	}
	return lines[from:to]
}
