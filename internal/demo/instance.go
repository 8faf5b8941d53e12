package demo

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"
)

// InstanceOptions are for Serve.
type InstanceOptions struct {
	// Listen is "IP:PORT".
	Listen string
	// Dir is that of the Shop.
	Dir string
	// Calls has a base URL for each service that the instance asks.
	Calls map[string]string
}

// Serve is the process of an instance of the mesh, until ctx ends. It knows nothing of
// the mesh but where its sidecar has opened ports for other services.
func Serve(ctx context.Context, name string, o InstanceOptions) error {
	h, err := handler(name, o)
	if err != nil {
		return err
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.Listen)
	if err != nil {
		return err
	}
	srv := server(h)
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ln) }()
	select {
	case err = <-ended:
		return err
	case <-ctx.Done():
	}
	shutDown(srv)
	<-ended
	return nil
}

func handler(name string, o InstanceOptions) (http.Handler, error) {
	for _, i := range Instances() {
		if i.Name != name {
			continue
		}
		for _, service := range i.Calls {
			if o.Calls[service] == "" {
				return nil, fmt.Errorf("%s needs to know where %s is", name, service)
			}
		}
		return i.temper.around(served(name, i.handler(o))), nil
	}
	return nil, fmt.Errorf("the shop has no %q", name)
}

func (i *Instance) handler(o InstanceOptions) http.Handler {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16, IdleConnTimeout: 30 * time.Second}, Timeout: 2 * time.Second}
	office := newDesk(o.Dir)
	switch i.Service {
	case "catalog":
		return (&catalog{client: client, inventory: o.Calls["inventory"], reviews: o.Calls["reviews"]}).handler()
	case "inventory":
		return inventoryHandler(office)
	case "cart":
		return newCarts().handler()
	case "orders":
		return (&orders{client: client, office: office, cart: o.Calls["cart"], inventory: o.Calls["inventory"], payments: o.Calls["payments"]}).handler()
	case "payments":
		return paymentsHandler()
	}
	return reviewsHandler(i.Service == "reviews-v2")
}
