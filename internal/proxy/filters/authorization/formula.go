package authorization

import (
	"github.com/gridway/gridway/internal/expression"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
)

// formula is a condition in CEL.
type formula struct {
	program *expression.Program
	// failed is what it comes to where it cannot be evaluated: nothing is allowed by
	// what is not known, and nothing escapes being denied or recorded.
	failed bool
}

func newFormula(text string, action ir.AuthorizationAction) (*formula, error) {
	p, err := expression.Compile(text, expression.Condition)
	return &formula{p, action != ir.AuthorizationAllow}, err
}

func (f *formula) holds(x *filter.Exchange) bool {
	ok, err := f.program.Holds(x)
	if err != nil {
		return f.failed
	}
	return ok
}
