package distrib

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// Kinds of resources. Each but two is of one list of ir.Config; endpoints are apart
// from their clusters, as they change most, and policies are one resource.
const (
	KindAddressList    = "addressList"
	KindAuthorization  = "authorization"
	KindCluster        = "cluster"
	KindConsumer       = "consumer"
	KindEndpoints      = "endpoints"
	KindKeySet         = "keySet"
	KindListener       = "listener"
	KindLogin          = "login"
	KindPolicies       = "policies"
	KindRateLimit      = "rateLimit"
	KindRateLimitStore = "rateLimitStore"
	KindRevocationList = "revocationList"
	KindRoute          = "route"
	KindSchema         = "schema"
	KindStream         = "stream"
	KindTelemetrySink  = "telemetrySink"
	KindTokenIssuer    = "tokenIssuer"
	KindUserAgentList  = "userAgentList"
)

// Resource is one item of a configuration as it is sent. It is shared by all who have
// it and never changed.
//
// Private keys and secrets are inside: this is the one form of the configuration that
// leaves a process with them. It goes nowhere but into a mutually authenticated
// stream and into a proxy's cache, which its user alone can read.
type Resource struct {
	Kind, Name string
	// Hash is the XXH64 of Body, equal for equal content in all processes of a version.
	Hash uint64
	// Body is JSON, or for endpoints a meshpb.Endpoints.
	Body []byte
	// Objects are those that the item was made of, "Kind/namespace/name": what is
	// said of the resource is said of them. They are not sent.
	Objects []string
}

// Key is what a resource is found by.
type Key struct{ Kind, Name string }

// Key of the resource.
func (r *Resource) Key() Key { return Key{r.Kind, r.Name} }

// String is for people: `cluster "Service/shop/cart:80"`.
func (k Key) String() string {
	if k.Name == "" {
		return k.Kind
	}
	return fmt.Sprintf("%s %q", k.Kind, k.Name)
}

// Compare orders resources by kind and name, as views have them.
func Compare(a, b *Resource) int { return compareKeys(a.Key(), b.Key()) }

func compareKeys(a, b Key) int {
	return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name))
}

// Sum is the hash of a whole view: of the kind, name and hash of each resource but
// endpoints, which change without a new revision. The list is in the order of Compare.
func Sum(list []*Resource) uint64 {
	d := xxhash.New()
	var end [9]byte
	for _, r := range list {
		if r.Kind == KindEndpoints {
			continue
		}
		_, _ = d.WriteString(r.Kind)
		_, _ = d.Write(end[8:])
		_, _ = d.WriteString(r.Name)
		for i := range 8 {
			end[i] = byte(r.Hash >> (8 * i))
		}
		_, _ = d.Write(end[:])
	}
	return d.Sum64()
}

// ResourceError is what is wrong with one resource. What refuses a configuration may
// join several.
type ResourceError struct {
	Key
	Err error
}

func (e *ResourceError) Error() string { return e.Key.String() + ": " + e.Err.Error() }

func (e *ResourceError) Unwrap() error { return e.Err }

// refusals finds the ResourceErrors in an error; one that has none is one refusal
// without a resource.
func refusals(err error) []*ResourceError {
	var out []*ResourceError
	var walk func(error)
	walk = func(err error) {
		switch e := err.(type) { //nolint:errorlint // the tree itself is walked
		case nil:
		case *ResourceError:
			out = append(out, e)
		case interface{ Unwrap() []error }:
			for _, inner := range e.Unwrap() {
				walk(inner)
			}
		default:
			walk(errors.Unwrap(err))
		}
	}
	if walk(err); out == nil {
		out = []*ResourceError{{Err: err}}
	}
	return out
}

// find returns the place of a key in a sorted list.
func find(list []*Resource, k Key) (int, bool) {
	return slices.BinarySearchFunc(list, k, func(r *Resource, k Key) int { return compareKeys(r.Key(), k) })
}
