package metric

import (
	"maps"
	"slices"
	"sync"
)

// maxMethods is how many names of methods of one policy are counted by themselves: a
// policy has eight at a time, and may be edited.
const maxMethods = 64

// otherMethods are all that came after those.
const otherMethods = "(others)"

// Method counts what one method of an AuthenticationPolicy does.
type Method struct {
	of             *Policy
	faults, memory events
}

const (
	memoryHit = iota
	memoryMiss
)

// methods are those of a policy.
type methods struct {
	mu    sync.Mutex // guards named
	named map[string]*Method
}

// Method returns the handle of a method by its name.
func (h *Policy) Method(name string) *Method {
	h.methods.mu.Lock()
	defer h.methods.mu.Unlock()
	if m := h.methods.named[name]; m != nil {
		return m
	}
	if len(h.methods.named) >= maxMethods {
		name = otherMethods
	}
	m := h.methods.named[name]
	if m == nil {
		m = &Method{of: h}
		m.faults.cells.stripes, m.memory.cells.stripes = h.events.cells.stripes, h.events.cells.stripes
		if h.methods.named == nil {
			h.methods.named = map[string]*Method{}
		}
		h.methods.named[name] = m
	}
	return m
}

// Faulted counts a credential that was refused, by its number in Options.Faults.
func (m *Method) Faulted(fault int) { m.self().faults.add(fault) }

// self is what counts: the method, or that of the overflow.
func (m *Method) self() *Method {
	if m.of.place.own() {
		return m
	}
	return m.of.beyond.Method(overflow)
}

// Recalled counts a look into the method's memory: of tokens, answers or passwords.
func (m *Method) Recalled(hit bool) {
	m = m.self()
	if hit {
		m.memory.add(memoryHit)
		return
	}
	m.memory.add(memoryMiss)
}

var methodMemoryFamily = define("gridway_authentication_memory_total", counter,
	"Looks into what methods remember, by result: hit, or miss, after which a signature is verified, a password hashed or a server asked. Of the methods jwt, basic, oauth2Introspection, and external with a cache.",
	"policy", "method", "result")

var memoryResults = []string{"hit", "miss"}

var methodFaultsFamily = define("gridway_authentication_faults_total", counter,
	"Credentials in requests that were refused, by the method that looked at them and what was wrong: expired, unknown, bad_signature and so on; no_keys, no_answer and busy are of those that nobody could judge.",
	"policy", "method", "fault")

// methods has the methods of a policy, "namespace/name".
func (e *emitter) methods(policy string, m *methods, faults []string) {
	m.mu.Lock()
	named := maps.Clone(m.named)
	m.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(named)) {
		if one := named[name]; one.faults.cells.used() {
			t := one.faults.totals()
			e.named(&methodFaultsFamily, &t, 0, faults, policy, name)
		}
		if one := named[name]; one.memory.cells.used() {
			t := one.memory.totals()
			e.named(&methodMemoryFamily, &t, 0, memoryResults, policy, name)
		}
	}
}
