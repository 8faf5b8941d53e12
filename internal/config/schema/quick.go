package schema

import (
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// CEL as its library runs it boxes every value and resolves every name anew;
// checking the rules was a third of what a large configuration took to load. A
// rule is therefore also made into closures over plain Go values, for the part
// of CEL that nearly all rules keep to. They answer only where they are sure:
// whatever is not a plain case, an error above all, is left to the library.

// quick evaluates an expression. ok is false where it is not sure.
type quick func(f *frame) (v any, ok bool)

// frame holds the variables of a run.
type frame struct {
	self any
	vars [maxVars]any
}

// maxVars bounds the variables of nested comprehensions.
const maxVars = 8

var frames = sync.Pool{New: func() any { return new(frame) }}

// holds evaluates a rule.
func (q quick) holds(self any) (holds, ok bool) {
	if q == nil {
		return false, false
	}
	f := frames.Get().(*frame)
	f.self = self
	v, ok := q(f)
	*f = frame{}
	frames.Put(f)
	holds, isBool := v.(bool)
	return holds, ok && isBool
}

// quickener makes closures. Scope are the variables by name.
type quickener struct {
	scope []string
}

// quicken returns nil for what it does not know.
func (q *quickener) quicken(e ast.Expr) quick {
	switch e.Kind() {
	case ast.LiteralKind:
		return literal(e)
	case ast.IdentKind:
		return q.variable(e.AsIdent())
	case ast.SelectKind:
		return q.choose(e.AsSelect())
	case ast.ListKind:
		return q.list(e.AsList())
	case ast.ComprehensionKind:
		return q.comprehension(e.AsComprehension())
	case ast.CallKind:
		return q.call(e.AsCall())
	}
	return nil
}

func literal(e ast.Expr) quick {
	var v any
	switch x := e.AsLiteral().(type) {
	case types.String:
		v = string(x)
	case types.Int:
		v = int64(x)
	case types.Bool:
		v = bool(x)
	default:
		return nil
	}
	return func(*frame) (any, bool) { return v, true }
}

func (q *quickener) variable(name string) quick {
	for i := len(q.scope) - 1; i >= 0; i-- {
		if q.scope[i] == name {
			return func(f *frame) (any, bool) { return f.vars[i], true }
		}
	}
	if name == "self" {
		return func(f *frame) (any, bool) { return f.self, true }
	}
	return nil
}

func (q *quickener) choose(s ast.SelectExpr) quick {
	of, name, test := q.quicken(s.Operand()), s.FieldName(), s.IsTestOnly()
	if of == nil {
		return nil
	}
	return func(f *frame) (any, bool) {
		v, ok := of(f)
		m, isMap := v.(map[string]any)
		if !ok || !isMap {
			return nil, false
		}
		v, found := m[name]
		if test {
			return found, true
		}
		return v, found
	}
}

func (q *quickener) list(l ast.ListExpr) quick {
	items := q.all(l.Elements())
	if items == nil || len(l.OptionalIndices()) > 0 {
		return nil
	}
	return func(f *frame) (any, bool) {
		out := make([]any, len(items))
		for i, item := range items {
			v, ok := item(f)
			if !ok {
				return nil, false
			}
			out[i] = v
		}
		return out, true
	}
}

func (q *quickener) all(es []ast.Expr) []quick {
	out := make([]quick, len(es))
	for i, e := range es {
		if out[i] = q.quicken(e); out[i] == nil {
			return nil
		}
	}
	return out
}

// comprehension is what all, exists, exists_one, filter and map become.
func (q *quickener) comprehension(c ast.ComprehensionExpr) quick {
	over, start := q.quicken(c.IterRange()), q.quicken(c.AccuInit())
	if over == nil || start == nil || c.HasIterVar2() || len(q.scope)+2 > maxVars {
		return nil
	}
	accu, item := len(q.scope), len(q.scope)+1
	q.scope = append(q.scope, c.AccuVar(), c.IterVar())
	on, step, result := q.quicken(c.LoopCondition()), q.quicken(c.LoopStep()), q.quicken(c.Result())
	q.scope = q.scope[:accu]
	if on == nil || step == nil || result == nil {
		return nil
	}
	return func(f *frame) (any, bool) {
		v, ok := over(f)
		if !ok {
			return nil, false
		}
		if f.vars[accu], ok = start(f); !ok {
			return nil, false
		}
		// more is false where the loop ends, sure where that is no doubt.
		turn := func(x any) (more, sure bool) {
			f.vars[item] = x
			if goOn, ok := on(f); !ok || goOn != true {
				return false, ok
			}
			next, ok := step(f)
			f.vars[accu] = next
			return ok, ok
		}
		switch all := v.(type) {
		case []any:
			for _, x := range all {
				if more, sure := turn(x); !sure {
					return nil, false
				} else if !more {
					break
				}
			}
		case map[string]any: // its names, in no order
			for name := range all {
				if more, sure := turn(name); !sure {
					return nil, false
				} else if !more {
					break
				}
			}
		default:
			return nil, false
		}
		return result(f)
	}
}

func (q *quickener) call(c ast.CallExpr) quick {
	args := c.Args()
	if c.IsMemberFunction() {
		args = append([]ast.Expr{c.Target()}, args...)
	}
	if c.FunctionName() == "matches" && len(args) == 2 {
		return q.matches(args[0], args[1])
	}
	a := q.all(args)
	if a == nil {
		return nil
	}
	switch len(a) {
	case 1:
		return unary(c.FunctionName(), a[0])
	case 2:
		return binary(c.FunctionName(), a[0], a[1])
	case 3:
		if c.FunctionName() == operators.Conditional {
			return conditional(a[0], a[1], a[2])
		}
	}
	return nil
}

func (q *quickener) matches(of, pattern ast.Expr) quick {
	text := q.quicken(of)
	if text == nil || pattern.Kind() != ast.LiteralKind {
		return nil
	}
	source, isString := pattern.AsLiteral().(types.String)
	re, err := regexp.Compile(string(source))
	if !isString || err != nil {
		return nil
	}
	return func(f *frame) (any, bool) {
		v, ok := text(f)
		s, isString := v.(string)
		if !ok || !isString {
			return nil, false
		}
		return re.MatchString(s), true
	}
}

func conditional(test, yes, no quick) quick {
	return func(f *frame) (any, bool) {
		v, ok := test(f)
		if !ok {
			return nil, false
		}
		switch v {
		case true:
			return yes(f)
		case false:
			return no(f)
		}
		return nil, false
	}
}

func unary(name string, a quick) quick {
	switch name {
	case operators.LogicalNot:
		return func(f *frame) (any, bool) {
			v, ok := a(f)
			b, isBool := v.(bool)
			return !b, ok && isBool
		}
	case operators.NotStrictlyFalse:
		return func(f *frame) (any, bool) {
			v, ok := a(f)
			b, isBool := v.(bool)
			return b, ok && isBool
		}
	case "size":
		return func(f *frame) (any, bool) {
			v, ok := a(f)
			switch v := v.(type) {
			case string:
				return int64(utf8.RuneCountInString(v)), ok
			case []any:
				return int64(len(v)), ok
			case map[string]any:
				return int64(len(v)), ok
			}
			return nil, false
		}
	}
	return nil
}

func binary(name string, a, b quick) quick {
	switch name {
	case operators.LogicalAnd:
		return junction(a, b, false)
	case operators.LogicalOr:
		return junction(a, b, true)
	}
	apply := operation(name)
	if apply == nil {
		return nil
	}
	return func(f *frame) (any, bool) {
		x, ok := a(f)
		if !ok {
			return nil, false
		}
		y, ok := b(f)
		if !ok {
			return nil, false
		}
		return apply(x, y)
	}
}

// junction is "and" or "or", of which one value of the left side decides.
func junction(a, b quick, decides bool) quick {
	return func(f *frame) (any, bool) {
		v, ok := a(f)
		left, isBool := v.(bool)
		if !ok || !isBool {
			return nil, false
		}
		if left == decides {
			return left, true
		}
		v, ok = b(f)
		right, isBool := v.(bool)
		return right, ok && isBool
	}
}

// operation computes with two values of one type.
func operation(name string) func(x, y any) (any, bool) {
	switch name {
	case operators.Equals:
		return func(x, y any) (any, bool) { return equal(x, y) }
	case operators.NotEquals:
		return func(x, y any) (any, bool) {
			same, ok := equal(x, y)
			return !same, ok
		}
	case operators.Less:
		return ordering(func(order int) bool { return order < 0 })
	case operators.LessEquals:
		return ordering(func(order int) bool { return order <= 0 })
	case operators.Greater:
		return ordering(func(order int) bool { return order > 0 })
	case operators.GreaterEquals:
		return ordering(func(order int) bool { return order >= 0 })
	case operators.Add:
		return add
	case operators.Index:
		return index
	case operators.In:
		return contains
	case "startsWith":
		return texts(strings.HasPrefix)
	case "endsWith":
		return texts(strings.HasSuffix)
	case "contains":
		return texts(strings.Contains)
	}
	return nil
}

func texts(test func(s, part string) bool) func(x, y any) (any, bool) {
	return func(x, y any) (any, bool) {
		s, ok := x.(string)
		part, ok2 := y.(string)
		return ok && ok2 && test(s, part), ok && ok2
	}
}

func equal(x, y any) (same, ok bool) {
	switch x := x.(type) {
	case string:
		y, ok := y.(string)
		return x == y, ok
	case int64:
		y, ok := y.(int64)
		return x == y, ok
	case bool:
		y, ok := y.(bool)
		return x == y, ok
	}
	return false, false
}

func ordering(holds func(order int) bool) func(x, y any) (any, bool) {
	return func(x, y any) (any, bool) {
		switch x := x.(type) {
		case string:
			y, ok := y.(string)
			return holds(strings.Compare(x, y)), ok
		case int64:
			y, ok := y.(int64)
			order := 0
			if x < y {
				order = -1
			} else if x > y {
				order = 1
			}
			return holds(order), ok
		}
		return nil, false
	}
}

// add is sure of numbers that cannot overflow, and of lists.
func add(x, y any) (any, bool) {
	const limit = 1 << 40
	switch x := x.(type) {
	case int64:
		y, ok := y.(int64)
		return x + y, ok && -limit < x && x < limit && -limit < y && y < limit
	case []any:
		y, ok := y.([]any)
		return append(x[:len(x):len(x)], y...), ok
	}
	return nil, false
}

func index(x, y any) (any, bool) {
	if m, isMap := x.(map[string]any); isMap {
		name, isText := y.(string)
		v, found := m[name]
		return v, found && isText
	}
	list, ok := x.([]any)
	i, ok2 := y.(int64)
	if !ok || !ok2 || i < 0 || i >= int64(len(list)) {
		return nil, false
	}
	return list[i], true
}

func contains(x, in any) (any, bool) {
	want, ok := x.(string)
	if !ok {
		return nil, false
	}
	switch in := in.(type) {
	case map[string]any:
		_, found := in[want]
		return found, true
	case []any:
		for _, v := range in {
			if s, ok := v.(string); !ok || s == want {
				return ok, ok
			}
		}
		return false, true
	}
	return nil, false
}
