package schema

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/ext"
)

// Rule is a condition over a value and its fields, written in CEL as in
// x-kubernetes-validations, compiled when it is first used.
type Rule struct {
	Source string
	// Message says what is wrong when the rule does not hold.
	Message string
	// FieldPath is the field to blame, as in ".percent"; empty is the value itself.
	FieldPath string

	parse sync.Once
	ast   *cel.Ast
	quick quick // nil if the rule has something that it does not know
	err   error

	plan       sync.Once // of what quick is not sure of
	program    cel.Program
	programErr error
}

// Check reports whether the rule holds for a value: maps, slices, strings,
// int64, float64 and bool. An error means that the rule itself could not be
// evaluated.
func (r *Rule) Check(self any) (bool, error) {
	if err := r.Compile(); err != nil {
		return false, err
	}
	if holds, ok := r.quick.holds(self); ok {
		return holds, nil
	}
	return r.checkByCEL(self)
}

// checkByCEL is Check without the quick way.
func (r *Rule) checkByCEL(self any) (bool, error) {
	if err := r.Compile(); err != nil {
		return false, err
	}
	r.plan.Do(func() {
		env, _ := environment() // which parsed the rule
		r.program, r.programErr = env.Program(r.ast, cel.EvalOptions(cel.OptOptimize))
	})
	if r.programErr != nil {
		return false, r.programErr
	}
	out, _, err := r.program.Eval(map[string]any{"self": self})
	if err != nil {
		return false, fmt.Errorf("rule %q: %w", r.Source, err)
	}
	return out == types.True, nil
}

// Compile reports whether the rule is valid CEL. Check does it by itself.
func (r *Rule) Compile() error {
	r.parse.Do(r.compile)
	return r.err
}

func (r *Rule) compile() {
	env, err := environment()
	if err != nil {
		r.err = err
		return
	}
	// Kubernetes writes fields that are reserved words of CEL with underscores.
	parsed, issues := env.Parse(strings.ReplaceAll(r.Source, "__namespace__", "namespace"))
	if issues.Err() == nil {
		parsed, issues = env.Check(parsed)
	}
	if err := issues.Err(); err != nil {
		r.err = fmt.Errorf("rule %q: %w", r.Source, err)
		return
	}
	r.ast = parsed
	r.quick = (&quickener{}).quicken(parsed.NativeRep().Expr())
}

// environment has what the rules of the Gateway API and of Gridway use beyond
// plain CEL: the string library and the tests for IP addresses of Kubernetes.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	isIP := func(v ref.Val) ref.Val {
		s, ok := v.Value().(string)
		if !ok {
			return types.MaybeNoSuchOverloadErr(v)
		}
		_, err := netip.ParseAddr(s)
		return types.Bool(err == nil)
	}
	isCIDR := func(v ref.Val) ref.Val {
		s, ok := v.Value().(string)
		if !ok {
			return types.MaybeNoSuchOverloadErr(v)
		}
		_, err := netip.ParsePrefix(s)
		return types.Bool(err == nil)
	}
	env, err := cel.NewEnv(
		cel.Variable("self", cel.DynType),
		ext.Strings(),
		cel.Function("isIP", cel.Overload("is_ip_string", []*cel.Type{cel.StringType}, cel.BoolType, cel.UnaryBinding(isIP))),
		cel.Function("isCIDR", cel.Overload("is_cidr_string", []*cel.Type{cel.StringType}, cel.BoolType, cel.UnaryBinding(isCIDR))),
	)
	if err != nil {
		return nil, errors.Join(errors.New("CEL environment"), err)
	}
	return env, nil
})
