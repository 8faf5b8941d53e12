package compile

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/netset"
)

// Names of lists begin with that of their policy.
const (
	denyAddresses   = "/addresses.deny"
	allowAddresses  = "/addresses.allow"
	denyUserAgents  = "/userAgents.deny"
	allowUserAgents = "/userAgents.allow"

	maxUserAgentLines = 10_000
	maxUserAgent      = 512
)

// textKey is an entry of a ConfigMap, and what is read from it.
type textKey struct {
	object *store.Object
	key    string
	what   string
}

// text is what was read from an entry.
type text struct {
	addresses *netset.Set
	values    []string
	crls      []*ir.CRL
	// why it is of no use, in which line or entry; empty if it is good
	why   string
	line  int
	entry string
}

// list is a compiled list and what it was made from.
type list struct {
	policy      *store.Object
	parts       []*text
	addresses   *ir.AddressList
	userAgents  *ir.UserAgentList
	revocations *ir.RevocationLists
}

// compileLists makes the lists of all ShieldPolicies, or takes them over.
func (c *compiler) compileLists() (addresses []*ir.AddressList, userAgents []*ir.UserAgentList) {
	for _, p := range c.shield.all {
		if p.spec == nil {
			continue
		}
		name := policyName(p.object)
		if a := p.spec.Addresses; a != nil {
			for _, l := range []struct {
				suffix  string
				sources []v1alpha1.AddressSource
			}{{allowAddresses, a.Allow}, {denyAddresses, a.Deny}} {
				if len(l.sources) > 0 {
					addresses = append(addresses, c.addressList(p, name+l.suffix, "spec"+strings.ReplaceAll(l.suffix, "/", "."), l.sources))
				}
			}
		}
		if u := p.spec.UserAgents; u != nil {
			for _, l := range []struct {
				suffix  string
				sources []v1alpha1.UserAgentSource
			}{{allowUserAgents, u.Allow}, {denyUserAgents, u.Deny}} {
				if len(l.sources) > 0 {
					userAgents = append(userAgents, c.userAgentList(p, name+l.suffix, "spec"+strings.ReplaceAll(l.suffix, "/", "."), l.sources))
				}
			}
		}
	}
	return addresses, userAgents
}

// remembered is the list of the run before, if it was made from the same.
func (c *compiler) remembered(name string, policy *store.Object, parts []*text) *list {
	if c.prev == nil {
		return nil
	}
	if l := c.prev.lists[name]; l != nil && l.policy == policy && slices.Equal(l.parts, parts) {
		return l
	}
	return nil
}

func (c *compiler) addressList(p *shieldPolicy, name, field string, sources []v1alpha1.AddressSource) *ir.AddressList {
	parts := make([]*text, len(sources))
	for i, s := range sources {
		if s.ConfigMapRef != nil {
			parts[i] = c.listText(p, fmt.Sprintf("%s[%d].configMapRef", field, i), s.ConfigMapRef, "addresses", readAddresses)
		}
	}
	l := c.remembered(name, p.used, parts)
	if l == nil {
		l = &list{policy: p.used, parts: parts, addresses: &ir.AddressList{Name: name, Policy: policyName(p.object)}}
		var b netset.Builder
		for i, s := range sources {
			switch {
			case parts[i] != nil && parts[i].why == "":
				b.AddSet(parts[i].addresses)
			case s.ConfigMapRef != nil:
				l.addresses.Broken = true
			}
			for _, v := range s.CIDRs {
				b.AddPrefix(cidr(v))
			}
		}
		set := b.Set()
		l.addresses.Ranges = make([]ir.AddressRange, 0, set.Len())
		for r := range set.All() {
			l.addresses.Ranges = append(l.addresses.Ranges, ir.AddressRange(r))
		}
	}
	c.next.lists[name] = l
	return l.addresses
}

func (c *compiler) userAgentList(p *shieldPolicy, name, field string, sources []v1alpha1.UserAgentSource) *ir.UserAgentList {
	parts := make([]*text, len(sources))
	for i, s := range sources {
		if s.ConfigMapRef == nil {
			continue
		}
		what, read := "userAgents", readUserAgents
		if deref(s.Type, "") == v1alpha1.UserAgentRegularExpression {
			what, read = "expressions", readExpressions
		}
		parts[i] = c.listText(p, fmt.Sprintf("%s[%d].configMapRef", field, i), s.ConfigMapRef, what, read)
	}
	l := c.remembered(name, p.used, parts)
	if l == nil {
		l = &list{policy: p.used, parts: parts, userAgents: &ir.UserAgentList{Name: name, Policy: policyName(p.object)}}
		out := l.userAgents
		for i, s := range sources {
			values := s.Values
			if s.ConfigMapRef != nil {
				if parts[i] == nil || parts[i].why != "" {
					out.Broken = true
					continue
				}
				values = parts[i].values
			}
			switch deref(s.Type, v1alpha1.UserAgentSubstring) {
			case v1alpha1.UserAgentExact:
				out.Exact = append(out.Exact, values...)
			case v1alpha1.UserAgentPrefix:
				out.Prefixes = append(out.Prefixes, values...)
			case v1alpha1.UserAgentRegularExpression:
				out.Expressions = append(out.Expressions, values...)
			default:
				out.Substrings = append(out.Substrings, values...)
			}
		}
	}
	c.next.lists[name] = l
	return l.userAgents
}

// listText finds the list that a policy names and says what is wrong with it. It
// returns the last good one where there is one, and nil where there is nothing.
func (c *compiler) listText(p *shieldPolicy, field string, r *v1alpha1.ListReference, what string, read func(string) *text) *text {
	key := store.Key{Kind: "ConfigMap", Namespace: p.used.Key.Namespace, Name: string(r.Name)}
	o := c.set.Get(key)
	if o == nil {
		message, remedy := c.notFound(key)
		c.report(problemAt(p.used, field+".name", store.Warning, "InvalidList", message+": requests are refused until it is there", remedy))
		return nil
	}
	entry, got := c.readText(o, r, what, read)
	if got.why == "" {
		return got
	}
	problem := problemAt(o, "data["+entry+"]", store.Error, "InvalidList", got.why, "correct the line; see docs/guides/shields.md for what a list may have")
	if entry == "" {
		problem = problemAt(o, "data", store.Error, "InvalidList", got.why, "")
	}
	if file := o.Files[entry]; file != "" {
		problem.Position = store.Position{File: file, Line: got.line}
	}
	c.reportOnce(problem)
	if old := c.lastGood(o); old != nil {
		if _, good := c.readText(old, r, what, read); good.why == "" {
			c.next.fallback[o.Key] = old
			c.reportOnce(keepsServing(o))
			return good
		}
	}
	c.report(problemAt(p.used, field, store.Warning, "InvalidList",
		fmt.Sprintf("%s cannot be used, so that requests are refused with 503", key), "see the errors of that ConfigMap"))
	return got
}

// readText reads an entry of a ConfigMap and remembers the result for later runs.
func (c *compiler) readText(o *store.Object, r *v1alpha1.ListReference, what string, read func(string) *text) (entry string, got *text) {
	m, ok := o.Value.(*corev1.ConfigMap)
	if !ok {
		return "", &text{why: "it is not a ConfigMap"}
	}
	entries := slices.Sorted(maps.Keys(m.Data))
	switch {
	case r.Key != nil && m.BinaryData[*r.Key] != nil:
		return *r.Key, c.readOnce(textKey{o, *r.Key, what}, func(string) *text { return &text{why: "it is not text in UTF-8"} }, "")
	case r.Key != nil && !slices.Contains(entries, *r.Key):
		return "", c.readOnce(textKey{o, *r.Key, what}, func(string) *text { return &text{why: "it has no entry " + *r.Key} }, "")
	case r.Key != nil:
		entry = *r.Key
	case len(entries) != 1 || len(m.BinaryData) > 0:
		return "", c.readOnce(textKey{o, "", what}, func(string) *text {
			return &text{why: fmt.Sprintf("it has %d entries, and the policy does not say by key which one is the list", len(entries)+len(m.BinaryData))}
		}, "")
	default:
		entry = entries[0]
	}
	return entry, c.readOnce(textKey{o, entry, what}, read, m.Data[entry])
}

func (c *compiler) readOnce(k textKey, read func(string) *text, content string) *text {
	got := c.next.texts[k]
	if got == nil && c.prev != nil {
		got = c.prev.texts[k]
	}
	if got == nil {
		got = read(content)
		if got.line > 0 {
			got.why = fmt.Sprintf("%s: line %d: %s", k.key, got.line, got.why)
		}
	}
	c.next.texts[k] = got
	return got
}

func readAddresses(content string) *text {
	var b netset.Builder
	err := b.AddList([]byte(content))
	var bad *netset.LineError
	if errors.As(err, &bad) {
		return &text{why: bad.Err.Error(), line: bad.Line}
	}
	return &text{addresses: b.Set()}
}

func readUserAgents(content string) *text {
	got := &text{}
	n := 0
	for line := range strings.Lines(strings.TrimPrefix(content, "\ufeff")) {
		n++
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
		case len(line) > maxUserAgent:
			return &text{why: fmt.Sprintf("the value is longer than %d bytes", maxUserAgent), line: n}
		case !utf8.ValidString(line):
			return &text{why: "the value is not text in UTF-8", line: n}
		case len(got.values) == maxUserAgentLines:
			return &text{why: fmt.Sprintf("there are more than %d values", maxUserAgentLines), line: n}
		default:
			got.values = append(got.values, line)
		}
	}
	return got
}

func readExpressions(content string) *text {
	got := readUserAgents(content)
	n := 0
	for line := range strings.Lines(strings.TrimPrefix(content, "\ufeff")) {
		n++
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' || got.why != "" {
			continue
		}
		if _, err := regexp.Compile(line); err != nil {
			return &text{why: err.Error(), line: n}
		}
	}
	return got
}
