package objects_test

import (
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/manage/objects"
)

func TestNames(t *testing.T) {
	for text, want := range map[string]objects.Name{
		"HTTPRoute/shop/cart":  {Kind: "HTTPRoute", Namespace: "shop", Name: "cart"},
		"GatewayClass/gridway": {Kind: "GatewayClass", Name: "gridway"},
	} {
		if n, err := objects.ParseName(text); err != nil || n != want || n.String() != text {
			t.Errorf("%s: %+v, %v", text, n, err)
		}
	}
	if n, err := objects.ParseName("GatewayClass/-/gridway"); err != nil || n.String() != "GatewayClass/gridway" {
		t.Errorf("%v, %v", n, err)
	}
	for _, text := range []string{"", "x", "/", "a/", "/b", "a//b", "a/b/", "a/b/c/d"} {
		if n, err := objects.ParseName(text); err == nil || !strings.Contains(err.Error(), "KIND/NAMESPACE/NAME") {
			t.Errorf("%q: %+v, %v", text, n, err)
		}
	}
}

func FuzzParseName(f *testing.F) {
	for _, s := range []string{"HTTPRoute/shop/cart", "GatewayClass/gridway", "a/-/b", "a//b", "/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := objects.ParseName(text)
		if err != nil {
			return
		}
		if again, err := objects.ParseName(n.String()); err != nil || again != n {
			t.Errorf("%q is %+v, and that %+v, %v", text, n, again, err)
		}
	})
}
