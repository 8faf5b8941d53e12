package ratelimit

import (
	"errors"
	"fmt"

	"github.com/gridway/gridway/internal/expression"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
)

// MaxRequestCost is what an expression may make a request cost.
const MaxRequestCost = 1_000_000_000

// Formulas are the compiled expressions of a limit; those that it does not have
// are nil. They may be used by many at once.
type Formulas struct {
	key  []*expression.Program // one for each part
	when *expression.Program
	cost *expression.Program
}

// Compile compiles the expressions of a limit. With an error the Formulas are such
// as if those that it names could be evaluated for no request.
func Compile(cfg *ir.RateLimit) (*Formulas, error) {
	f := &Formulas{key: make([]*expression.Program, len(cfg.Key))}
	var faults []error
	compile := func(what, text string, kind expression.Kind) *expression.Program {
		if text == "" {
			return nil
		}
		p, err := expression.Compile(text, kind)
		if err != nil {
			faults = append(faults, fmt.Errorf("limit %s/%s: %s: %w", cfg.Policy, cfg.Name, what, err))
		}
		return p
	}
	for i, k := range cfg.Key {
		f.key[i] = compile("key", k.Expression, expression.Text)
	}
	f.when = compile("when", cfg.When, expression.Condition)
	f.cost = compile("cost", cfg.CostExpression, expression.Number)
	return f, errors.Join(faults...)
}

// applies tells whether the limit is for the request. One that cannot be evaluated
// does not spare the request: who leaves out a header would escape.
func (f *Formulas) applies(x *filter.Exchange) bool {
	if f.when == nil {
		return true
	}
	ok, err := f.when.Holds(x)
	return ok || err != nil
}

// charge is what the request costs when it comes.
func (f *Formulas) charge(cfg *ir.RateLimit, x *filter.Exchange) int64 {
	if f.cost == nil {
		return cfg.Cost
	}
	n, err := f.cost.Number(x)
	if err != nil {
		return cfg.Cost
	}
	return min(max(n, 0), MaxRequestCost)
}

// text is what a part of a key comes to.
func text(p *expression.Program, x *filter.Exchange) (string, bool) {
	if p == nil {
		return "", false
	}
	s, err := p.Text(x)
	return s, err == nil
}
