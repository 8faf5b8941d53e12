// Package demo is the shop behind "gridway demo": real services that speak HTTP,
// gRPC, WebSocket and server-sent events, with real data, latencies that spread
// as they do in life, and failures now and then; the configuration of the edge in
// front of them; and customers. A Shop owns the
// goroutines of its servers, a Traffic those of its customers, and each waits
// for them when it is closed. Only the CLI imports it.
package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"
)

// Instance is one running server of a service.
type Instance struct {
	Service string `json:"service"`
	// Name is the service's, with a number or version when there are several.
	Name    string `json:"name"`
	Address string `json:"address"` // "IP:PORT"
	About   string `json:"about"`
}

// Shop is the set of services. Make one with Open.
type Shop struct {
	instances []Instance
	listeners []net.Listener
	servers   []*http.Server
	wg        sync.WaitGroup

	clientTransport *http.Transport
	closing         chan struct{} // closed when what would not end by itself is to
}

// Options of a Shop.
type Options struct {
	// Inner is the base URL of the edge's inner listener, through which the
	// services call each other: "http://127.0.0.1:8081".
	Inner string
	// AnyPort takes free ports instead of the usual ones.
	AnyPort bool
}

// plan is who listens where. The temper is how each behaves.
type plan struct {
	service, name string
	port          int
	about         string
	temper        temper
}

var plans = [...]plan{
	{"catalog", "catalog-1", 9101, "products and search", temper{median: 3 * time.Millisecond, sigma: 0.5}},
	{"catalog", "catalog-2", 9102, "the same, a little slower", temper{median: 6 * time.Millisecond, sigma: 0.6}},
	{"inventory", "inventory-1", 9111, "stock and reservations", temper{median: 2 * time.Millisecond, sigma: 0.4}},
	{"inventory", "inventory-2", 9112, "has a bad spell: 20 s of each minute it fails half of its requests", temper{median: 2 * time.Millisecond, sigma: 0.4, spell: 0.5}},
	{"cart", "cart", 9121, "carts of customers", temper{median: 4 * time.Millisecond, sigma: 0.5, unavailable: 0.01}},
	{"orders", "orders", 9131, "checkout; reads the cart, reserves stock, takes the payment", temper{median: 20 * time.Millisecond, sigma: 0.7, unavailable: 0.01}},
	{"reviews", "reviews-v1", 9141, "what customers say", temper{median: 8 * time.Millisecond, sigma: 0.5}},
	{"reviews", "reviews-v2", 9142, "the same with stars: the canary, slower, and it still drops connections", temper{median: 14 * time.Millisecond, sigma: 0.8, unavailable: 0.04, reset: 0.02}},
	{"stock", "stock", 9113, "the warehouse: the stock by gRPC", temper{median: 2 * time.Millisecond, sigma: 0.4}},
	{"live", "live", 9161, "stock and orders as they change: WebSocket, server-sent events", temper{median: time.Millisecond, sigma: 0.3}},
	{"audit", "audit", 9151, "receives a mirrored copy of each order", temper{median: time.Millisecond, sigma: 0.3}},
}

// Open binds the ports and starts to serve. Ports that are taken are replaced
// by free ones, so read Instances for where things are.
func Open(o Options) (*Shop, error) {
	s := &Shop{closing: make(chan struct{}), clientTransport: &http.Transport{MaxIdleConnsPerHost: 16, IdleConnTimeout: 30 * time.Second}}
	for _, p := range plans {
		port := p.port
		if o.AnyPort {
			port = 0
		}
		ln, err := Listen(port)
		if err != nil {
			s.Close()
			return nil, fmt.Errorf("demo service %s: %w", p.name, err)
		}
		s.listeners = append(s.listeners, ln)
		s.instances = append(s.instances, Instance{Service: p.service, Name: p.name, Address: ln.Addr().String(), About: p.about})
	}
	client := &http.Client{Transport: s.clientTransport, Timeout: 2 * time.Second}
	stock := newStock()
	carts := newCarts()
	orders := newOrders("orders", o.Inner, s.address("cart"), client)
	for i, p := range plans {
		var h http.Handler
		switch p.service {
		case "catalog":
			h = catalogHandler(p.name, o.Inner, client)
		case "inventory":
			h = stock.handler(p.name)
		case "cart":
			h = carts.handler(p.name)
		case "orders":
			h = orders.handler()
		case "reviews":
			h = reviewsHandler(p.name)
		case "stock":
			h = (&warehouse{name: p.name, stock: stock, closing: s.closing}).handler()
		case "live":
			h = (&live{name: p.name, stock: stock, orders: orders, closing: s.closing, wg: &s.wg}).handler()
		case "audit":
			h = newAudit(p.name).handler()
		}
		s.serve(s.listeners[i], p.temper.around(h))
	}
	return s, nil
}

// Instances says what runs where.
func (s *Shop) Instances() []Instance { return s.instances }

func (s *Shop) address(name string) string {
	for _, i := range s.instances {
		if i.Name == name {
			return i.Address
		}
	}
	return ""
}

func (s *Shop) serve(ln net.Listener, h http.Handler) {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	srv := &http.Server{Handler: h, Protocols: &protocols, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 64 << 10}
	s.servers = append(s.servers, srv)
	s.wg.Go(func() { _ = srv.Serve(ln) }) // always ErrServerClosed or a closed listener
}

// Close ends the services within a second and waits for them.
func (s *Shop) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	close(s.closing)
	for _, srv := range s.servers {
		if err := srv.Shutdown(ctx); err != nil {
			srv.Close()
		}
	}
	for _, ln := range s.listeners {
		ln.Close()
	}
	s.clientTransport.CloseIdleConnections()
	s.wg.Wait()
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

// FreePort returns port if nobody has it, or one that is free now; with UDP, for
// both TCP and UDP. Somebody else may be quicker to take it.
func FreePort(port int, udp bool) (int, error) {
	for {
		ln, err := Listen(port)
		if err != nil {
			return 0, err
		}
		a, ok := ln.Addr().(*net.TCPAddr)
		if !ok {
			ln.Close()
			return 0, errors.New("not a TCP address")
		}
		if udp {
			var pc net.PacketConn
			if pc, err = net.ListenUDP("udp", &net.UDPAddr{IP: a.IP, Port: a.Port}); err == nil {
				pc.Close()
			}
		}
		ln.Close()
		if err == nil {
			return a.Port, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return 0, err
		}
		port = 0
	}
}
