package dryrun

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"
)

// variants is how many examples of one regular expression are tried for: each
// chooses otherwise among alternatives, characters and repetitions.
const variants = 6

// Examples returns strings that the regular expression takes whole, as short as
// a simple look finds them; none if it finds none.
func Examples(expr string) []string {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil
	}
	whole, err := regexp.Compile(`^(?:` + expr + `)$`)
	if err != nil {
		return nil
	}
	var out []string
	for v := range variants {
		e := exampler{variant: v}
		if e.write(re) && whole.MatchString(e.b.String()) && !slices.Contains(out, e.b.String()) {
			out = append(out, e.b.String())
		}
	}
	return out
}

// maxExample bounds the length of examples: a{1000}{1000} is a valid expression.
const maxExample = 256

// exampler writes one example. Variant 0 is the plainest.
type exampler struct {
	b       strings.Builder
	variant int
}

func (e *exampler) write(re *syntax.Regexp) bool {
	if e.b.Len() > maxExample {
		return false
	}
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpBeginText, syntax.OpEndText, syntax.OpBeginLine, syntax.OpEndLine,
		syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return true
	case syntax.OpLiteral:
		e.literal(re)
		return true
	case syntax.OpCharClass:
		r, ok := e.runeOf(re.Rune)
		e.b.WriteRune(r)
		return ok
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		e.b.WriteByte("x0~xA-"[e.variant])
		return true
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			if !e.write(sub) {
				return false
			}
		}
		return true
	case syntax.OpCapture:
		return e.write(re.Sub[0])
	case syntax.OpAlternate:
		return e.write(re.Sub[e.variant%len(re.Sub)])
	case syntax.OpStar, syntax.OpQuest:
		return e.times(re.Sub[0], e.variant%2)
	case syntax.OpPlus:
		return e.times(re.Sub[0], 1+e.variant%2)
	case syntax.OpRepeat:
		n := re.Min
		if e.variant%2 == 1 && (re.Max > n || re.Max < 0) {
			n = max(re.Max, n+1)
		}
		return e.times(re.Sub[0], n)
	}
	return false
}

func (e *exampler) times(re *syntax.Regexp, n int) bool {
	for range n {
		if !e.write(re) {
			return false
		}
	}
	return true
}

// literal writes the letters in the other case in every other variant, where
// the expression does not care.
func (e *exampler) literal(re *syntax.Regexp) {
	for _, r := range re.Rune {
		if re.Flags&syntax.FoldCase != 0 && e.variant%2 == 1 {
			r = unicode.ToLower(r)
		}
		e.b.WriteRune(r)
	}
}

// runeOf picks a letter or digit of a class, given as pairs of bounds, or else
// its first printable character; or, by variant, its last or first one.
func (e *exampler) runeOf(class []rune) (rune, bool) {
	in := func(r rune) bool {
		for i := 0; i+1 < len(class); i += 2 {
			if class[i] <= r && r <= class[i+1] {
				return true
			}
		}
		return false
	}
	switch e.variant {
	case 1, 2:
		for r := '~'; r > ' '; r-- {
			if in(r) && r != '?' && r != '#' {
				return r, true
			}
		}
	case 3, 4:
		for r := '0'; r <= 'z'; r++ {
			if in(r) && r != '?' && r != '#' {
				return r, true
			}
		}
	}
	for _, r := range "ax1A-_.~" {
		if in(r) {
			return r, true
		}
	}
	for r := '!'; r <= '~'; r++ {
		if in(r) {
			return r, true
		}
	}
	return 0, false
}
