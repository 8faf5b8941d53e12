package authentication_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy/callout"
	"github.com/gridway/gridway/internal/proxy/filter"
	"github.com/gridway/gridway/internal/proxy/filters/authentication"
)

// FuzzIntrospection: whatever a server answers, nobody gets through by it unless it
// says that the token is active, of that issuer, and not over.
func FuzzIntrospection(f *testing.F) {
	for _, text := range []string{
		`{"active":true,"iss":"a","exp":1900000000}`, `{"active":false}`, `{"active":true,"active":false}`, `{"active":1}`, `[]`, `{"active":true,"iss":"a","exp":1}`,
		`{"active":true,"iss":"b"}`, `{"active":true,"iss":"a","nbf":1e300}`,
	} {
		f.Add(200, []byte(text))
	}
	f.Fuzz(func(t *testing.T, status int, text []byte) {
		p := policy()
		p.AnyOf = []ir.AuthenticationMethod{{Name: "tokens", Introspection: &ir.IntrospectionAuth{
			Cluster: "idp", Path: "/", From: []ir.CredentialSource{{Header: "Authorization", Prefix: "Bearer "}}, Issuer: "a", TTL: time.Minute,
		}}}
		a := authentication.New(p, authentication.Deps{Consumers: directory(), Decisions: counts{}})
		for range 2 { // the second is remembered, or asked again
			x := request("", "Authorization", "Bearer token")
			x.Detach = func() {}
			x.Call = func(q *callout.Call) error {
				q.Response.Status, q.Answer = status, text
				return nil
			}
			if a.OnRequest(x) == filter.Reply {
				if s := x.Local.Status; s != 401 && s != 503 {
					t.Fatal(s)
				}
				continue
			}
			said := map[string]any{}
			if err := json.Unmarshal(text, &said); err != nil || status != 200 || said["active"] != true || said["iss"] != "a" {
				t.Fatalf("%d %q lets somebody through", status, text)
			}
			if end, ok := said["exp"].(float64); ok && end < float64(start.Unix()) {
				t.Fatalf("%d %q lets somebody through", status, text)
			}
		}
	})
}
