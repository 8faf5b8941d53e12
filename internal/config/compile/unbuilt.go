package compile

import (
	"fmt"
	"reflect"
	"slices"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/internal/config/status"
	"github.com/gridway/gridway/internal/config/store"
)

// unbuiltRoutes are route kinds of the Gateway API that come with later issues.
func unbuiltRoutes() []string { return []string{"GRPCRoute"} }

func notBuiltYet(kind string) bool { return slices.Contains(unbuiltRoutes(), kind) }

// refuseUnbuilt gives objects of kinds that are not built yet a status and a
// warning, and leaves them out.
func (c *compiler) refuseUnbuilt() {
	for _, kind := range unbuiltRoutes() {
		for _, o := range c.set.Kind(gatewayGroup, kind) {
			message := fmt.Sprintf("kind %s is not built yet; the object has no effect", kind)
			c.report(problemAt(o, "kind", store.Warning, "NotBuiltYet", message, ""))
			st := status.Object{Key: o.Key, Generation: meta(o).GetGeneration(), Position: o.Locate("")}
			for _, r := range parentRefsOf(o) {
				key := resolveKey(o, r.Group, gatewayGroup, r.Kind, "Gateway", r.Namespace, r.Name)
				if gw, known := c.byKey[key]; known && gw == nil {
					continue
				}
				st.Parents = append(st.Parents, status.Relation{
					Ref: status.Reference{
						Group: key.Group, Kind: key.Kind, Namespace: key.Namespace, Name: key.Name,
						SectionName: string(deref(r.SectionName, "")), Port: deref(r.Port, 0),
					},
					Conditions: []status.Condition{{
						Type: string(gwv1.RouteConditionAccepted), Status: status.False,
						Reason: "UnsupportedKind", Message: message, Generation: st.Generation,
					}},
				})
			}
			if len(st.Parents) == 0 {
				st.Conditions = []status.Condition{{
					Type: string(gwv1.RouteConditionAccepted), Status: status.False,
					Reason: "UnsupportedKind", Message: message, Generation: st.Generation,
				}}
			}
			c.say(st)
		}
	}
}

// parentRefsOf reads spec.parentRefs of a route of any kind and version.
func parentRefsOf(o *store.Object) []gwv1.ParentReference {
	v := reflect.ValueOf(o.Value)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return nil
	}
	spec := v.Elem().FieldByName("Spec")
	if spec.Kind() != reflect.Struct {
		return nil
	}
	if refs := spec.FieldByName("ParentRefs"); refs.IsValid() {
		list, _ := refs.Interface().([]gwv1.ParentReference)
		return list
	}
	return nil
}
