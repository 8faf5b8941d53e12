package route

import (
	"bytes"
	"fmt"
	"regexp"
	"regexp/syntax"
)

// pattern is an RE2 expression that must match a whole value.
type pattern struct {
	re *regexp.Regexp
	// literal is the text that every match starts with; it rules most values out
	// before the expression runs. whole says that there is nothing after it.
	literal []byte
	whole   bool
	// any is set for a literal and ".*", which need no look at the rest.
	any bool
}

// patterns are the compiled expressions of a tree. Compiling is by far the most
// expensive part of building one, so the next tree takes them over.
type patterns map[string]*pattern

// get returns the pattern from here, from before, or compiled.
func (p patterns) get(expr string, before patterns) (*pattern, error) {
	if known, ok := p[expr]; ok {
		return known, nil
	}
	known, ok := before[expr]
	if !ok {
		var err error
		if known, err = compilePattern(expr); err != nil {
			return nil, err
		}
	}
	p[expr] = known
	return known, nil
}

func compilePattern(expr string) (*pattern, error) {
	// The expression by itself comes first, so that one with an unbalanced
	// parenthesis cannot become valid by the group around it.
	tree, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("regular expression %q: %w", expr, err)
	}
	p := &pattern{}
	if p.re, err = regexp.Compile(`\A(?:` + expr + `)\z`); err != nil {
		return nil, fmt.Errorf("regular expression %q: %w", expr, err)
	}
	p.findLiteral(tree)
	return p, nil
}

// findLiteral looks past the anchors that people write although the match is
// anchored anyway: they hide the literal from LiteralPrefix.
func (p *pattern) findLiteral(tree *syntax.Regexp) {
	parts := []*syntax.Regexp{tree}
	if tree.Op == syntax.OpConcat {
		parts = tree.Sub
	}
	for len(parts) > 0 && parts[0].Op == syntax.OpBeginText {
		parts = parts[1:]
	}
	for len(parts) > 0 && parts[len(parts)-1].Op == syntax.OpEndText {
		parts = parts[:len(parts)-1]
	}
	if n := len(parts); n > 0 && n <= 2 && anything(parts[n-1]) {
		switch {
		case n == 1:
			p.any = true
		case literal(parts[0]):
			p.any, p.literal = true, []byte(string(parts[0].Rune))
		}
		if p.any {
			return
		}
	}
	bare, err := regexp.Compile((&syntax.Regexp{Op: syntax.OpConcat, Sub: parts}).String())
	if err != nil {
		return // no shortcut, the expression itself decides
	}
	prefix, whole := bare.LiteralPrefix()
	p.literal, p.whole = []byte(prefix), whole
}

func anything(re *syntax.Regexp) bool {
	return re.Op == syntax.OpStar && re.Sub[0].Op == syntax.OpAnyCharNotNL
}

func literal(re *syntax.Regexp) bool {
	return re.Op == syntax.OpLiteral && re.Flags&syntax.FoldCase == 0
}

func (p *pattern) match(v []byte) bool {
	switch {
	case p.whole:
		return bytes.Equal(v, p.literal)
	case !bytes.HasPrefix(v, p.literal):
		return false
	case p.any:
		return bytes.IndexByte(v, '\n') < 0 // "." is any character but a line feed
	}
	return p.re.Match(v)
}
