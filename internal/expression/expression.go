// Package expression is CEL as policies use it: expressions about a request and its
// caller, which are checked and whose cost is bounded before they are ever asked,
// and which are compiled once. It knows the names of facts and their types, not
// where they come from. It owns no goroutines; the configuration's compiler and the
// data plane import it, and it imports nothing of Gridway.
package expression

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
)

const (
	// MaxLength of an expression, in bytes.
	MaxLength = 4096
	// MaxCost is what an expression may cost in the worst case, in units of CEL: about
	// one for each step, and one for ten characters of a text that is looked at.
	MaxCost = 100_000
	// maxDepth of the parser.
	maxDepth = 64
)

// Kind is what an expression comes to.
type Kind uint8

const (
	// Condition is true or false.
	Condition Kind = iota
	// Text is a string.
	Text
	// Number is an integer.
	Number
)

func (k Kind) String() string { return [...]string{"bool", "string", "int"}[k] }

// Facts are the values of variables, by their names. Those that are not asked for
// are not made.
type Facts interface {
	Fact(name string) (value any, ok bool)
}

// Program is a compiled expression. It may be used by many at once.
type Program struct {
	program cel.Program
	names   []string
}

// Compile checks an expression and compiles it.
func Compile(text string, kind Kind) (*Program, error) {
	checked, env, err := check(text, kind)
	if err != nil {
		return nil, err
	}
	options := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize)}
	if loops(checked) {
		// What has no loop costs in proportion to its text and to the facts; counting
		// would cost more than that.
		options = append(options, cel.CostLimit(MaxCost))
	}
	p, err := env.Program(checked, options...)
	if err != nil {
		return nil, err
	}
	return &Program{program: p, names: namesIn(checked)}, nil
}

// Check is Compile for who only wants to know. Names are the variables.
func Check(text string, kind Kind) (names []string, err error) {
	checked, _, err := check(text, kind)
	if err != nil {
		return nil, err
	}
	return namesIn(checked), nil
}

func check(text string, kind Kind) (*cel.Ast, *cel.Env, error) {
	if len(text) > MaxLength {
		return nil, nil, fmt.Errorf("the expression is longer than %d bytes", MaxLength)
	}
	env, err := environment()
	if err != nil {
		return nil, nil, err
	}
	checked, issues := env.Compile(text)
	if issues.Err() != nil {
		return nil, nil, said(issues)
	}
	want := [...]*cel.Type{cel.BoolType, cel.StringType, cel.IntType}[kind]
	if got := checked.OutputType(); !got.IsExactType(want) {
		return nil, nil, fmt.Errorf("the expression comes to %s and must come to %s", got, kind)
	}
	cost, err := env.EstimateCost(checked, sizes{})
	if err != nil {
		return nil, nil, err
	}
	if cost.Max > MaxCost {
		return nil, nil, fmt.Errorf("the expression can cost %s units, and %d are allowed: loops inside loops, and long texts in them, cost most", units(cost.Max), MaxCost)
	}
	return checked, env, nil
}

func units(n uint64) string {
	if n == math.MaxUint64 {
		return "any number of"
	}
	return fmt.Sprint(n)
}

// said are the first problems of an expression, with their places in it.
func said(issues *cel.Issues) error {
	var out []string
	for i, e := range issues.Errors() {
		if i == 3 {
			out = append(out, "and more")
			break
		}
		message, _, _ := strings.Cut(e.Message, "\n")
		if line, column := e.Location.Line(), e.Location.Column()+1; line > 1 {
			message += fmt.Sprintf(" (line %d, character %d of the expression)", line, column)
		} else if line == 1 {
			message += fmt.Sprintf(" (character %d of the expression)", column)
		}
		out = append(out, message)
	}
	if out == nil {
		return issues.Err()
	}
	return errors.New(strings.Join(out, "; "))
}

// loops tells whether an expression goes through lists or maps.
func loops(checked *cel.Ast) bool {
	found := false
	ast.PreOrderVisit(checked.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		found = found || e.Kind() == ast.ComprehensionKind
	}))
	return found
}

// namesIn are the variables that an expression names, each once.
func namesIn(checked *cel.Ast) []string {
	var out []string
	seen := map[string]bool{}
	for _, r := range checked.NativeRep().ReferenceMap() {
		if _, known := variables()[r.Name]; known && !seen[r.Name] {
			seen[r.Name] = true
			out = append(out, r.Name)
		}
	}
	return out
}

// Names tells whether a variable beginning with a prefix is in the expression.
func (p *Program) Names(prefix string) bool { return Named(p.names, prefix) }

// Named tells whether one of some names begins with a prefix.
func Named(names []string, prefix string) bool {
	for _, n := range names {
		if strings.HasPrefix(n, prefix) {
			return true
		}
	}
	return false
}

// ForConnections tells whether everything that the expression names is known of a
// connection, too, that carries no requests.
func (p *Program) ForConnections() bool { return OfConnections(p.names) }

// OfConnections tells whether variables are all known of connections.
func OfConnections(names []string) bool {
	for _, n := range names {
		switch n {
		case ClientAddress, RequestTime, SourceIdentity, TLSVersion, TLSServerName:
		default:
			return false
		}
	}
	return true
}

// activation are facts as CEL asks for them.
type activation struct{ facts Facts }

func (a *activation) ResolveName(name string) (any, bool) { return a.facts.Fact(name) }
func (a *activation) Parent() cel.Activation              { return nil }

var errKind = errors.New("the expression has come to a value of another kind")

// Holds evaluates a condition. The error is of a value that is not there or of
// another type than the expression takes it for, or of a cost above MaxCost.
func (p *Program) Holds(f Facts) (bool, error) {
	v, _, err := p.program.Eval(&activation{f})
	if err != nil {
		return false, err
	}
	b, ok := v.(types.Bool)
	if !ok {
		return false, errKind
	}
	return bool(b), nil
}

// Text evaluates an expression of kind Text.
func (p *Program) Text(f Facts) (string, error) {
	v, _, err := p.program.Eval(&activation{f})
	if err != nil {
		return "", err
	}
	s, ok := v.(types.String)
	if !ok {
		return "", errKind
	}
	return string(s), nil
}

// Number evaluates an expression of kind Number.
func (p *Program) Number(f Facts) (int64, error) {
	v, _, err := p.program.Eval(&activation{f})
	if err != nil {
		return 0, err
	}
	n, ok := v.(types.Int)
	if !ok {
		return 0, errKind
	}
	return int64(n), nil
}
