package e2e

import (
	"crypto/tls"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/gridway/gridway/internal/wire/h2"
)

// Clients that have said nothing yet, or nothing for long, do not hold a drain up.
func TestSilentClientsHoldNoDrain(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "servers")
	cert, key := ca.issue("a.example")
	plain, secure := ownPort(t), ownPort(t)
	app := named(t, "app")
	p := start(t, documents(gatewayOn("",
		fmt.Sprintf("{name: https, port: %d, protocol: HTTPS, tls: {certificateRefs: [{name: a}]}}", secure),
		fmt.Sprintf("{name: http, port: %d, protocol: HTTP}", plain)),
		secretDoc("a", cert, key), routeDoc("app", ""), backendDoc("app", app.addr),
		clientPolicyDoc("timeouts: {handshake: 60s}")))
	config := &tls.Config{RootCAs: ca.pool, ServerName: "a.example", NextProtos: []string{"h2"}}
	dialPort(t, plain)
	dialPort(t, secure) // no handshake
	agreed, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", secure), config)
	if err != nil {
		t.Fatal(err)
	}
	newWire(t, agreed) // no preface
	deaf := dialH2(t, fmt.Sprintf("127.0.0.1:%d", plain))
	deaf.response(deaf.ask("/")) // answers no PING after this
	used := dialH2TLS(t, fmt.Sprintf("127.0.0.1:%d", secure), config)
	used.response(used.ask("/"))
	eventually(t, "all are connected", func() bool { return p.metric("gridway_listener_connections") == 5 })
	begun := time.Now()
	p.terminate()
	ping := used.until("PING", func(f frame) bool { return f.Type == h2.FramePing })
	used.write(h2.AppendPing(nil, [8]byte(ping.payload), true))
	if code := p.ended(2 * patience); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if took := time.Since(begun); took > 8*time.Second {
		t.Errorf("the drain took %v", took)
	}
	agreed.SetDeadline(time.Now().Add(patience))
	if b, _ := io.ReadAll(agreed); len(b) == 0 {
		t.Error("a client that had agreed on HTTP/2 was told nothing")
	}
}
