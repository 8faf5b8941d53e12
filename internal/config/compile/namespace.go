package compile

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/gridway/gridway/internal/config/store"
)

// namespaces is a set of namespaces as allowedRoutes and allowedListeners say it.
type namespaces struct {
	from     gwv1.FromNamespaces
	own      string
	selector labels.Selector
}

// selectNamespaces reads from and selector. An invalid selector selects nothing.
func selectNamespaces(from *gwv1.FromNamespaces, def gwv1.FromNamespaces, selector *metav1.LabelSelector, own string) (namespaces, error) {
	n := namespaces{from: deref(from, def), own: own, selector: labels.Nothing()}
	if n.from != gwv1.NamespacesFromSelector {
		return n, nil
	}
	s, err := metav1.LabelSelectorAsSelector(selector)
	if err == nil && selector != nil {
		n.selector = s
	}
	return n, err
}

// contains tells whether a namespace is in the set. A namespace without an
// object has the one label that Kubernetes gives each: its name.
func (c *compiler) inNamespaces(n namespaces, namespace string) bool {
	switch n.from {
	case gwv1.NamespacesFromAll:
		return true
	case gwv1.NamespacesFromSame:
		return namespace == n.own
	case gwv1.NamespacesFromSelector:
		set := labels.Set{}
		if o := c.set.Get(store.Key{Kind: "Namespace", Name: namespace}); o != nil {
			for k, v := range meta(o).GetLabels() {
				set[k] = v
			}
		}
		set["kubernetes.io/metadata.name"] = namespace
		return n.selector.Matches(set)
	}
	return false
}
