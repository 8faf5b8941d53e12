package proxy_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"testing"

	"github.com/gridway/gridway/internal/ir"
	"github.com/gridway/gridway/internal/proxy"
	"github.com/gridway/gridway/internal/wire/loop"
	"github.com/gridway/gridway/internal/wire/netx"
)

// on makes a listener like the first one of cfg.
func on(cfg *ir.Config, address string, port uint16) *ir.Listener {
	l := *cfg.Listeners[0]
	l.Address, l.Port = address, port
	l.Name = net.JoinHostPort(address, strconv.Itoa(int(port)))
	return &l
}

func hello(t *testing.T) string {
	return serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })
}

// port is where the proxy's first listener is.
func (h *harness) port() uint16 { return h.proxy.Listening()[h.cfg.Listeners[0].Name].Port() }

func (h *harness) answers() {
	h.t.Helper()
	http.DefaultClient.CloseIdleConnections()
	if resp, body := h.get("/"); resp.StatusCode != 200 || body != "hello" {
		h.t.Errorf("answered %d %q", resp.StatusCode, body)
	}
}

// Who starts the same gateway twice must be told, whichever of the two asks
// the kernel for sharing.
func TestPortOfAnotherProcess(t *testing.T) {
	for name, opts := range map[string]netx.ListenOptions{"alone": {}, "sharing": {ReusePort: true}} {
		t.Run(name, func(t *testing.T) {
			other, err := netx.Listen(context.Background(), "127.0.0.1:0", opts)
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			h := start(t, []string{hello(t)})
			h.answers()
			first := h.cfg.Listeners[0]
			for _, address := range []string{"127.0.0.1", "0.0.0.0", ""} {
				h.cfg.Listeners = []*ir.Listener{first, on(h.cfg, address, uint16(other.Addr().(*net.TCPAddr).Port))}
				err := h.proxy.Apply(context.Background(), h.cfg)
				var refused *proxy.ListenError
				if !errors.Is(err, syscall.EADDRINUSE) || !errors.As(err, &refused) || refused.Listener != h.cfg.Listeners[1].Name {
					t.Errorf("on %q: %v", address, err)
				}
			}
			h.answers()
			if ln, err := netx.Listen(context.Background(), h.addr, opts); !errors.Is(err, syscall.EADDRINUSE) {
				t.Errorf("our own port was given to another: %v, %v", ln, err)
			}
		})
	}
}

// One process may have an address of a port beside all of them, and go from
// one to the other.
func TestOverlappingAddresses(t *testing.T) {
	h := start(t, []string{hello(t)})
	one := h.cfg.Listeners[0]
	port := h.port()
	for _, address := range []string{"0.0.0.0", "", "127.0.0.1"} {
		all := on(h.cfg, address, port)
		h.cfg.Listeners = []*ir.Listener{one, all} // beside it
		h.apply()
		h.answers()
		h.cfg.Listeners = []*ir.Listener{all} // in its place
		h.apply()
		h.answers()
		one = all
	}
	if ln, err := netx.Listen(context.Background(), h.addr, netx.ListenOptions{}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("our port was given to another: %v, %v", ln, err)
	}
}

// A listener that was taken away and comes back at once, while its old socket
// is not closed yet.
func TestListenerComesBack(t *testing.T) {
	h := start(t, []string{hello(t)})
	other := h.cfg.Listeners[0]
	again := on(h.cfg, "127.0.0.1", h.port())
	h.cfg.Listeners = []*ir.Listener{other, again}
	h.apply()
	for range 20 {
		h.cfg.Listeners = []*ir.Listener{other}
		h.apply()
		h.cfg.Listeners = []*ir.Listener{other, again}
		h.apply()
		if len(h.proxy.Listening()) != 2 {
			t.Fatal("it is not open")
		}
	}
	h.answers()
}

// Two gateways that both want it have their ports together.
func TestSharedPorts(t *testing.T) {
	first, second := proxy.New(proxy.Options{SharePorts: true}), proxy.New(proxy.Options{SharePorts: true})
	cfg := config(hello(t))
	defer first.Shutdown(context.Background())
	defer second.Shutdown(context.Background())
	if err := first.Apply(context.Background(), cfg); err != nil {
		t.Fatal(err)
	}
	cfg = clone(cfg)
	cfg.Listeners[0].Port = first.Listening()[cfg.Listeners[0].Name].Port()
	if err := second.Apply(context.Background(), cfg); err != nil {
		t.Fatal(err)
	}
}

// A socket that is bound but that no loop can watch is closed, told, and tried
// again like one that could not be bound.
func TestListenerThatCannotStart(t *testing.T) {
	h := start(t, []string{hello(t)})
	dead, err := loop.NewGroup(1)
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	h.cfg.Listeners = append(h.cfg.Listeners, on(h.cfg, "127.0.0.2", h.port()))
	alive := h.proxy.SetLoops(dead)
	for _, try := range []func() error{
		func() error { return h.proxy.Apply(context.Background(), h.cfg) },
		func() error { return h.proxy.Reopen(context.Background()) },
	} {
		var refused *proxy.ListenError
		if err := try(); !errors.As(err, &refused) || refused.Listener != h.cfg.Listeners[1].Name {
			t.Errorf("told: %v", err)
		}
		if n := len(h.proxy.Listening()); n != 1 {
			t.Errorf("%d listeners are said to be open", n)
		}
	}
	h.proxy.SetLoops(alive)
	if err := h.proxy.Reopen(context.Background()); err != nil {
		t.Fatal(err)
	}
	h.addr = h.proxy.Listening()[h.cfg.Listeners[1].Name].String()
	h.answers()
}
