package compile

import (
	"reflect"
	"slices"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/status"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

const (
	// minKey is 128 bits in hexadecimal or in base64, with room: a shorter key may
	// be found by its hash.
	minKey = 16
	maxKey = 1024
)

// consumer is a compiled Consumer and what it was compiled from. It is never
// changed afterwards.
type consumer struct {
	object     *store.Object
	deps       []*store.Object
	missing    bool // something that it names does not exist
	fallback   *store.Object
	ir         *ir.Consumer
	problems   []store.Problem
	conditions []status.Condition
	// original is what it was before others had its credentials.
	original *consumer
}

func (x *consumer) status() status.Object {
	return status.Object{Key: x.object.Key, Generation: meta(x.object).GetGeneration(), Position: x.object.Locate(""), Conditions: x.conditions}
}

// compileConsumers compiles the Consumers, or takes over what did not change.
func (c *compiler) compileConsumers() []*ir.Consumer {
	objects := c.set.Kind(ownGroup, v1alpha1.KindConsumer)
	if c.prev != nil && !c.consumersChanged(objects) {
		c.next.consumers = c.prev.consumers
		for _, x := range c.prev.consumers {
			c.takeOverConsumer(x)
		}
		return c.prevConfig.Consumers
	}
	var old []*consumer
	if c.prev != nil {
		old = c.prev.consumers
	}
	list := make([]*consumer, 0, len(objects))
	served := make([]*consumer, 0, len(objects)) // before, in the places of list
	for _, o := range objects {
		for len(old) > 0 && compareKeys(old[0].object.Key, o.Key) < 0 {
			old = old[1:]
		}
		var before *consumer
		if len(old) > 0 && old[0].object.Key == o.Key {
			before, old = old[0], old[1:]
		}
		x := before
		if x != nil && x.original != nil {
			x = x.original
		}
		if x == nil || x.object != o || x.missing && c.changes.any || !c.changes.fresh(x.deps) {
			if x = c.compileConsumer(o, x); x == nil {
				continue
			}
		}
		list, served = append(list, x), append(served, before)
	}
	c.withoutDuplicates(list, served)
	c.next.consumers = list
	out := make([]*ir.Consumer, 0, len(list))
	for _, x := range list {
		c.takeOverConsumer(x)
		if x.ir != nil {
			out = append(out, x.ir)
		}
	}
	return out
}

// consumersChanged tells whether a Consumer, or a Secret that one names, is not
// what it was.
func (c *compiler) consumersChanged(objects []*store.Object) bool {
	if !c.changes.any {
		return false
	}
	if before := c.prev.set.Kind(ownGroup, v1alpha1.KindConsumer); !slices.Equal(before, objects) {
		return true
	}
	return slices.ContainsFunc(c.prev.consumers, func(x *consumer) bool { return x.missing || !c.changes.fresh(x.deps) })
}

func (c *compiler) takeOverConsumer(x *consumer) {
	c.problems = append(c.problems, x.problems...)
	if x.fallback != nil {
		c.next.fallback[x.object.Key] = x.fallback
	}
}

// compileConsumer compiles a Consumer, or its last good version.
func (c *compiler) compileConsumer(o *store.Object, before *consumer) *consumer {
	v, ok := o.Value.(*v1alpha1.Consumer)
	if !ok {
		return nil
	}
	generation := meta(o).GetGeneration()
	x := &consumer{object: o, deps: []*store.Object{o}}
	accepted := status.Condition{Type: "Accepted", Status: status.True, Reason: "Accepted", Generation: generation}
	resolved := status.Condition{Type: "ResolvedRefs", Status: status.True, Reason: "ResolvedRefs", Generation: generation}
	used, spec := o, &v.Spec
	if faults := judgeConsumer(spec); len(faults) > 0 {
		for _, f := range faults {
			x.problems = append(x.problems, f.problem(o))
		}
		accepted.Status, accepted.Reason, accepted.Message = status.False, "Invalid", faults[0].field+": "+faults[0].message
		used = nil
		if old := c.lastGood(o); old != nil {
			if good, ok := old.Value.(*v1alpha1.Consumer); ok && len(judgeConsumer(&good.Spec)) == 0 {
				used, spec, x.fallback = old, &good.Spec, old
				accepted.Message = "the last good version serves, because this one is invalid: " + accepted.Message
				x.problems = append(x.problems, keepsServing(o))
			}
		}
	}
	if used != nil {
		x.ir = c.consumerOf(x, used, spec, &resolved)
		if before != nil && before.ir != nil && reflect.DeepEqual(before.ir, x.ir) {
			x.ir = before.ir
		}
	}
	x.conditions = []status.Condition{accepted, resolved}
	return x
}
