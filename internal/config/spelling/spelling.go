// Package spelling finds what somebody may have meant.
package spelling

import (
	"strings"
	"unicode"
)

// Nearest returns the candidate that name is most likely a misspelling of, or
// "" when none is near: by the Damerau-Levenshtein distance without regard to
// case, at most a third of the name's length, or else because one candidate
// alone begins with the name or has it as one of its words, as "mirror" is one
// of requestMirror.
func Nearest(name string, candidates []string) string {
	lower := strings.ToLower(name)
	limit := 1 + max(1, min(4, len(name)/3))
	if len(name) < 3 || !strings.ContainsFunc(name, unicode.IsLetter) {
		limit = 1 // the case may differ, nothing else
	}
	best, bestDistance := "", limit
	for _, c := range candidates {
		if d := Distance(lower, strings.ToLower(c), bestDistance); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	if best != "" || len(name) < 2 {
		return best
	}
	for _, c := range candidates {
		if strings.HasPrefix(strings.ToLower(c), lower) || hasWord(c, lower) {
			if best != "" {
				return ""
			}
			best = c
		}
	}
	return best
}

// hasWord reports whether a camelCase name begins or ends with a word, give or
// take a letter.
func hasWord(camel, word string) bool {
	near := func(s string) bool {
		return s == word || len(word) > 3 && Distance(word, s, 2) < 2
	}
	for i, r := range camel {
		if i > 0 && unicode.IsUpper(r) && (near(strings.ToLower(camel[i:])) || near(strings.ToLower(camel[:i]))) {
			return true
		}
	}
	return false
}

// Distance counts the insertions, deletions, substitutions and swaps of
// neighbours between two words, and gives up with limit once it is reached.
func Distance(a, b string, limit int) int {
	if d := len(a) - len(b); d >= limit || -d >= limit {
		return limit
	}
	if len(b) > 256 {
		return limit
	}
	var rows [3][257]int
	before, prev, cur := &rows[0], &rows[1], &rows[2]
	for j := 0; j <= len(b); j++ {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		least := i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d := min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, before[j-2]+1)
			}
			cur[j] = d
			least = min(least, d)
		}
		if least >= limit {
			return limit
		}
		before, prev, cur = prev, cur, before
	}
	return min(prev[len(b)], limit)
}
