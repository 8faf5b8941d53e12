package authorization

import (
	"slices"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
)

// indexFrom is from how many rules on it is worth to look for candidates.
const indexFrom = 16

// index finds the rules that may match a request by one exact thing that each of
// them asks for. The others are looked at one by one.
type index struct {
	consumers map[consumerKey][]int32
	ids       map[identity][]int32
	claims    []claimIndex
	groups    map[string][]int32
	paths     map[string][]int32 // exact ones and prefixes
	longest   int                // of them, in bytes
	hosts     map[string][]int32
	rest      []int32
}

// claimIndex is for one claim.
type claimIndex struct {
	name   string
	path   []string
	values map[string][]int32
}

func newIndex(rules []ir.AuthorizationRule) *index {
	n := &index{
		consumers: map[consumerKey][]int32{}, ids: map[identity][]int32{},
		groups: map[string][]int32{}, paths: map[string][]int32{}, hosts: map[string][]int32{},
	}
	for i := range rules {
		n.add(int32(i), &rules[i].AuthorizationConditions)
	}
	return n
}

func (n *index) add(i int32, c *ir.AuthorizationConditions) {
	exactIdentity := func(s string) bool { _, below := parseIdentity(s); return s != anything && !below }
	exactClaim := slices.IndexFunc(c.Claims, func(v ir.ValueCondition) bool { return v.Type == ir.CompareExact })
	switch {
	case len(c.Consumers) > 0 && !slices.Contains(c.Consumers, anything):
		for _, s := range c.Consumers {
			put(n.consumers, parseConsumer(s), i)
		}
	case len(c.Identities) > 0 && !slices.ContainsFunc(c.Identities, func(s string) bool { return !exactIdentity(s) }):
		for _, s := range c.Identities {
			id, _ := parseIdentity(s)
			put(n.ids, id, i)
		}
	case exactClaim >= 0:
		n.addClaim(i, &c.Claims[exactClaim])
	case len(c.Groups) > 0:
		for _, s := range c.Groups {
			put(n.groups, s, i)
		}
	case len(c.Paths) > 0 && !slices.ContainsFunc(c.Paths, func(p ir.PathMatch) bool { return p.Type == ir.Regex }):
		for _, p := range c.Paths {
			put(n.paths, p.Value, i)
			n.longest = max(n.longest, len(p.Value))
		}
	case len(c.Hosts) > 0 && !slices.ContainsFunc(c.Hosts, func(h string) bool { return h[0] == '*' }):
		for _, h := range c.Hosts {
			put(n.hosts, h, i)
		}
	default:
		n.rest = append(n.rest, i)
	}
}

func (n *index) addClaim(i int32, c *ir.ValueCondition) {
	at := slices.IndexFunc(n.claims, func(k claimIndex) bool { return k.name == c.Name })
	if at < 0 {
		path, err := ir.ParseClaim(c.Name)
		if err != nil {
			return // the rule does not compile either
		}
		at = len(n.claims)
		n.claims = append(n.claims, claimIndex{c.Name, path, map[string][]int32{}})
	}
	for _, v := range c.Values {
		put(n.claims[at].values, v, i)
	}
}

func put[K comparable](m map[K][]int32, k K, i int32) {
	if list := m[k]; len(list) == 0 || list[len(list)-1] != i {
		m[k] = append(list, i)
	}
}

// find is a rule that matches, -1 for none.
func (n *index) find(p *Policy, x *filter.Exchange) int {
	if i := n.byCaller(p, x); i >= 0 {
		return i
	}
	if len(n.paths) > 0 {
		if i := n.byPath(p, x, x.Req.Path); i >= 0 {
			return i
		}
	}
	if len(n.hosts) > 0 {
		if i := p.among(n.hosts[string(withoutPort(x.Req.Host))], x); i >= 0 {
			return i
		}
	}
	return p.among(n.rest, x)
}

func (n *index) byCaller(p *Policy, x *filter.Exchange) int {
	if c := x.Caller.Consumer; c != nil {
		if i := p.among(n.consumers[keyOf(c)], x); i >= 0 {
			return i
		}
		for _, g := range c.Groups {
			if i := p.among(n.groups[g], x); i >= 0 {
				return i
			}
		}
	}
	if len(n.ids) > 0 {
		if id, ok := identityOf(x); ok {
			if i := p.among(n.ids[id], x); i >= 0 {
				return i
			}
		}
	}
	for k := range n.claims {
		if i := n.claims[k].find(p, x); i >= 0 {
			return i
		}
	}
	return -1
}

func (k *claimIndex) find(p *Policy, x *filter.Exchange) int {
	v, ok := x.Caller.Claims.Lookup(k.path)
	if !ok {
		return -1
	}
	list, isList := v.([]any)
	if !isList {
		return k.value(p, x, v)
	}
	for _, one := range list {
		if i := k.value(p, x, one); i >= 0 {
			return i
		}
	}
	return -1
}

func (k *claimIndex) value(p *Policy, x *filter.Exchange, v any) int {
	if s, ok := v.(string); ok {
		return p.among(k.values[s], x)
	}
	text, _ := filter.AppendScalar(x.Req.Arena.Alloc(32)[:0], v)
	return p.among(k.values[string(text)], x)
}

// byPath looks at the path and at each prefix of it that ends with a segment.
func (n *index) byPath(p *Policy, x *filter.Exchange, path []byte) int {
	if len(path) <= n.longest {
		if i := p.among(n.paths[string(path)], x); i >= 0 {
			return i
		}
	}
	for end := min(len(path)-1, n.longest); end > 0; end-- {
		if path[end] != '/' {
			continue
		}
		if i := p.among(n.paths[string(path[:end])], x); i >= 0 {
			return i
		}
	}
	if len(path) > 1 {
		return p.among(n.paths["/"], x)
	}
	return -1
}

// among is the first of some rules that matches, -1 for none.
func (p *Policy) among(list []int32, x *filter.Exchange) int {
	for _, i := range list {
		if p.rules[i].matches(x) {
			return int(i)
		}
	}
	return -1
}
