package lint

import (
	"fmt"

	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

// orphanSlices names EndpointSlices that belong to no Service.
func (l *linter) orphanSlices() {
	for _, o := range l.set.Kind("discovery.k8s.io", "EndpointSlice") {
		slice, ok := o.Value.(*discoveryv1.EndpointSlice)
		if !ok {
			continue
		}
		service := slice.Labels[discoveryv1.LabelServiceName]
		var why string
		field := "metadata.labels[" + discoveryv1.LabelServiceName + "]"
		switch {
		case service == "":
			field, why = "metadata", "it has no label "+discoveryv1.LabelServiceName
		case l.set.Get(store.Key{Kind: "Service", Namespace: o.Key.Namespace, Name: service}) == nil:
			why = fmt.Sprintf("there is no Service/%s/%s", o.Key.Namespace, service)
		default:
			continue
		}
		ref := ir.Ref{Kind: o.Key.Kind, Namespace: o.Key.Namespace, Name: o.Key.Name}
		l.problem(ref, o.Key.Group, field, store.Note, "OrphanEndpointSlice", "the EndpointSlice belongs to no Service: "+why, "")
	}
}
