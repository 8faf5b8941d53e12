package compile

import (
	"fmt"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/internal/config/status"
	"github.com/gridway/gridway/internal/config/store"
)

// compileClasses finds out which GatewayClasses are Gridway's.
func (c *compiler) compileClasses() {
	c.classes = map[string]bool{}
	if !c.in.ExplicitClasses {
		c.classes[DefaultClass] = true
	}
	for _, o := range c.set.Kind(gatewayGroup, "GatewayClass") {
		spec, ok := classSpec(o)
		if !ok {
			continue
		}
		if spec.ControllerName != ControllerName {
			c.classes[o.Key.Name] = false
			c.report(problemAt(o, "spec.controllerName", store.Note, "OtherController",
				fmt.Sprintf("ignored: the class belongs to controller %q", spec.ControllerName),
				fmt.Sprintf("set controllerName to %q for Gridway to serve it", ControllerName)))
			continue
		}
		c.classes[o.Key.Name] = c.acceptClass(o, spec)
	}
}

func (c *compiler) acceptClass(o *store.Object, spec gwv1.GatewayClassSpec) bool {
	cond := status.Condition{
		Type:   string(gwv1.GatewayClassConditionStatusAccepted),
		Status: status.True, Reason: string(gwv1.GatewayClassReasonAccepted),
		Generation: meta(o).GetGeneration(),
	}
	if p := spec.ParametersRef; p != nil {
		cond.Status, cond.Reason = status.False, string(gwv1.GatewayClassReasonInvalidParameters)
		cond.Message = fmt.Sprintf("parametersRef names a %s, but Gridway takes no parameters", p.Kind)
		c.report(problemAt(o, "spec.parametersRef", store.Error, "InvalidParameters", cond.Message,
			"remove it, and set what you need by a TrafficPolicy on the Gateway"))
	}
	c.say(status.Object{
		Key: o.Key, Generation: cond.Generation, Position: o.Locate(""),
		Conditions: []status.Condition{cond},
	})
	return cond.Status == status.True
}

func classSpec(o *store.Object) (gwv1.GatewayClassSpec, bool) {
	v, ok := o.Value.(*gwv1.GatewayClass)
	if !ok {
		return gwv1.GatewayClassSpec{}, false
	}
	return v.Spec, true
}

// ourClass tells whether a Gateway of that class is Gridway's, and why not.
func (c *compiler) ourClass(name string) (ours bool, why, remedy string) {
	ours, known := c.classes[name]
	switch {
	case ours:
		return true, "", ""
	case known:
		return false, fmt.Sprintf("ignored: GatewayClass %q is not one that Gridway serves", name), "see that GatewayClass"
	}
	var mine []string
	for n, ok := range c.classes {
		if ok {
			mine = append(mine, n)
		}
	}
	remedy = didYouMean(name, mine)
	if remedy == "" {
		remedy = fmt.Sprintf("use gatewayClassName %q for Gridway to serve it", DefaultClass)
	}
	return false, fmt.Sprintf("ignored: GatewayClass %q is not known", name), remedy
}
