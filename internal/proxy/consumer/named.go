package consumer

import (
	"cmp"
	"slices"
	"strings"

	"github.com/gridway/gridway/internal/ir"
)

// Named finds the Consumer of a name in a namespace. Every also takes
// "namespace/name", for those of all namespaces.
func (d *Directory) Named(name, namespace string, every bool) *ir.Consumer {
	if before, after, ok := strings.Cut(name, "/"); ok {
		if !every {
			return nil
		}
		namespace, name = before, after
	}
	list := d.names.Load()
	if list == nil {
		return nil
	}
	i, found := slices.BinarySearchFunc(*list, name, func(c *ir.Consumer, name string) int {
		return cmp.Or(strings.Compare(c.Namespace, namespace), strings.Compare(c.Name, name))
	})
	if !found {
		return nil
	}
	return (*list)[i]
}
