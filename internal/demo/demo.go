// Package demo is the shop behind "gridway demo": real services that speak HTTP,
// gRPC, WebSocket and server-sent events, with real data, latencies that spread
// as they do in life, and failures now and then; the configuration of the mesh that
// they are in and of the edge before it; and customers. Services of the mesh are
// processes of their own (Serve); a Shop has what they share and the services that
// have no sidecar. A Shop owns the goroutines of its servers, a Traffic those of its
// customers, and each waits for them when it is closed. Only the CLI imports it.
package demo

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"
)

// Instance is one running server of a service.
type Instance struct {
	Service string
	// Name is the service's, with a number or version when there are several.
	Name  string
	About string
	// Port is where it listens if nobody else does.
	Port int
	// Mesh: it is a process with a sidecar.
	Mesh bool
	// Calls are the services of the mesh that it asks, each at a port of its sidecar.
	Calls []string

	temper temper
}

var instances = [...]Instance{
	{Service: "catalog", Name: "catalog-1", Port: 9101, Mesh: true, Calls: []string{"inventory", "reviews"}, About: "products and search", temper: temper{median: 3 * time.Millisecond, sigma: 0.5}},
	{Service: "catalog", Name: "catalog-2", Port: 9102, Mesh: true, Calls: []string{"inventory", "reviews"}, About: "the same, a little slower", temper: temper{median: 6 * time.Millisecond, sigma: 0.6}},
	{Service: "inventory", Name: "inventory-1", Port: 9111, Mesh: true, About: "stock and reservations", temper: temper{median: 2 * time.Millisecond, sigma: 0.4}},
	{Service: "inventory", Name: "inventory-2", Port: 9112, Mesh: true, About: "has a bad spell: 20 s of each minute it fails half of its requests", temper: temper{median: 2 * time.Millisecond, sigma: 0.4, spell: 0.5, every: 60, last: 20}},
	{Service: "cart", Name: "cart", Port: 9121, Mesh: true, About: "carts of customers", temper: temper{median: 4 * time.Millisecond, sigma: 0.5, unavailable: 0.01}},
	{Service: "orders", Name: "orders", Port: 9131, Mesh: true, Calls: []string{"cart", "inventory", "payments"}, About: "checkout; reads the cart, reserves stock, takes the payment", temper: temper{median: 20 * time.Millisecond, sigma: 0.7, unavailable: 0.01}},
	{Service: "payments", Name: "payments", Port: 9171, Mesh: true, About: "fails for 8 s of each half minute: orders are on invoice then", temper: temper{median: 15 * time.Millisecond, sigma: 0.5, spell: 1, every: 30, last: 8}},
	{Service: "reviews", Name: "reviews-v1", Port: 9141, Mesh: true, About: "what customers say", temper: temper{median: 8 * time.Millisecond, sigma: 0.5}},
	{Service: "reviews-v2", Name: "reviews-v2", Port: 9142, Mesh: true, About: "the same with stars: the canary, slower, and it still drops connections", temper: temper{median: 14 * time.Millisecond, sigma: 0.8, unavailable: 0.04, reset: 0.02}},
	{Service: "stock", Name: "stock", Port: 9113, About: "the warehouse: the stock by gRPC", temper: temper{median: 2 * time.Millisecond, sigma: 0.4}},
	{Service: "live", Name: "live", Port: 9161, About: "stock and orders as they change: WebSocket, server-sent events", temper: temper{median: time.Millisecond, sigma: 0.3}},
	{Service: "audit", Name: "audit", Port: 9151, About: "receives a mirrored copy of each order", temper: temper{median: time.Millisecond, sigma: 0.3}},
}

// Instances are those of the mesh.
func Instances() (out []Instance) {
	for _, i := range instances {
		if i.Mesh {
			out = append(out, i)
		}
	}
	return out
}

// Shop is what the services share, and those without a sidecar. Make one with Open.
type Shop struct {
	addresses map[string]string // of instances without a sidecar, "IP:PORT"
	servers   []*http.Server
	wg        sync.WaitGroup
	office    *office

	closing chan struct{} // closed when what would not end by itself is to
}

// Options of a Shop.
type Options struct {
	// Dir is a folder of the shop's own, for the socket of its office.
	Dir string
	// AnyPort takes free ports instead of the usual ones.
	AnyPort bool
}

// Open binds the ports and starts to serve. Ports that are taken are replaced
// by free ones.
func Open(o Options) (*Shop, error) {
	s := &Shop{closing: make(chan struct{}), addresses: map[string]string{}, office: newOffice()}
	office, err := (&net.ListenConfig{}).Listen(context.Background(), "unix", filepath.Join(o.Dir, officeSocket))
	if err != nil {
		return nil, fmt.Errorf("the shop's office: %w", err)
	}
	s.serve(office, s.office.handler())
	for _, p := range instances {
		if p.Mesh {
			continue
		}
		port := p.Port
		if o.AnyPort {
			port = 0
		}
		ln, err := Listen(port)
		if err != nil {
			s.Close()
			return nil, fmt.Errorf("demo service %s: %w", p.Name, err)
		}
		s.addresses[p.Name] = ln.Addr().String()
		s.serve(ln, p.temper.around(s.handler(p.Name)))
	}
	return s, nil
}

// Address is where an instance without a sidecar is, "IP:PORT".
func (s *Shop) Address(name string) string { return s.addresses[name] }

func (s *Shop) handler(name string) http.Handler {
	switch name {
	case "stock":
		return (&warehouse{name: name, stock: s.office.stock, closing: s.closing}).handler()
	case "live":
		return (&live{name: name, stock: s.office.stock, ledger: s.office.ledger, closing: s.closing, wg: &s.wg}).handler()
	}
	return newAudit(name).handler()
}

func (s *Shop) serve(ln net.Listener, h http.Handler) {
	srv := server(h)
	s.servers = append(s.servers, srv)
	s.wg.Go(func() { _ = srv.Serve(ln) }) // always ErrServerClosed or a closed listener
}

func server(h http.Handler) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{Handler: h, Protocols: &protocols, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 64 << 10}
}

// Close ends the services within a second and waits for them.
func (s *Shop) Close() {
	close(s.closing)
	shutDown(s.servers...)
	s.wg.Wait()
}

func shutDown(servers ...*http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for _, srv := range servers {
		if err := srv.Shutdown(ctx); err != nil {
			srv.Close()
		}
	}
}

// Listen binds port on the loopback address, or a free one when it is taken.
func Listen(port int) (net.Listener, error) {
	var lc net.ListenConfig
	ctx := context.Background() // binding does not wait
	ln, err := lc.Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil && port != 0 {
		ln, err = lc.Listen(ctx, "tcp", "127.0.0.1:0")
	}
	return ln, err
}
