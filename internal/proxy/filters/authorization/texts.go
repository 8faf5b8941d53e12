package authorization

import (
	"regexp"
	"slices"
	"strings"

	"github.com/gridway/gridway/internal/ir"
)

// few texts are compared one by one; more are looked up.
const few = 8

// texts is a set of strings.
type texts struct {
	list []string
	set  map[string]struct{}
}

func newTexts(list []string) texts {
	t := texts{list: list}
	if len(list) > few {
		t.set = make(map[string]struct{}, len(list))
		for _, s := range list {
			t.set[s] = struct{}{}
		}
	}
	return t
}

func (t *texts) has(s string) bool {
	if t.set != nil {
		_, ok := t.set[s]
		return ok
	}
	return slices.Contains(t.list, s)
}

func (t *texts) hasBytes(b []byte) bool {
	if t.set != nil {
		_, ok := t.set[string(b)]
		return ok
	}
	for _, s := range t.list {
		if string(b) == s {
			return true
		}
	}
	return false
}

// comparison compares a value with some.
type comparison struct {
	how      ir.Comparison
	values   texts
	patterns []*regexp.Regexp
}

func newComparison(c *ir.ValueCondition) (comparison, error) {
	out := comparison{how: c.Type, values: newTexts(c.Values)}
	if c.Type == ir.CompareRegex {
		for _, v := range c.Values {
			re, err := whole(v)
			if err != nil {
				return out, err
			}
			out.patterns = append(out.patterns, re)
		}
	}
	return out, nil
}

// whole compiles an expression that must match all of a text. It must be one by
// itself: the group around it must not mend it.
func whole(expr string) (*regexp.Regexp, error) {
	if _, err := regexp.Compile(expr); err != nil {
		return nil, err
	}
	return regexp.Compile(`\A(?:` + expr + `)\z`)
}

func (c *comparison) text(s string) bool {
	switch c.how {
	case ir.ComparePresent:
		return true
	case ir.ComparePrefix:
		for _, v := range c.values.list {
			if strings.HasPrefix(s, v) {
				return true
			}
		}
	case ir.CompareSuffix:
		for _, v := range c.values.list {
			if strings.HasSuffix(s, v) {
				return true
			}
		}
	case ir.CompareRegex:
		for _, re := range c.patterns {
			if re.MatchString(s) {
				return true
			}
		}
	default:
		return c.values.has(s)
	}
	return false
}

// bytes is text for what is not to be copied.
func (c *comparison) bytes(b []byte) bool {
	switch c.how {
	case ir.ComparePresent:
		return true
	case ir.ComparePrefix:
		for _, v := range c.values.list {
			if len(b) >= len(v) && string(b[:len(v)]) == v {
				return true
			}
		}
	case ir.CompareSuffix:
		for _, v := range c.values.list {
			if len(b) >= len(v) && string(b[len(b)-len(v):]) == v {
				return true
			}
		}
	case ir.CompareRegex:
		for _, re := range c.patterns {
			if re.Match(b) {
				return true
			}
		}
	default:
		return c.values.hasBytes(b)
	}
	return false
}
