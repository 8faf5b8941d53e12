package authorization

import (
	"strings"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
)

// consumerKey is who a Consumer is.
type consumerKey struct{ namespace, name string }

func keyOf(c *ir.Consumer) consumerKey { return consumerKey{c.Namespace, c.Name} }

func parseConsumer(s string) consumerKey {
	namespace, name, _ := strings.Cut(s, "/")
	return consumerKey{namespace, name}
}

// anything is what stands for all of a kind.
const anything = "*"

type consumers struct {
	any  bool
	list []consumerKey
	set  map[consumerKey]struct{}
}

func newConsumers(names []string) *consumers {
	c := &consumers{}
	for _, s := range names {
		if s == anything {
			c.any = true
			continue
		}
		c.list = append(c.list, parseConsumer(s))
	}
	if len(c.list) > few {
		c.set = make(map[consumerKey]struct{}, len(c.list))
		for _, k := range c.list {
			c.set[k] = struct{}{}
		}
	}
	return c
}

func (c *consumers) holds(x *filter.Exchange) bool {
	who := x.Caller.Consumer
	if who == nil {
		return false
	}
	if c.any {
		return true
	}
	k := keyOf(who)
	if c.set != nil {
		_, ok := c.set[k]
		return ok
	}
	for i := range c.list {
		if c.list[i] == k {
			return true
		}
	}
	return false
}

type groups struct{ texts }

func (g groups) holds(x *filter.Exchange) bool {
	if c := x.Caller.Consumer; c != nil {
		for _, name := range c.Groups {
			if g.has(name) {
				return true
			}
		}
	}
	return false
}

type plan struct{ texts }

func (p plan) holds(x *filter.Exchange) bool {
	c := x.Caller.Consumer
	return c != nil && c.Plan != "" && p.has(c.Plan)
}

type label struct {
	name   string
	values []string
}

func (l label) holds(x *filter.Exchange) bool {
	c := x.Caller.Consumer
	if c == nil {
		return false
	}
	v, ok := c.Label(l.name)
	if !ok || len(l.values) == 0 {
		return ok
	}
	for _, one := range l.values {
		if one == v {
			return true
		}
	}
	return false
}

type authenticationMethods struct {
	any   bool
	names texts
}

func newAuthenticationMethods(names []string) authenticationMethods {
	m := authenticationMethods{names: newTexts(names)}
	m.any = m.names.has(anything)
	return m
}

func (m authenticationMethods) holds(x *filter.Exchange) bool {
	return x.Caller.Known() && (m.any || m.names.has(x.Caller.Method))
}

type scope string

func (s scope) holds(x *filter.Exchange) bool {
	c := x.Caller.Claims
	if c == nil {
		return false
	}
	for _, one := range c.Scopes {
		if one == string(s) {
			return true
		}
	}
	return false
}

// claim compares a claim or, of a list, its elements.
type claim struct {
	path []string
	comparison
}

func newClaim(c *ir.ValueCondition) (*claim, error) {
	path, err := ir.ParseClaim(c.Name)
	if err != nil {
		return nil, err
	}
	compare, err := newComparison(c)
	return &claim{path, compare}, err
}

func (c *claim) holds(x *filter.Exchange) bool {
	v, ok := x.Caller.Claims.Lookup(c.path)
	if !ok || v == nil {
		return false
	}
	if c.how == ir.ComparePresent {
		return true
	}
	list, isList := v.([]any)
	if !isList {
		return c.value(x, v)
	}
	for _, one := range list {
		if c.value(x, one) {
			return true
		}
	}
	return false
}

func (c *claim) value(x *filter.Exchange, v any) bool {
	if s, ok := v.(string); ok {
		return c.text(s)
	}
	text, ok := filter.AppendScalar(x.Req.Arena.Alloc(32)[:0], v)
	return ok && c.bytes(text)
}

// identity is a SPIFFE ID.
type identity struct{ domain, path string }

func identityOf(x *filter.Exchange) (id identity, ok bool) {
	id.domain, id.path, ok = x.Identity()
	return id, ok
}

type identities struct {
	any   bool
	exact map[identity]struct{}
	below []identity // whose paths end with a slash
}

// parseIdentity reads "spiffe://domain/path", or what ends in "/*".
func parseIdentity(s string) (id identity, below bool) {
	rest := strings.TrimPrefix(s, "spiffe://")
	domain, path, found := strings.Cut(rest, "/")
	if found {
		path = "/" + path
	}
	if path, below = strings.CutSuffix(path, "*"); below {
		return identity{domain, path}, true
	}
	return identity{domain, path}, false
}

func newIdentities(list []string) *identities {
	out := &identities{exact: map[identity]struct{}{}}
	for _, s := range list {
		if s == anything {
			out.any = true
			continue
		}
		if id, below := parseIdentity(s); below {
			out.below = append(out.below, id)
		} else {
			out.exact[id] = struct{}{}
		}
	}
	return out
}

func (s *identities) holds(x *filter.Exchange) bool {
	id, ok := identityOf(x)
	if !ok || s.any {
		return ok
	}
	if _, ok := s.exact[id]; ok {
		return true
	}
	for _, b := range s.below {
		if b.domain == id.domain && strings.HasPrefix(id.path, b.path) {
			return true
		}
	}
	return false
}

// namespaces are of identities whose paths are /ns/NAMESPACE/sa/SERVICE.
type namespaces struct{ texts }

func (n namespaces) holds(x *filter.Exchange) bool {
	id, ok := identityOf(x)
	if !ok {
		return false
	}
	if x.Section != nil && x.Section.Identity != "" {
		if own, _ := parseIdentity(x.Section.Identity); own.domain != id.domain {
			return false // a namespace of the same name, of others
		}
	}
	rest, ok := strings.CutPrefix(id.path, "/ns/")
	if !ok {
		return false
	}
	namespace, service, _ := strings.Cut(rest, "/")
	name, ok := strings.CutPrefix(service, "sa/")
	return ok && name != "" && !strings.Contains(name, "/") && n.has(namespace)
}
