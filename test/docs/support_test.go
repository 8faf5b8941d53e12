package docs

import (
	"reflect"
	"strings"
	"testing"

	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// Every field of the Gateway API's kinds has to be named by the support table.
func TestSupportTableIsComplete(t *testing.T) {
	_, all := read(t)
	const name = "docs/guides/configuration.md"
	words := map[string]bool{}
	for _, m := range span.FindAllStringSubmatch(all[name].prose, -1) {
		for _, w := range strings.FieldsFunc(m[1], func(r rune) bool { return r == '.' || r == '[' || r == ']' || r == ' ' }) {
			words[w] = true
		}
	}
	for _, kind := range []any{
		gwv1.GatewayClassSpec{},
		gwv1.GatewaySpec{},
		gwv1.Listener{},
		gwv1.ListenerTLSConfig{},
		gwv1.AllowedRoutes{},
		gwv1.GatewayBackendTLS{},
		gwv1.FrontendTLSConfig{},
		gwv1.ListenerSetSpec{},
		gwv1.HTTPRouteSpec{},
		gwv1.HTTPRouteRule{},
		gwv1.HTTPRouteMatch{},
		gwv1.HTTPRouteTimeouts{},
		gwv1.HTTPRouteRetry{},
		gwv1.TCPRouteSpec{},
		gwv1.TCPRouteRule{},
		gwv1.TLSRouteSpec{},
		gwv1.TLSRouteRule{},
		gwv1.UDPRouteSpec{},
		gwv1.UDPRouteRule{},
		gwv1.BackendTLSPolicySpec{},
		gwv1.BackendTLSPolicyValidation{},
	} {
		for _, f := range fields(reflect.TypeOf(kind)) {
			if !words[f] {
				t.Errorf("%s does not name field %s of %T", name, f, kind)
			}
		}
	}
	for _, f := range []gwv1.HTTPRouteFilterType{
		gwv1.HTTPRouteFilterRequestHeaderModifier, gwv1.HTTPRouteFilterResponseHeaderModifier, gwv1.HTTPRouteFilterRequestRedirect,
		gwv1.HTTPRouteFilterURLRewrite, gwv1.HTTPRouteFilterRequestMirror, gwv1.HTTPRouteFilterCORS, gwv1.HTTPRouteFilterExtensionRef, gwv1.HTTPRouteFilterExternalAuth,
	} {
		if !strings.Contains(all[name].prose, string(f)) {
			t.Errorf("%s does not name filter %s", name, f)
		}
	}
}

func fields(t reflect.Type) (names []string) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if tag == "" && f.Type.Kind() == reflect.Struct {
			names = append(names, fields(f.Type)...)
		} else if tag != "" {
			names = append(names, tag)
		}
	}
	return names
}
