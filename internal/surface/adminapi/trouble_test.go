package adminapi_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gridway/gridway/internal/surface/adminapi"
	"github.com/gridway/gridway/internal/surface/adminapi/client"
)

func TestTroubles(t *testing.T) {
	p := newProcess()
	p.moreTroubles = 5
	var everybody []string
	for i := range 40 {
		everybody = append(everybody, fmt.Sprintf("shop/orders/10.0.0.%d:15008", i))
	}
	p.troubles = append(p.troubles, adminapi.Trouble{Cluster: "Service/shop/pay:80", Kind: "breaker", Detail: "open", Since: at, Proxies: everybody})
	for i := range 300 {
		p.troubles = append(p.troubles, adminapi.Trouble{Cluster: "Service/shop/payroll:80", Endpoint: fmt.Sprintf("10.0.1.%d:80", i), Kind: "ejected", Since: at})
	}
	c := newClient(t, client.Options{Address: start(t, p.options())})
	s, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Troubles) != 100 || s.MoreTroubles != 206 || len(s.Troubles[0].Proxies) != 16 || s.Troubles[0].SeenBy != 40 || s.Troubles[1].SeenBy != 1 {
		t.Errorf("%d troubles, %d more; the first %+v", len(s.Troubles), s.MoreTroubles, s.Troubles[0])
	}
	for _, tt := range []struct {
		service, proxy string
		want           int
	}{{"", "", 301}, {"shop/pay", "", 1}, {"shop/payroll", "", 300}, {"shop/nobody", "", 0}, {"", everybody[39], 1}, {"shop/payroll", everybody[0], 0}} {
		got, err := c.Troubles(t.Context(), tt.service, tt.proxy)
		if err != nil || len(got.Troubles) != tt.want || got.More != 5 {
			t.Errorf("service %q, proxy %q: %+v, %v", tt.service, tt.proxy, got, err)
		}
	}
	for _, service := range []string{"pay", "shop/", "/pay", "a/b/c"} {
		if _, err := c.Troubles(t.Context(), service, ""); err == nil || !strings.Contains(err.Error(), "NAMESPACE/NAME") {
			t.Errorf("service %q: %v", service, err)
		}
	}
}
