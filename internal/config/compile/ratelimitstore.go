package compile

import (
	"fmt"
	"net"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/gridway/gridway/api/v1alpha1"
	"github.com/gridway/gridway/internal/config/status"
	"github.com/gridway/gridway/internal/config/store"
	"github.com/gridway/gridway/internal/ir"
)

const (
	defaultKeyPrefix    = "gridway:"
	defaultRedisConns   = 4
	defaultRedisConnect = 2 * time.Second
)

// compileRateLimitStores reads the RateLimitStores, ordered by name. One that is
// invalid goes on in its last good version; one whose references do not resolve is
// left out, so that its limits do what they do without an answer.
func (c *compiler) compileRateLimitStores() []*ir.RateLimitStore {
	var out []*ir.RateLimitStore
	for _, o := range c.set.Kind(ownGroup, v1alpha1.KindRateLimitStore) {
		v, ok := o.Value.(*v1alpha1.RateLimitStore)
		if !ok {
			continue
		}
		x := storeCompiler{newServer(c, o, "its limits do what onError says")}
		used, spec := c.storeInForce(o)
		if used != o {
			x.fallBack(judgeRateLimitStore(&v.Spec), used)
		}
		if spec != nil {
			if s := x.compile(used, spec); s != nil {
				out = append(out, c.sameStore(s))
			}
		}
		c.say(status.Object{
			Key: o.Key, Generation: meta(o).GetGeneration(), Position: o.Locate(""),
			Conditions: []status.Condition{x.accepted, x.resolved},
		})
	}
	return out
}

// sameStore is the one of the configuration before, if nothing changed.
func (c *compiler) sameStore(s *ir.RateLimitStore) *ir.RateLimitStore {
	if c.prevConfig != nil {
		for _, was := range c.prevConfig.RateLimitStores {
			if was.Name == s.Name && reflect.DeepEqual(was, s) {
				return was
			}
		}
	}
	return s
}

// storeCompiler is the work on one RateLimitStore.
type storeCompiler struct{ *server }

// storeInForce is the version of a RateLimitStore that is used: the object itself, its
// last good version, or nothing.
func (c *compiler) storeInForce(o *store.Object) (*store.Object, *v1alpha1.RateLimitStoreSpec) {
	for _, one := range []*store.Object{o, c.lastGood(o)} {
		if one == nil {
			continue
		}
		if v, ok := one.Value.(*v1alpha1.RateLimitStore); ok && len(judgeRateLimitStore(&v.Spec)) == 0 {
			return one, &v.Spec
		}
	}
	return nil, nil
}

func judgeRateLimitStore(spec *v1alpha1.RateLimitStoreSpec) []fault {
	r := spec.Redis
	kinds := 0
	for _, given := range []bool{r != nil, spec.StateStore != nil, spec.Service != nil} {
		if given {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		return []fault{{field: "spec", code: "InvalidValue", message: "exactly one of redis, stateStore and service must be given"}}
	case r == nil:
		return nil
	}
	var faults []fault
	add := func(field, message, remedy string) {
		faults = append(faults, fault{field: "spec.redis." + field, code: "InvalidValue", message: message, remedy: remedy})
	}
	mode := deref(r.Mode, v1alpha1.RedisSingle)
	for i, a := range r.Addresses {
		if why := checkHostPort(a); why != "" {
			add(fmt.Sprintf("addresses[%d]", i), fmt.Sprintf("%q %s", a, why), "write HOST:PORT, for example redis.internal:6379")
		}
	}
	switch {
	case mode == v1alpha1.RedisSingle && len(r.Addresses) != 1:
		add("addresses", "mode Single takes one address", "set mode to Sentinel or Cluster, or name one Redis")
	case (mode == v1alpha1.RedisSentinelMode) != (r.Sentinel != nil):
		add("sentinel", "sentinel must be given with mode Sentinel, and with no other", "")
	case mode == v1alpha1.RedisCluster && deref(r.Database, 0) != 0:
		add("database", "a cluster of Redis has database 0 only", "leave it out")
	}
	if r.ConnectTimeout != nil {
		if f := judgeWithin("spec.redis.connectTimeout", *r.ConnectTimeout, 100*time.Millisecond, 30*time.Second); f != nil {
			faults = append(faults, *f)
		}
	}
	if n := deref(r.Connections, defaultRedisConns); n < 1 || n > 64 || n&(n-1) != 0 {
		add("connections", fmt.Sprintf("%d is not a power of two from 1 to 64", n), "")
	}
	return faults
}

// checkHostPort says what is wrong with HOST:PORT.
func checkHostPort(a string) string {
	host, port, err := net.SplitHostPort(a)
	if err != nil || host == "" || strings.ContainsAny(host, " /@") {
		return "is not an address with a port"
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "has no port from 1 to 65535"
	}
	return ""
}

// compile returns nil if the store cannot be asked as it should.
func (x storeCompiler) compile(used *store.Object, spec *v1alpha1.RateLimitStoreSpec) *ir.RateLimitStore {
	if spec.Service != nil {
		return x.service(used, spec.Service)
	}
	r := spec.Redis
	if r == nil {
		return &ir.RateLimitStore{Name: x.object.Key.Namespace + "/" + x.object.Key.Name, Ref: ref(used, "spec"), StateStore: true}
	}
	out := &ir.RedisStore{
		Mode: ir.RedisMode(deref(r.Mode, v1alpha1.RedisSingle)), Addresses: r.Addresses, Username: deref(r.Username, ""),
		Database: int(deref(r.Database, 0)), KeyPrefix: deref(r.KeyPrefix, defaultKeyPrefix),
		Connections: int(deref(r.Connections, defaultRedisConns)), ConnectTimeout: duration(r.ConnectTimeout, defaultRedisConnect),
	}
	whole := x.secret(used, r.PasswordSecretRef, "spec.redis.passwordSecretRef", &out.Password)
	if s := r.Sentinel; s != nil {
		out.Master, out.SentinelUsername = s.MasterName, deref(s.Username, "")
		whole = x.secret(used, s.PasswordSecretRef, "spec.redis.sentinel.passwordSecretRef", &out.SentinelPassword) && whole
	}
	if r.TLS != nil {
		out.TLS = x.tls(used, "spec.redis.tls", serverTLS(*r.TLS))
		whole = whole && out.TLS != nil
	}
	if !whole {
		return nil
	}
	if out.TLS == nil && out.Password != "" {
		for i, a := range r.Addresses {
			if host, _, _ := net.SplitHostPort(a); !ir.Loopback(host) {
				x.reportOnce(problemAt(used, fmt.Sprintf("spec.redis.addresses[%d]", i), store.Warning, "PasswordUnprotected",
					fmt.Sprintf("the password is sent to %s as it is: whoever is on the path can read it", a), "set tls"))
				break
			}
		}
	}
	return &ir.RateLimitStore{Name: x.object.Key.Namespace + "/" + x.object.Key.Name, Ref: ref(used, "spec"), Redis: out}
}

// resolveStores warns of limits whose store there is not.
func (c *compiler) resolveStores(p *rateLimitPolicy) {
	for i := range p.spec.Limits {
		g := p.spec.Limits[i].Global
		if g == nil {
			continue
		}
		key := storeKey(p, g)
		if o := c.set.Get(key); o != nil {
			if _, spec := c.storeInForce(o); spec != nil && spec.Service != nil {
				c.judgeForService(p, i)
			}
			continue
		}
		message, remedy := c.notFound(key)
		c.report(problemAt(p.used, fmt.Sprintf("spec.limits[%d].global.storeRef.name", i), store.Warning, "InvalidStoreRef",
			fmt.Sprintf("%s: onError holds all the time, which is %s", message, c.onErrorOf(p, g)), remedy))
	}
}
