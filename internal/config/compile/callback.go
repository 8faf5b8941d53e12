package compile

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

// warnCallbacks names policies whose logins come back to nowhere: no rule that they
// hold for takes the path.
func (c *compiler) warnCallbacks(routes []*ir.Route) {
	type place struct {
		policy string
		method int
	}
	reached := map[place]bool{} // false: the policy holds somewhere
	for _, r := range routes {
		for _, rule := range r.Rules {
			a := rule.Policy.Authentication
			if a == nil {
				continue
			}
			for i := range a.AnyOf {
				if o := a.AnyOf[i].OIDC; o != nil {
					at := place{a.Policy, i}
					reached[at] = reached[at] || takesPath(rule, "GET", o.CallbackPath)
				}
			}
		}
	}
	for _, p := range c.authentication.all {
		if p.spec == nil {
			continue
		}
		for i := range p.spec.AnyOf {
			at := place{policyName(p.object), i}
			if is, holds := reached[at]; !holds || is {
				continue
			}
			path := oidcPaths(p.spec.AnyOf[i].OIDC)[0].path
			c.report(problemAt(p.source(), fmt.Sprintf("spec.anyOf[%d].oidc", i), store.Warning, "CallbackUnreached",
				fmt.Sprintf("no rule that the policy holds for takes requests for %s, so that logins never end", path),
				"set callbackPath, loginPath and logoutPath to paths that such a rule matches, or add a match"))
		}
	}
}

// takesPath tells whether a rule matches a method and a path, whatever else it has.
func takesPath(r *ir.Rule, method, path string) bool {
	for i := range r.Matches {
		m := &r.Matches[i]
		if m.Method != "" && m.Method != method || len(m.Headers) > 0 || len(m.Query) > 0 {
			continue
		}
		value := m.Path.Value
		switch m.Path.Type {
		case ir.Exact:
			if value == path {
				return true
			}
		case ir.Prefix:
			value = strings.TrimSuffix(value, "/")
			if rest, ok := strings.CutPrefix(path, value); ok && (rest == "" || rest[0] == '/') {
				return true
			}
		case ir.Regex:
			if re, err := regexp.Compile("^(?:" + value + ")$"); err == nil && re.MatchString(path) {
				return true
			}
		}
	}
	return false
}
