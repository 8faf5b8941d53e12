package distrib

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/gridway/gridway/internal/ir"
)

// MaxResourceBytes bounds the body of one resource.
const MaxResourceBytes = 64 << 20

// Split makes resources of a configuration, in the order of Compare. Its revision is
// not among them. It fails where an item cannot be told from another by its name,
// or has text that is not UTF-8.
func Split(c *ir.Config) ([]Resource, error) {
	list, err := new(Encoder).Split(c)
	if err != nil {
		return nil, err
	}
	out := make([]Resource, len(list))
	for i, r := range list {
		out[i] = *r
	}
	return out, nil
}

// Encoder splits configurations that follow each other: an item that is the same
// pointer as before is not encoded again. The zero value is ready. It is not for
// several goroutines at a time.
type Encoder struct {
	// items are those of the configuration before, by the pointers of which they
	// were made.
	items    map[any]*encoded
	policies *Resource
}

// encoded is what became of an item; a cluster also has endpoints.
type encoded struct {
	resource, endpoints *Resource
}

// Split is the function Split, with what did not change as the same pointers.
func (e *Encoder) Split(c *ir.Config) ([]*Resource, error) {
	s := &splitting{
		before: e.items, items: make(map[any]*encoded, len(e.items)), buf: new(bytes.Buffer),
		out: make([]*Resource, 0, len(c.Routes)+2*len(c.Clusters)+len(c.Consumers)+64),
	}
	s.json = json.NewEncoder(s.buf)
	s.json.SetEscapeHTML(false)
	s.shared = sharedBy(c)

	// In the order of kinds, so that the whole is nearly sorted as lists are by name.
	each(s, KindAddressList, c.AddressLists, func(x *ir.AddressList) string { return x.Name }, addressListObjects, nil)
	each(s, KindAuthorization, c.Authorizations, authorizationName, authorizationObjects, nil)
	each(s, KindCluster, c.Clusters, func(c *ir.Cluster) string { return c.Name }, clusterObjects, withoutEndpoints)
	each(s, KindConsumer, c.Consumers, (*ir.Consumer).String, consumerObjects, consumer)
	s.out = append(s.out, s.endpoints...)
	each(s, KindKeySet, c.KeySets, func(x *ir.KeySet) string { return x.Name }, keySetObjects, nil)
	each(s, KindListener, c.Listeners, func(l *ir.Listener) string { return l.Name }, listenerObjects, nil)
	each(s, KindLogin, c.Logins, func(x *ir.Login) string { return x.Name }, loginObjects, nil)
	if len(c.Policies) > 0 {
		s.add(s.encode(Key{Kind: KindPolicies}, c.Policies, nil), e.policies)
	}
	each(s, KindRateLimit, c.RateLimits, rateLimitName, rateLimitObjects, nil)
	each(s, KindRateLimitStore, c.RateLimitStores, func(x *ir.RateLimitStore) string { return x.Name }, rateLimitStoreObjects, nil)
	each(s, KindRevocationList, c.RevocationLists, func(x *ir.RevocationLists) string { return x.Name }, revocationListObjects, nil)
	each(s, KindRoute, c.Routes, func(r *ir.Route) string { return r.Name }, routeObjects, s.route)
	each(s, KindSchema, c.Schemas, func(x *ir.Schema) string { return x.Name }, nil, nil)
	each(s, KindStream, c.Streams, func(r *ir.StreamRoute) string { return r.Name }, streamObjects, s.stream)
	each(s, KindTelemetrySink, c.TelemetrySinks, func(x *ir.TelemetrySink) string { return x.Name }, telemetrySinkObjects, nil)
	each(s, KindTokenIssuer, c.TokenIssuers, func(x *ir.TokenIssuer) string { return x.Name }, tokenIssuerObjects, nil)
	each(s, KindUserAgentList, c.UserAgentLists, func(x *ir.UserAgentList) string { return x.Name }, userAgentListObjects, nil)
	if err := errors.Join(s.errs...); err != nil {
		return nil, err
	}
	if !slices.IsSortedFunc(s.out, Compare) {
		slices.SortFunc(s.out, Compare)
	}
	for i := 1; i < len(s.out); i++ {
		if s.out[i].Key() == s.out[i-1].Key() {
			return nil, fmt.Errorf("there are two of %s in the configuration", s.out[i].Key())
		}
	}
	e.items, e.policies = s.items, nil
	if i, ok := find(s.out, Key{Kind: KindPolicies}); ok {
		e.policies = s.out[i]
	}
	return s.out, nil
}

// splitting is one configuration being split.
type splitting struct {
	before, items map[any]*encoded
	shared        map[any]string
	buf           *bytes.Buffer
	json          *json.Encoder
	// endpoints are of the clusters so far.
	out, endpoints []*Resource
	errs           []error
}

// each encodes the items of one list. wire is what of an item is written, nil for
// itself.
func each[T any](s *splitting, kind string, list []*T, name func(*T) string, objects func(*T) []string, wire func(*T) any) {
	for _, item := range list {
		done := s.before[item]
		if done == nil {
			done = s.item(kind, name(item), item, wire == nil, func() any { return wire(item) })
			if objects != nil && done.resource != nil {
				done.resource.Objects = objects(item)
			}
		}
		s.items[item] = done
		s.add(done.resource, nil)
		if done.endpoints != nil {
			s.endpoints = append(s.endpoints, done.endpoints)
		}
	}
}

func (s *splitting) item(kind, name string, item any, plain bool, wire func() any) *encoded {
	value := item
	if !plain {
		value = wire()
	}
	done := &encoded{resource: s.encode(Key{kind, name}, value, nil)}
	if c, ok := item.(*ir.Cluster); ok {
		endpoints, err := EncodeEndpoints(c.Name, c.Endpoints)
		if err != nil {
			s.errs = append(s.errs, err)
			return done
		}
		endpoints.Objects = []string{c.Ref.String()}
		done.endpoints = endpoints
	}
	return done
}

// add takes a resource up, or the one from before if it is the same.
func (s *splitting) add(r, before *Resource) {
	switch {
	case r == nil:
	case before != nil && before.Hash == r.Hash && before.Key() == r.Key():
		s.out = append(s.out, before)
	default:
		s.out = append(s.out, r)
	}
}

// encode returns nil, and keeps the error, if a value cannot be sent.
func (s *splitting) encode(k Key, value any, objects []string) *Resource {
	s.buf.Reset()
	err := s.json.Encode(value)
	text := bytes.TrimSuffix(s.buf.Bytes(), []byte("\n"))
	switch {
	case err != nil:
	case replacedText(text):
		err = errors.New("it has text that is not UTF-8")
	case len(text) > MaxResourceBytes:
		err = fmt.Errorf("it is of %d MiB, and %d MiB can be sent to proxies", len(text)>>20, MaxResourceBytes>>20)
	}
	if err != nil {
		s.errs = append(s.errs, &ResourceError{k, err})
		return nil
	}
	body := bytes.Clone(text)
	return &Resource{Kind: k.Kind, Name: k.Name, Hash: xxhash.Sum64(body), Body: body, Objects: objects}
}

// replacedText tells whether JSON has the escape that package json writes for bytes
// that are not UTF-8; the character itself it writes as it is.
func replacedText(text []byte) bool {
	const escape = `\ufffd`
	for at := 0; ; {
		i := bytes.Index(text[at:], []byte(escape))
		if i < 0 {
			return false
		}
		at += i
		slashes := 0
		for slashes < at && text[at-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return true
		}
		at += len(escape)
	}
}

// sharedBy are the names of what rules share with the configuration's own lists.
func sharedBy(c *ir.Config) map[any]string {
	shared := make(map[any]string, len(c.Authorizations)+len(c.RateLimits))
	for _, x := range c.Authorizations {
		shared[x] = authorizationName(x)
	}
	for _, x := range c.RateLimits {
		shared[x] = rateLimitName(x)
	}
	return shared
}

func authorizationName(x *ir.Authorization) string { return x.Policy }

func rateLimitName(x *ir.RateLimit) string { return x.Policy + "/" + x.Name }
