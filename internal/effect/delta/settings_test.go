package delta_test

import (
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/effect/delta"
	"github.com/gridway/gridway/internal/ir"
)

// full sets every field below v to something.
func full(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		full(v.Elem())
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes([]byte("bytes"))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		full(v.Index(0))
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				full(v.Field(i))
			}
		}
	default:
		change(v)
	}
}

// change makes a leaf differ from what it was.
func change(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(v.Uint() + 1)
	case reflect.Bool:
		v.SetBool(!v.Bool())
	}
}

// leaves calls f with each leaf below v that f may change.
func leaves(path string, v reflect.Value, f func(path string, leaf reflect.Value)) {
	switch v.Kind() {
	case reflect.Pointer:
		leaves(path, v.Elem(), f)
	case reflect.Slice:
		for i := range v.Len() {
			leaves(path+"["+strconv.Itoa(i)+"]", v.Index(i), f)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				leaves(path+"."+v.Type().Field(i).Name, v.Field(i), f)
			}
		}
	case reflect.String, reflect.Int, reflect.Int64, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Bool:
		f(path, v)
	}
}

// Whatever field of filters, policies, backends and listeners changes, the diff
// shows something. A new field that it does not show fails here.
func TestNoSettingIsMissed(t *testing.T) {
	base := func(cfg *ir.Config) {
		r := cfg.Routes[0].Rules[0]
		direct := &ir.Rule{
			ID: "HTTPRoute/default/r/rules/9", Matches: []ir.Match{{Path: ir.PathMatch{Type: ir.Exact, Value: "/direct"}}},
			Policy: ir.RoutePolicy{Direct: &ir.DirectResponse{Status: 200, Body: []byte("b"), Headers: []ir.Header{{Name: "X", Value: "1"}}}},
		}
		full(reflect.ValueOf(&r.Policy).Elem())
		r.Policy.Direct = nil
		for _, f := range []*ir.Filters{&r.Filters, &r.Backends[0].Filters} {
			f.RequestHeaders = &ir.HeaderMods{Set: []ir.Header{{Name: "A", Value: "1"}}, Add: []ir.Header{{Name: "B", Value: "1"}}, Remove: []string{"C"}}
			f.ResponseHeaders = &ir.HeaderMods{Set: []ir.Header{{Name: "A", Value: "1"}}, Add: []ir.Header{{Name: "B", Value: "1"}}, Remove: []string{"C"}}
		}
		r.Filters.Rewrite = &ir.Rewrite{Hostname: "h", Path: &ir.PathModifier{Type: ir.Exact, Value: "/p"}}
		r.Filters.Mirrors = []ir.Mirror{{Cluster: "Backend/default/b", Numerator: 1, Denominator: 3}}
		full(reflect.ValueOf(&r.Filters.CORS).Elem())
		r.Filters.CORS.AllowOrigins = []string{"https://o.example"}
		c := cfg.Clusters[0]
		name := c.Name
		full(reflect.ValueOf(c).Elem())
		c.Name, c.Protocol, c.Balance.Algorithm = name, ir.HTTP, ir.LeastRequest
		l := cfg.Listeners[0]
		full(reflect.ValueOf(&l.Client).Elem())
		l.Client.MaxHeaderBytes, l.Client.MaxHeaderCount = 9999, 99
		full(reflect.ValueOf(&l.Sections[0].TLS).Elem())
		cfg.Routes[0].Rules = append(cfg.Routes[0].Rules, direct)
	}
	parts := func(cfg *ir.Config) map[string]reflect.Value {
		rules := cfg.Routes[0].Rules
		return map[string]reflect.Value{
			"policy": reflect.ValueOf(&rules[0].Policy).Elem(), "filters": reflect.ValueOf(&rules[0].Filters).Elem(),
			"backend filters": reflect.ValueOf(&rules[0].Backends[0].Filters).Elem(), "cluster": reflect.ValueOf(cfg.Clusters[0]).Elem(),
			"client": reflect.ValueOf(&cfg.Listeners[0].Client).Elem(), "tls": reflect.ValueOf(cfg.Listeners[0].Sections[0].TLS),
			"direct": reflect.ValueOf(rules[len(rules)-1].Policy.Direct),
		}
	}
	// Names of runtime things, digests and places are nothing to notice. The key
	// of sessions is the process's, a rewritten host hides the backend's, and
	// "Exactx" is no type of path. Who found an endpoint, and who is there, is no setting.
	silent := map[string]bool{
		"cluster.Name": true, "cluster.Hash": true, "cluster.Ref.Kind": true, "cluster.Ref.Namespace": true, "cluster.Ref.Name": true,
		"cluster.Ref.File": true, "cluster.Ref.Line": true, "cluster.Ref.Column": true, "cluster.Host": true, "filters.Rewrite.Path.Type": true,
		"cluster.Endpoints[0].Origin": true, "cluster.Endpoints[0].Identity": true, "cluster.Endpoints[0].ServerName": true,
	}
	old := side(t, base)
	n := 0
	for name := range parts(old.Config()) {
		leaves(name, parts(old.Config())[name], func(path string, _ reflect.Value) {
			if silent[path] || strings.HasPrefix(path, "policy.Session.Key") || strings.HasPrefix(path, "policy.RateLimits[0].Ref.") ||
				strings.HasPrefix(path, "policy.Authorization[0].") && (strings.Contains(path, "].Ref.") || strings.HasSuffix(path, ".Hash")) {
				return
			}
			n++
			changed := side(t, func(cfg *ir.Config) {
				base(cfg)
				leaves(name, parts(cfg)[name], func(p string, leaf reflect.Value) {
					if p == path {
						set(leaf)
					}
				})
			})
			changes, _ := delta.Behaviour(t.Context(), old, changed)
			if len(changes)+len(delta.Listeners(old.Config(), changed.Config())) == 0 {
				t.Errorf("a change of %s does not show", path)
			}
		})
	}
	if n < 120 {
		t.Fatalf("only %d fields were tried", n)
	}
}

// set changes a leaf, or one byte.
func set(v reflect.Value) {
	if v.Kind() == reflect.Uint8 {
		v.SetUint(v.Uint() + 1)
		return
	}
	if v.Type() == reflect.TypeFor[time.Duration]() {
		v.SetInt(v.Int() + int64(time.Second))
		return
	}
	change(v)
}

func TestListeners(t *testing.T) {
	old, changed := side(t, nil).Config(), side(t, func(cfg *ir.Config) {
		cfg.Listeners[0].Client.IdleTimeout = time.Minute
		cfg.Listeners = append(cfg.Listeners, &ir.Listener{Name: ":81", Port: 81, Protocol: ir.HTTP})
	}).Config()
	got := delta.Listeners(old, changed)
	want := []delta.SettingChange{
		{Of: "listener :80", Aspects: []delta.Aspect{{Name: "client.idleTimeout", New: "1m0s"}}},
		{Of: "listener :81", Aspects: []delta.Aspect{{Name: "protocol", New: "HTTP"}}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}
