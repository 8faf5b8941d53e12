package authentication_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/password"
	"github.com/gridway/gridway/internal/proxy/consumer"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/filters/authentication"
	"github.com/gridway/gridway/internal/wire/httpmsg"
)

const (
	key   = "acme-key-0123456789abcdef"
	other = "other-key-0123456789abcdef"
	late  = "late-key-0123456789abcdef"
	early = "early-key-0123456789abcdef"
)

var start = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func digest(k string) []byte {
	sum := sha256.Sum256([]byte(k))
	return sum[:]
}

func directory() *consumer.Directory {
	d := consumer.New()
	d.Apply([]*ir.Consumer{
		{
			Namespace: "default", Name: "acme", Groups: []string{"a", "b"}, GroupList: "a,b", Plan: "gold",
			Credentials: []ir.ConsumerCredential{
				{Name: "one", KeyDigest: digest(key)},
				{Name: "late", KeyDigest: digest(late), NotAfter: start.Add(-time.Second)},
				{Name: "early", KeyDigest: digest(early), NotBefore: start.Add(time.Second)},
			},
		},
		{Namespace: "other", Name: "bob", Credentials: []ir.ConsumerCredential{{Name: "k", KeyDigest: digest(other)}}},
	})
	return d
}

type counts map[filter.Decision]int

func (c counts) Decided(d int) { c[filter.Decision(d)]++ }

func policy(from ...ir.CredentialSource) *ir.Authentication {
	if len(from) == 0 {
		from = []ir.CredentialSource{{Header: "X-API-Key"}}
	}
	return &ir.Authentication{
		Policy: "default/keys", Namespace: "default", Realm: "shop",
		AnyOf: []ir.AuthenticationMethod{{Name: "apiKey", APIKey: &ir.APIKeyAuth{From: from}}},
	}
}

func request(query string, headers ...string) *filter.Exchange {
	x := &filter.Exchange{Start: start}
	x.Req.Query, x.Req.HasQuery = []byte(query), query != ""
	for i := 0; i < len(headers); i += 2 {
		x.Req.Header.Add([]byte(headers[i]), []byte(headers[i+1]))
	}
	return x
}

// result is "pass METHOD CONSUMER CREDENTIAL | what is left", or the reply.
func result(v filter.Verdict, x *filter.Exchange) string {
	if v == filter.Reply {
		return fmt.Sprintf("%d %s %s", x.Local.Status, x.Local.Reason, x.Resp.Header.Get(httpmsg.NameWWWAuthenticate))
	}
	out := []string{"pass"}
	if x.Caller.Known() {
		who := ""
		if x.Caller.Consumer != nil {
			who = x.Caller.Consumer.String()
		}
		out = append(out, x.Caller.Method, who, x.Caller.Credential)
	}
	out = append(out, "|")
	if x.Req.HasQuery {
		out = append(out, "?"+string(x.Req.Query))
	}
	for i := range x.Req.Header.Len() {
		f := x.Req.Header.At(i)
		out = append(out, string(f.Name)+": "+string(f.Value))
	}
	return strings.Join(out, " ")
}

func TestAPIKey(t *testing.T) {
	header := []ir.CredentialSource{{Header: "X-API-Key"}}
	bearer := []ir.CredentialSource{{Header: "Authorization", Prefix: "Bearer "}, {Query: "api_key"}, {Cookie: "key"}}
	const (
		none        = `401 Unauthenticated ApiKey realm="shop"`
		bad         = `401 InvalidCredential ApiKey realm="shop"`
		none2, bad2 = `401 Unauthenticated Bearer realm="shop"`, `401 InvalidCredential Bearer realm="shop"`
	)
	for _, c := range []struct {
		name    string
		from    []ir.CredentialSource
		query   string
		headers []string
		want    string
	}{
		{"a key", header, "", []string{"X-API-Key", key, "A", "b"}, "pass apiKey default/acme one | A: b"},
		{"in any case of the header", header, "", []string{"x-api-KEY", key}, "pass apiKey default/acme one |"},
		{"with space around it", header, "", []string{"X-API-Key", " " + key + "\t"}, "pass apiKey default/acme one |"},
		{"nothing", header, "a=b", nil, none},
		{"a key elsewhere", header, "api_key=" + key, []string{"Cookie", "key=" + key}, none},
		{"an unknown one", header, "", []string{"X-API-Key", "x" + key}, bad},
		{"one of another namespace", header, "", []string{"X-API-Key", other}, bad},
		{"one that has expired", header, "", []string{"X-API-Key", late}, bad},
		{"one that has not begun", header, "", []string{"X-API-Key", early}, bad},
		{"an empty one", header, "", []string{"X-API-Key", ""}, bad},
		{"a short one", header, "", []string{"X-API-Key", "short"}, bad},
		{"a long one", header, "", []string{"X-API-Key", strings.Repeat("k", 1025)}, bad},
		{"two of them", header, "", []string{"X-API-Key", key, "X-API-Key", key}, bad},
		{"two in one header", header, "", []string{"X-API-Key", key + ", " + key}, bad},

		{"after a prefix", bearer, "", []string{"Authorization", "bearer  " + key}, "pass apiKey default/acme one |"},
		{"another scheme", bearer, "", []string{"Authorization", "Basic " + key}, none2},
		{"a prefix alone", bearer, "", []string{"Authorization", "Bearer "}, none2},
		{"in the query", bearer, "a=b&api_key=" + key + "&c", nil, "pass apiKey default/acme one | ?a=b&c"},
		{"alone in the query", bearer, "api_key=" + key, nil, "pass apiKey default/acme one |"},
		{"in the query, escaped", bearer, "api%5Fkey=acme%2dkey-0123456789abcde%66", nil, "pass apiKey default/acme one |"},
		{"twice in the query", bearer, "api_key=" + key + "&api_key=x", nil, bad2},
		{"empty in the query", bearer, "api_key", nil, bad2},
		{"in a cookie", bearer, "", []string{"Cookie", "a=b; key=" + key + ";c=d"}, "pass apiKey default/acme one | Cookie: a=b; c=d"},
		{"alone in a cookie, quoted", bearer, "", []string{"Cookie", `key="` + key + `"`}, "pass apiKey default/acme one |"},
		{"in one of several fields", bearer, "", []string{"Cookie", "a=b", "Cookie", "key=" + key, "X", "y"}, "pass apiKey default/acme one | Cookie: a=b X: y"},
		{"twice in cookies", bearer, "", []string{"Cookie", "key=" + key, "Cookie", "key=x"}, bad2},
		{"a cookie of nearly that name", bearer, "", []string{"Cookie", "Key=" + key}, none2},
		{"the first place holds, the others are emptied", bearer, "api_key=wrong&x=1", []string{"Authorization", "Bearer " + key, "Cookie", "key=wrong"}, "pass apiKey default/acme one | ?x=1"},
		{"a wrong one in the first place", bearer, "api_key=" + key, []string{"Authorization", "Bearer wrong"}, bad2},
	} {
		p := policy(c.from...)
		n := counts{}
		a := authentication.New(p, authentication.Deps{Consumers: directory(), Decisions: n})
		x := request(c.query, c.headers...)
		if got := result(a.OnRequest(x), x); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if len(n) != 1 {
			t.Errorf("%s: decisions %v", c.name, n)
		}
		if x.Local.Status != 0 && x.Policy != "default/keys" {
			t.Errorf("%s: refused by %q", c.name, x.Policy)
		}
		// Optional lets nobody through whose credential is bad.
		p.Optional = true
		x = request(c.query, c.headers...)
		got := result(a.OnRequest(x), x)
		if missing := strings.Contains(c.want, " Unauthenticated "); missing != strings.HasPrefix(got, "pass |") {
			t.Errorf("%s: if it is optional, %s", c.name, got)
		}
	}
}

// Names and passwords, as RFC 7617 writes them.
func TestBasic(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("open sesame"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	d := consumer.New()
	p := &ir.Authentication{
		Policy: "default/users", Namespace: "default", Realm: "shop",
		AnyOf: []ir.AuthenticationMethod{{Name: "basic", Basic: &ir.BasicAuth{}}, {Name: "apiKey", APIKey: &ir.APIKeyAuth{From: []ir.CredentialSource{{Header: "X-API-Key"}}}}},
	}
	detached := 0
	a := authentication.New(p, authentication.Deps{Consumers: d, Decisions: counts{}, Passwords: password.New(1)})
	ask := func(headers ...string) string {
		x := request("", headers...)
		x.Detach = func() { detached++ }
		got := result(a.OnRequest(x), x)
		if x.Local.Reason == filter.InvalidCredential && x.Req.Header.Len() > 0 {
			t.Errorf("%s: the credential is left to be logged", got)
		}
		return got
	}
	encode := func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	const none, bad = `401 Unauthenticated Basic realm="shop", charset="UTF-8"`, `401 InvalidCredential Basic realm="shop", charset="UTF-8"`
	if got := ask("Authorization", encode("ali:open sesame")); got != bad || detached != 0 {
		t.Errorf("without anybody: %s, detached %d", got, detached)
	}
	d.Apply([]*ir.Consumer{
		{Namespace: "default", Name: "baba", Credentials: []ir.ConsumerCredential{{Name: "pw", Username: "ali", PasswordHash: string(hash)}, {Name: "k", KeyDigest: digest(key)}}},
		{Namespace: "other", Name: "thief", Credentials: []ir.ConsumerCredential{{Name: "pw", Username: "cassim", PasswordHash: string(hash)}}},
	})
	for _, c := range []struct {
		name, value, want string
		work              int
	}{
		{"right", encode("ali:open sesame"), "pass basic default/baba pw |", 1},
		{"right again, by memory", encode("ali:open sesame"), "pass basic default/baba pw |", 0},
		{"wrong", encode("ali:open barley"), bad, 1},
		{"nobody costs the same", encode("nobody:open sesame"), bad, 1},
		{"somebody of another namespace", encode("cassim:open sesame"), bad, 1},
		{"no colon", encode("ali"), bad, 0},
		{"no password", encode("ali:"), bad, 0},
		{"a long name", encode(strings.Repeat("a", 300) + ":x"), bad, 1},
		{"no base64", "Basic *", bad, 0},
		{"much too long", "Basic " + strings.Repeat("A", 3000), bad, 0},
		{"another scheme", "Bearer x", "", 0},
	} {
		detached = 0
		got := ask("Authorization", c.value)
		if c.want == "" { // no credential for the method, and the header is somebody else's
			if !strings.HasPrefix(got, "401 Unauthenticated") {
				t.Errorf("%s: %s", c.name, got)
			}
			continue
		}
		if got != c.want || detached != c.work {
			t.Errorf("%s: %s, want %s; detached %d, want %d", c.name, got, c.want, detached, c.work)
		}
	}
	if got := ask(); got != none {
		t.Error(got)
	}
	if got := ask("X-API-Key", key); got != "pass apiKey default/baba k |" {
		t.Errorf("the other method: %s", got)
	}
	if got := ask("X-API-Key", "\x00aliaaaaaaaaaaaaaaaaaaaaaa"); got != bad {
		t.Errorf("a key that looks like a name: %s", got)
	}
}

func TestEveryNamespace(t *testing.T) {
	p := policy()
	p.EveryNamespace = true
	a := authentication.New(p, authentication.Deps{Consumers: directory(), Decisions: counts{}})
	x := request("", "X-API-Key", other)
	if got := result(a.OnRequest(x), x); got != "pass apiKey other/bob k |" {
		t.Error(got)
	}
}

func TestForward(t *testing.T) {
	p := policy(ir.CredentialSource{Header: "X-API-Key"}, ir.CredentialSource{Query: "k"})
	p.AnyOf[0].APIKey.Forward = true
	a := authentication.New(p, authentication.Deps{Consumers: directory(), Decisions: counts{}})
	x := request("k=1", "X-API-Key", key)
	if got, want := result(a.OnRequest(x), x), "pass apiKey default/acme one | ?k=1 X-API-Key: "+key; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// Nobody gets through a policy that cannot be used; everybody through one that
// asks for nothing, and their credentials are left alone.
func TestBrokenAndAnonymous(t *testing.T) {
	n := counts{}
	a := authentication.New(&ir.Authentication{Policy: "default/p", Broken: true}, authentication.Deps{Consumers: directory(), Decisions: n})
	x := request("", "X-API-Key", key)
	if got := result(a.OnRequest(x), x); got != "503 IdentityUnavailable " || n[filter.Unavailable] != 1 {
		t.Error(got, n)
	}
	a = authentication.New(&ir.Authentication{Policy: "default/p"}, authentication.Deps{Consumers: directory(), Decisions: n})
	x = request("", "X-API-Key", key)
	if got := result(a.OnRequest(x), x); got != "pass | X-API-Key: "+key || n[filter.Anonymous] != 1 {
		t.Error(got, n)
	}
}

// The endpoint is told who calls, and nothing that the client says of that.
func TestHeaders(t *testing.T) {
	p := policy()
	p.Optional = true
	for _, f := range []ir.CallerFact{ir.FactConsumer, ir.FactConsumerNamespace, ir.FactConsumerGroups, ir.FactPlan, ir.FactCredential, ir.FactMethod} {
		p.Headers = append(p.Headers, ir.CallerHeader{Name: "X-" + string(f), Value: f})
	}
	a := authentication.New(p, authentication.Deps{Consumers: directory(), Decisions: counts{}})
	spoofed := []string{"X-Consumer", "root", "x-plan", "platinum", "X_Credential", "y", "X-Method", "m", "X-Method", "n", "A", "b"}
	x := request("", append([]string{"X-API-Key", key}, spoofed...)...)
	const want = "pass apiKey default/acme one | A: b X-Consumer: acme X-ConsumerNamespace: default X-ConsumerGroups: a,b X-Plan: gold X-Credential: one X-Method: apiKey"
	if got := result(a.OnRequest(x), x); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	x = request("", spoofed...)
	if got := result(a.OnRequest(x), x); got != "pass | A: b" {
		t.Error(got)
	}
}

func TestAllocatesNothing(t *testing.T) {
	p := policy(ir.CredentialSource{Header: "X-API-Key"}, ir.CredentialSource{Query: "k"}, ir.CredentialSource{Cookie: "c"})
	p.Headers = []ir.CallerHeader{{Name: "X-Consumer", Value: ir.FactConsumer}}
	d := consumer.New()
	d.Apply([]*ir.Consumer{{Namespace: "default", Name: "acme", Credentials: []ir.ConsumerCredential{{Name: "one", KeyDigest: digest(key)}}}})
	a := authentication.New(p, authentication.Deps{Consumers: d, Decisions: nothing{}})
	x := &filter.Exchange{Start: start}
	name, value, cookie, query := []byte("X-API-Key"), []byte(key), []byte("a=b; c=x"), []byte("a=b&k=1")
	if n := testing.AllocsPerRun(100, func() {
		x.Req.Reset()
		x.Resp.Reset()
		x.Reset()
		x.Req.Query, x.Req.HasQuery = query, true
		x.Req.Header.Add(name, value)
		x.Req.Header.AddID(httpmsg.NameCookie, cookie)
		if a.OnRequest(x) != filter.Continue {
			t.Fatal("refused")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

type nothing struct{}

func (nothing) Decided(int) {}

// FuzzSources: whatever a request looks like, who gets through has sent a key that
// somebody has, and the endpoint does not get to see it.
func FuzzSources(f *testing.F) {
	f.Add("api_key="+key, "key="+key, "Bearer "+key)
	f.Add("a=b&api%5fkey=x&&=", `a; key="`+key+`"; key`, "Basic x")
	f.Add("", "", "")
	p := policy(ir.CredentialSource{Header: "Authorization", Prefix: "Bearer "}, ir.CredentialSource{Query: "api_key"}, ir.CredentialSource{Cookie: "key"})
	a := authentication.New(p, authentication.Deps{Consumers: directory(), Decisions: nothing{}})
	f.Fuzz(func(t *testing.T, query, cookie, authorization string) {
		x := request(query, "Cookie", cookie, "Authorization", authorization)
		if a.OnRequest(x) == filter.Reply {
			if x.Local.Status != 401 || x.Caller.Known() {
				t.Fatalf("%+v, caller %+v", x.Local, x.Caller)
			}
			return
		}
		if x.Caller.Consumer == nil || x.Caller.Consumer.Name != "acme" {
			t.Fatalf("%+v gets through", x.Caller)
		}
		// Nothing is left that a second look would find.
		again := *x
		again.Caller = filter.Caller{}
		if a.OnRequest(&again) != filter.Reply || again.Local.Reason != filter.Unauthenticated {
			t.Fatalf("a credential is left: %s", result(filter.Continue, x))
		}
	})
}
