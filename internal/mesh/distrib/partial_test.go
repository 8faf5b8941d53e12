package distrib_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/mesh/distrib"
)

// What a proxy cannot serve of a revision holds nothing else up, is told of the objects
// that it is of alone, and is tried again.
func TestPartOfARevision(t *testing.T) {
	v := newViews()
	v.set("shop/cart", "one", "10.0.0.1:80")
	v.set("shop/rates", "one", "10.0.0.2:80")
	c := newControl(t, v)
	pl := newPlane()
	var taken atomic.Bool
	pl.refuse = func(c *ir.Config) error {
		if taken.Load() {
			return &distrib.PartialError{Err: fmt.Errorf("apply: %w", errors.Join(&distrib.ResourceError{
				Key: distrib.Key{Kind: "route", Name: "shop/cart"}, Err: errors.New("somebody has the port"),
			}))}
		}
		return nil
	}
	p := newProxy(t, pl, one(c), func(o *distrib.ClientConfig) { o.Proxy.Services = []string{"shop/cart", "shop/rates"} })
	p.until(t, "the view is served", func() bool { return p.text("shop/cart") == "one" && c.Summary().Serving == 1 })
	taken.Store(true)
	v.set("shop/cart", "two", "10.0.0.1:80")
	v.set("shop/rates", "two", "10.0.0.2:80")
	p.until(t, "the control plane knows", func() bool {
		st := c.Proxies()[0]
		return st.State == distrib.StateRefused && st.Partly && st.Serving == st.Wanted && st.Serving.Number == 4
	})
	if why := c.Proxies()[0].Why(); why != `serves the rest without route "shop/cart": somebody has the port` {
		t.Errorf("the reason is %s", why)
	}
	objects := c.Objects(newest)
	if sum := objects["HTTPRoute/shop/shop/cart"]; sum.Serving != 0 || len(sum.Others) != 1 || !strings.HasPrefix(sum.Others[0].Why, "refused: ") {
		t.Errorf("of the route that is missing: %+v", sum)
	}
	if sum := c.Objects(func(string) uint64 { return 1 })["HTTPRoute/shop/shop/cart"]; sum.Serving != 0 {
		t.Errorf("it is refused, and not only older: %+v", sum)
	}
	if sum := objects["HTTPRoute/shop/shop/rates"]; sum.Serving != 1 || p.text("shop/rates") != "two" {
		t.Errorf("of the other: %+v", sum)
	}
	taken.Store(false)
	p.until(t, "it is tried again", func() bool {
		sum := c.Objects(newest)["HTTPRoute/shop/shop/cart"]
		return sum.Serving == 1 && c.Summary().Serving == 1 && len(p.Status().Refusals) == 0
	})
}

// A proxy whose stream broke counts for the objects that it is known to serve still.
func TestObjectsOfOneThatIsGone(t *testing.T) {
	v := newViews()
	v.set("shop/cart", "one", "10.0.0.1:80")
	v.set("shop/rates", "one", "10.0.0.2:80")
	c := newControl(t, v)
	uses := func(o *distrib.ClientConfig) { o.Proxy.Services = []string{"shop/cart", "shop/rates"} }
	stays := newProxy(t, newPlane(), one(c), uses, func(o *distrib.ClientConfig) { o.Proxy.Name = "stays" })
	network := &cable{dial: dials(one(c))}
	newProxy(t, newPlane(), one(c), uses, func(o *distrib.ClientConfig) { o.Proxy.Name, o.Dial = "goes", network.connect })
	stays.until(t, "both serve", func() bool { return c.Summary().Serving == 2 })
	network.cut()
	stays.until(t, "one is gone", func() bool { return c.Summary().Serving == 1 })
	if sum := c.Objects(newest)["HTTPRoute/shop/shop/cart"]; sum.String() != "2 of 2 proxies serve revision 2" {
		t.Errorf("it serves what it had: %s %+v", sum, sum.Others)
	}
	v.set("shop/cart", "two", "10.0.0.1:80")
	stays.until(t, "the change is served", func() bool { return stays.text("shop/cart") == "two" })
	stays.until(t, "the change is acknowledged", func() bool { return c.Objects(newest)["HTTPRoute/shop/shop/cart"].Serving == 1 })
	sum := c.Objects(newest)["HTTPRoute/shop/shop/cart"]
	if sum.Proxies != 2 || len(sum.Others) != 1 || sum.Others[0].Proxy != "goes" || !strings.HasPrefix(sum.Others[0].Why, "not connected since") {
		t.Errorf("of what changed since: %+v", sum)
	}
	if sum := c.Objects(newest)["HTTPRoute/shop/shop/rates"]; sum.Serving != 2 {
		t.Errorf("of what did not: %+v", sum)
	}
	// What has changed in the resource may be of another object, as of a policy.
	had := c.Summary().Revision - 1
	for since, serving := range map[uint64]int{had: 2, had + 1: 1} {
		if sum := c.Objects(func(string) uint64 { return since })["HTTPRoute/shop/shop/cart"]; sum.Serving != serving {
			t.Errorf("of an object that is as it is since %d: %+v", since, sum)
		}
	}
}

// cable is what a proxy is connected by until it is cut.
type cable struct {
	dial func(string) (*grpc.ClientConn, error)
	mu   sync.Mutex
	open []*grpc.ClientConn
	gone bool
}

func (c *cable) connect(target string) (*grpc.ClientConn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return nil, errors.New("the cable is cut")
	}
	conn, err := c.dial(target)
	if err == nil {
		c.open = append(c.open, conn)
	}
	return conn, err
}

func (c *cable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = true
	for _, conn := range c.open {
		_ = conn.Close()
	}
}

// What changed counts as not served from the moment of the change on, before anybody was
// told of it.
func TestObjectsAreNeverEarly(t *testing.T) {
	v := newViews()
	v.set("shop/cart", "text 0", "10.0.0.1:80")
	c := newControl(t, v)
	p := newProxy(t, newPlane(), one(c))
	p.until(t, "the view is served", func() bool { return c.Summary().Serving == 1 })
	for i := range 200 {
		text := fmt.Sprintf("text %d", i+1)
		v.set("shop/cart", text, "10.0.0.1:80")
		for c.Objects(newest)["HTTPRoute/shop/shop/cart"].Serving == 0 {
			if t.Context().Err() != nil {
				t.Fatal("it is never served")
			}
		}
		if got := p.text("shop/cart"); got != text {
			t.Fatalf("counted as served when the proxy has %q in place of %q", got, text)
		}
	}
}

// newest is that nothing is known of when objects changed.
func newest(string) uint64 { return 0 }
