package expression_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/expression"
)

type facts map[string]any

func (f facts) Fact(name string) (any, bool) { v, ok := f[name]; return v, ok }

func request() facts {
	return facts{
		expression.RequestMethod: "GET", expression.RequestPath: "/orders/7", expression.RequestQuery: "a=b", expression.RequestHost: "shop.example",
		expression.RequestScheme: "https", expression.RequestProtocol: "HTTP/2", expression.RequestHeaders: map[string]string{"x-tenant": "blue"},
		expression.RequestSize: int64(12), expression.RequestTime: time.Date(2026, 11, 18, 9, 30, 0, 0, time.UTC), expression.ClientAddress: "192.0.2.7",
		expression.CallerKnown: true, expression.CallerMethod: "jwt", expression.CallerConsumer: "default/acme", expression.CallerGroups: []string{"partners"},
		expression.CallerPlan: "gold", expression.CallerLabels: map[string]string{"tier": "1"}, expression.CallerSubject: "ada", expression.CallerIssuer: "https://i.example",
		expression.CallerScopes: []string{"read", "write"}, expression.SourceIdentity: "spiffe://shop.example/cart", expression.TLSVersion: "1.3", expression.TLSServerName: "shop.example",
		expression.CallerClaims: map[string]any{"roles": []any{"ops", "dev"}, "age": int64(41), "deep": map[string]any{"ok": true}, "score": 0.5},
	}
}

func TestConditions(t *testing.T) {
	for text, want := range map[string]bool{
		`request.method == "GET" && request.path.startsWith("/orders/")`:                   true,
		`request.headers["x-tenant"] == "blue"`:                                            true,
		`"x-none" in request.headers`:                                                      false,
		`request.headers.exists(h, h.startsWith("x-") && request.headers[h] == "blue")`:    true,
		`request.size < 100 && request.protocol == "HTTP/2" && request.scheme == "https"`:  true,
		`request.time.getHours("Europe/Berlin") == 10 && request.time.getDayOfWeek() == 3`: true,
		`request.time < timestamp("2027-01-01T00:00:00Z")`:                                 true,
		`client.address.inNetwork("192.0.2.0/24")`:                                         true,
		`client.address.inNetwork("192.0.2.7") && !client.address.inNetwork("::/0")`:       true,
		`["10.0.0.0/8", "192.0.0.0/8"].exists(n, client.address.inNetwork(n))`:             true,
		`caller.known && caller.consumer == "default/acme" && "partners" in caller.groups`: true,
		`caller.plan == "gold" && caller.labels["tier"] == "1" && caller.method == "jwt"`:  true,
		`"admin" in caller.scopes`:                                                         false,
		`caller.claims.roles.exists(r, r == "ops") && caller.claims.age >= 18`:             true,
		`caller.claims.deep.ok && caller.claims["score"] == 0.5`:                           true,
		`has(caller.claims.none) && caller.claims.none == 1`:                               false,
		`caller.issuer == "https://i.example" && caller.subject.matches("^a.a$")`:          true,
		`source.identity.startsWith("spiffe://shop.example/")`:                             true,
		`tls.version == "1.3" && tls.serverName == request.host`:                           true,
		`"ABC-ü".lowerAscii() == "abc-ü"`:                                                  true,
		`request.query.contains("a=") && request.path.matches("/orders/[0-9]+")`:           true,
	} {
		p, err := expression.Compile(text, expression.Condition)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, err := p.Holds(request()); err != nil || got != want {
			t.Errorf("%s: %t, %v, want %t", text, got, err, want)
		}
	}
}

// Values that are not there, or of another type, are errors.
func TestErrors(t *testing.T) {
	for _, text := range []string{
		`caller.claims.none == 1`, `caller.claims.age == caller.claims.none`, `request.headers["x-none"] == ""`, `caller.claims.age.startsWith("4")`,
		`client.address.inNetwork("everywhere")`, `caller.subject.inNetwork("::/0")`, `1 / (request.size - 12) == 1`,
	} {
		p, err := expression.Compile(text, expression.Condition)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, err := p.Holds(request()); err == nil || got {
			t.Errorf("%s: %t without an error", text, got)
		}
	}
}

// What cannot be an expression is told before anybody asks it.
func TestRefused(t *testing.T) {
	for text, want := range map[string]string{
		``:                                "Syntax error",
		`request.methd == "GET"`:          "did you mean 'request.method'?) (character 8 of the expression)",
		`request.method`:                  "comes to string and must come to bool",
		`request.method == 1`:             "no matching overload",
		`request.method == "GET" &&`:      "Syntax error",
		"true &&\n  nobody":               "undeclared reference to 'nobody' (line 2, character 3 of the expression)",
		`caller.claims`:                   "must come to bool",
		`request.path.replace("a", "aa")`: "undeclared reference to 'replace'",
		`request.headers.all(a, request.headers.all(b, request.headers.all(c, a + b != c)))`: "can cost",
		`"` + strings.Repeat("x", expression.MaxLength) + `" == ""`:                          "longer than",
		strings.Repeat("(", 200) + "true" + strings.Repeat(")", 200):                         "recursion",
		strings.Repeat("!", 200) + "true":                                                    "",
	} {
		_, err := expression.Compile(text, expression.Condition)
		if want == "" {
			continue // whichever way: it must end
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, want %q", text, err, want)
		}
	}
}

// A cost that no estimate has foreseen ends the evaluation.
func TestCostIsBounded(t *testing.T) {
	p, err := expression.Compile(`caller.claims.roles.all(a, a == "r")`, expression.Condition)
	if err != nil {
		t.Fatal(err)
	}
	f := request()
	roles := make([]any, 200_000)
	for i := range roles {
		roles[i] = "r"
	}
	f[expression.CallerClaims] = map[string]any{"roles": roles}
	if _, err := p.Holds(f); err == nil || !strings.Contains(err.Error(), "cost") {
		t.Errorf("200,000 comparisons: %v", err)
	}
}

func TestTextsAndNumbers(t *testing.T) {
	text, err := expression.Compile(`caller.known ? caller.consumer : client.address`, expression.Text)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := text.Text(request()); err != nil || got != "default/acme" {
		t.Errorf("%q, %v", got, err)
	}
	number, err := expression.Compile(`request.method == "GET" ? 1 : 5 + request.size`, expression.Number)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := number.Number(request()); err != nil || got != 1 {
		t.Errorf("%d, %v", got, err)
	}
	if !number.Names("request.") || number.Names("caller.") || !text.Names("caller.") {
		t.Error("which variables are named is not known")
	}
}

func BenchmarkHolds(b *testing.B) {
	for name, text := range map[string]string{
		"one": `request.method == "GET"`, "three": `request.method == "GET" && request.path.startsWith("/orders/") && caller.plan == "gold"`,
		"claim": `caller.claims.roles.exists(r, r == "dev")`,
	} {
		p, err := expression.Compile(text, expression.Condition)
		if err != nil {
			b.Fatal(err)
		}
		f := request()
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if ok, err := p.Holds(f); !ok || err != nil {
					b.Fatal(ok, err)
				}
			}
		})
	}
}

// FuzzExpression: whatever the text, it is refused or evaluated, within its bounds.
func FuzzExpression(f *testing.F) {
	for _, s := range []string{
		`request.method == "GET"`, `caller.claims.roles.exists(r, r == "ops")`, `client.address.inNetwork("10.0.0.0/8")`,
		`request.headers.all(a, request.headers.all(b, a != b))`, `request.time.getHours() > 3`, `has(caller.claims.x)`, `[1, 2].map(x, x * 2).size() == 2`,
		`"a".matches("(a*)*$")`, `size("a" + "b") == 2`, `{"a": 1}.a == 1`, `b"a" == b"\x61"`, `1u + 2u == 3u`, `duration("1h") > duration("1s")`, `dyn(1) == 1.0`,
	} {
		f.Add(s)
	}
	in := request()
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1000 {
			return
		}
		for _, kind := range []expression.Kind{expression.Condition, expression.Text, expression.Number} {
			p, err := expression.Compile(text, kind)
			if err != nil {
				continue
			}
			switch kind {
			case expression.Condition:
				_, _ = p.Holds(in)
			case expression.Text:
				_, _ = p.Text(in)
			case expression.Number:
				_, _ = p.Number(in)
			}
		}
	})
}
