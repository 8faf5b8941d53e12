package accesslist

import (
	"bytes"
	"regexp"
	"regexp/syntax"
	"strings"

	"github.com/gridway/gridway/internal/ir"
)

// matcher compares a text with many others at once. Texts are found in one pass,
// however many they are. Of expressions only those are tried that have one of
// the texts without which they cannot match.
type matcher struct {
	whole    trie // exact values and prefixes, from the beginning on
	anywhere trie // substrings, and what expressions need
	// expressions are tried where anywhere finds what they need, always the others.
	expressions []*regexp.Regexp
	always      *regexp.Regexp // nil if there is none
}

// maxTried bounds what is noted of which expressions are to be tried; those beyond
// it are always tried.
const maxTried = 4096

func newMatcher(l *ir.UserAgentList) *matcher {
	m := &matcher{}
	for _, v := range l.Exact {
		m.whole.add(v).exact = true
	}
	for _, v := range l.Prefixes {
		m.whole.add(v).found = true
	}
	for _, v := range l.Substrings {
		m.anywhere.add(v).found = true
	}
	var always []string
	for _, e := range l.Expressions {
		re, err := regexp.Compile("(?i)" + e)
		if err != nil {
			continue // compile has judged them
		}
		needs := needed(e)
		if needs == nil || len(m.expressions) == maxTried {
			always = append(always, "(?:"+e+")")
			continue
		}
		for _, text := range needs {
			n := m.anywhere.add(text)
			n.expressions = append(n.expressions, uint16(len(m.expressions)))
		}
		m.expressions = append(m.expressions, re)
	}
	if always != nil {
		m.always = regexp.MustCompile("(?i)" + strings.Join(always, "|"))
	}
	m.anywhere.link()
	return m
}

// matches tells whether any of the values is like the text.
func (m *matcher) matches(text []byte) bool {
	if m.whole.begins(text) {
		return true
	}
	var try [maxTried / 64]uint64
	some, found := m.anywhere.scan(text, &try)
	if found {
		return true
	}
	if len(m.expressions) > 0 && foldsToASCII(text) {
		for i := range m.expressions {
			try[i/64] |= 1 << (i % 64)
		}
		some = true
	}
	if some {
		for i, e := range m.expressions {
			if try[i/64]&(1<<(i%64)) != 0 && e.Match(text) {
				return true
			}
		}
	}
	return m.always != nil && m.always.Match(text)
}

// foldsToASCII tells whether a text has letters beyond ASCII that are the same as
// some of ASCII without regard to case: the long s and the sign for kelvin.
func foldsToASCII(text []byte) bool {
	return bytes.Contains(text, []byte("\u017f")) || bytes.Contains(text, []byte("\u212a"))
}

// needed are texts of which one is in everything that an expression matches, in
// lower case; nil if there are none of three letters or more.
func needed(expression string) []string {
	re, err := syntax.Parse("(?i)"+expression, syntax.Perl)
	if err != nil {
		return nil
	}
	return neededBy(re.Simplify())
}

func neededBy(re *syntax.Regexp) []string {
	const least, most = 3, 64
	switch re.Op {
	case syntax.OpLiteral:
		text := strings.ToLower(string(re.Rune))
		for _, r := range re.Rune {
			if r >= 0x80 {
				return nil
			}
		}
		if len(text) >= least {
			return []string{text}
		}
	case syntax.OpCapture, syntax.OpPlus:
		return neededBy(re.Sub[0])
	case syntax.OpConcat:
		var best []string
		for _, sub := range re.Sub {
			if n := neededBy(sub); n != nil && (best == nil || shortest(n) > shortest(best)) {
				best = n
			}
		}
		return best
	case syntax.OpAlternate:
		var all []string
		for _, sub := range re.Sub {
			n := neededBy(sub)
			if n == nil || len(all)+len(n) > most {
				return nil
			}
			all = append(all, n...)
		}
		return all
	}
	return nil
}

func shortest(list []string) int {
	n := len(list[0])
	for _, s := range list {
		n = min(n, len(s))
	}
	return n
}
