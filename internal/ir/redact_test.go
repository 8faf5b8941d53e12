package ir_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
)

const secret = "c2VjcmV0LXNlY3JldA"

// fill sets every field that v reaches: bytes and strings to text with the
// secret in them, slices to one element, pointers to something.
func fill(v reflect.Value, depth int) {
	if depth > 12 {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), depth+1)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes([]byte(secret))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), depth+1)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), depth+1)
			}
		}
	case reflect.String:
		v.SetString("text")
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(1)
	case reflect.Bool:
		v.SetBool(true)
	}
}

// public are the fields of bytes that may be shown. A new field of bytes fails
// the test until someone has decided about it.
var public = map[string]bool{"chain": true, "staple": true, "ca": true, "body": true, "der": true}

func TestRedactedHidesEveryKey(t *testing.T) {
	c := &ir.Config{}
	fill(reflect.ValueOf(c).Elem(), 0)
	before, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	redacted := c.Redacted()
	text, err := json.Marshal(redacted)
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	encoded, _ := json.Marshal([]byte(secret))
	walk(tree, "", func(path, name, value string) {
		if value == strings.Trim(string(encoded), `"`) && !public[name] {
			t.Errorf("%s is not hidden", path)
		}
	})
	if after, _ := json.Marshal(c); string(after) != string(before) {
		t.Error("Redacted changed its receiver")
	}
	if n := strings.Count(string(before), string(encoded)); n < 8 {
		t.Fatalf("the test reached %d fields of bytes only", n)
	}
}

func walk(v any, path string, f func(path, name, value string)) {
	switch v := v.(type) {
	case map[string]any:
		for name, x := range v {
			if s, ok := x.(string); ok {
				f(path+"."+name, name, s)
			}
			walk(x, path+"."+name, f)
		}
	case []any:
		for _, x := range v {
			walk(x, path+"[]", f)
		}
	}
}

func TestRedactedHidesCredentialsInHeaders(t *testing.T) {
	mods := &ir.HeaderMods{
		Set: []ir.Header{{Name: "Authorization", Value: secret}, {Name: "X-Color", Value: "blue"}},
		Add: []ir.Header{{Name: "x-api-key", Value: secret}},
	}
	filters := ir.Filters{RequestHeaders: mods, ResponseHeaders: mods}
	c := &ir.Config{
		Routes: []*ir.Route{{Rules: []*ir.Rule{{
			Matches:  []ir.Match{{Headers: []ir.ValueMatch{{Name: "X-Auth-Token", Value: secret}}}},
			Filters:  filters,
			Backends: []ir.BackendRef{{Filters: filters}},
			Policy:   ir.RoutePolicy{Direct: &ir.DirectResponse{Headers: []ir.Header{{Name: "Set-Cookie", Value: secret}}}},
		}}}},
		Clusters: []*ir.Cluster{{Health: &ir.Health{HTTP: &ir.HTTPHealth{Headers: []ir.Header{{Name: "Authorization", Value: secret}}}}}},
	}
	text, err := json.Marshal(c.Redacted())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), secret) {
		t.Errorf("a credential is left in %s", text)
	}
	if !strings.Contains(string(text), "blue") {
		t.Error("a harmless header is gone")
	}
}

// TestRedactedHidesPasswordsOfStores: they are text, which nobody can tell by its type.
func TestRedactedHidesPasswordsOfStores(t *testing.T) {
	c := &ir.Config{RateLimitStores: []*ir.RateLimitStore{{
		Redis: &ir.RedisStore{Username: "gateway", Password: secret, SentinelPassword: secret, TLS: &ir.UpstreamTLS{Certificate: &ir.Certificate{Key: []byte(secret)}}},
	}}}
	r := c.Redacted().RateLimitStores[0].Redis
	if r.Username != "gateway" || r.Password != ir.Hidden || r.SentinelPassword != ir.Hidden || r.TLS.Certificate.Key != nil {
		t.Errorf("%+v", r)
	}
	if c.RateLimitStores[0].Redis.Password != secret {
		t.Error("the original was changed")
	}
}

func TestClientSecretsAreLeftOut(t *testing.T) {
	rule := &ir.Rule{Policy: ir.RoutePolicy{Authentication: &ir.Authentication{AnyOf: []ir.AuthenticationMethod{
		{Introspection: &ir.IntrospectionAuth{ClientID: "gateway", ClientSecret: "s3cret"}},
	}}}}
	c := &ir.Config{Routes: []*ir.Route{{Rules: []*ir.Rule{rule}}}}
	got := c.Redacted().Routes[0].Rules[0].Policy.Authentication.AnyOf[0].Introspection
	if got.ClientSecret != "" || got.ClientID != "gateway" || rule.Policy.Authentication.AnyOf[0].Introspection.ClientSecret != "s3cret" {
		t.Errorf("%+v", got)
	}
}

func TestSigningSecretsAreInNoDump(t *testing.T) {
	c := &ir.Consumer{Name: "acme", Credentials: []ir.ConsumerCredential{{Name: "k", KeyID: "acme", Secret: []byte("s3cret")}}}
	text, err := json.Marshal(c)
	if err != nil || strings.Contains(string(text), "s3cret") || strings.Contains(string(text), "czNjcmV0") || c.Credentials[0].Kind() != "hmac" {
		t.Errorf("%s %v", text, err)
	}
}
