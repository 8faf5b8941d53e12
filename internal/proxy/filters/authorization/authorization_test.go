package authorization_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/filters/authorization"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

type tally map[filter.Decision]int

func (t tally) Decided(d int) { t[filter.Decision(d)]++ }

func compile(t testing.TB, cfg *ir.Authorization) *authorization.Policy {
	t.Helper()
	p, err := authorization.Compile(cfg, tally{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func allow(rules ...ir.AuthorizationRule) *ir.Authorization {
	return policy("n/allow", ir.AuthorizationAllow, rules...)
}

func policy(name string, action ir.AuthorizationAction, rules ...ir.AuthorizationRule) *ir.Authorization {
	for i := range rules {
		if rules[i].Name == "" {
			rules[i].Name = fmt.Sprintf("r%d", i)
		}
	}
	return &ir.Authorization{Policy: name, Action: action, Rules: rules}
}

type conditions = ir.AuthorizationConditions

func when(c conditions) ir.AuthorizationRule { return ir.AuthorizationRule{AuthorizationConditions: c} }

func unless(c conditions) ir.AuthorizationRule { return ir.AuthorizationRule{Not: &c} }

var (
	acme    = &ir.Consumer{Namespace: "n", Name: "acme", Groups: []string{"partners", "eu"}, Plan: "gold", Labels: []ir.Label{{Name: "tier", Value: "1"}}}
	weekday = time.Date(2026, 11, 18, 9, 30, 0, 0, time.UTC) // a Wednesday
)

// request is one by acme, with a token, from a service with a certificate.
func request() *filter.Exchange {
	id, _ := url.Parse("spiffe://shop.example/ns/shop/sa/cart")
	cert := &x509.Certificate{URIs: []*url.URL{id}}
	x := &filter.Exchange{
		Client: netip.MustParseAddr("192.0.2.7"), Start: weekday,
		TLS: &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}, VerifiedChains: [][]*x509.Certificate{{cert}}},
	}
	x.Req.Method, x.Req.MethodID, x.Req.Path, x.Req.Host = []byte("GET"), httpmsg.MethodGet, []byte("/orders/7"), []byte("shop.example:8080")
	x.Req.Header.Add([]byte("X-Tenant"), []byte("blue"))
	x.Req.Header.Add([]byte("x-tenant"), []byte("green"))
	x.Caller = filter.Caller{Method: "jwt", Consumer: acme, Claims: filter.NewClaims(map[string]any{
		"sub": "ada", "scope": "read write", "exp": 1790000000.0, "admin": true, "none": nil,
		"realm_access": map[string]any{"roles": []any{"dev", "ops", 7.0}},
	})}
	return x
}

func anonymous() *filter.Exchange {
	x := request()
	x.Caller, x.TLS = filter.Caller{}, nil
	return x
}

func value(name string, how ir.Comparison, values ...string) []ir.ValueCondition {
	return []ir.ValueCondition{{Name: name, Type: how, Values: values}}
}

func prefixes(list ...string) (out []netip.Prefix) {
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// TestConditions: each holds for the request, or does not; below not it is the
// other way around; and nothing that asks who calls holds for nobody.
func TestConditions(t *testing.T) {
	window := func(w ir.TimeWindow) conditions { return conditions{Times: []ir.TimeWindow{w}} }
	for name, c := range map[string]struct {
		conditions
		holds, caller bool
	}{
		"consumer":          {conditions{Consumers: []string{"n/other", "n/acme"}}, true, true},
		"another namespace": {conditions{Consumers: []string{"m/acme"}}, false, true},
		"any consumer":      {conditions{Consumers: []string{"*"}}, true, true},
		"many consumers":    {conditions{Consumers: []string{"n/a", "n/b", "n/c", "n/d", "n/e", "n/f", "n/g", "n/h", "n/i", "n/acme"}}, true, true},
		"group":             {conditions{Groups: []string{"us", "eu"}}, true, true},
		"other groups":      {conditions{Groups: []string{"us", "e"}}, false, true},
		"plan":              {conditions{Plans: []string{"gold"}}, true, true},
		"other plan":        {conditions{Plans: []string{""}}, false, true},
		"label":             {conditions{Labels: []ir.LabelCondition{{Name: "tier", Values: []string{"2", "1"}}}}, true, true},
		"label is there":    {conditions{Labels: []ir.LabelCondition{{Name: "tier"}}}, true, true},
		"labels, all":       {conditions{Labels: []ir.LabelCondition{{Name: "tier"}, {Name: "zone"}}}, false, true},
		"method of auth":    {conditions{AuthenticationMethods: []string{"jwt"}}, true, true},
		"any method":        {conditions{AuthenticationMethods: []string{"*"}}, true, true},
		"scopes, all":       {conditions{Scopes: []string{"write", "read"}}, true, true},
		"a scope too many":  {conditions{Scopes: []string{"read", "admin"}}, false, true},
		"claim":             {conditions{Claims: value("sub", ir.CompareExact, "bob", "ada")}, true, true},
		"claim is there":    {conditions{Claims: value("sub", ir.ComparePresent)}, true, true},
		"claim is null":     {conditions{Claims: value("none", ir.ComparePresent)}, false, true},
		"no such claim":     {conditions{Claims: value("x", ir.ComparePresent)}, false, true},
		"number":            {conditions{Claims: value("exp", ir.CompareExact, "1790000000")}, true, true},
		"boolean":           {conditions{Claims: value("admin", ir.CompareExact, "true")}, true, true},
		"in a list":         {conditions{Claims: value("/realm_access/roles", ir.CompareExact, "ops")}, true, true},
		"number in a list":  {conditions{Claims: value("/realm_access/roles", ir.CompareRegex, `[0-9]`)}, true, true},
		"claim prefix":      {conditions{Claims: value("sub", ir.ComparePrefix, "ad")}, true, true},
		"claim suffix":      {conditions{Claims: value("sub", ir.CompareSuffix, "da")}, true, true},
		"claim regex":       {conditions{Claims: value("sub", ir.CompareRegex, "a.a")}, true, true},
		"regex of a part":   {conditions{Claims: value("sub", ir.CompareRegex, "a|b")}, false, true},
		"an object":         {conditions{Claims: value("realm_access", ir.CompareExact, "roles")}, false, true},
		"identity":          {conditions{Identities: []string{"spiffe://shop.example/ns/shop/sa/cart"}}, true, true},
		"identities below":  {conditions{Identities: []string{"spiffe://shop.example/ns/shop/*"}}, true, true},
		"trust domain":      {conditions{Identities: []string{"spiffe://shop.example/*"}}, true, true},
		"any identity":      {conditions{Identities: []string{"*"}}, true, true},
		"other domain":      {conditions{Identities: []string{"spiffe://shop.example.org/*", "spiffe://shop.example/ns/sho/*"}}, false, true},
		"address":           {conditions{ClientIPs: prefixes("10.0.0.0/8", "192.0.2.7/32")}, true, false},
		"other addresses":   {conditions{ClientIPs: prefixes("192.0.2.8/29", "::/0")}, false, false},
		"method":            {conditions{Methods: []string{"POST", "GET"}}, true, false},
		"other method":      {conditions{Methods: []string{"get"}}, false, false},
		"path":              {conditions{Paths: []ir.PathMatch{{Type: ir.Exact, Value: "/orders/7"}}}, true, false},
		"path below":        {conditions{Paths: []ir.PathMatch{{Type: ir.Prefix, Value: "/orders"}}}, true, false},
		"path beside":       {conditions{Paths: []ir.PathMatch{{Type: ir.Prefix, Value: "/order"}, {Type: ir.Exact, Value: "/orders"}}}, false, false},
		"every path":        {conditions{Paths: []ir.PathMatch{{Type: ir.Prefix, Value: "/"}}}, true, false},
		"path regex":        {conditions{Paths: []ir.PathMatch{{Type: ir.Regex, Value: "/orders/[0-9]+"}}}, true, false},
		"part of a path":    {conditions{Paths: []ir.PathMatch{{Type: ir.Regex, Value: "/orders"}}}, false, false},
		"host":              {conditions{Hosts: []string{"shop.example"}}, true, false},
		"hosts below":       {conditions{Hosts: []string{"*.example"}}, true, false},
		"not below itself":  {conditions{Hosts: []string{"*.shop.example"}}, false, false},
		"header":            {conditions{Headers: value("X-Tenant", ir.CompareExact, "green")}, true, false},
		"header regex":      {conditions{Headers: value("x-tenant", ir.CompareRegex, "bl..")}, true, false},
		"headers, all":      {conditions{Headers: append(value("X-Tenant", ir.ComparePresent), value("X-Other", ir.ComparePresent)...)}, false, false},
		"grpc method":       {conditions{GRPCMethods: []ir.GRPCMethodPattern{{Service: "orders", Method: "7"}}}, true, false},
		"grpc service":      {conditions{GRPCMethods: []ir.GRPCMethodPattern{{Service: "orders"}}}, true, false},
		"other service":     {conditions{GRPCMethods: []ir.GRPCMethodPattern{{Service: "order"}, {Method: "8"}}}, false, false},
		"days":              {window(ir.TimeWindow{Days: 1 << time.Wednesday}), true, false},
		"other days":        {window(ir.TimeWindow{Days: 1<<time.Tuesday | 1<<time.Thursday}), false, false},
		"hours":             {window(ir.TimeWindow{From: 9 * 60, Until: 9*60 + 31}), true, false},
		"just over":         {window(ir.TimeWindow{From: 9 * 60, Until: 9*60 + 30}), false, false},
		"over midnight":     {window(ir.TimeWindow{From: 22 * 60, Until: 10 * 60, Days: 1 << time.Tuesday}), true, false},
		"the day after":     {window(ir.TimeWindow{From: 22 * 60, Until: 10 * 60, Days: 1 << time.Wednesday}), false, false},
		"in a zone":         {window(ir.TimeWindow{From: 18 * 60, Until: 19 * 60, TimeZone: "Asia/Tokyo"}), true, false},
		"from a date":       {window(ir.TimeWindow{NotBefore: weekday, NotAfter: weekday}), true, false},
		"not yet":           {window(ir.TimeWindow{NotBefore: weekday.Add(1)}), false, false},
		"no more":           {window(ir.TimeWindow{NotAfter: weekday.Add(-1)}), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			yes := authorization.New([]*authorization.Policy{compile(t, allow(when(c.conditions)))}, authorization.Deps{})
			no := authorization.New([]*authorization.Policy{compile(t, allow(unless(c.conditions)))}, authorization.Deps{})
			if got := yes.OnRequest(request()) == filter.Continue; got != c.holds {
				t.Errorf("holds: %t", got)
			}
			// Lists of which all must hold are no mirror images: none of them may.
			if got := no.OnRequest(request()) == filter.Continue; got == c.holds {
				if all := len(c.Labels)+len(c.Scopes)+len(c.Headers) > 1; !all {
					t.Errorf("below not: %t", got)
				}
			}
			if c.caller && (yes.OnRequest(anonymous()) == filter.Continue || no.OnRequest(anonymous()) != filter.Continue) {
				t.Error("it holds for nobody")
			}
		})
	}
}

// An identity counts only as a verified certificate proves it.
func TestUnverifiedIdentity(t *testing.T) {
	a := authorization.New([]*authorization.Policy{compile(t, allow(when(conditions{Identities: []string{"*"}})))}, authorization.Deps{})
	x := request()
	x.TLS.VerifiedChains = nil
	if a.OnRequest(x) == filter.Continue {
		t.Error("an unverified certificate proves an identity")
	}
	x = request()
	other, _ := url.Parse("spiffe://other.example/a")
	x.TLS.PeerCertificates[0].URIs = append(x.TLS.PeerCertificates[0].URIs, other)
	if a.OnRequest(x) == filter.Continue {
		t.Error("a certificate with two identities proves one")
	}
}

// TestOrder: whatever the order of policies and of their rules, the decision is
// the same, and it is that of the definition.
func TestOrder(t *testing.T) {
	get, admin := when(conditions{Methods: []string{"GET"}}), when(conditions{Groups: []string{"partners"}})
	never := when(conditions{Hosts: []string{"elsewhere"}})
	pool := []*ir.Authorization{
		policy("n/a", ir.AuthorizationAllow, get, never), policy("n/b", ir.AuthorizationAllow, never), policy("n/c", ir.AuthorizationAllow, never, admin),
		policy("n/d", ir.AuthorizationDeny, never), policy("n/e", ir.AuthorizationDeny, admin, never), policy("n/f", ir.AuthorizationAudit, get),
		policy("n/g", ir.AuthorizationAllow),
	}
	dry := policy("n/h", ir.AuthorizationDeny, get)
	dry.DryRun = true
	pool = append(pool, dry)
	rnd := rand.New(rand.NewPCG(1, 2))
	for set := range 1 << len(pool) {
		var list []*ir.Authorization
		for i, p := range pool {
			if set>>i&1 == 1 {
				list = append(list, p)
			}
		}
		has := func(name string) bool {
			return slices.ContainsFunc(list, func(p *ir.Authorization) bool { return p.Policy == "n/"+name })
		}
		for _, x := range []*filter.Exchange{request(), anonymous()} {
			known := x.Caller.Known()
			allows := has("a") || has("b") || has("c") || has("g")
			want := !(has("e") && known) && (!allows || has("a") || has("c") && known)
			for range 4 {
				rnd.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
				var compiled []*authorization.Policy
				for _, p := range list {
					mixed := *p
					mixed.Rules = slices.Clone(p.Rules)
					rnd.Shuffle(len(mixed.Rules), func(i, j int) { mixed.Rules[i], mixed.Rules[j] = mixed.Rules[j], mixed.Rules[i] })
					compiled = append(compiled, compile(t, &mixed))
				}
				x.Notes = nil
				if got := authorization.New(compiled, authorization.Deps{}).OnRequest(x) == filter.Continue; got != want {
					t.Fatalf("policies %b, known %t: allowed %t, want %t", set, known, got, want)
				}
				notes := 0
				for _, n := range []string{"f", "h"} {
					if has(n) {
						notes++
					}
				}
				if len(x.Notes) != notes {
					t.Fatalf("policies %b: notes %v, want %d", set, x.Notes, notes)
				}
			}
		}
	}
}

// A credential is asked for where one could help, and access denied elsewhere.
func TestReplies(t *testing.T) {
	ask := func(x *filter.Exchange) { x.Resp.Header.AddID(httpmsg.NameWWWAuthenticate, []byte("Bearer")) }
	broken := &ir.Authorization{Policy: "n/broken", Broken: true}
	byGroup := when(conditions{Groups: []string{"nobody"}})
	for name, c := range map[string]struct {
		policy *ir.Authorization
		x      *filter.Exchange
		ask    func(*filter.Exchange)
		status int
		reason filter.Reason
	}{
		"unknown, a caller could":  {allow(byGroup), anonymous(), ask, 401, filter.Unauthenticated},
		"unknown, nobody is asked": {allow(byGroup), anonymous(), nil, 403, filter.AccessDenied},
		"known":                    {allow(byGroup), request(), ask, 403, filter.AccessDenied},
		"no caller could":          {allow(when(conditions{Methods: []string{"PUT"}})), anonymous(), ask, 403, filter.AccessDenied},
		"nothing is allowed":       {allow(), anonymous(), ask, 403, filter.AccessDenied},
		"denied to all but some":   {policy("n/d", ir.AuthorizationDeny, unless(conditions{Groups: []string{"partners"}})), anonymous(), ask, 401, filter.Unauthenticated},
		"denied":                   {policy("n/d", ir.AuthorizationDeny, when(conditions{Methods: []string{"GET"}})), anonymous(), ask, 403, filter.AccessDenied},
		"broken":                   {broken, request(), ask, 503, filter.AuthorizationUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			a := authorization.New([]*authorization.Policy{compile(t, c.policy)}, authorization.Deps{Ask: c.ask})
			if a.OnRequest(c.x) != filter.Reply || c.x.Local.Status != c.status || c.x.Local.Reason != c.reason || c.x.Policy != c.policy.Policy {
				t.Errorf("%d %s by %s, want %d %s", c.x.Local.Status, c.x.Local.Reason, c.x.Policy, c.status, c.reason)
			}
			if asked := c.x.Resp.Header.Has(httpmsg.NameWWWAuthenticate); asked != (c.status == 401) {
				t.Errorf("asked for a credential: %t", asked)
			}
		})
	}
}

// What cannot be compiled lets nothing through.
func TestUncompiled(t *testing.T) {
	p, err := authorization.Compile(allow(when(conditions{Paths: []ir.PathMatch{{Type: ir.Regex, Value: "("}}})), tally{})
	if err == nil {
		t.Fatal("no error")
	}
	x := request()
	if authorization.New([]*authorization.Policy{p}, authorization.Deps{}).OnRequest(x); x.Local.Status != 503 {
		t.Errorf("status %d", x.Local.Status)
	}
}

// TestDryRun: dry policies say what they would do beside those in force.
func TestDryRun(t *testing.T) {
	dry := func(p *ir.Authorization) *ir.Authorization { p.DryRun = true; return p }
	yes, no := when(conditions{Methods: []string{"GET"}}), when(conditions{Methods: []string{"PUT"}})
	for name, c := range map[string]struct {
		list []*ir.Authorization
		want int
	}{
		"would allow":               {[]*ir.Authorization{dry(allow(yes))}, 0},
		"would not allow":           {[]*ir.Authorization{dry(allow(no))}, 1},
		"another allows":            {[]*ir.Authorization{dry(allow(no)), allow(yes)}, 0},
		"another dry one allows":    {[]*ir.Authorization{dry(allow(no)), dry(allow(yes))}, 0},
		"would deny":                {[]*ir.Authorization{dry(policy("n/d", ir.AuthorizationDeny, yes)), allow(yes)}, 1},
		"would not deny":            {[]*ir.Authorization{dry(policy("n/d", ir.AuthorizationDeny, no))}, 0},
		"without rules, and denied": {[]*ir.Authorization{dry(allow()), dry(policy("n/d", ir.AuthorizationDeny, yes))}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			var list []*authorization.Policy
			for _, p := range c.list {
				list = append(list, compile(t, p))
			}
			x := request()
			if authorization.New(list, authorization.Deps{}).OnRequest(x) != filter.Continue || len(x.Notes) != c.want {
				t.Errorf("notes %v, want %d; status %d", x.Notes, c.want, x.Local.Status)
			}
		})
	}
}

// TestCEL: an expression holds beside all else; what cannot be evaluated allows
// nothing, and is denied.
func TestCEL(t *testing.T) {
	for name, c := range map[string]struct {
		cel         string
		holds, fail bool
	}{
		"holds":      {`caller.claims.sub == "ada" && request.headers["x-tenant"] == "blue, green" && request.host == "shop.example"`, true, false},
		"does not":   {`"admin" in caller.groups`, false, false},
		"no claim":   {`caller.claims.tenant == "blue"`, false, true},
		"wrong type": {`caller.claims.admin > 3`, false, true},
		"no header":  {`request.headers["x-none"] == ""`, false, true},
		"all facts": {`request.method == "GET" && request.path == "/orders/7" && request.query == "" && request.scheme == "" && request.protocol != "HTTP/3" && request.size == 0 &&
			request.time.getFullYear() == 2026 && client.address.inNetwork("192.0.2.0/24") && caller.known && caller.method == "jwt" && caller.consumer == "n/acme" && "eu" in caller.groups &&
			caller.plan == "gold" && caller.labels.tier == "1" && caller.subject == "ada" && caller.issuer == "" && "read" in caller.scopes && caller.claims.realm_access.roles[2] == 7 &&
			source.identity == "spiffe://shop.example/ns/shop/sa/cart" && tls.version != "" && tls.serverName == ""`, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			rule := ir.AuthorizationRule{AuthorizationConditions: conditions{Methods: []string{"GET"}}, CEL: c.cel}
			allows := authorization.New([]*authorization.Policy{compile(t, allow(rule))}, authorization.Deps{})
			denies := authorization.New([]*authorization.Policy{compile(t, policy("n/d", ir.AuthorizationDeny, rule))}, authorization.Deps{})
			if got := allows.OnRequest(request()) == filter.Continue; got != c.holds {
				t.Errorf("allowed: %t", got)
			}
			if got := denies.OnRequest(request()) == filter.Reply; got != (c.holds || c.fail) {
				t.Errorf("denied: %t", got)
			}
		})
	}
	// For nobody every fact is empty, and none is missing.
	a := authorization.New([]*authorization.Policy{compile(t, allow(ir.AuthorizationRule{
		CEL: `!caller.known && caller.method + caller.consumer + caller.plan + caller.subject + caller.issuer + source.identity + tls.version == "" &&
			size(caller.groups) + size(caller.labels) + size(caller.scopes) + size(caller.claims) == 0`,
	}))}, authorization.Deps{})
	if x := anonymous(); a.OnRequest(x) != filter.Continue {
		t.Errorf("nobody: %d", x.Local.Status)
	}
	if _, err := authorization.Compile(allow(ir.AuthorizationRule{CEL: "request.nothing"}), tally{}); err == nil {
		t.Error("an expression that is none was compiled")
	}
}
