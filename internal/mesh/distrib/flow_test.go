package distrib_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/distrib"
)

func TestProxyGetsItsView(t *testing.T) {
	v := newViews()
	v.set("shop/cart", "one", "10.0.0.1:80", "10.0.0.2:80")
	v.set("shop/other", "not needed", "10.0.1.1:80")
	c := newControl(t, v)
	p := newProxy(t, newPlane(), one(c))
	p.until(t, "the view is served", func() bool { return p.text("shop/cart") == "one" })
	if p.text("shop/other") != "" {
		t.Error("it has what it does not use")
	}
	v.set("shop/cart", "two", "10.0.0.1:80", "10.0.0.2:80")
	p.until(t, "the change is served", func() bool { return p.text("shop/cart") == "two" })
	p.until(t, "it is known to be served", func() bool { return c.Summary().String() == "1 of 1 proxies serve revision 3" })
	if sum := c.Objects(newest)["HTTPRoute/shop/shop/cart"]; sum == nil || sum.Serving != 1 || sum.Proxies != 1 {
		t.Errorf("of the route: %+v", sum)
	}
	if st := p.Status(); st.Target != "a" || st.Control != "control" || st.Serving.Number != 3 {
		t.Errorf("the proxy says %+v", st)
	}
}

func TestEndpointsTakeTheShortPath(t *testing.T) {
	v := newViews()
	v.set("shop/cart", "one", "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80")
	c := newControl(t, v)
	p := newProxy(t, newPlane(), one(c))
	p.until(t, "the view is served", func() bool { return p.text("shop/cart") == "one" })
	for _, list := range [][]string{
		{"10.0.0.1:80", "10.0.0.3:80"},
		{"10.0.0.9:80", "10.0.0.1:80", "10.0.0.3:80", "10.0.0.8:80"},
		{},
		{"10.0.0.3:80", "10.0.0.1:80"},
		{"10.0.0.1:80", "10.0.0.3:80"},
	} {
		v.endpoints("shop/cart", list...)
		p.until(t, fmt.Sprintf("%q are served", list), func() bool { return slices.Equal(p.addresses("shop/cart"), list) })
	}
	p.mu.Lock()
	applies := p.applies
	p.mu.Unlock()
	if applies != 1 {
		t.Errorf("%d configurations were applied for changes of endpoints alone", applies-1)
	}
	// What comes after is on top of them.
	v.set("shop/cart", "two", "10.0.0.7:80")
	p.until(t, "both are served", func() bool {
		return p.text("shop/cart") == "two" && slices.Equal(p.addresses("shop/cart"), []string{"10.0.0.7:80"})
	})
}

func TestServicesAreLearnedAndForgotten(t *testing.T) {
	v := newViews()
	v.set("shop/cart", "one")
	v.set("shop/ratings", "stars", "10.0.2.1:80")
	c := newControl(t, v)
	p := newProxy(t, newPlane(), one(c), func(cfg *distrib.ClientConfig) { cfg.Forget = time.Second })
	if err := p.Learn(t.Context(), "shop/ratings"); err != nil {
		t.Fatal(err)
	}
	if p.text("shop/ratings") != "stars" {
		t.Error("it is not served when Learn returns")
	}
	if err := p.Learn(t.Context(), "shop/nowhere"); !errors.Is(err, distrib.ErrUnknownService) {
		t.Errorf("of a service that does not exist: %v", err)
	}
	if err := p.Learn(t.Context(), "nowhere"); err == nil {
		t.Error("a name that is none was taken")
	}
	p.until(t, "it is forgotten", func() bool { return p.text("shop/ratings") == "" && len(p.Status().Services) == 1 })
	if p.text("shop/cart") != "one" {
		t.Error("what the proxy always uses was forgotten")
	}
	// A service that appears is served to who has asked for it before.
	if err := p.Learn(t.Context(), "shop/late"); !errors.Is(err, distrib.ErrUnknownService) {
		t.Fatal(err)
	}
	v.set("shop/late", "here", "10.0.3.1:80")
	p.until(t, "it is served", func() bool { return p.text("shop/late") == "here" || p.Learn(t.Context(), "shop/late") == nil })
}

// Names of no service are remembered, so that nobody is asked for them again; not more of
// them than a few hundred, however many a program asks for.
func TestUnknownServicesAreBounded(t *testing.T) {
	v := newViews()
	v.set("shop/cart", "one")
	c := newControl(t, v)
	p := newProxy(t, newPlane(), one(c))
	for i := range 700 {
		if err := p.Learn(t.Context(), fmt.Sprintf("com/example-%d", i)); !errors.Is(err, distrib.ErrUnknownService) {
			t.Fatal(err)
		}
	}
	if n := len(p.Status().Services); n > 520 {
		t.Errorf("%d services are remembered", n)
	}
	v.mu.Lock()
	made := v.made
	v.mu.Unlock()
	for range 100 {
		if err := p.Learn(t.Context(), "com/example-699"); !errors.Is(err, distrib.ErrUnknownService) {
			t.Fatal(err)
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.made != made {
		t.Errorf("%d views for what is known", v.made-made)
	}
}

func TestRefusedRevision(t *testing.T) {
	v := newViews()
	v.set("shop/cart", "one", "10.0.0.1:80")
	c := newControl(t, v)
	pl := newPlane()
	pl.refuse = func(c *ir.Config) error {
		if c.Routes[0].Rules[0].Name == "bad" {
			return fmt.Errorf("apply: %w", errors.Join(&distrib.ResourceError{Key: distrib.Key{Kind: "route", Name: "shop/cart"}, Err: errors.New("no such filter")}))
		}
		return nil
	}
	p := newProxy(t, pl, one(c))
	p.until(t, "the view is served", func() bool { return p.text("shop/cart") == "one" })
	v.set("shop/cart", "bad", "10.0.0.1:80")
	p.until(t, "the control plane knows", func() bool { return c.Proxies()[0].State == distrib.StateRefused })
	if why := c.Proxies()[0].Why(); why != `refused: route "shop/cart": no such filter` {
		t.Errorf("the reason is %s", why)
	}
	if st := c.Proxies()[0]; st.Serving.Number != 1 || st.Wanted.Number != 2 || c.Summary().String() != "0 of 1 proxies serve revision 2" {
		t.Errorf("status %+v, %s", st, c.Summary().String())
	}
	objects := c.Objects(newest)
	if sum := objects["HTTPRoute/shop/shop/cart"]; sum.Serving != 0 || len(sum.Others) != 1 || !strings.Contains(sum.Others[0].Why, "no such filter") {
		t.Errorf("of the route: %+v", sum)
	}
	if sum := objects["Service/shop/shop/cart"]; sum.Serving != 1 {
		t.Errorf("of the service, which did not change: %+v", sum)
	}
	if p.text("shop/cart") != "one" || len(p.Status().Refusals) != 1 {
		t.Error("the last good is not served, or the proxy does not say why")
	}
	// Endpoints go on, and so does what comes next.
	v.endpoints("shop/cart", "10.0.0.5:80")
	p.until(t, "endpoints are served", func() bool { return slices.Equal(p.addresses("shop/cart"), []string{"10.0.0.5:80"}) })
	v.set("shop/cart", "good", "10.0.0.5:80")
	p.until(t, "the next is served", func() bool { return p.text("shop/cart") == "good" && c.Summary().Serving == 1 })
}

// What no proxy would take is not sent, and the control plane says why.
func TestViewIsTooLarge(t *testing.T) {
	v := newViews()
	v.set("shop/cart", "one")
	c := newControl(t, v)
	p := newProxy(t, newPlane(), one(c))
	p.until(t, "the view is served", func() bool { return p.text("shop/cart") == "one" })
	body := make([]byte, distrib.MaxResourceBytes)
	v.mu.Lock()
	for i := range 5 { // which share their memory
		v.all = append(v.all, &distrib.Resource{Kind: "schema", Name: "shop/cart", Hash: uint64(i), Body: body})
	}
	v.tell(distrib.Change{Services: []string{"shop/cart"}})
	v.mu.Unlock()
	p.until(t, "it is known", func() bool { return strings.Contains(c.Proxies()[0].Why(), "it is of 320 MiB, and a proxy takes 256") })
	if p.text("shop/cart") != "one" || c.Summary().Serving != 0 {
		t.Error("the proxy does not go on with what it has")
	}
}

func TestNoViewIsNoEnd(t *testing.T) {
	v := newViews()
	v.set("shop/cart", "one")
	c := newControl(t, v)
	p := newProxy(t, newPlane(), one(c))
	p.until(t, "the view is served", func() bool { return p.text("shop/cart") == "one" })
	v.mu.Lock()
	v.broken = errors.New("no luck")
	v.mu.Unlock()
	v.set("shop/cart", "two")
	p.until(t, "it is known", func() bool { return strings.Contains(c.Proxies()[0].Why(), "no luck") })
	v.mu.Lock()
	v.broken = nil
	v.mu.Unlock()
	v.set("shop/cart", "three")
	p.until(t, "it goes on", func() bool { return p.text("shop/cart") == "three" })
}
