package e2e

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// Clients that come back after an upgrade, and after the next ones, resume their
// TLS sessions with the process that serves then.
func TestUpgradeKeepsTLSSessions(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, "ca")
	cert, key := ca.issue("shop.test")
	port := ownPort(t)
	g := startLineage(t, documents(
		gatewayOn("", fmt.Sprintf("{name: https, port: %d, protocol: HTTPS, tls: {certificateRefs: [{name: shop}]}}", port)),
		secretDoc("shop", cert, key), routeDoc("app", ""), backendDoc("app", named(t, "a").addr)))
	resumed := func(cache tls.ClientSessionCache, version uint16) bool {
		t.Helper()
		c, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", fmt.Sprintf("127.0.0.1:%d", port),
			&tls.Config{ServerName: "shop.test", RootCAs: ca.pool, MaxVersion: version, ClientSessionCache: cache})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(patience))
		_, err = io.WriteString(c, "GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n")
		resp, rerr := http.ReadResponse(bufio.NewReader(c), nil)
		if err := errors.Join(err, rerr); err != nil || resp.StatusCode != 200 {
			t.Fatal(resp, err)
		}
		_, _ = io.Copy(io.Discard, c) // tickets of TLS 1.3 are among the data
		return c.ConnectionState().DidResume
	}
	caches := map[uint16]tls.ClientSessionCache{}
	firsts := map[uint16]*tls.ClientSessionState{}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		caches[version] = tls.NewLRUClientSessionCache(1)
		if resumed(caches[version], version) {
			t.Error("resumed from nothing")
		}
		firsts[version], _ = caches[version].Get("shop.test")
	}
	for generation := range 3 {
		old := g.pid()
		g.upgrade()
		eventually(t, "the old process ends", func() bool { return gone(old) })
		for version, cache := range caches {
			if !resumed(cache, version) {
				t.Errorf("upgrade %d, TLS %x: not resumed", generation, version)
			}
			cache.Put("shop.test", firsts[version]) // the next time a ticket of the first process
			if !resumed(cache, version) {
				t.Errorf("upgrade %d, TLS %x: not resumed with the first ticket", generation, version)
			}
		}
	}
	g.stop()
}
