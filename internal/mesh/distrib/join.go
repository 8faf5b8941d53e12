package distrib

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/gridway/gridway/internal/ir"
)

// Join makes a configuration of resources, in any order. Lists are in the order of
// names. Kinds that this version does not know are left out; a setting inside an
// item that it does not know is an error, as ignoring it would be to serve something
// else than what was written. An error has a ResourceError for each bad resource.
func Join(list []Resource) (*ir.Config, error) {
	set := make(map[Key]*Resource, len(list))
	for i := range list {
		r := &list[i]
		if set[r.Key()] != nil {
			return nil, fmt.Errorf("%s is there twice", r.Key())
		}
		set[r.Key()] = r
	}
	return new(Decoder).Join(maps.Values(set))
}

// Decoder joins sets of resources that follow each other: an item whose resource did
// not change is the same pointer as before. The zero value is ready. It is not for
// several goroutines at a time.
type Decoder struct {
	items map[Key]*decoded
	// names are those of each kind, in order.
	names map[string][]string
}

// setEndpoints notes endpoints of a cluster that did not come as a resource.
func (d *Decoder) setEndpoints(cluster string, hash uint64, list []ir.Endpoint) {
	k := Key{KindEndpoints, cluster}
	if d.items[k] != nil {
		d.items[k] = &decoded{hash: hash, item: &list}
	}
}

// noBody is the hash of nothing.
var noBody = xxhash.Sum64(nil)

// decoded is an item as it was read, and what it became with what belongs to it.
type decoded struct {
	hash uint64
	item any
	// shares are the names in a route of what it shares with others.
	shares []ruleShares
	// built is item with its shares or endpoints; from are the pointers of those.
	built any
	from  []any
}

// Join is the function Join. The resources have distinct keys.
func (d *Decoder) Join(resources func(yield func(*Resource) bool)) (*ir.Config, error) {
	j := &joining{before: d.items, ordered: d.names, items: make(map[Key]*decoded, len(d.items)), names: map[string][]string{}, fresh: map[string]bool{}}
	for r := range resources {
		j.read(r)
	}
	c := &ir.Config{}
	c.Authorizations = take[ir.Authorization](j, KindAuthorization)
	c.RateLimits = take[ir.RateLimit](j, KindRateLimit)
	c.Listeners = take[ir.Listener](j, KindListener)
	for _, name := range j.sorted(KindStream) {
		c.Streams = append(c.Streams, j.stream(Key{KindStream, name}))
	}
	c.Schemas = take[ir.Schema](j, KindSchema)
	c.Consumers = take[ir.Consumer](j, KindConsumer)
	c.KeySets = take[ir.KeySet](j, KindKeySet)
	c.Logins = take[ir.Login](j, KindLogin)
	c.TokenIssuers = take[ir.TokenIssuer](j, KindTokenIssuer)
	c.RateLimitStores = take[ir.RateLimitStore](j, KindRateLimitStore)
	c.TelemetrySinks = take[ir.TelemetrySink](j, KindTelemetrySink)
	c.AddressLists = take[ir.AddressList](j, KindAddressList)
	c.UserAgentLists = take[ir.UserAgentList](j, KindUserAgentList)
	c.RevocationLists = take[ir.RevocationLists](j, KindRevocationList)
	for _, name := range j.sorted(KindRoute) {
		c.Routes = append(c.Routes, j.route(Key{KindRoute, name}))
	}
	for _, name := range j.sorted(KindCluster) {
		c.Clusters = append(c.Clusters, j.cluster(name))
	}
	for _, name := range j.sorted(KindEndpoints) {
		if j.items[Key{KindCluster, name}] == nil {
			j.fail(Key{KindEndpoints, name}, errors.New("there is no cluster of that name"))
		}
	}
	if p := j.items[Key{Kind: KindPolicies}]; p != nil {
		c.Policies = *p.item.(*[]string)
	}
	if err := errors.Join(j.errs...); err != nil {
		return nil, err
	}
	d.items, d.names = j.items, j.names
	return c, nil
}

// joining is one set of resources being joined.
type joining struct {
	before, items map[Key]*decoded
	// ordered are the names of each kind as they were before, names those of now. Of a
	// kind that is not fresh none is new.
	ordered, names map[string][]string
	fresh          map[string]bool
	errs           []error
}

func (j *joining) fail(k Key, err error) {
	j.errs = append(j.errs, &ResourceError{k, err})
}

// read decodes a resource that is not known from before.
func (j *joining) read(r *Resource) {
	read := readers[r.Kind]
	if read == nil {
		return
	}
	k := r.Key()
	item := j.before[k]
	if item == nil || item.hash != r.Hash {
		if r.Body == nil && r.Hash != noBody {
			j.fail(k, errors.New("its content is not at hand"))
			return
		}
		value, shares, err := read(r)
		if err != nil {
			j.fail(k, err)
			return
		}
		item = &decoded{hash: r.Hash, item: value, shares: shares}
	}
	j.items[k] = item
	if j.before[k] == nil {
		j.fresh[r.Kind] = true
	}
	j.names[r.Kind] = append(j.names[r.Kind], r.Name)
}

// sorted orders the names of a kind.
func (j *joining) sorted(kind string) []string {
	names := j.names[kind]
	if before := j.ordered[kind]; !j.fresh[kind] && len(before) == len(names) {
		j.names[kind] = before
		return before
	}
	slices.Sort(names)
	return names
}

// take is the list of a kind whose items need nothing else.
func take[T any](j *joining, kind string) []*T {
	var out []*T
	for _, name := range j.sorted(kind) {
		out = append(out, j.items[Key{kind, name}].item.(*T))
	}
	return out
}

// route gives a route what its rules share.
func (j *joining) route(k Key) *ir.Route {
	d := j.items[k]
	bare := d.item.(*ir.Route)
	if len(d.shares) == 0 {
		return bare
	}
	from := make([]any, 0, len(d.from))
	shared := func(kind, name string) any {
		item := j.items[Key{kind, name}]
		if item == nil {
			j.fail(k, fmt.Errorf("rule names %s, which is not there", Key{kind, name}))
			return nil
		}
		from = append(from, item.item)
		return item.item
	}
	n := *bare
	n.Rules = slices.Clone(bare.Rules)
	for _, s := range d.shares {
		if s.Rule < 0 || s.Rule >= len(n.Rules) {
			j.fail(k, fmt.Errorf("it has no rule %d", s.Rule))
			return bare
		}
		rule := *n.Rules[s.Rule]
		for _, name := range s.Authorizations {
			if x, ok := shared(KindAuthorization, name).(*ir.Authorization); ok {
				rule.Policy.Authorization = append(rule.Policy.Authorization, x)
			}
		}
		for _, name := range s.RateLimits {
			if x, ok := shared(KindRateLimit, name).(*ir.RateLimit); ok {
				rule.Policy.RateLimits = append(rule.Policy.RateLimits, x)
			}
		}
		n.Rules[s.Rule] = &rule
	}
	if d.built != nil && slices.Equal(d.from, from) {
		return d.built.(*ir.Route)
	}
	d.built, d.from = &n, from
	return &n
}

// stream gives a route of streams what it shares.
func (j *joining) stream(k Key) *ir.StreamRoute {
	d := j.items[k]
	bare := d.item.(*ir.StreamRoute)
	if len(d.shares) == 0 {
		return bare
	}
	n, from := *bare, []any(nil)
	for _, s := range d.shares {
		for _, name := range s.Authorizations {
			shared := j.items[Key{KindAuthorization, name}]
			if shared == nil {
				j.fail(k, fmt.Errorf("it names %s, which is not there", Key{KindAuthorization, name}))
				continue
			}
			n.Authorization = append(n.Authorization, shared.item.(*ir.Authorization))
			from = append(from, shared.item)
		}
	}
	if d.built != nil && slices.Equal(d.from, from) {
		return d.built.(*ir.StreamRoute)
	}
	d.built, d.from = &n, from
	return &n
}

// cluster gives a cluster its endpoints.
func (j *joining) cluster(name string) *ir.Cluster {
	d := j.items[Key{KindCluster, name}]
	bare := d.item.(*ir.Cluster)
	endpoints := j.items[Key{KindEndpoints, name}]
	if endpoints == nil {
		j.fail(Key{KindCluster, name}, errors.New("its endpoints are not there"))
		return bare
	}
	list := endpoints.item.(*[]ir.Endpoint)
	if d.built != nil && d.from[0] == any(list) {
		return d.built.(*ir.Cluster)
	}
	n := *bare
	n.Endpoints = *list
	d.built, d.from = &n, []any{list}
	return &n
}
