package distrib

import (
	"slices"
	"strings"

	"github.com/gridway/gridway/internal/ir"
)

// MadeOf are the objects, "Kind/namespace/name", that a configuration was made of: those
// of the resources that Split makes of it.
func MadeOf(c *ir.Config) map[string]bool {
	out := map[string]bool{}
	gather(out, c.AddressLists, addressListObjects)
	gather(out, c.Authorizations, authorizationObjects)
	gather(out, c.Clusters, clusterObjects)
	gather(out, c.Consumers, consumerObjects)
	gather(out, c.KeySets, keySetObjects)
	gather(out, c.Listeners, listenerObjects)
	gather(out, c.Logins, loginObjects)
	gather(out, c.RateLimits, rateLimitObjects)
	gather(out, c.RateLimitStores, rateLimitStoreObjects)
	gather(out, c.RevocationLists, revocationListObjects)
	gather(out, c.Routes, routeObjects)
	gather(out, c.Streams, streamObjects)
	gather(out, c.TelemetrySinks, telemetrySinkObjects)
	gather(out, c.TokenIssuers, tokenIssuerObjects)
	gather(out, c.UserAgentLists, userAgentListObjects)
	return out
}

func gather[T any](out map[string]bool, list []*T, objects func(*T) []string) {
	for _, item := range list {
		for _, name := range objects(item) {
			out[name] = true
		}
	}
}

func listenerObjects(l *ir.Listener) []string {
	var out []string
	for _, s := range l.Sections {
		out = append(out, s.Ref.String())
	}
	return distinct(out)
}

func routeObjects(r *ir.Route) []string {
	out := []string{r.Ref.String()}
	for _, rule := range r.Rules {
		for _, p := range rule.Policies {
			out = append(out, p.String())
		}
	}
	return distinct(out)
}

func streamObjects(r *ir.StreamRoute) []string {
	out := []string{r.Ref.String()}
	for _, p := range r.Policies {
		out = append(out, p.String())
	}
	return distinct(out)
}

func addressListObjects(x *ir.AddressList) []string { return []string{"ShieldPolicy/" + x.Policy} }

func authorizationObjects(x *ir.Authorization) []string {
	return []string{"AuthorizationPolicy/" + x.Policy}
}

func clusterObjects(c *ir.Cluster) []string { return []string{c.Ref.String()} }

func consumerObjects(x *ir.Consumer) []string { return []string{"Consumer/" + x.String()} }

func keySetObjects(x *ir.KeySet) []string { return policyObject(x.Name) }

func loginObjects(x *ir.Login) []string { return policyObject(x.Name) }

func rateLimitObjects(x *ir.RateLimit) []string { return []string{"RateLimitPolicy/" + x.Policy} }

func rateLimitStoreObjects(x *ir.RateLimitStore) []string {
	return []string{"RateLimitStore/" + x.Name}
}

func revocationListObjects(x *ir.RevocationLists) []string {
	return []string{"AuthenticationPolicy/" + x.Policy}
}

func telemetrySinkObjects(x *ir.TelemetrySink) []string { return []string{x.Ref.String()} }

func tokenIssuerObjects(x *ir.TokenIssuer) []string { return []string{"TokenIssuer/" + x.Name} }

func userAgentListObjects(x *ir.UserAgentList) []string { return []string{"ShieldPolicy/" + x.Policy} }

// policyObject is the AuthenticationPolicy in the name of something that one of its
// methods has: "namespace/policy/method…".
func policyObject(name string) []string {
	namespace, rest, _ := strings.Cut(name, "/")
	policy, _, _ := strings.Cut(rest, "/")
	return []string{"AuthenticationPolicy/" + namespace + "/" + policy}
}

func distinct(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}
