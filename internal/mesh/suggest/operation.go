package suggest

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/mesh/evidence"
	"github.com/gridway/gridway/internal/telemetry/flow"
)

// requests adds rules for requests of HTTP: one for all paths with the same methods.
func (w *work) requests(k caller, flows []evidence.Flow) {
	methods := map[string]map[string]bool{} // by path
	var open []evidence.Flow
	for _, f := range flows {
		if f.Overflow || f.Path == "" || len(f.Method) >= flow.MaxMethod {
			open = append(open, f)
			continue
		}
		if methods[f.Path] == nil {
			methods[f.Path] = map[string]bool{}
		}
		methods[f.Path][f.Method] = true
	}
	if len(open) > 0 { // what has no path needs a rule that asks for none
		w.rule(k, v1alpha1.AuthorizationConditions{}, flows, []string{"methods and paths are left open: there were too many to be kept"})
		return
	}
	to, notes := fold(slices.Sorted(maps.Keys(methods)))
	folded, of := map[string]map[string]bool{}, map[string][]evidence.Flow{}
	for path, list := range methods {
		shape := to[path]
		if folded[shape] == nil {
			folded[shape] = map[string]bool{}
		}
		maps.Copy(folded[shape], list)
	}
	for _, f := range flows {
		of[to[f.Path]] = append(of[to[f.Path]], f)
	}
	groups := map[string][]string{} // paths by their methods
	for shape, list := range folded {
		m := strings.Join(slices.Sorted(maps.Keys(list)), " ")
		groups[m] = append(groups[m], shape)
	}
	for _, m := range slices.Sorted(maps.Keys(groups)) {
		c := v1alpha1.AuthorizationConditions{Methods: strings.Fields(m)}
		var seen []evidence.Flow
		var why []string
		slices.Sort(groups[m])
		for _, shape := range groups[m] {
			c.Paths = append(c.Paths, match(shape))
			seen = append(seen, of[shape]...)
			why = append(why, notes[shape]...)
		}
		w.rule(k, c, seen, why)
	}
}

// calls adds a rule for calls of gRPC.
func (w *work) calls(k caller, flows []evidence.Flow) {
	var c v1alpha1.AuthorizationConditions
	var notes []string
	for _, f := range flows {
		service, method, ok := strings.Cut(strings.TrimPrefix(f.Path, "/"), "/")
		if f.Overflow || !ok || !callName.MatchString(service) || !methodName.MatchString(method) {
			c.GRPCMethods, notes = nil, []string{"methods are left open: there were too many, or of names that a rule cannot have"}
			break
		}
		one := v1alpha1.GRPCMethodCondition{Service: &service, Method: &method}
		if !slices.ContainsFunc(c.GRPCMethods, func(o v1alpha1.GRPCMethodCondition) bool { return *o.Service == service && *o.Method == method }) {
			c.GRPCMethods = append(c.GRPCMethods, one)
		}
	}
	w.rule(k, c, flows, notes)
}

// As the fields of GRPCMethodCondition have them.
var (
	callName   = regexp.MustCompile(`^[A-Za-z_][A-Za-z_0-9]*(\.[A-Za-z_][A-Za-z_0-9]*)*$`)
	methodName = regexp.MustCompile(`^[A-Za-z_][A-Za-z_0-9]*$`)
)

// fold leaves segments open in which many paths differ, and says what each path becomes
// and, of those that have become one, how many they were.
func fold(paths []string) (to map[string]string, notes map[string][]string) {
	to, notes = map[string]string{}, map[string][]string{}
	for _, p := range paths {
		to[p] = p
	}
	for at := 1; at < 9; at++ { // the first segment says what it is about
		groups := map[string]map[string]bool{}
		for _, shape := range to {
			if open, ok := opened(shape, at); ok {
				if groups[open] == nil {
					groups[open] = map[string]bool{}
				}
				groups[open][shape] = true
			}
		}
		for p, shape := range to {
			if open, ok := opened(shape, at); ok && len(groups[open]) >= foldFrom {
				to[p] = open
			}
		}
	}
	count := map[string]int{}
	for _, shape := range to {
		count[shape]++
	}
	for _, shape := range slices.Sorted(maps.Keys(count)) {
		switch n := count[shape]; {
		case n > 1:
			notes[shape] = []string{fmt.Sprintf("%d paths were folded to %s", n, shape)}
		case strings.Contains(shape, flow.Any):
			notes[shape] = []string{"what looked like identifiers was folded to " + shape}
		}
	}
	return to, notes
}

// opened is the shape with one segment open.
func opened(shape string, at int) (string, bool) {
	segments := strings.Split(strings.TrimPrefix(shape, "/"), "/")
	if at >= len(segments) || segments[at] == flow.Rest || segments[at] == "" {
		return "", false
	}
	segments[at] = flow.Any
	return "/" + strings.Join(segments, "/"), true
}

// match is what a rule asks for that has a shape.
func match(shape string) gatewayv1.HTTPPathMatch {
	how, value := gatewayv1.PathMatchExact, shape
	if strings.Contains(shape, flow.Any) || strings.Contains(shape, "//") {
		how = gatewayv1.PathMatchRegularExpression
		segments := strings.Split(strings.TrimPrefix(shape, "/"), "/")
		for i, s := range segments {
			switch s {
			case flow.Any:
				segments[i] = "[^/]+"
			case flow.Rest:
				segments[i] = ".*"
			default:
				segments[i] = regexp.QuoteMeta(s)
			}
		}
		value = "/" + strings.Join(segments, "/")
	}
	return gatewayv1.HTTPPathMatch{Type: &how, Value: &value}
}
